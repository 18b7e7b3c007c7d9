//! Numbers as bytes, most significant first: the only file that knows the byte order.

use alloc::vec::Vec;

/// Appends the last `WIDTH` bytes of `value`.
pub(crate) fn put<const WIDTH: usize>(out: &mut Vec<u8>, value: u64) {
    if let Some(bytes) = value.to_be_bytes().last_chunk::<WIDTH>() {
        out.extend_from_slice(bytes);
    }
}

/// The bytes of a number of 16 bits.
pub(crate) const fn half(value: u16) -> [u8; 2] {
    value.to_be_bytes()
}

/// The bytes of a number of 32 bits.
pub(crate) const fn word(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// The number of 32 bits at the front of `bytes`; 0 where they are too few.
pub(crate) fn get_word(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

/// Reads all of `bytes` as one number; of more than eight, the last eight count.
pub(crate) fn get(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
