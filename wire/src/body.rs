//! The bytes of a frame: shared, immutable, cut without copying.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, hash, ops::Deref};

/// Bytes of a frame. Cloning and slicing share them; equality is by content.
#[derive(Clone, Default)]
pub struct Body {
    bytes: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Body {
    /// The bytes from `start` to `end` of this body; clamped to what is there.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        let end = self.start.saturating_add(end).min(self.end);
        let start = self.start.saturating_add(start).min(end);
        Self { bytes: Arc::clone(&self.bytes), start, end }
    }

    /// The memory that this body keeps alive, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes by value: without a copy where nobody else shares them and none was cut off.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if self.start == 0 && self.end == self.bytes.len() {
            Arc::try_unwrap(self.bytes).unwrap_or_else(|shared| shared.as_slice().to_vec())
        } else {
            self.to_vec()
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes: Arc::new(bytes), start: 0, end }
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Body {}

impl hash::Hash for Body {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self[..].hash(state);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_slice_shares_the_bytes_and_ends_where_they_do() {
        let body = Body::from(vec![0, 1, 2, 3, 4]);
        let middle = body.slice(1, 4);
        assert_eq!(middle[..], [1, 2, 3]);
        assert_eq!(middle.slice(1, 9)[..], [2, 3]);
        assert_eq!(middle.slice(2, 1)[..], []);
        assert_eq!(middle.slice(usize::MAX, usize::MAX)[..], []);
        assert_eq!(middle.as_ptr(), body[1..].as_ptr());
        assert_eq!(middle, Body::from(&[1, 2, 3][..]));
    }

    #[test]
    fn the_only_owner_gets_the_bytes_without_a_copy() {
        let body = Body::from(vec![1, 2, 3]);
        let address = body.as_ptr();
        let shared = body.clone();
        assert_eq!(shared.into_vec(), [1, 2, 3]);
        let alone = body.into_vec();
        assert_eq!(alone.as_ptr(), address);
    }
}
