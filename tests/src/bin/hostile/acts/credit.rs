//! More than it may send, calls that it does not wait for, and credit that it does not give.

use super::{Words, replies::end_in};
use crate::{
    actor::{Actor, ROOT, Window, told},
    cbor::{Cbor, Read as Values},
    frame::{CANCEL, CREDIT, DEAD, Frame, PING},
};

/// Takes a call that brings the end of a stream, and writes an item there that is longer than the window. Tells what
/// comes back.
pub(super) fn overdraw(actor: &mut Actor) {
    let call = actor.next_call();
    let (home, handle) = end_in(&call);
    let mine = actor.handle();
    let item = Cbor::new().array(2).uint(1_u8).array(0).bytes_head(TOO_MUCH).and(&[0; TOO_MUCH]);
    actor.send(&actor.frame(home, handle).reply_to(mine).body(item));
    let refusal = actor.wait("word of the stream", |frame| frame.handle == mine);
    actor.tell_answer(&refusal);
    actor.answer(&call, &Vec::from(Cbor::new().null()));
}

/// Takes a call that brings the end of a stream which receives, opens it, and once an item has come gives as much credit as
/// can be said, and again. Tells what it is told of the stream.
pub(super) fn overgive(actor: &mut Actor) {
    let call = actor.next_call();
    let (home, handle) = end_in(&call);
    let mine = actor.handle();
    let to_stream = |frame: &Frame| frame.handle == mine;
    actor.send(&actor.frame(home, handle).reply_to(mine).body(Cbor::new().uint(0_u8)));
    actor.wait("an item", to_stream);
    let window = Cbor::new().array(2).uint(2_u8).uint(mine);
    let body = Cbor::new().array(2).and(&Vec::from(window)).uint(u32::MAX);
    let credit = actor.frame(home, CREDIT).body(body);
    (0..2).for_each(|_| actor.send(&credit));
    let told = actor.wait("word of the stream", to_stream);
    actor.settle();
    for end in std::iter::once(told).chain(actor.came(to_stream)) {
        let mut values = Values(&end.body);
        values.array();
        let head = values.uint();
        actor.tell(&format!("{head} {}", values.text()));
    }
    actor.answer(&call, &Vec::from(Cbor::new().null()));
}

/// Longer than a window that was never used.
const TOO_MUCH: usize = 20_000;

/// Answers every call with null, until the test is over.
pub(super) fn echo(actor: &Actor) {
    loop {
        let call = actor.next_call();
        actor.answer(&call, &Vec::from(Cbor::new().null()));
    }
}

/// Calls the function `work` for some milliseconds, so many at a time, and gives them up, without a pause and without
/// regard to credit: COUNT MS AT-ONCE. Tells how many were answered in which way.
pub(super) fn call_and_cancel(actor: &mut Actor, words: Words<'_>) {
    let first = actor.handle();
    let count = words.number(0);
    let argument = Vec::from(Cbor::new().uint(words.number(1)));
    let mut handles = first..first + count;
    while !handles.is_empty() {
        let now: Vec<u32> = handles.by_ref().take(words.number(2) as usize).collect();
        let call = |handle: &u32| actor.call(ROOT, "work", &argument).reply_to(*handle).bytes();
        let calls = now.iter().flat_map(call);
        let cancels = now.iter().flat_map(|handle| given_up(actor, *handle).bytes());
        actor.send_bytes(&calls.chain(cancels).collect::<Vec<u8>>());
    }
    let mut tally = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..count {
        let answer = actor.wait("an answer", |frame| frame.handle >= first && frame.body != [2]);
        *tally.entry(kind(&answer)).or_default() += 1;
    }
    for (kind, count) in tally {
        actor.tell(&format!("{count} {kind}"));
    }
}

/// Asks the root so often for a sign of life, within its own credit, and gives none for the answers: COUNT. Tells the first
/// refusal.
pub(super) fn ask_in_vain(actor: &mut Actor, words: Words<'_>) {
    actor.set_stingy();
    let first = actor.handle();
    for handle in first..first + words.number(0) {
        let question = actor.frame(ROOT, PING).reply_to(handle).body(Cbor::call("").null());
        actor.spend(ROOT, Window::Calls, question.cost());
        actor.send(&question);
    }
    let refusal = actor.wait("a refusal", |frame| frame.handle >= first && frame.reply_to == DEAD);
    actor.tell_answer(&refusal);
}

/// The first words of what an answer says.
fn kind(answer: &Frame) -> String {
    let line = told(answer);
    line.split(':').next().unwrap_or_default().to_owned()
}

fn given_up(actor: &Actor, handle: u32) -> Frame {
    actor.frame(ROOT, CANCEL).body(Cbor::new().array(2).uint(actor.me).uint(handle))
}

/// Gives up calls of somebody else, by handles in a row: DST OWNER FIRST LAST.
pub(super) fn cancel(actor: &mut Actor, words: Words<'_>) {
    for handle in words.number(2)..=words.number(3) {
        let body = Cbor::new().array(2).uint(words.number(1)).uint(handle);
        actor.send(&actor.frame(words.number(0), CANCEL).body(body));
    }
    actor.settle();
}
