//! The codec of all bodies: CBOR in one restricted shape, over serde.
//!
//! Every value has exactly one form, and a decoder takes no other (protocol 4):
//!
//! | Rust | CBOR |
//! | --- | --- |
//! | `bool`, integers to 64 bits, `f32`, `f64` | themselves; integers in their shortest form, floats in their own width |
//! | `char`, `str`, `String` | text |
//! | [`Blob`](crate::Blob) and what else calls `serialize_bytes` | byte string |
//! | `()`, unit structs, `None` | null |
//! | `Some(x)` | `x`, with tag 6 in front where `x` is itself null or so tagged |
//! | tuples, arrays, structs, tuple structs | array of the fields, in order, without names |
//! | newtype structs | what they hold |
//! | sequences, sets | array |
//! | maps | map |
//! | enum variants without fields | their index |
//! | other enum variants | array: their index, then their fields |
//!
//! What serde can ask beyond this is an error that says what to do: `skip_serializing_if` on a field of a struct,
//! 128-bit integers. Fields with `#[serde(default)]` may be missing at the end of an array. What
//! serde buffers (`flatten`, untagged and internally tagged enums) cannot be read back where it holds a plain enum, nor
//! variants of an untagged enum with named fields: serde looks for names there. Use a plain enum.
//!
//! ```
//! use offshoot_wire::codec;
//!
//! let bytes = codec::encode(&("web1", 3_u8, None::<bool>))?;
//! assert_eq!(bytes, b"\x83\x64web1\x03\xf6");
//! let (name, count, flag): (String, u8, Option<bool>) = codec::decode(&bytes, 1024)?;
//! assert_eq!((name.as_str(), count, flag), ("web1", 3, None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod encode;
mod error;
mod reader;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use error::{DecodeError, DecodeErrorKind, EncodeError};

/// How deep arrays, maps and options that hold a value may lie within each other.
pub const MAX_DEPTH: u8 = 64;

/// What most bodies fit in, so that they are written without growing, in bytes.
const SMALL: usize = 64;

/// Appends `value` to what `out` holds.
///
/// # Errors
/// [`EncodeError`] when the value has no form; `out` is then as it was.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let written = value.serialize(&mut encode::Writer::new(out));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Writes `value` into bytes of its own.
///
/// # Errors
/// [`EncodeError`] when the value has no form.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(SMALL);
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Writes `value` behind `front`. The first long [`Blob`](crate::Blob) in it is shared by the body, and not copied.
///
/// # Errors
/// As [`encode`].
///
/// # Examples
/// ```
/// use offshoot_wire::{Blob, codec};
///
/// let blob = Blob::from(vec![7; 100_000]);
/// let body = codec::encode_body(&blob, vec![1, 2])?;
/// assert_eq!(body.pieces().1.as_ptr(), blob.as_ptr());
/// assert_eq!(body[2..], codec::encode(&blob)?);
/// # Ok::<(), codec::EncodeError>(())
/// ```
#[cfg(feature = "std")]
pub fn encode_body<T: Serialize + ?Sized>(value: &T, mut front: Vec<u8>) -> Result<crate::Body, EncodeError> {
    let mut apart = None;
    value.serialize(&mut encode::Writer::sharing(&mut front, &mut apart))?;
    Ok(match apart {
        None => front.into(),
        Some(encode::Apart { at, long }) => crate::Body::rope(front, at, long),
    })
}

/// Reads a value that must fill `bytes`.
///
/// `budget` bounds the memory that the value may take, in bytes. It is an estimate on the safe side: sizes of the
/// types, lengths of texts, and a share for every element, so give it a few times the memory of an honest value.
///
/// # Errors
/// [`DecodeError`] says what is wrong, and at which byte.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8], budget: usize) -> Result<T, DecodeError> {
    let mut reader = reader::Reader::new(bytes, budget);
    let value = T::deserialize(&mut reader);
    let kind = match value {
        Ok(value) => match reader.finish() {
            Ok(()) => return Ok(value),
            Err(kind) => kind,
        },
        Err(kind) => kind,
    };
    Err(reader.error(kind))
}

/// As [`decode`], from a body: a [`Blob`](crate::Blob) that is most of it shares its bytes, and keeps them alive.
///
/// # Errors
/// As [`decode`].
///
/// # Examples
/// ```
/// use offshoot_wire::{Blob, Body, codec};
///
/// let body = Body::from(codec::encode(&Blob::from(vec![7; 1000]))?);
/// let blob: Blob = codec::decode_body(&body, 4096)?;
/// assert_eq!(blob.as_ptr(), body[3..].as_ptr());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "std")]
pub fn decode_body<T: serde::de::DeserializeOwned>(
    body: &crate::Body,
    budget: usize,
) -> Result<T, DecodeError> {
    crate::shared::during(body, || decode(body, budget))
}

/// Reads a value from the front of `bytes`; tells how many bytes it took.
///
/// # Errors
/// As [`decode`], but for what follows the value.
pub fn decode_prefix<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    budget: usize,
) -> Result<(T, usize), DecodeError> {
    let mut reader = reader::Reader::new(bytes, budget);
    match T::deserialize(&mut reader) {
        Ok(value) => Ok((value, reader.offset())),
        Err(kind) => Err(reader.error(kind)),
    }
}

/// The parts of CBOR (RFC 8949) that both halves speak of.
mod cbor {
    pub(super) const UNSIGNED: u8 = 0;
    pub(super) const NEGATIVE: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const ARRAY: u8 = 4;
    pub(super) const MAP: u8 = 5;
    pub(super) const FALSE: u8 = 0xf4;
    pub(super) const TRUE: u8 = 0xf5;
    pub(super) const NULL: u8 = 0xf6;
    pub(super) const F32: u8 = 0xfa;
    pub(super) const F64: u8 = 0xfb;
    /// Tag 6: `Some` of a value that begins with null, or with this.
    pub(super) const SOME: u8 = 0xc6;
}
