//! The body of a call, for those who write their frames by hand.

use offshoot_wire::{CallHead, codec};
use serde::Serialize;

/// A call of `function` with nothing beside its arguments.
///
/// # Panics
/// If they cannot be encoded.
#[must_use]
pub fn call_body<A: Serialize>(function: &str, args: &A) -> Vec<u8> {
    let function = function.to_owned().into();
    let head = CallHead { function, left_ms: None, above: Vec::new(), chain: None, ends: Vec::new() };
    let mut body = codec::encode(&head).expect("a head");
    codec::encode_into(args, &mut body).expect("arguments");
    body
}
