//! What stands in front of the value of a reply.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::End;

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
