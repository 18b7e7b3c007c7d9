//! The codec of all bodies: CBOR in one restricted shape, over serde.
//!
//! (Being written: the signatures below are fixed.)

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};

/// Why a value cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be encoded")]
pub struct EncodeError;

/// Why bytes are not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be decoded")]
pub struct DecodeError;

/// Writes `value` behind what `out` holds.
pub fn encode_into<T: Serialize + ?Sized>(_value: &T, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
    Err(EncodeError)
}

/// Writes `value` into bytes of its own.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// Reads a value that must fill `bytes`, spending at most `budget` bytes of memory.
pub fn decode<T: DeserializeOwned>(_bytes: &[u8], _budget: usize) -> Result<T, DecodeError> {
    Err(DecodeError)
}

/// Reads a value from the front of `bytes`; tells how many bytes it took.
pub fn decode_prefix<T: DeserializeOwned>(_bytes: &[u8], _budget: usize) -> Result<(T, usize), DecodeError> {
    Err(DecodeError)
}
