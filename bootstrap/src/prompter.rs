//! Who is asked what nobody has answered beforehand.

use std::fmt;

use offshoot_wire::Secret;

use crate::Text;

/// How many questions are taken in a connect: one for each account and key on a long way.
pub(crate) const MAX_QUESTIONS: u32 = 16;
/// How often the same question is passed on whose answers are refused: as often as `ssh` and `sudo` ask for a password.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// A question that comes up on the way to a place, for a [`Prompter`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The place that is to be reached: the [`Plan::place`](crate::Plan::place).
    pub place: Text,
    /// The word for the way there, such as `ssh`.
    pub method: Text,
    /// For which account it is asked, as `user@host`, where the question says so: `None` for all that sudo, su and doas ask. Of a jump host it is another than that
    /// of the place.
    pub account: Option<Text>,
    /// Whether the process that was started for this place asks, rather than one that it has started, such as the client
    /// of a jump host.
    pub is_of_place: bool,
    /// What is asked, as far as that is known.
    pub kind: QueryKind,
    /// The question, safe to print.
    pub text: Text,
    /// What sudo, su or doas has said before it, such as a menu or that the last answer was wrong: up to 20 lines, safe to
    /// print. Empty for ssh.
    pub above: Text,
    /// Whether the answer may be seen when it is typed. Who asks elsewhere than at a terminal does not say so, and then it
    /// may not.
    pub echoes: bool,
    /// Whether it wants consent and no text: `yes` gives it, and whatever else refuses it.
    pub is_consent: bool,
    /// How often the same has been asked in this connect, 1 for the first time. A fourth time the connect fails instead, unless
    /// it is a key that is asked for: each client on the way may do that.
    pub attempt: u32,
}

/// What a [`Query`] asks, so that a password does not go out as the answer to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryKind {
    /// The password of an account. Of sudo, su and doas: by the words that the method has for it.
    Password,
    /// What opens a key.
    Passphrase,
    /// Whether a host is who it says: `yes`, `no`, or the fingerprint of its key.
    HostKey,
    /// Whether something may be done; see [`Query::is_consent`].
    Consent,
    /// Something else, such as a code or a menu; what it is its text alone says.
    Other,
}

/// What a client on the way to a place says to whoever sits here, and waits for no answer to: that a key wants to be touched,
/// mostly. Each is told twice, when it begins and when it is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notice {
    /// The place that is to be reached.
    pub place: Text,
    /// The word for the way there, such as `ssh`.
    pub method: Text,
    /// Whether the process that was started for this place says it, rather than one that it has started.
    pub is_of_place: bool,
    /// What it says, safe to print.
    pub text: Text,
    /// Whether it is over, touched or not: what was shown of it can go. At the latest it is when the connect is.
    pub is_over: bool,
}

/// Answers questions of programs that lead to a place, by asking a person mostly.
///
/// Any `Fn(&Query) -> Option<Secret>` is one. It is called on the thread that makes the connect, which waits for it;
/// the time of the connect goes on.
pub trait Prompter: Send + Sync {
    /// The answer, without a line end. `None`: there is none, and the connect fails if it cannot do without. To sudo, su and
    /// doas one with control characters in it is none.
    fn answer(&self, query: &Query) -> Option<Secret>;

    /// Is told what is no question: by whatever connect says it, while a person may be asked for another, and not in turn.
    /// It must not block: the connect goes on when it returns. Does nothing where it is not said.
    fn notice(&self, _notice: &Notice) {}
}

impl<F: Fn(&Query) -> Option<Secret> + Send + Sync> Prompter for F {
    fn answer(&self, query: &Query) -> Option<Secret> {
        self(query)
    }
}

/// How often each question has been asked in a connect.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Vec<(Text, u32)>);

impl Attempts {
    /// Whether as many were asked as are taken.
    pub(crate) fn are_over(&self) -> bool {
        self.0.iter().fold(0, |all: u32, (_, times)| all.saturating_add(*times)) >= MAX_QUESTIONS
    }

    /// Which time it is.
    pub(crate) fn count(&mut self, text: &Text) -> u32 {
        if let Some((_, times)) = self.0.iter_mut().find(|(asked, _)| asked == text) {
            *times = times.saturating_add(1);
            return *times;
        }
        self.0.push((text.clone(), 1));
        1
    }
}

impl fmt::Debug for dyn Prompter + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompter")
    }
}
