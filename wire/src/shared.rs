//! What of a [`Blob`](crate::Blob) serde does not carry: that its bytes can be shared. One that is most of the body that is
//! being decoded on this thread is cut out of it, one that is being encoded is put into the body, and neither is copied.

extern crate std;

use core::{cell::RefCell, mem};
use std::thread_local;

use crate::Body;

thread_local! {
    static DECODED: RefCell<Option<Body>> = const { RefCell::new(None) };
    /// The blob that is just now being given to a serializer.
    static OFFERED: RefCell<Option<Body>> = const { RefCell::new(None) };
}

/// Puts back what was being decoded before, even if the code of the user panics.
struct Restore(Option<Body>);

impl Drop for Restore {
    fn drop(&mut self) {
        DECODED.with_borrow_mut(|body| mem::swap(body, &mut self.0));
    }
}

/// Runs `decode`, within which parts of `body` can be [cut out](cut).
pub(crate) fn during<T>(body: &Body, decode: impl FnOnce() -> T) -> T {
    let _before = Restore(DECODED.replace(Some(body.clone())));
    decode()
}

/// `bytes` as a part of the body that is being decoded; `None` if they are no part of it, or too small a one to keep all
/// of it alive.
pub(crate) fn cut(bytes: &[u8]) -> Option<Body> {
    DECODED.with_borrow(|body| {
        let body = body.as_ref().filter(|body| body.capacity() / 2 <= bytes.len())?;
        // By address: two pieces of memory that are both alive overlap only where they are the same.
        let start = bytes.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
        let end = start.checked_add(bytes.len())?;
        body.get(start..end)?;
        Some(body.slice(start, end))
    })
}

/// Runs `write`, within which the bytes of `long` can be [shared](share).
pub(crate) fn offering<T>(long: &Body, write: impl FnOnce() -> T) -> T {
    OFFERED.set(Some(long.clone()));
    let written = write();
    // Another serializer than ours has not taken it.
    OFFERED.take();
    written
}

/// The body whose bytes these are, if it was offered.
pub(crate) fn share(bytes: &[u8]) -> Option<Body> {
    OFFERED.take().filter(|long| long.as_ptr_range() == bytes.as_ptr_range())
}
