//! Answers: to nobody, to others, too many, too late, and such as cannot be read.

use super::Words;
use crate::{
    actor::{Actor, Dice, ROOT, Window},
    cbor::{Cbor, Read},
    frame::{CREATE_CHILD, DEAD, Frame},
};

/// Answers to handles at random, every second one among the first thousand: COUNT.
pub(super) fn at_random(actor: &mut Actor, words: Words<'_>) {
    let mut dice = Dice(19);
    let mut left = words.number(0);
    while left > 0 {
        let now = left.min(10_000);
        let mut bytes = Vec::new();
        for nth in 0..now {
            let handle = 1000 + dice.roll() % if nth % 2 == 0 { 1000 } else { u32::MAX - 1000 };
            let answer = actor.frame(ROOT, handle).body(Cbor::value().null());
            bytes.extend_from_slice(&answer.bytes());
        }
        actor.send_bytes(&bytes);
        left -= now;
    }
    actor.settle();
}

/// Dead messages to all handles in a row: FIRST LAST.
pub(super) fn dead_to(actor: &mut Actor, words: Words<'_>) {
    for handle in words.number(0)..=words.number(1) {
        actor.send(&dead(actor, handle));
    }
    actor.settle();
}

/// A dead message to a handle of the root.
fn dead(actor: &Actor, handle: u32) -> Frame {
    let body = Cbor::new().array(2).uint(6_u8).text("gone");
    actor.frame(ROOT, handle).reply_to(DEAD).body(body)
}

/// Answers the next call with 1, and again with 2.
pub(super) fn answer_twice(actor: &mut Actor) {
    let call = actor.next_call();
    for value in [1_u8, 2] {
        actor.answer(&call, &Vec::from(Cbor::new().uint(value)));
    }
    actor.settle();
}

/// Takes a call, tells its handle, and once another has come, of which it tells the same, answers the first with 1, and
/// then the second with 2.
pub(super) fn answer_late(actor: &mut Actor) {
    let calls = [(); 2].map(|()| {
        let call = actor.next_call();
        actor.tell(&call.reply_to.to_string());
        call
    });
    for (call, value) in calls.iter().zip([1_u8, 2]) {
        actor.answer(call, &Vec::from(Cbor::new().uint(value)));
    }
    actor.settle();
}

/// Calls the function `pour` with the end of a stream that is not its own, or none: HOME HANDLE. Tells the answer.
pub(super) fn give_end(actor: &mut Actor, words: Words<'_>) {
    let end = Cbor::new().array(3).uint(words.number(0)).uint(words.number(1)).uint(0_u8);
    let head = Cbor::new().array(5).text("pour").null().array(0).null();
    let body = head.array(1).and(&Vec::from(end)).uint(0_u8);
    let call = actor.call(ROOT, "", &[]).body(body);
    let answer = actor.ask(call);
    actor.tell_answer(&answer);
}

/// Answers whoever wants a child with a context that is none of its own: ID.
pub(super) fn claim_child(actor: &mut Actor, words: Words<'_>) {
    let call = actor.wait("a wish", |frame| frame.handle == CREATE_CHILD);
    // Nothing is known of passwords.
    let created = Cbor::new().array(3).uint(words.number(0)).array(2).uint(1_u8).uint(0_u8).array(0);
    actor.answer(&call, &Vec::from(Cbor::new().array(2).uint(0_u8).and(&Vec::from(created))));
    actor.settle();
}

/// Says to the next call that it is gone, in these words: TEXT.
pub(super) fn reply_dead(actor: &mut Actor, words: Words<'_>) {
    let call = actor.next_call();
    let body = Cbor::new().array(2).uint(6_u8).raw_text(&words.hex(0));
    actor.send(&actor.answer_to(&call).reply_to(DEAD).body(body));
}

/// Takes a call that brings the end of a stream, and says there that it has failed, in these words: TEXT.
pub(super) fn fail_stream(actor: &mut Actor, words: Words<'_>) {
    let call = actor.next_call();
    let (home, handle) = end_in(&call);
    let body = Cbor::new().array(2).uint(3_u8).raw_text(&words.hex(0));
    let reply_to = actor.handle();
    actor.send(&actor.frame(home, handle).reply_to(reply_to).body(body));
    actor.answer(&call, &Vec::from(Cbor::new().null()));
}

/// The home and the handle of the only end that a call brings.
pub(super) fn end_in(call: &Frame) -> (u32, u32) {
    let mut values = Read(&call.body);
    values.array();
    (0..4).for_each(|_| values.skip());
    assert_eq!((values.array(), values.array()), (1, 3), "one end, of three fields");
    (values.uint(), values.uint())
}

/// Answers the next call with bytes of any kind: FRONT PATTERN TIMES.
pub(super) fn reply(actor: &mut Actor, words: Words<'_>) {
    let call = actor.next_call();
    let mut body = words.hex(0);
    body.extend_from_slice(&words.hex(1).repeat(words.number(2) as usize));
    actor.send_within_credit(&actor.answer_to(&call).body(body), Window::Replies);
}
