//! The values that the machine takes from its shell and gives to it.

use offshoot_wire::{Body, CallId, ContextId, Dead, End, Handle, Role, Setup};

use super::{Tick, limits::Limits};

/// Who may call a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Any ancestor, and whom one of them granted it to by id.
    #[default]
    Parents,
    /// Children, and all below them.
    Children,
    /// Every context of the tree.
    Anyone,
}

/// How far a call got that did not end in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Progress {
    /// No byte of it left this context.
    NotSent,
    /// It left, and surely did not run: a hop or the destination refused it.
    Undelivered,
    /// It left, and may have run.
    Unknown,
    /// It began to run.
    Started,
}

/// What a context is and by which bounds it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its id.
    pub me: ContextId,
    /// Its ancestors, parent first, root last; none at the root.
    pub ancestors: Vec<ContextId>,
    /// Whether it can have children.
    pub role: Role,
    /// Whether frames are refused that turn from one child link to another.
    pub one_way: bool,
    /// The functions that it serves and who may call them, in the order of the shell's table.
    pub functions: Vec<(String, Policy)>,
    /// A digest of that table, for people who wonder why two programs do not fit.
    pub build: u64,
    /// The bounds.
    pub limits: Limits,
}

impl Config {
    /// Whether `auth` is this context or one of its ancestors.
    pub(super) fn is_ancestor(&self, auth: ContextId) -> bool {
        auth == self.me || self.ancestors.contains(&auth)
    }
}

/// A child about to be linked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewChild {
    /// Its id, from [`Machine::take_id`](super::Machine::take_id).
    pub id: ContextId,
    /// Its part of the dotted name.
    pub name: String,
    /// Whether every frame from it gets our own id as its authority.
    pub stamped: bool,
    /// The moment by which it must have said HELLO.
    pub deadline: Tick,
    /// What it is told.
    pub setup: Setup,
}

/// Why there is no id at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoId {
    /// A range has been asked for; try again at [`Action::Ids`](super::Action::Ids).
    Asked,
    /// There will be none: the quota of this context or the ids of the tree are used up.
    Exhausted,
}

/// A call of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// Where it goes.
    pub dst: ContextId,
    /// CALL_FUNCTION, CREATE_CHILD, PING or GRANT.
    pub handle: Handle,
    /// The head of the call, then its arguments.
    pub body: Body,
    /// The moment at which it ends as timed out.
    pub deadline: Option<Tick>,
    /// The ends of streams that the arguments hand over.
    pub ends: Vec<End>,
}

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The destination cannot be reached from here, is over a bound, or the like.
    Dead(Dead),
    /// The window is full; here is the body back. Wait for [`Action::Room`](super::Action::Room).
    Full(Body),
    /// This context is ending.
    Stopped,
}

/// How a call of ours ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer came: a [`ReplyHead`](offshoot_wire::ReplyHead), then perhaps a value.
    Reply(Body),
    /// A dead message came instead.
    Dead {
        /// What it says.
        dead: Dead,
        /// Who made it.
        by: ContextId,
        /// How far the call got.
        progress: Progress,
    },
    /// A context on the way was lost.
    Lost {
        /// The top of what was lost.
        id: ContextId,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// How far the call got.
        progress: Progress,
    },
    /// Its deadline passed.
    TimedOut {
        /// How far the call got.
        progress: Progress,
    },
    /// This context is ending.
    Stopped,
}

/// Names a call to us while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Its slot.
    pub slot: usize,
    /// A number that no other call of this slot has soon.
    pub serial: u32,
}

/// A call to us that a worker has taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Incoming {
    /// Its name from now on.
    pub key: CallKey,
    /// The caller.
    pub src: ContextId,
    /// On whose authority.
    pub auth: ContextId,
    /// The index of the function in [`Config::functions`]; `None` if there is none of that name.
    pub function: Option<usize>,
    /// The name that was asked for.
    pub name: String,
    /// The whole body.
    pub body: Body,
    /// Where in it the arguments begin.
    pub args_at: usize,
    /// The ends of streams that the arguments hand over.
    pub ends: Vec<End>,
    /// The moment at which its caller stops waiting.
    pub deadline: Option<Tick>,
    /// What a nested call puts into its head: the calls that wait for it, this one last.
    pub above: Vec<CallId>,
    /// Whether anybody waits for an answer.
    pub wants_reply: bool,
}

/// How a stream ended from the other side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Cleanly: the other end was closed.
    Closed,
    /// The other side says that it failed.
    Failed(String),
    /// The other side is gone, or the stream broke a bound.
    Lost(String),
    /// This context is ending.
    Stopped,
}

/// Why an item was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamUnsent {
    /// The window is full, or nobody has opened the other end yet. Here is the body back; wait for
    /// [`Action::StreamRoom`](super::Action::StreamRoom).
    Full(Body),
    /// The stream has ended.
    Closed,
    /// The item is over the limit for bodies.
    TooLarge,
}

/// Why an end of a stream cannot be taken or handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadEnd {
    /// It names no stream of its giver.
    #[error("the end does not belong to the context that gave it")]
    Foreign,
    /// It has been used here.
    #[error("an end that has been opened cannot be handed on; hand it on before its first use")]
    Opened,
    /// Only an ancestor of its home may pass an end on.
    #[error("only an ancestor of the context where a channel was made can hand its end on")]
    NotAncestor,
    /// In a one-way tree the two would have no way to each other.
    #[error(
        "in a one-way tree an end can be handed on only to a context above or below the one where its channel was made"
    )]
    OneWay,
    /// It has ended.
    #[error("the channel has ended")]
    Ended,
}
