//! Puts the fragments of one body together.

use alloc::vec::Vec;
use core::mem;

use crate::{Body, Part};

/// A body in the making: of one source, for one handle of one destination.
///
/// It grows as pieces come, to no more than twice what has come, and never beyond the announced total; check that
/// against the limit before making one.
///
/// ```
/// use offshoot_wire::{Assembler, Part};
///
/// let mut body = Assembler::new(5);
/// assert_eq!(body.add(Part { total: 5, offset: 0 }, b"hel"), Ok(None));
/// let whole = body.add(Part { total: 5, offset: 3 }, b"lo")?;
/// assert_eq!(whole.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), offshoot_wire::Broken>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assembler {
    total: u32,
    bytes: Vec<u8>,
}

/// Why a piece does not belong to the body in the making, which is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// It does not begin where the last one ended.
    #[error("a fragment does not continue the one before it")]
    Gap,
    /// It names another total than the first one.
    #[error("a fragment names another total than the first of its body")]
    Total,
    /// It reaches beyond the total.
    #[error("a fragment reaches beyond the total of its body")]
    Beyond,
    /// It holds nothing though something is missing.
    #[error("a fragment is empty")]
    Empty,
}

impl Assembler {
    /// A body of `total` bytes of which nothing has come.
    #[must_use]
    pub const fn new(total: u32) -> Self {
        Self { total, bytes: Vec::new() }
    }

    /// Adds a piece; gives the body once it is whole. A piece at offset 0 begins it anew.
    ///
    /// # Errors
    /// [`Broken`] when the piece does not belong here: drop the body then.
    pub fn add(&mut self, part: Part, piece: &[u8]) -> Result<Option<Body>, Broken> {
        if part.offset == 0 {
            self.bytes.clear();
        }
        if part.total != self.total {
            return Err(Broken::Total);
        }
        if self.bytes.len() as u64 != u64::from(part.offset) {
            return Err(Broken::Gap);
        }
        let missing = self.missing();
        if piece.len() > missing {
            return Err(Broken::Beyond);
        }
        if piece.is_empty() && missing > 0 {
            return Err(Broken::Empty);
        }
        self.reserve(piece.len());
        self.bytes.extend_from_slice(piece);
        Ok((piece.len() == missing).then(|| Body::from(mem::take(&mut self.bytes))))
    }

    /// The announced length of the body, in bytes.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// How many bytes have come.
    #[must_use]
    pub const fn received(&self) -> usize {
        self.bytes.len()
    }

    /// What has come.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        &self.bytes
    }

    /// The memory that is held, in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn total_len(&self) -> usize {
        usize::try_from(self.total).unwrap_or(usize::MAX)
    }

    fn missing(&self) -> usize {
        self.total_len().saturating_sub(self.bytes.len())
    }

    /// Makes room for `more` bytes, doubling, but never more than the whole body needs.
    fn reserve(&mut self, more: usize) {
        let needed = self.bytes.len().saturating_add(more);
        if needed > self.bytes.capacity() {
            let wanted = self.bytes.capacity().saturating_mul(2).max(needed).min(self.total_len());
            self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const fn at(offset: u32) -> Part {
        Part { total: 10, offset }
    }

    // protocol 3.3
    #[test]
    fn pieces_in_order_make_the_body() {
        let mut body = Assembler::new(10);
        assert_eq!(body.add(at(0), b"abcd"), Ok(None));
        assert_eq!(body.add(at(4), b"efg"), Ok(None));
        assert_eq!(body.add(at(7), b"hij"), Ok(Some(Body::from(&b"abcdefghij"[..]))));
    }

    #[test]
    fn a_piece_at_offset_0_begins_anew() {
        let mut body = Assembler::new(10);
        assert_eq!(body.add(at(0), b"abcd"), Ok(None));
        assert_eq!(body.add(at(0), b"01234567"), Ok(None));
        assert_eq!(body.add(at(8), b"89"), Ok(Some(Body::from(&b"0123456789"[..]))));
    }

    // protocol 3.3; attacks 10 and 11
    #[test]
    fn a_piece_that_does_not_continue_is_an_error() {
        let begun = || {
            let mut body = Assembler::new(10);
            assert_eq!(body.add(at(0), b"abcd"), Ok(None));
            body
        };
        assert_eq!(Assembler::new(10).add(at(4), b"efghij"), Err(Broken::Gap));
        assert_eq!(begun().add(at(3), b"e"), Err(Broken::Gap));
        assert_eq!(begun().add(at(5), b"e"), Err(Broken::Gap));
        assert_eq!(begun().add(at(4), b"efghijk"), Err(Broken::Beyond));
        assert_eq!(begun().add(at(4), b""), Err(Broken::Empty));
        assert_eq!(begun().add(Part { total: 11, offset: 4 }, b"e"), Err(Broken::Total));
    }

    #[test]
    fn an_empty_body_is_whole_with_its_first_piece() {
        assert_eq!(Assembler::new(0).add(Part { total: 0, offset: 0 }, b""), Ok(Some(Body::default())));
    }

    #[test]
    fn memory_follows_what_has_come_and_not_what_was_announced() {
        let total = 128 << 20;
        let mut body = Assembler::new(total);
        let piece = vec![0; 100_000];
        for round in 0..20 {
            assert_eq!(body.add(Part { total, offset: round * 100_000 }, &piece), Ok(None));
            assert!(body.capacity() <= 2 * body.received());
        }
        let mut body = Assembler::new(150_000);
        assert_eq!(body.add(Part { total: 150_000, offset: 0 }, &piece), Ok(None));
        let whole = body.add(Part { total: 150_000, offset: 100_000 }, &piece[..50_000]);
        assert_eq!(whole.map(|body| body.map(|body| body.capacity())), Ok(Some(150_000)));
    }
}
