//! CREATE_CHILD: what is asked of a context that shall have a child, and what it answers.

use offshoot_bootstrap::{
    ConnectError, ConnectErrorKind, Escalation, ExitReport, Payload, Phase, Plan, Told,
};
use offshoot_core::{
    internal::LinkFailure,
    wire::{ContextId, Role},
};
use serde::{Deserialize, Serialize};

/// What stands before the reason with which somebody nearer to the root refuses a child.
pub(crate) const REFUSED: &str = "refused: ";

/// What is asked. What is no more than a [`Word`](crate::word::Word) gets no answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Make a child.
    Child {
        plan: Box<Plan>,
        /// By which whoever asks calls it later.
        ticket: u64,
    },
    /// The child of that ticket is not wanted any more. If it is up already the answer for it says so.
    GiveUp { ticket: u64 },
    /// Keep a program for plans that name it by its hash, and see that others do; the answer is a [`Kept`].
    Keep(Keep),
    /// The program for the child of that ticket does not come, for that reason.
    Missed { ticket: u64, reason: String },
}

/// A program on its way to where plans will name it by its hash.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keep {
    pub(crate) hash: String,
    /// The program, unless it has passed this link before.
    pub(crate) payload: Option<Payload>,
    /// Where it is to be passed on to: a child, a child of that, and so on.
    pub(crate) on: Vec<ContextId>,
}

/// Whether a program is in all the places where it was to go.
pub(crate) type Kept = Result<(), Lack>;

/// Why a program is not where it was to go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Lack {
    /// It was only named, and is not here: it is to be sent.
    Program,
    /// It is here, and does not come to one of the others.
    Beyond(String),
}

/// The child that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Created {
    pub(crate) id: ContextId,
    pub(crate) about: About,
    /// What has become of each of the passwords for it.
    pub(crate) passwords: Vec<Told>,
}

/// What a context said of itself in its HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) pid: u32,
    pub(crate) role: Role,
}

/// The answer to [`Ask::Child`].
pub(crate) type Answer = Result<Created, ConnectError>;

/// Why a child did not come up, from what its link had seen and how its process ended.
///
/// `expired`: the deadline of the connect had passed when its link ended.
pub(crate) fn explain(
    plan: &Plan,
    failure: &LinkFailure,
    (report, escalated): (&ExitReport, Escalation),
    expired: bool,
) -> ConnectError {
    let phase = if failure.marker_seen { Phase::Hello } else { Phase::Marker };
    let kind = match failure.reason.strip_prefix(REFUSED) {
        Some(reason) => ConnectErrorKind::Refused { reason: reason.into() },
        None if expired => ConnectErrorKind::NoAnswer { limit: plan.timeout },
        None if !failure.is_closed => ConnectErrorKind::BadStream { what: failure.reason.as_str().into() },
        // Whoever had to be made to go had closed its link first.
        None if escalated != Escalation::None => ConnectErrorKind::Closed,
        None if failure.marker_seen => ConnectErrorKind::Exited { report: report.clone() },
        None => plan.ended(&failure.stderr, report.clone()),
    };
    ConnectError::new(plan, phase, kind).with_outputs(&failure.last_words, &failure.stderr)
}

#[cfg(test)]
mod tests {
    use offshoot_bootstrap::{Local, Method as _, Payload};

    use super::*;

    fn explained(reason: &str, marker_seen: bool, escalated: Escalation, expired: bool) -> String {
        let plan = Local::new(Payload::this_program()).name("x").plan();
        let (reason, stderr) = (reason.to_owned(), b"why\n".to_vec());
        let is_closed = reason.starts_with("the link");
        let failure = LinkFailure { reason, is_closed, marker_seen, last_words: b"noise".to_vec(), stderr };
        explain(&plan, &failure, (&ExitReport::Exited { code: 0 }, escalated), expired).to_string()
    }

    #[test]
    fn who_ended_the_link_and_how_the_process_went_make_the_reason() {
        let none = Escalation::None;
        let closed = "the link was closed";
        for (text, expected) in [
            (explained(closed, false, none, false), "waiting for its first word: it ended: exit status 0"),
            (explained(closed, true, none, false), "waiting for its hello: it ended: exit status 0"),
            (explained(closed, true, Escalation::Term, false), "it closed its link without a word"),
            (
                explained("it did not say HELLO in time", true, Escalation::Kill, true),
                "no answer within 30 s",
            ),
            (
                explained("its HELLO could not be read", true, none, false),
                "does not speak our protocol: its HELLO",
            ),
            (explained("refused: too many", true, none, false), "waiting for its hello: refused: too many"),
        ] {
            assert!(text.starts_with("x: local, ") && text.contains(expected), "{text}");
            assert!(text.ends_with("its last words:\n  | noise\n  | why"), "{text}");
        }
    }
}
