//! Who is who: the ids of contexts and the ranges they are given out in.

use serde::{Deserialize, Serialize};

/// Identifies a context for the life of the tree. 0 is the root; ids are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContextId(u32);

impl ContextId {
    /// The context that everything grows from.
    pub const ROOT: Self = Self(0);

    /// The id with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number that travels in a header.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The range that this id belongs to.
    #[must_use]
    pub const fn range(self) -> IdRange {
        IdRange(self.0 / IdRange::LEN)
    }
}

impl core::fmt::Display for ContextId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// A thousand consecutive ids, given to one link at a time: the unit of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdRange(u32);

impl IdRange {
    /// How many ids a range holds.
    pub const LEN: u32 = 1000;
    /// The last range whose ids all fit 32 bits.
    pub const LAST: Self = Self(u32::MAX / Self::LEN - 1);

    /// The range that begins at `number * 1000`; `None` beyond [`IdRange::LAST`].
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// Which range this is, counted from 0.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The id at `offset` in this range; `None` past its end.
    #[must_use]
    pub const fn id(self, offset: u32) -> Option<ContextId> {
        if offset >= Self::LEN {
            return None;
        }
        match self.0.checked_mul(Self::LEN) {
            Some(first) => match first.checked_add(offset) {
                Some(number) => Some(ContextId(number)),
                None => None,
            },
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // attack 39
    #[test]
    fn no_range_reaches_beyond_the_last_id() {
        assert_eq!(IdRange::LAST.id(IdRange::LEN - 1), Some(ContextId::new(4_294_966_999)));
        assert_eq!(IdRange::LAST.id(IdRange::LEN), None);
        assert_eq!(IdRange::new(IdRange::LAST.number() + 1), None);
    }

    // protocol 5.6
    #[test]
    fn an_id_lies_in_the_range_that_gives_it() {
        let range = IdRange::new(7).unwrap();
        for offset in [0, 999] {
            assert_eq!(range.id(offset).map(ContextId::range), Some(range));
        }
    }
}
