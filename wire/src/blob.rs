//! Bytes in arguments and results: one byte string, shared rather than copied.

use alloc::vec::Vec;
use core::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Body;

/// Bytes in arguments and results. Clones share them.
///
/// Use it for whatever is raw: for serde a `Vec<u8>` is a sequence of integers, which takes up to two bytes for each
/// and a visit for each; a `Blob` is copied as it is, or shared where it is long.
///
/// ```
/// use offshoot_wire::{Blob, codec};
///
/// let bytes = vec![0xff; 1000];
/// assert_eq!(codec::encode(&bytes)?.len(), 2003);
/// assert_eq!(codec::encode(&Blob::from(bytes))?.len(), 1003);
/// # Ok::<(), codec::EncodeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Blob(Body);

impl Blob {
    /// The bytes by value: without a copy where there are more than a few, nobody else shares them and none was cut off,
    /// as from one that came in a message.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Body::from(bytes))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(Body::from(bytes))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[cfg(feature = "std")]
        if self.len() >= crate::rope::LONG {
            return crate::shared::offering(&self.0, || serializer.serialize_bytes(self));
        }
        serializer.serialize_bytes(self)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

struct Bytes;

impl de::Visitor<'_> for Bytes {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        #[cfg(feature = "std")]
        if let Some(part) = crate::shared::cut(bytes) {
            return Ok(Blob(part));
        }
        Ok(Blob::from(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob::from(bytes))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;
    use crate::codec::{self, DecodeErrorKind};

    // protocol 4.4
    #[test]
    fn a_blob_is_a_byte_string_and_takes_nothing_else() {
        let bytes = codec::encode(&Blob::from(&[1, 2, 255][..])).unwrap();
        assert_eq!(bytes, [0x43, 1, 2, 255]);
        assert_eq!(codec::decode::<Blob>(&bytes, 1000).unwrap().into_vec(), [1, 2, 255]);
        let list = codec::encode(&vec![1_u8, 2, 255]).unwrap();
        assert_eq!(codec::decode::<Blob>(&list, 1000).unwrap_err().kind, DecodeErrorKind::Type);
        let text = codec::encode(&"a".to_string()).unwrap();
        assert_eq!(codec::decode::<Blob>(&text, 1000).unwrap_err().kind, DecodeErrorKind::Type);
    }

    #[cfg(feature = "std")]
    #[test]
    fn the_first_long_blob_of_a_value_is_shared_by_its_body() {
        use crate::rope::LONG;
        let [first, second] = [1, 2].map(|n| Blob::from(vec![n; LONG]));
        let short = Blob::from(vec![3; LONG - 1]);
        // Behind elements of a list whose length is known only when it ends, too.
        let list = [&short, &first, &second];
        let value = (7_u8, Unsized(&list), "end");
        let body = codec::encode_body(&value, vec![9; 3]).unwrap();
        let mut copied = vec![9; 3];
        codec::encode_into(&value, &mut copied).unwrap();
        assert_eq!(body.pieces().1.as_ptr(), first.as_ptr());
        assert_eq!(body[..], copied);
        assert_eq!(codec::encode_body(&short, Vec::new()).unwrap()[..], codec::encode(&short).unwrap());
    }

    /// A list that does not say how long it is.
    #[cfg(feature = "std")]
    struct Unsized<'a>(&'a [&'a Blob]);

    #[cfg(feature = "std")]
    impl Serialize for Unsized<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut list = serializer.serialize_seq(None)?;
            self.0.iter().try_for_each(|blob| list.serialize_element(blob))?;
            list.end()
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_blob_that_is_most_of_its_body_shares_it_and_another_does_not() {
        let blobs = [Blob::from(vec![1; 100]), Blob::from(vec![2; 1000])];
        let body = Body::from(codec::encode(&blobs).unwrap());
        let within = |blob: &Blob| body.as_ptr_range().contains(&blob.as_ptr());
        let read: [Blob; 2] = codec::decode_body(&body, 1 << 20).unwrap();
        assert_eq!(read, blobs);
        assert_eq!([within(&read[0]), within(&read[1])], [false, true]);
        // Of no body, or of one that was read before.
        let read: [Blob; 2] = codec::decode(&body, 1 << 20).unwrap();
        assert_eq!((read.each_ref().map(within), &read), ([false, false], &blobs));
    }
}
