//! Leave to send, given back by the one who receives.

use serde::{Deserialize, Serialize};

use crate::Handle;

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
