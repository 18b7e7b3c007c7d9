//! What can be wrong with a latch: it is closed, or nothing came in time.

use std::fmt;

/// The latch is closed, so the item was not taken; here it is back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the latch is closed")]
pub struct Closed<T>(pub T);

/// Without the item, so that it need not be `Debug` for an `expect`.
impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

/// Why a get ended without an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// The latch is closed, and all that was put before has been handed out.
    #[error("the latch is closed")]
    Closed,
    /// Nothing came before the deadline; for a `try_get`, nothing is there now.
    #[error("nothing came in time")]
    TimedOut,
}
