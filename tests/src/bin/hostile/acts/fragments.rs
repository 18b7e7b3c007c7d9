//! Bodies that are begun and not ended, and pieces that do not fit.

use super::{Words, routes};
use crate::{
    actor::{Actor, ROOT},
    frame::{CALL, DEAD},
};

/// Begins bodies of that length to a handle, each from a context of its own that it announces: COUNT HANDLE TOTAL. Tells
/// the refusals, each with how many got it.
pub(super) fn begin_bodies(actor: &mut Actor, words: Words<'_>) {
    let (count, handle, total) = (words.number(0), words.number(1), words.number(2));
    let reply_to = actor.handle();
    for id in routes::announce_new(actor, count) {
        let begun = actor.frame(ROOT, handle).by(id).reply_to(reply_to);
        actor.send(&begun.body(vec![0; PIECE.min(total as usize)]).part(total, 0));
    }
    actor.settle();
    let mut refusals = actor.came(|frame| frame.reply_to == DEAD && frame.handle == reply_to);
    while let Some(one) = refusals.pop() {
        let before = refusals.len();
        refusals.retain(|other| other.body != one.body);
        let count = before - refusals.len() + 1;
        actor.tell(&count.to_string());
        actor.tell_answer(&one);
    }
}

/// How much of a body that is only begun is sent.
const PIECE: usize = 1000;

/// Pieces of a call: TOTAL, then an OFFSET and a LENGTH for each. Tells what answer it got, if it did.
pub(super) fn pieces(actor: &mut Actor, words: Words<'_>) {
    let reply_to = actor.handle();
    let numbers: Vec<u32> = words.numbers().collect();
    for piece in numbers[1..].chunks_exact(2) {
        let frame = actor.frame(ROOT, CALL).reply_to(reply_to);
        actor.send(&frame.body(vec![0; piece[1] as usize]).part(numbers[0], piece[0]));
    }
    actor.settle();
    for answer in actor.came(|frame| frame.handle == reply_to) {
        actor.tell_answer(&answer);
    }
}

/// One piece of a call whole, and of the next the first half.
pub(super) fn half_a_piece(actor: &Actor) {
    let piece = |offset| actor.frame(ROOT, CALL).reply_to(6000).body(vec![0; PIECE]).part(10_000, offset);
    actor.send(&piece(0));
    let next = piece(PIECE as u32).bytes();
    actor.send_bytes(&next[..next.len() / 2]);
}

/// Goes without a word.
#[expect(clippy::disallowed_methods, reason = "this is how a process dies")]
pub(super) fn die() {
    std::process::exit(1);
}
