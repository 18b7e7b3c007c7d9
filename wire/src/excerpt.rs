//! Bytes of a stranger, few enough and escaped so that they can be shown.

use alloc::vec::Vec;
use core::fmt;

/// The first bytes of something foreign, at most [`Excerpt::MAX`]. Displayed, it is printable ASCII whatever they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Excerpt(Vec<u8>);

impl Excerpt {
    /// The most bytes that one keeps.
    pub const MAX: usize = 64;

    /// The front of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.get(..Self::MAX).unwrap_or(bytes).to_vec())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({self})")
    }
}
