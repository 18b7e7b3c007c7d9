//! A body in pieces: bytes of its own, and among them a long part that somebody else holds too and that is not copied.

extern crate std;

use alloc::vec::Vec;
use core::ops::Range;
use std::sync::OnceLock;

use crate::Body;

/// From this length on a part is shared rather than copied, in bytes: below, a copy costs less than a slice of its own on
/// the way out.
pub(crate) const LONG: usize = 8 * 1024;

/// Bytes, and a long part that belongs at one place among them.
pub(crate) struct Rope {
    bytes: Vec<u8>,
    /// Where in `bytes` the long part belongs.
    at: usize,
    long: Body,
    /// All in one, once somebody has read it so.
    whole: OnceLock<Vec<u8>>,
}

/// What lies in front of the long part of a rope, that part, and what lies behind it.
pub(crate) type Pieces<'a> = (&'a [u8], Body, &'a [u8]);

impl Rope {
    /// `long` must be a body in one piece.
    pub(crate) const fn new(bytes: Vec<u8>, at: usize, long: Body) -> Self {
        Self { bytes, at, long, whole: OnceLock::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_add(self.long.len())
    }

    /// The memory that it keeps alive, without the copy that somebody may read it by: what was booked for it is the same when
    /// it goes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity().saturating_add(self.long.capacity())
    }

    /// All of it in one piece, which is made by a copy when it is first asked for.
    pub(crate) fn whole(&self) -> &[u8] {
        self.whole.get_or_init(|| {
            let (before, long, behind) = self.pieces(0..self.len());
            [before, &long, behind].concat()
        })
    }

    /// What of each piece lies within `range`.
    pub(crate) fn pieces(&self, range: Range<usize>) -> Pieces<'_> {
        let long_end = self.at.saturating_add(self.long.len());
        let in_long = |at: usize| at.clamp(self.at, long_end).saturating_sub(self.at);
        let behind = |at: usize| at.max(long_end).saturating_sub(self.long.len());
        (
            self.bytes.get(range.start..range.end.min(self.at)).unwrap_or_default(),
            self.long.slice(in_long(range.start), in_long(range.end)),
            self.bytes.get(behind(range.start)..behind(range.end)).unwrap_or_default(),
        )
    }
}
