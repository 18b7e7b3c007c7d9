//! The order to end.

use serde::{Deserialize, Serialize};

/// SHUTDOWN: end, and your children first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shutdown {
    /// The time that is left for it, in milliseconds.
    pub left_ms: u32,
}
