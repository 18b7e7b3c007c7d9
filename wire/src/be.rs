//! Numbers as bytes, most significant first: the only file that knows the byte order.

use alloc::vec::Vec;

/// Appends the last `WIDTH` bytes of `value`.
pub(crate) fn put<const WIDTH: usize>(out: &mut Vec<u8>, value: u64) {
    if let Some(bytes) = value.to_be_bytes().last_chunk::<WIDTH>() {
        out.extend_from_slice(bytes);
    }
}

/// Fills `slot` with the last bytes of `value`.
pub(crate) fn fill(slot: &mut [u8], value: u64) {
    for (byte, digit) in slot.iter_mut().rev().zip(value.to_be_bytes().into_iter().rev()) {
        *byte = digit;
    }
}

/// Reads all of `bytes` as one number; of more than eight, the last eight count.
pub(crate) fn get(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
