//! The typed bodies of control frames and the heads of calls, replies and streams.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{ContextId, Handle, IdRange};

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// SETUP: the first frame to a child. It says who the child is and by which bounds it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setup {
    /// The version that the parent speaks.
    pub version: u16,
    /// What the parent can do beyond it, as bits.
    pub features: u32,
    /// The id of the child.
    pub id: ContextId,
    /// Its ancestors, parent first, root last.
    pub ancestors: Vec<ContextId>,
    /// Its name, without dots.
    pub name: String,
    /// Whether frames may turn between siblings in this tree (false) or not (true).
    pub one_way: bool,
    /// The longest body that it may send or take, in bytes.
    pub body_limit: u32,
    /// How long a link may be idle before a PING is sent, in milliseconds; 0 turns PING off.
    pub ping_ms: u32,
    /// How long it may go on once told to end, or once its parent is lost, in milliseconds.
    pub grace_ms: u32,
    /// The most verbose level of log records that are wanted: 0 none to 5 trace.
    pub log_level: u8,
}

/// HELLO: the first frame of a child. It makes the link up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The version that the child speaks.
    pub version: u16,
    /// What it can do beyond it, as bits.
    pub features: u32,
    /// Whether it can have children.
    pub role: Role,
    /// The process id over there, for people to read.
    pub pid: u32,
    /// A digest of the table of functions it serves.
    pub build: u64,
}

/// Whether a context can have children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It cannot: its program links `offshoot-core` alone.
    Leaf,
    /// It can.
    Parent,
}

/// ADD_ROUTE: a new context, told upward.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddRoute {
    /// The new context.
    pub id: ContextId,
    /// The context that made it.
    pub parent: ContextId,
    /// Its part of a dotted name.
    pub name: String,
}

/// DEL_ROUTE: contexts that are gone. Upward `ids` holds the top alone; a refused ADD_ROUTE comes back as one too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DelRoute {
    /// Who is gone.
    pub ids: Vec<ContextId>,
    /// The top of what was lost.
    pub top: ContextId,
    /// The name of the top.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// ALLOCATE_ID: ranges of ids, asked for upward and granted downward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AllocateId {
    /// One more range, please.
    Ask,
    /// This range is yours.
    Grant(IdRange),
    /// There is none: the quota of the link or all ids are used up.
    Refused,
}

/// CREDIT: so many bytes more may be sent in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Credit {
    /// Which window.
    pub window: Window,
    /// How many bytes more.
    pub bytes: u32,
}

/// The accounts of credit between a source and a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Window {
    /// Calls and everything else that goes to a reserved handle.
    Calls,
    /// Answers to calls.
    Replies,
    /// Items of the stream whose frames go to this handle of the destination.
    Stream(Handle),
}

/// REBIND: the other end of a stream is held by another context from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rebind {
    /// The handle of the stream at its home.
    pub handle: Handle,
    /// Who holds the other end now.
    pub holder: ContextId,
}

/// SHUTDOWN: end, and your children first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shutdown {
    /// The time that is left for it, in milliseconds.
    pub left_ms: u32,
}

/// Names a call while it lives: the caller and the handle that waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The caller.
    pub context: ContextId,
    /// Its reply handle.
    pub handle: Handle,
}

/// What stands before the arguments in the body of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallHead {
    /// The function.
    pub function: String,
    /// The time until its deadline, in milliseconds.
    pub left_ms: Option<u32>,
    /// The calls that wait for this one, outermost first.
    pub above: Vec<CallId>,
    /// The chain it belongs to: a later call of a chain fails with its first error.
    pub chain: Option<u32>,
    /// The ends of streams that the arguments hand over.
    pub ends: Vec<End>,
}

/// What stands before the value in the body of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplyHead {
    /// The value follows; it hands over these ends of streams.
    Value(Vec<End>),
    /// The call failed in the function or on the way into it; nothing follows.
    Failed(Failed, String),
    /// Not an answer yet: the call has begun to run, or waits for a worker.
    Started,
}

/// How a call failed over there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Failed {
    /// The function returned an error.
    Error,
    /// The function panicked.
    Panic,
    /// There is no function of that name.
    NoSuchFunction,
    /// The arguments did not decode.
    Arguments,
    /// The result did not encode.
    Result,
    /// An earlier call of its chain failed.
    Chain,
}

/// What stands before the item in the body of a stream's frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamHead {
    /// The holder is here; its handle is the `reply_to` of this frame.
    Open,
    /// An item follows; it hands over these ends of streams.
    Item(Vec<End>),
    /// This side will send nothing more, and takes nothing more.
    Close,
    /// As `Close`, and the stream ended badly.
    Fail(String),
}

/// An end of a stream on its way to another context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct End {
    /// Where the other end is.
    pub home: ContextId,
    /// Its handle there.
    pub handle: Handle,
    /// What the one who takes it can do.
    pub direction: Direction,
}

/// What the holder of an end can do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Send items home.
    Sends,
    /// Receive items from home.
    Receives,
}

/// The body of a dead message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dead {
    /// Why there is no answer.
    pub code: DeadCode,
    /// The same for people, with names.
    pub text: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeadCode {
    /// No context of that id can be reached from where the frame stopped.
    NoRoute,
    /// The context has no such handle.
    NoHandle,
    /// A policy refused it.
    Policy,
    /// The tree is one-way, and the frame turned.
    OneWay,
    /// The body is over the limit.
    TooLarge,
    /// Too much waits for that destination already.
    Congested,
    /// The context has gone.
    Gone,
    /// The call was cancelled before it ran.
    Cancelled,
    /// The context is ending and takes no more calls.
    ShuttingDown,
    /// Too many calls are in flight.
    Busy,
    /// The call would wait for a worker that waits for the call.
    WouldWait,
    /// The body is not what its handle takes.
    Malformed,
    /// The deadline of the call had passed before it could run.
    TooLate,
}
