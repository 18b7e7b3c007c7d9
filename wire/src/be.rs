//! Numbers as bytes, most significant first: the only file that knows the byte order.

use alloc::vec::Vec;

/// Appends the last `width` bytes of `value`.
pub(crate) fn put(out: &mut Vec<u8>, value: u64, width: usize) {
    let bytes = value.to_be_bytes();
    let skipped = bytes.len().saturating_sub(width);
    out.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
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
