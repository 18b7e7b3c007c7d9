//! The bytes of a frame: shared, immutable, cut without copying, and put behind others without copying much.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, hash, mem, ops::Deref};

#[cfg(feature = "std")]
use crate::rope::{self, Rope};

/// The longest body that lies in the value itself, in bytes: most calls and answers, which so need no memory of their own.
const INLINE: usize = 38;

/// Bytes of a frame. Cloning and slicing share them, or copy the few that there are; equality is by content.
///
/// One that was encoded here may lie in [pieces](Self::pieces), a long [`Blob`](crate::Blob) in it being shared and not
/// copied. Whoever reads it as a slice has them put together first.
#[derive(Clone)]
pub struct Body(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared {
        bytes: Arc<Vec<u8>>,
        start: usize,
        end: usize,
    },
    #[cfg(feature = "std")]
    Rope {
        rope: Arc<Rope>,
        start: usize,
        end: usize,
    },
}

impl Body {
    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Bytes::Inline { len, .. } => usize::from(*len),
            Bytes::Shared { start, end, .. } => end.saturating_sub(*start),
            #[cfg(feature = "std")]
            Bytes::Rope { start, end, .. } => end.saturating_sub(*start),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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
            #[cfg(feature = "std")]
            Bytes::Rope { rope, start: first, end: last } => {
                let end = first.saturating_add(end).min(*last);
                let start = first.saturating_add(start).min(end);
                match rope.pieces(start..end) {
                    ([], long, []) => long,
                    (bytes, long, []) | ([], long, bytes) if long.is_empty() => Self::from(bytes),
                    _ => Self(Bytes::Rope { rope: Arc::clone(rope), start, end }),
                }
            }
        }
    }

    /// These bytes behind `front`; many are shared rather than copied.
    #[must_use]
    pub fn behind(&self, mut front: Vec<u8>) -> Self {
        #[cfg(feature = "std")]
        if self.len() >= rope::LONG {
            let (before, long, behind) = self.pieces();
            front.extend_from_slice(before);
            let at = front.len();
            front.extend_from_slice(behind);
            return Self::rope(front, at, long);
        }
        front.extend_from_slice(self);
        Self::from(front)
    }

    /// `bytes` with `long`, which lies in one piece, put in at `at`.
    #[cfg(feature = "std")]
    pub(crate) fn rope(bytes: Vec<u8>, at: usize, long: Self) -> Self {
        let rope = Rope::new(bytes, at, long);
        let end = rope.len();
        Self(Bytes::Rope { rope: Arc::new(rope), start: 0, end })
    }

    /// The pieces in which the bytes lie: a long one, which lies in one itself, and what is in front of it and behind it.
    /// For nearly all bodies it is all.
    #[must_use]
    pub fn pieces(&self) -> (&[u8], Self, &[u8]) {
        match &self.0 {
            #[cfg(feature = "std")]
            Bytes::Rope { rope, start, end } => rope.pieces(*start..*end),
            _ => (&[], self.clone(), &[]),
        }
    }

    /// The memory that this body keeps alive, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Bytes::Inline { len, .. } => usize::from(*len),
            Bytes::Shared { bytes, .. } => bytes.capacity(),
            #[cfg(feature = "std")]
            Bytes::Rope { rope, .. } => rope.capacity(),
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
            #[cfg(feature = "std")]
            Bytes::Rope { rope, start, end } => rope.whole().get(*start..*end),
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

    #[cfg(feature = "std")]
    #[test]
    fn many_bytes_behind_others_are_shared_and_read_as_one() {
        for len in [0, 5, rope::LONG - 1, rope::LONG, 3 * rope::LONG] {
            let long: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let body = Body::from(long.clone());
            let once = body.behind(vec![1, 2]);
            let all = [&[8, 9, 1, 2], &*long].concat();
            let twice = once.behind(vec![8, 9]);
            assert_eq!((once.len(), twice.len()), (len + 2, len + 4));
            assert_eq!(twice.pieces().1.as_ptr() == body.as_ptr(), len >= rope::LONG);
            let ends = [0, 1, 3, 4, 5, len / 2, len + 3, len + 4, len + 9];
            for (start, end) in ends.iter().flat_map(|start| ends.map(|end| (*start, end))) {
                let part = twice.slice(start, end);
                let expected = all.get(start..end.min(all.len())).unwrap_or_default();
                let (before, middle, behind) = part.pieces();
                assert_eq!([before, &middle, behind].concat(), expected, "{len}: {start}..{end}");
                assert_eq!((part.len(), &part[..]), (expected.len(), expected));
                assert_eq!(part.clone().into_vec(), expected);
            }
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_slice_of_the_long_piece_alone_holds_nothing_else() {
        let long = Body::from(vec![7; 2 * rope::LONG]);
        let body = Body::rope(vec![1, 2, 3], 2, long.clone());
        assert_eq!(body.slice(2, 9).as_ptr(), long.as_ptr());
        assert_eq!(body.slice(2 + long.len(), usize::MAX)[..], [3]);
        assert_eq!(body.slice(0, 2)[..], [1, 2]);
        let (before, middle, behind) = body.pieces();
        assert_eq!((before, middle.as_ptr(), behind), (&[1, 2][..], long.as_ptr(), &[3][..]));
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
