//! A hostile context, made of bytes alone: it shares no code with offshoot, and knows the protocol from its document.
//!
//! `hostile PART STRINGS`: the part is `leaf` or `parent`, as which it says HELLO, or one that breaks the handshake; the
//! strings are the path of a socket by which the test says what it does, one act a line, and hears what it saw.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what an act did not expect ends it, and is told on stderr"
)]

mod actor;
mod acts;
mod cbor;
mod frame;
mod strings;

use actor::{Actor, Part};

fn main() {
    let mut words = std::env::args().skip(1);
    let part = words.next().expect("a part to play");
    let strings = strings::Strings::of(&words.next().expect("the path of the strings"));
    let mut actor = Actor::enter(Part::named(&part), strings);
    while let Some(order) = actor.strings.order() {
        let words: Vec<&str> = order.split_whitespace().collect();
        acts::play(&mut actor, words[0], acts::Words(&words[1..]));
        actor.tell("done");
    }
}
