//! The news that the other end of a stream was handed on.

use serde::{Deserialize, Serialize};

use crate::{ContextId, Handle};

/// REBIND: the other end of a stream is held by another context from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rebind {
    /// The handle of the stream at its home.
    pub handle: Handle,
    /// Who holds the other end now.
    pub holder: ContextId,
}
