//! The memory that a thread reads into: one piece for all its links, since each needs it for a moment only.

use alloc::vec::Vec;

#[cfg(feature = "std")]
use kept::SPARE;

#[cfg(feature = "std")]
mod kept {
    extern crate std;

    use alloc::vec::Vec;
    use core::cell::Cell;

    std::thread_local! {
        pub(super) static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
}

/// What this thread has read into before, with whatever is in it.
pub(crate) fn take() -> Vec<u8> {
    #[cfg(feature = "std")]
    return SPARE.try_with(core::cell::Cell::take).unwrap_or_default();
    #[cfg(not(feature = "std"))]
    Vec::new()
}

/// Keeps it for the next link that is read.
pub(crate) fn give(buffer: Vec<u8>) {
    // A thread that is ending keeps nothing.
    #[cfg(feature = "std")]
    let _: Result<(), _> = SPARE.try_with(|spare| spare.set(buffer));
    #[cfg(not(feature = "std"))]
    drop(buffer);
}
