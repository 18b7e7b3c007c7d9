//! The bytes of a frame: shared, immutable, cut without copying.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, hash, mem, ops::Deref};

/// The longest body that lies in the value itself, in bytes: most calls and answers, which so need no memory of their own.
const INLINE: usize = 38;

/// Bytes of a frame. Cloning and slicing share them, or copy the few that there are; equality is by content.
#[derive(Clone)]
pub struct Body(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared { bytes: Arc<Vec<u8>>, start: usize, end: usize },
}

impl Body {
    /// The bytes from `start` to `end` of this body; clamped to what is there.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        match &self.0 {
            Bytes::Inline { .. } => {
                let end = end.min(self.len());
                Self::from(self.get(start.min(end)..end).unwrap_or_default())
            }
            Bytes::Shared { bytes, start: first, end: last } => {
                let end = first.saturating_add(end).min(*last);
                let start = first.saturating_add(start).min(end);
                Self(Bytes::Shared { bytes: Arc::clone(bytes), start, end })
            }
        }
    }

    /// The memory that this body keeps alive, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Bytes::Inline { len, .. } => usize::from(*len),
            Bytes::Shared { bytes, .. } => bytes.capacity(),
        }
    }

    /// The bytes by value: without a copy where there are more than a few, nobody else shares them and none was cut off.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Bytes::Shared { bytes, start: 0, end } if end == bytes.len() => {
                Arc::try_unwrap(bytes).unwrap_or_else(|shared| shared.as_slice().to_vec())
            }
            _ => self.to_vec(),
        }
    }

    /// The memory behind this body, which is empty then, if nobody else shares it.
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        let Bytes::Shared { bytes, .. } = &mut self.0 else { return None };
        let memory = mem::take(Arc::get_mut(bytes)?);
        *self = Self::default();
        Some(memory)
    }

    fn inline(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self(Bytes::Inline { len: u8::try_from(from.len()).ok()?, bytes }))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self(Bytes::Inline { len: 0, bytes: [0; INLINE] })
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline { len, bytes } => bytes.get(..usize::from(*len)),
            Bytes::Shared { bytes, start, end } => bytes.get(*start..*end),
        }
        .unwrap_or_default()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::inline(&bytes).unwrap_or_else(|| {
            let end = bytes.len();
            Self(Bytes::Shared { bytes: Arc::new(bytes), start: 0, end })
        })
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Self::from(bytes.to_vec()))
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
        for len in [5, INLINE, INLINE + 1, 400] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let body = Body::from(bytes.clone());
            let middle = body.slice(1, 4);
            assert_eq!(middle[..], [1, 2, 3]);
            assert_eq!(middle.slice(1, 9)[..], [2, 3]);
            assert_eq!(middle.slice(2, 1)[..], []);
            assert_eq!(middle.slice(usize::MAX, usize::MAX)[..], []);
            assert_eq!(middle.as_ptr() == body[1..].as_ptr(), len > INLINE);
            assert_eq!(middle, Body::from(&[1, 2, 3][..]));
            assert_eq!((&body[..], body.slice(0, len)), (&*bytes, Body::from(&*bytes)));
        }
    }

    #[test]
    fn the_only_owner_gets_the_bytes_without_a_copy() {
        let body = Body::from(vec![7; INLINE + 1]);
        let address = body.as_ptr();
        let shared = body.clone();
        assert_eq!(shared.into_vec(), [7; INLINE + 1]);
        let alone = body.into_vec();
        assert_eq!(alone.as_ptr(), address);
    }
}
