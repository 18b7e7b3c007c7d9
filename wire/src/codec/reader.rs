//! Reads heads, strings and floats of CBOR, and keeps the accounts of depth and memory.

use core::str;

use super::{DecodeError, DecodeErrorKind as Kind, MAX_DEPTH, cbor};
use crate::be;

/// What an element of a container is charged beside its size: links of nodes, small allocations.
const ELEMENT_COST: usize = 16;
/// While a container grows it holds its elements and room for twice as many.
const GROWTH: usize = 3;
/// A map with one entry may reserve a whole node.
pub(super) const MAP_NODE: usize = 11;

/// Reads one value.
pub(super) struct Reader<'de> {
    rest: &'de [u8],
    total: usize,
    budget: usize,
    depth: u8,
}

/// An integer as it is written.
pub(super) enum Integer {
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
}

impl<'de> Reader<'de> {
    pub(super) const fn new(bytes: &'de [u8], budget: usize) -> Self {
        Self { rest: bytes, total: bytes.len(), budget, depth: 0 }
    }

    /// How many bytes have been read.
    pub(super) const fn offset(&self) -> usize {
        self.total.saturating_sub(self.rest.len())
    }

    pub(super) const fn error(&self, kind: Kind) -> DecodeError {
        DecodeError { kind, at: self.offset() }
    }

    pub(super) const fn finish(&self) -> Result<(), Kind> {
        if self.rest.is_empty() { Ok(()) } else { Err(Kind::Trailing) }
    }

    pub(super) fn peek(&self) -> Result<u8, Kind> {
        self.rest.first().copied().ok_or(Kind::End)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'de [u8], Kind> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Kind::End)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The number in the next head, which must be of type `major` and as short as can be.
    pub(super) fn head(&mut self, major: u8) -> Result<u64, Kind> {
        let first = self.peek()?;
        if first >> 5 != major {
            return Err(Kind::Type);
        }
        let info = first & 0x1f;
        let (width, least) = match info {
            0..=23 => {
                self.take(1)?;
                return Ok(u64::from(info));
            }
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(Kind::Form),
        };
        let number = be::get(self.rest.get(1..=width).ok_or(Kind::End)?);
        if number < least {
            return Err(Kind::Form);
        }
        self.take(width.saturating_add(1))?;
        Ok(number)
    }

    /// As [`Reader::head`], for how much follows; every item takes a byte at least, so more than is at hand is an error.
    pub(super) fn count(&mut self, major: u8, bytes_an_item: usize) -> Result<usize, Kind> {
        let count = usize::try_from(self.head(major)?).map_err(|_| Kind::End)?;
        if count.saturating_mul(bytes_an_item) > self.rest.len() { Err(Kind::End) } else { Ok(count) }
    }

    /// The next integer, of either sign.
    #[inline(never)]
    pub(super) fn integer(&mut self) -> Result<Integer, Kind> {
        if self.peek()? >> 5 == cbor::NEGATIVE {
            let number = i64::try_from(self.head(cbor::NEGATIVE)?).map_err(|_| Kind::Range)?;
            Ok(Integer::Signed(!number))
        } else {
            self.head(cbor::UNSIGNED).map(Integer::Unsigned)
        }
    }

    /// How many fields a variant has, whose index is next; `None` for a bare index.
    #[inline(never)]
    pub(super) fn fields(&mut self) -> Result<Option<usize>, Kind> {
        if self.peek()? >> 5 == cbor::UNSIGNED {
            return Ok(None);
        }
        self.count(cbor::ARRAY, 1)?.checked_sub(1).ok_or(Kind::Arity).map(Some)
    }

    pub(super) fn string(&mut self, major: u8) -> Result<&'de [u8], Kind> {
        let len = self.count(major, 1)?;
        self.charge(len)?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<&'de str, Kind> {
        str::from_utf8(self.string(cbor::TEXT)?).map_err(|_| Kind::Utf8)
    }

    /// One byte of type 7: a simple value, or the head of a float.
    pub(super) fn simple(&mut self, expected: u8) -> Result<(), Kind> {
        if self.peek()? != expected {
            return Err(Kind::Type);
        }
        self.take(1).map(|_| ())
    }

    pub(super) fn float(&mut self, head: u8, width: usize) -> Result<u64, Kind> {
        self.simple(head)?;
        self.take(width).map(be::get)
    }

    /// Takes `bytes` of memory from the budget.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Kind> {
        self.budget = self.budget.checked_sub(bytes).ok_or(Kind::Budget)?;
        Ok(())
    }

    pub(super) fn charge_value<T>(&mut self) -> Result<(), Kind> {
        self.charge(size_of::<T>())
    }

    /// Begins a container of `size` bytes, which is charged before anything is read, since it may reserve at once what
    /// its head announces.
    // These two are what each container of each type begins and ends with: once in a program.
    #[inline(never)]
    pub(super) fn open(&mut self, size: usize, count: usize) -> Result<(), Kind> {
        self.charge(size.saturating_add(count.saturating_mul(ELEMENT_COST)))?;
        self.enter()
    }

    /// Ends a container of which `left` elements were not read.
    #[inline(never)]
    pub(super) fn close(&mut self, left: usize) -> Result<(), Kind> {
        self.leave();
        if left == 0 { Ok(()) } else { Err(Kind::Arity) }
    }

    /// Charges an element of `size` bytes.
    pub(super) fn charge_element(&mut self, size: usize) -> Result<(), Kind> {
        self.charge(size.saturating_mul(GROWTH))
    }

    pub(super) fn enter(&mut self) -> Result<(), Kind> {
        if self.depth == MAX_DEPTH {
            return Err(Kind::Depth);
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
