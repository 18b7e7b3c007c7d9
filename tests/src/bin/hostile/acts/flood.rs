//! As many words as there is credit for.

use std::time::{Duration, Instant};

use super::Words;
use crate::{
    actor::{Actor, ROOT, Window},
    cbor::Cbor,
    frame::FORWARD_LOG,
};

/// Log records as fast as they are taken, for so many milliseconds: MS TARGET TEXT. Tells how many.
pub(super) fn log_flood(actor: &mut Actor, words: Words<'_>) {
    let (target, text) = (words.hex(1), words.hex(2));
    let body = Cbor::new().array(3).uint(1_u8).raw_text(&target).raw_text(&text);
    let record = actor.frame(ROOT, FORWARD_LOG).body(body);
    let (cost, bytes) = (record.cost(), record.bytes());
    let end = Instant::now() + Duration::from_millis(words.number(0).into());
    let mut sent = 0_u64;
    while Instant::now() < end {
        let many = actor.available(ROOT, Window::Calls, cost) / cost;
        actor.spend(ROOT, Window::Calls, many * cost);
        actor.send_bytes(&bytes.repeat(many as usize));
        sent += many;
    }
    actor.settle();
    actor.tell(&sent.to_string());
}
