//! What stands in front of an item of a stream, and the ends of streams that travel.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{ContextId, Handle};

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
