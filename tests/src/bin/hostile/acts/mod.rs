//! What it can do, by name.

mod control;
mod credit;
mod flood;
mod fragments;
mod framing;
mod replies;
mod routes;
mod sources;

use crate::actor::Actor;

/// What an order says behind the name of the act.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(pub(crate) &'a [&'a str]);

impl<'a> Words<'a> {
    pub(crate) fn text(self, at: usize) -> &'a str {
        self.0.get(at).unwrap_or_else(|| panic!("word {at} of {:?}", self.0))
    }

    pub(crate) fn number(self, at: usize) -> u32 {
        self.text(at).parse().unwrap_or_else(|_| panic!("a number as word {at} of {:?}", self.0))
    }

    pub(crate) fn numbers(self) -> impl Iterator<Item = u32> + 'a {
        (0..self.0.len()).map(move |at| self.number(at))
    }

    /// Bytes that were written as hexadecimal digits; none for `-`.
    pub(crate) fn hex(self, at: usize) -> Vec<u8> {
        let digits = self.text(at).trim_start_matches('-');
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }
}

/// Does what it is told.
pub(crate) fn play(actor: &mut Actor, act: &str, words: Words<'_>) {
    match act {
        "settle" => actor.settle(),
        "babble" => framing::babble(actor),
        "word-then" => framing::word_then(actor, words),
        "oversize" => framing::oversize(actor, words),
        "drip" => framing::drip(actor, words),
        "byte-by-byte" => framing::byte_by_byte(actor, words),
        "write" => framing::write(actor, words),
        "empty-frames" => framing::empty_frames(actor, words),
        "begin-bodies" => fragments::begin_bodies(actor, words),
        "pieces" => fragments::pieces(actor, words),
        "half-a-piece" => fragments::half_a_piece(actor),
        "die" => fragments::die(),
        "speak" => sources::speak(actor, words),
        "call" => sources::call(actor, words),
        "say" => sources::say(actor, words),
        "ask-handle" => sources::ask_handle(actor, words),
        "replies-at-random" => replies::at_random(actor, words),
        "dead-to" => replies::dead_to(actor, words),
        "answer-twice" => replies::answer_twice(actor),
        "answer-late" => replies::answer_late(actor),
        "give-end" => replies::give_end(actor, words),
        "claim-child" => replies::claim_child(actor, words),
        "reply" => replies::reply(actor, words),
        "reply-dead" => replies::reply_dead(actor, words),
        "fail-stream" => replies::fail_stream(actor, words),
        "announce" => routes::announce(actor, words),
        "announce-as" => routes::announce_as(actor, words),
        "announce-long" => routes::announce_long(actor, words),
        "announce-many" => routes::announce_many(actor, words),
        "withdraw" => routes::withdraw(actor, words),
        "ask-range" => routes::ask_range(actor),
        "wish" => routes::wish_in_vain(actor),
        "ask-ranges" => routes::ask_ranges(actor, words),
        "name-many" => routes::name_many(actor, words),
        "rule" => control::rule(actor, words),
        "setup" => control::setup(actor),
        "hello" => actor.say_hello(0),
        "ping-flood" => control::ping_flood(actor, words),
        "credit" => control::credit(actor, words),
        "overdraw" => credit::overdraw(actor),
        "overgive" => credit::overgive(actor),
        "stingy" => actor.set_stingy(),
        "ask-in-vain" => credit::ask_in_vain(actor, words),
        "echo" => credit::echo(actor),
        "deaf" => actor.set_deaf(true),
        "listen" => actor.set_deaf(false),
        "call-and-cancel" => credit::call_and_cancel(actor, words),
        "cancel" => credit::cancel(actor, words),
        "log-flood" => flood::log_flood(actor, words),
        _ => panic!("there is no act {act:?}"),
    }
}
