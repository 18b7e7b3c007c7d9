//! What `offshoot-parent` builds on. Not for programs: it changes without notice.

use offshoot_wire::{ContextId, Handle};

#[cfg(feature = "children")]
pub use crate::shared::shared_of;
use crate::{CallError, Caller, Context, Functions, Message, Pending, Policy, node::Then};
pub use crate::{
    broker::{Broker, spawn as spawn_broker},
    child::Boot,
    here::Here,
    link::{ChildWatcher, Ends, Heard, LinkFailure, LinkParts},
    shared::{Hooks, Shared, Way},
    sync::{contain, later},
    worker::spawn as spawn_workers,
};

/// Another context, as the one sees it in which `beside` was made.
pub fn context(beside: &Context, id: ContextId) -> Context {
    Context::new(beside.node(), id)
}

/// Calls a reserved handle; `what` names it in errors.
pub fn ask<A: Message, R: Message>(
    caller: &Caller,
    mailbox: Handle,
    what: &'static str,
    argument: &A,
) -> Pending<R> {
    Pending::new(caller.ask(mailbox, what, argument, Then::GoOn))
}

/// Tells a reserved handle something that is not answered: it is no call in flight. `what` names it in errors.
///
/// # Errors
/// [`CallError::TimedOut`] if it would have to wait for room; else it never leaves.
pub fn tell<A: Message>(
    to: &Context,
    mailbox: Handle,
    what: &'static str,
    argument: &A,
) -> Result<(), CallError> {
    Caller::new(to.clone()).tell(mailbox, what, argument)
}

/// Who may call what, as the machine wants to know it.
pub fn policies(functions: &Functions) -> Vec<(String, Policy)> {
    functions.entries().map(|(name, policy)| (name.to_owned(), policy)).collect()
}
