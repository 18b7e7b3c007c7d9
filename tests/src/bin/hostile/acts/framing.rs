//! Bytes that are no frames, frames that are too long, frames that do not come.

use super::Words;
use crate::{
    actor::{Actor, Dice, ROOT, noise},
    cbor::Cbor,
    frame::{FORWARD_LOG, PING},
};

/// How much is written at once where much is.
const CHUNK: usize = 1 << 20;

/// Bytes at random.
pub(super) fn babble(actor: &Actor) {
    actor.send_bytes(&noise(64 << 10));
}

/// A log record that is as it should be, and behind it these bytes: MAGIC.
pub(super) fn word_then(actor: &Actor, words: Words<'_>) {
    let record = Cbor::new().array(3).uint(3_u8).text("hostile").text("a good word");
    let good = actor.frame(ROOT, FORWARD_LOG).body(record).bytes();
    let mut bad = actor.frame(ROOT, PING).bytes();
    bad[..2].copy_from_slice(&words.hex(0));
    actor.send_bytes(&[good, bad].concat());
}

/// A frame to a handle that announces more than a frame may have, and has all of it: SRC HANDLE LENGTH. Tells what
/// answer it got, if it did, when all behind it was dealt with.
pub(super) fn oversize(actor: &mut Actor, words: Words<'_>) {
    let (src, handle, length) = (words.number(0), words.number(1), words.number(2));
    let reply_to = actor.handle();
    actor.send_bytes(&actor.frame(ROOT, handle).src(src).reply_to(reply_to).header(length));
    let zeros = vec![0; CHUNK];
    let mut left = length as usize;
    while left > 0 {
        let now = left.min(CHUNK);
        actor.send_bytes(&zeros[..now]);
        left -= now;
    }
    actor.settle();
    for answer in actor.came(|frame| frame.handle == reply_to) {
        actor.tell_answer(&answer);
    }
}

/// A call of `length` that has 128 KiB, of which the first bytes come one by one, so many milliseconds apart: COUNT MS. Tells the answer.
pub(super) fn drip(actor: &mut Actor, words: Words<'_>) {
    let blob = Cbor::new().bytes_head(BLOB).and(&[0; BLOB]);
    let reply_to = actor.handle();
    let call = actor.call(ROOT, "length", &Vec::from(blob)).reply_to(reply_to).bytes();
    actor.send_slowly(&call, words.number(0) as usize, words.number(1));
    let answer = actor.wait("an answer", |frame| frame.handle == reply_to);
    actor.tell_answer(&answer);
}

/// Of a body that just fits a whole frame, with its head before it.
const BLOB: usize = (128 << 10) - 64;

/// Log records with the numbers from 0, each byte by itself: COUNT.
pub(super) fn byte_by_byte(actor: &mut Actor, words: Words<'_>) {
    for number in 0..words.number(0) {
        let record = Cbor::new().array(3).uint(3_u8).text("hostile").text(&format!("number {number}"));
        let bytes = actor.frame(ROOT, FORWARD_LOG).body(record).bytes();
        actor.send_slowly(&bytes, bytes.len(), 0);
    }
    actor.settle();
}

/// Frames without a body, in one piece; whether anybody reads them is not waited for: HANDLE COUNT.
pub(super) fn write(actor: &Actor, words: Words<'_>) {
    let frame = actor.frame(ROOT, words.number(0)).bytes();
    actor.send_bytes(&frame.repeat(words.number(1) as usize));
}

/// Frames without a body to handles that nobody has: COUNT.
pub(super) fn empty_frames(actor: &mut Actor, words: Words<'_>) {
    let mut dice = Dice(7);
    let mut left = words.number(0);
    while left > 0 {
        let now = left.min(10_000);
        let handle = |dice: &mut Dice| 1_000_000 + dice.roll() % 1_000_000;
        let frames = (0..now).flat_map(|_| actor.frame(ROOT, handle(&mut dice)).bytes());
        actor.send_bytes(&frames.collect::<Vec<u8>>());
        left -= now;
    }
    actor.settle();
}
