//! Contexts that it announces or withdraws, and ranges of ids that it asks for.

use super::Words;
use crate::{
    actor::Actor,
    cbor::{Cbor, Read},
    frame::{ADD_ROUTE, ALLOCATE_ID, DEL_ROUTE, FORWARD_LOG, Frame},
};

/// Announces contexts as its children: ID... Tells what is refused.
pub(super) fn announce(actor: &mut Actor, words: Words<'_>) {
    for id in words.numbers() {
        actor.send(&add_route(actor, id, b"played"));
    }
    actor.settle();
    tell_refused(actor);
}

/// Announces one by a name of any bytes: ID NAME.
pub(super) fn announce_as(actor: &mut Actor, words: Words<'_>) {
    actor.send(&add_route(actor, words.number(0), &words.hex(1)));
    actor.settle();
    tell_refused(actor);
}

/// Announces one by a name of that length: ID LENGTH.
pub(super) fn announce_long(actor: &mut Actor, words: Words<'_>) {
    actor.send(&add_route(actor, words.number(0), &vec![b'n'; words.number(1) as usize]));
    actor.settle();
}

/// Announces new contexts: COUNT. Tells the first of them.
pub(super) fn announce_many(actor: &mut Actor, words: Words<'_>) {
    let ids = announce_new(actor, words.number(0));
    actor.settle();
    actor.tell(&ids.start.to_string());
}

/// Announces so many contexts, at most a range of them.
pub(super) fn announce_new(actor: &Actor, count: u32) -> std::ops::Range<u32> {
    assert!(count <= 1000, "one range is enough");
    let first = range(actor).expect("a range") * 1000;
    for id in first..first + count {
        actor.send(&add_route(actor, id, b"played"));
    }
    first..first + count
}

fn add_route(actor: &Actor, id: u32, name: &[u8]) -> Frame {
    let body = Cbor::new().array(3).uint(id).uint(actor.me).raw_text(name);
    actor.frame(actor.parent, ADD_ROUTE).body(body)
}

/// Tells the ids of what was refused, and why.
fn tell_refused(actor: &mut Actor) {
    for refusal in actor.came(|frame| frame.handle == DEL_ROUTE) {
        let mut values = Read(&refusal.body);
        values.array();
        let ids: Vec<u32> = (0..values.array()).map(|_| values.uint()).collect();
        values.skip();
        values.skip();
        let line = format!("refused {ids:?}: {}", values.text());
        actor.tell(&line);
    }
}

/// Withdraws contexts: ID...
pub(super) fn withdraw(actor: &mut Actor, words: Words<'_>) {
    for id in words.numbers() {
        let body = Cbor::new().array(4).array(1).uint(id).uint(id).text("played").text("it says so");
        actor.send(&actor.frame(actor.parent, DEL_ROUTE).body(body));
    }
    actor.settle();
}

/// Asks for one range of ids, and tells its number.
pub(super) fn ask_range(actor: &mut Actor) {
    let range = range(actor);
    actor.tell(&range.map_or_else(|| "refused".to_owned(), |range| range.to_string()));
}

fn range(actor: &Actor) -> Option<u32> {
    actor.send(&wish(actor));
    let answer = actor.wait("an answer", |frame| frame.handle == ALLOCATE_ID);
    granted(&answer)
}

/// Asks for a range and waits for no answer.
pub(super) fn wish_in_vain(actor: &mut Actor) {
    actor.send(&wish(actor));
    actor.settle();
}

fn wish(actor: &Actor) -> Frame {
    actor.frame(actor.parent, ALLOCATE_ID).body(Cbor::new().uint(0_u8))
}

fn granted(answer: &Frame) -> Option<u32> {
    let mut values = Read(&answer.body);
    // An array of two, or the number 2.
    (values.head().0 == 4).then(|| {
        values.skip();
        values.uint()
    })
}

/// Asks for ranges, so many questions at a time without waiting for the answers: COUNT AT-ONCE. Tells how many were
/// granted and how many refused.
pub(super) fn ask_ranges(actor: &mut Actor, words: Words<'_>) {
    let (count, at_once) = (words.number(0), words.number(1));
    let wishes = wish(actor).bytes().repeat(at_once as usize);
    let (mut yes, mut no) = (0, 0);
    for _ in 0..count / at_once {
        actor.send_bytes(&wishes);
        for _ in 0..at_once {
            let answer = actor.wait("an answer", |frame| frame.handle == ALLOCATE_ID);
            *if granted(&answer).is_some() { &mut yes } else { &mut no } += 1;
        }
    }
    actor.tell(&format!("{yes} granted, {no} refused"));
}

/// Sends log records that nobody takes to so many contexts from an id on, so many at a time before it looks at what came
/// back: FIRST COUNT AT-ONCE.
pub(super) fn name_many(actor: &mut Actor, words: Words<'_>) {
    let (first, count) = (words.number(0), words.number(1));
    let mut ids = first..first + count;
    while !ids.is_empty() {
        let now: Vec<u32> = ids.by_ref().take(words.number(2) as usize).collect();
        let frames = now.into_iter().flat_map(|id| actor.frame(id, FORWARD_LOG).bytes());
        actor.send_bytes(&frames.collect::<Vec<u8>>());
        actor.settle();
    }
}
