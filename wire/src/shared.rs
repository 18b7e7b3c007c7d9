//! The body that is being decoded on this thread: a [`Blob`](crate::Blob) in it that is most of it is cut out, not copied.

extern crate std;

use core::{cell::RefCell, mem};
use std::thread_local;

use crate::Body;

thread_local! {
    static DECODED: RefCell<Option<Body>> = const { RefCell::new(None) };
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
