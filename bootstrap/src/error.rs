//! Why a connect failed: where, by which method, in which phase, and what the far side said last.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

use crate::{BuildError, ConnectErrorKind, PayloadError, Plan, Text, Told, UnknownMachine, UnknownProfile};

/// Why a connect failed. Its text names the place, the method and the phase, and ends with the last lines that the
/// far side wrote to its stderr.
///
/// It travels: the context that a child was to be made by passes it on. `Debug` prints the same text, since that
/// is what `main` shows.
///
/// ```
/// use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Local, Method as _, Payload, Phase};
///
/// let plan = Local::new(Payload::this_program()).name("worker").plan();
/// let error = ConnectError::new(&plan, Phase::Hello, ConnectErrorKind::Closed).with_last_words(b"no memory\n");
/// assert_eq!(
///     error.to_string(),
///     "worker: local, waiting for its hello: it closed its link without a word; its last words:\n  | no memory"
/// );
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectError(Box<Inner>);

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    place: Text,
    method: Text,
    /// Each context says it for itself, of whom it has asked: it does not travel.
    #[serde(skip)]
    maker: Option<Text>,
    phase: Phase,
    kind: ConnectErrorKind,
    #[serde(deserialize_with = "last_words")]
    last_words: Text,
    passwords: Vec<Told>,
}

impl ConnectError {
    /// The connect of `plan` failed in `phase`, for the reason `kind`.
    #[must_use]
    pub fn new(plan: &Plan, phase: Phase, kind: ConnectErrorKind) -> Self {
        let (place, method) = (plan.place.clone(), plan.method.clone());
        Self(Box::new(Inner {
            place,
            method,
            maker: None,
            phase,
            kind,
            last_words: Text::default(),
            passwords: Vec::new(),
        }))
    }

    /// Of a connect that was asked of another context, by its name.
    #[must_use]
    pub fn asked_of(mut self, maker: &str) -> Self {
        self.0.maker = Some(maker.into());
        self
    }

    /// With the end of what the far side wrote: at most the last 20 lines and 4 KiB, made safe to print.
    #[must_use]
    pub fn with_last_words(mut self, bytes: &[u8]) -> Self {
        self.0.last_words = Text::last_words(bytes);
        self
    }

    /// As [`with_last_words`](Self::with_last_words), of what came on its stdout and on its stderr: most errors are told
    /// there, so that it comes last.
    #[must_use]
    pub fn with_outputs(self, stdout: &[u8], stderr: &[u8]) -> Self {
        let end: &[u8] = if stdout.is_empty() || stdout.ends_with(b"\n") { b"" } else { b"\n" };
        self.with_last_words(&[stdout, end, stderr].concat())
    }

    /// With what has become of each of the [`secrets`](Plan::secrets) of the plan, in their order.
    #[must_use]
    pub fn with_passwords(mut self, passwords: impl Into<Vec<Told>>) -> Self {
        self.0.passwords = passwords.into();
        self
    }

    /// What has become of each of the [`secrets`](Plan::secrets) of the plan, in their order, whatever the reason is said to
    /// be: one may have been refused, or have been enough where something else has failed. Of those that are not told of
    /// nothing is known. What somebody has typed is none of them.
    #[must_use]
    pub fn passwords(&self) -> &[Told] {
        &self.0.passwords
    }

    /// The reason.
    #[must_use]
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.0.kind
    }

    /// What was to be reached: the [`Plan::place`].
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// The word for the way there, such as `local`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// The name of the context that was to make it, where that is another than the one that says so. It is said by who has
    /// asked, and does not travel.
    #[must_use]
    pub fn maker(&self) -> Option<&str> {
        self.0.maker.as_deref()
    }

    /// How far it had come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The last lines that the far side wrote, safe to print; empty if there were none.
    #[must_use]
    pub fn last_words(&self) -> &str {
        &self.0.last_words
    }

    /// A word for the reason that stays the same when texts change.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }
}

/// Line ends are part of last words, and of no other text.
fn last_words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    String::deserialize(deserializer).map(|words| Text::last_words(words.as_bytes()))
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { place, method, maker, phase, kind, last_words, passwords: _ } = &*self.0;
        write!(f, "{place}: {method}")?;
        maker.iter().try_for_each(|maker| write!(f, " from {maker}"))?;
        write!(f, ", {phase}: {kind}")?;
        // One that reads its input as something else says nothing.
        if matches!((phase, kind), (Phase::Marker, ConnectErrorKind::NoAnswer { .. })) {
            f.write_str("; is it a program that runs `Child` or `run`?")?;
        }
        if !last_words.is_empty() {
            f.write_str("; its last words:")?;
        }
        last_words.lines().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// `main` shows an error by its `Debug`, and so that is its text.
macro_rules! debug_is_text {
    ($($error:ty),+ $(,)?) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })+
    };
}

debug_is_text!(ConnectError, ConnectErrorKind, PayloadError, BuildError, UnknownMachine, UnknownProfile);

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The text says all that the kind does.
        None
    }
}

/// How far a connect had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// Before anything was started: a name and an id for the child.
    Allocate,
    /// Starting the process.
    Spawn,
    /// The process runs, and the shell that it leads to has not spoken.
    Shell,
    /// That shell looks for a place where the program can run.
    Place,
    /// The program is on its way there.
    Send,
    /// The program runs, and nothing of ours has come from it.
    Marker,
    /// It speaks, and is being told who it is.
    Setup,
    /// It was told, and has not yet said who it is.
    Hello,
    /// It was connected, and was lost or refused before the connect had returned.
    Up,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allocate => "getting an id",
            Self::Spawn => "starting the process",
            Self::Shell => "waiting for its shell",
            Self::Place => "looking for a place for the program",
            Self::Send => "sending the program",
            Self::Marker => "waiting for its first word",
            Self::Setup => "sending its set-up",
            Self::Hello => "waiting for its hello",
            Self::Up => "connected",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn error(phase: Phase) -> ConnectError {
        let plan = Plan::new("web\x1b1", "local", "w", Payload::this_program());
        ConnectError::new(&plan, phase, ConnectErrorKind::Closed)
    }

    #[test]
    fn every_phase_says_what_was_going_on() {
        let all = [
            Phase::Allocate,
            Phase::Spawn,
            Phase::Shell,
            Phase::Place,
            Phase::Send,
            Phase::Marker,
            Phase::Setup,
            Phase::Hello,
            Phase::Up,
        ];
        assert_eq!(
            all.map(|phase| phase.to_string()),
            [
                "getting an id",
                "starting the process",
                "waiting for its shell",
                "looking for a place for the program",
                "sending the program",
                "waiting for its first word",
                "sending its set-up",
                "waiting for its hello",
                "connected"
            ]
        );
        assert!(all.is_sorted());
    }

    #[test]
    fn the_text_names_place_method_and_phase_and_is_safe_to_print() {
        let error = error(Phase::Marker).with_last_words(b"one\ntwo\x07\n");
        let text = "web\\u{1b}1: local, waiting for its first word: it closed its link without a word; its last words:\n  | one\n  | two\\u{7}";
        assert_eq!((error.to_string().as_str(), format!("{error:?}").as_str()), (text, text));
    }

    #[test]
    fn main_shows_every_error_as_its_text() {
        fn check(error: &dyn Error) {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
        check(&ConnectErrorKind::Unreachable);
        check(&UnknownMachine);
        check(&UnknownProfile);
        let missing = Payload::file("/no/such/leaf").unwrap_err();
        check(&missing);
        check(&BuildError::from(missing));
        check(&BuildError::NoBuildScript);
    }

    #[test]
    fn without_last_words_the_text_is_one_line() {
        assert_eq!(
            error(Phase::Up).with_last_words(b" \n").to_string(),
            "web\\u{1b}1: local, connected: it closed its link without a word"
        );
    }

    #[test]
    fn an_error_is_small_and_can_cross_threads() {
        fn check<T: Error + Clone + Send + Sync + Unpin + 'static>() {}
        check::<ConnectError>();
        assert!(size_of::<ConnectError>() <= 16);
    }
}
