//! What stands in front of the arguments of a call.

use alloc::{borrow::Cow, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{ContextId, End, Handle};

/// What stands before the arguments in the body of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallHead {
    /// The function.
    pub function: Cow<'static, str>,
    /// The time until its deadline, in milliseconds.
    pub left_ms: Option<u32>,
    /// The calls that wait for this one, outermost first.
    pub above: Vec<CallId>,
    /// The chain it belongs to: a later call of a chain fails with its first error.
    pub chain: Option<u32>,
    /// The ends of streams that the arguments hand over.
    pub ends: Vec<End>,
}

/// Names a call while it lives: the caller and the handle that waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    /// The caller.
    pub context: ContextId,
    /// Its reply handle.
    pub handle: Handle,
}
