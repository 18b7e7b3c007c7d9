//! CREATE_CHILD: what is asked of a context that shall have a child, and what it answers.

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Escalation, Exit, Phase, Plan};
use offshoot_core::{
    internal::LinkFailure,
    wire::{ContextId, Role},
};
use serde::{Deserialize, Serialize};

/// What stands before the reason with which somebody nearer to the root refuses a child.
pub(crate) const REFUSED: &str = "refused: ";

/// The child that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Created {
    pub(crate) id: ContextId,
    pub(crate) about: About,
}

/// What a context said of itself in its HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) pid: u32,
    pub(crate) role: Role,
}

/// The answer; the argument is a [`Plan`].
pub(crate) type Answer = Result<Created, ConnectError>;

/// Why a child did not come up, from what its link had seen and how its process ended.
///
/// `expired`: the deadline of the connect had passed when its link ended.
pub(crate) fn explain(plan: &Plan, failure: &LinkFailure, exit: &Exit, expired: bool) -> ConnectError {
    let phase = if failure.marker_seen { Phase::Hello } else { Phase::Marker };
    let kind = match failure.reason.strip_prefix(REFUSED) {
        Some(reason) => ConnectErrorKind::Refused { reason: reason.into() },
        None if expired => ConnectErrorKind::NoAnswer { limit: plan.timeout },
        None if !was_closed(failure) => ConnectErrorKind::BadStream { what: failure.reason.as_str().into() },
        // Whoever had to be made to go had closed its link first.
        None if exit.escalated != Escalation::None => ConnectErrorKind::Closed,
        None => ConnectErrorKind::Exited { report: exit.report.clone() },
    };
    let words = if failure.stderr.is_empty() { &failure.last_words } else { &failure.stderr };
    ConnectError::new(plan, phase, kind).with_last_words(words)
}

/// Whether the child has ended its link, by its death or otherwise; else this context has, for what the child did.
pub(crate) fn was_closed(failure: &LinkFailure) -> bool {
    ["the link was closed", "the link broke"].iter().any(|words| failure.reason.starts_with(words))
}
