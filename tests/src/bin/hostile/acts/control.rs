//! Control frames that are not its to send, or too many of them.

use super::Words;
use crate::{
    actor::{Actor, ROOT},
    cbor::Cbor,
    frame::{ALLOCATED, CREATE_CHILD, CREDIT, PING, SETUP, SHUTDOWN},
};

/// Tells a context to end, to have a child, and to let go of its parent: DST. Tells what answers came.
pub(super) fn rule(actor: &mut Actor, words: Words<'_>) {
    let dst = words.number(0);
    actor.send(&actor.frame(dst, SHUTDOWN).body(Cbor::new().array(1).uint(0_u8)));
    let create = actor.frame(dst, CREATE_CHILD).body(Cbor::call("").null());
    let detach = actor.frame(dst, 109).body(Cbor::new().null());
    for question in [create, detach] {
        let answer = actor.ask(question);
        actor.tell_answer(&answer);
    }
}

/// SETUP, as if it were the parent.
pub(super) fn setup(actor: &Actor) {
    let body = Cbor::new().array(10).uint(1_u8).uint(0_u8).uint(ROOT).array(0).text("x");
    let body = body.and(&[0xf4]).uint(0_u8).uint(0_u8).uint(0_u8).uint(0_u8);
    actor.send(&actor.frame(actor.parent, SETUP).body(body));
}

/// PINGs without a pause: COUNT.
pub(super) fn ping_flood(actor: &Actor, words: Words<'_>) {
    let many = 10_000;
    let pings = actor.frame(actor.parent, PING).body(Cbor::new().null()).bytes().repeat(many);
    for _ in 0..words.number(0) as usize / many {
        actor.send_bytes(&pings);
    }
}

/// As much credit as can be said, for calls, for answers, or for the stream of a handle: WINDOW TIMES.
pub(super) fn credit(actor: &mut Actor, words: Words<'_>) {
    let window = match words.number(0) {
        handle if handle >= ALLOCATED => Cbor::new().array(2).uint(2_u8).uint(handle),
        window => Cbor::new().uint(window),
    };
    let body = Cbor::new().array(2).and(&Vec::from(window)).uint(u32::MAX);
    for _ in 0..words.number(1) {
        actor.send(&actor.frame(ROOT, CREDIT).body(body.clone()));
    }
    actor.settle();
}
