//! Frames in the name of others, and to what it may not use.

use super::Words;
use crate::{
    actor::{Actor, ROOT},
    cbor::Cbor,
    frame::PING,
};

/// Calls a function that takes nothing: SRC AUTH DST FUNCTION. Tells what answer it got, if it did, once the root and
/// whoever was called have dealt with it.
pub(super) fn speak(actor: &mut Actor, words: Words<'_>) {
    let reply_to = actor.handle();
    let (src, auth, dst) = (words.number(0), words.number(1), words.number(2));
    let call = actor.call(dst, words.text(3), &Vec::from(Cbor::new().null()));
    actor.send(&call.src(src).auth(auth).reply_to(reply_to));
    for dst in [dst, ROOT] {
        let ping = actor.frame(dst, PING).body(Cbor::call("").null());
        actor.ask(ping);
    }
    for answer in actor.came(|frame| frame.handle == reply_to) {
        actor.tell_answer(&answer);
    }
}

/// Calls a function that takes nothing, and waits for the answer: DST FUNCTION. Tells it.
pub(super) fn call(actor: &mut Actor, words: Words<'_>) {
    let call = actor.call(words.number(0), words.text(1), &Vec::from(Cbor::new().null()));
    let answer = actor.ask(call);
    actor.tell_answer(&answer);
}

/// Sends a body to a handle of the root: HANDLE BODY.
pub(super) fn say(actor: &mut Actor, words: Words<'_>) {
    actor.send(&actor.frame(ROOT, words.number(0)).body(words.hex(1)));
    actor.settle();
}

/// Sends a body to a handle and tells the answer: DST HANDLE BODY.
pub(super) fn ask_handle(actor: &mut Actor, words: Words<'_>) {
    let question = actor.frame(words.number(0), words.number(1)).body(words.hex(2));
    let answer = actor.ask(question);
    actor.tell_answer(&answer);
}
