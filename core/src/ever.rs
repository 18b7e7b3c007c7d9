//! What a program has ever made: what would be done about what it never makes is not in it.
//!
//! A flag that nothing left in a program sets is a constant to a compiler that sees all of it. So where the code that makes
//! something is left out because nobody calls it, all that asks for its flag goes, too.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something was made in this process, by any machine of it.
pub(crate) struct Ever(AtomicBool);

impl Ever {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// It is about to be made.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether there can be any. Relaxed: what is made is handed on by a lock, and the flag with it.
    pub(crate) fn began(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
