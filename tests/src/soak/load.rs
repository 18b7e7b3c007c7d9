//! The load of a soak: threads that call, stream and give up, and tell the ledger what came of it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use offshoot_core::{CallError, Context, Pending};

use super::{
    jobs::{DRINK, Done, POUR, RUN, pour},
    ledger::Ledger,
    stand::Stand,
};
use crate::{
    real::table::WORK,
    world::{CallNo, Dice, job},
};

/// What any call of the load may take: longer than the longest pause, after which it must have ended.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long beyond that its end may be late on a busy machine.
const LATE: Duration = Duration::from_secs(20);

/// One thread of the load.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) stand: &'a Stand,
    pub(super) stop: &'a AtomicBool,
    pub(super) dice: Dice,
}

/// A call that was begun, and how many bytes it has.
type Begun = (CallNo, u32, Pending<Done>);

impl Load<'_> {
    pub(super) fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) && !self.ledger.is_broken() {
            let Some(whom) = self.stand.any(&mut self.dice) else { continue };
            match self.dice.below(16) {
                0..6 => self.call(&whom),
                6..9 => self.burst(&whom),
                9 => self.onward(&whom),
                10 => self.unheard(&whom),
                11 => self.too_late(&whom),
                12..14 => self.stream_down(&whom),
                _ => self.stream_up(&whom),
            }
        }
    }

    /// Mostly little; now and then more than one frame takes, or than a window.
    fn size(&mut self) -> u32 {
        let most = match self.dice.below(20) {
            0 => 1 << 20,
            1..4 => 64 << 10,
            _ => 512,
        };
        self.dice.below(most) as u32
    }

    fn begin(&mut self, whom: &Context) -> Begun {
        let (size, round) = (self.size(), self.ledger.round);
        let (call, pending) = self.ledger.call(whom.id(), false, |call| {
            whom.with_timeout(DEADLINE).call_async(RUN, (round, call, None, job::pad(size)))
        });
        (call, size, pending)
    }

    /// Waits for a call; one that does not end though its deadline has passed is a fault of its own.
    fn end(&self, (call, size, pending): Begun) -> Option<Result<Done, CallError>> {
        if !pending.ready_timeout(DEADLINE + LATE) {
            self.ledger.wrong("I19", format!("call {call} has not ended {LATE:?} after its deadline"));
            return None;
        }
        let ended = pending.wait();
        self.ledger.ended(call, size, &ended);
        Some(ended)
    }

    fn call(&mut self, whom: &Context) {
        let begun = self.begin(whom);
        self.end(begun);
    }

    /// Many at once, of which some are given up.
    fn burst(&mut self, whom: &Context) {
        let many = 1 + self.dice.below(40);
        let begun: Vec<_> = (0..many).map(|_| self.begin(whom)).collect();
        for (call, size, pending) in begun {
            if self.dice.once_in(4) {
                drop(pending);
                self.ledger.onward_ended(call, None);
            } else {
                self.end((call, size, pending));
            }
        }
    }

    /// A call that makes another one somewhere else.
    fn onward(&mut self, at: &Context) {
        let Some(whom) = self.stand.any(&mut self.dice).filter(|whom| whom.id() != at.id()) else { return };
        let round = self.ledger.round;
        let (outer, inner, pending) = self.ledger.onward(at.id(), whom.id(), |outer, inner| {
            let onward = Some((inner, whom.clone()));
            at.with_timeout(DEADLINE).call_async(RUN, (round, outer, onward, job::pad(8)))
        });
        let ended = self.end((outer, 8, pending));
        self.ledger.onward_ended(inner, ended.and_then(Result::ok).and_then(|(_, had_value, _)| had_value));
    }

    /// A call that nobody waits for.
    fn unheard(&mut self, whom: &Context) {
        let (size, round) = (self.size(), self.ledger.round);
        let caller = whom.with_timeout(DEADLINE);
        // Whether it was sent is all that is to be known; both are right.
        let (_, sent) = self
            .ledger
            .call(whom.id(), true, |call| caller.call_no_reply(RUN, (round, call, None, job::pad(size))));
        drop(sent);
    }

    /// A call whose deadline passes while it runs.
    fn too_late(&mut self, whom: &Context) {
        if whom.with_timeout(Duration::from_millis(10)).call(WORK, 1_000).is_ok() {
            self.ledger.wrong("I1", "a call that takes a second had a value within 10 ms");
        }
    }

    /// Reads a stream: all of it at once, slowly, or a part.
    fn stream_down(&mut self, whom: &Context) {
        let (items, bytes) = (1 + self.dice.below(250) as u8, self.dice.below(4096) as u32);
        let stream = self.ledger.stream(items);
        let Ok(receiver) = whom.with_timeout(DEADLINE).call(POUR, (stream, items, bytes)) else { return };
        let enough = if self.dice.once_in(3) { self.dice.below(items.into()) } else { u64::MAX };
        let pause = Duration::from_millis(if self.dice.once_in(4) { self.dice.below(8) } else { 0 });
        for _ in 0..enough {
            match receiver.recv_timeout(DEADLINE) {
                Ok(Some(item)) => self.ledger.item(stream, &item),
                Ok(None) => return self.ledger.stream_ended(stream, None),
                Err(error) => return self.ledger.stream_ended(stream, Some(&error)),
            }
            if !pause.is_zero() && !self.stop.load(Ordering::Relaxed) {
                thread::park_timeout(pause);
            }
        }
    }

    /// Sends a stream, all of it or a part.
    fn stream_up(&mut self, whom: &Context) {
        let (items, bytes) = (1 + self.dice.below(250) as u8, self.dice.below(4096) as u32);
        let stream = self.ledger.stream(items);
        let (sender, receiver) = whom.channel();
        let taken = whom.with_timeout(DEADLINE).call_async(DRINK, (stream, receiver));
        let all_sent = pour(&sender, stream, items, bytes);
        drop(sender);
        if !taken.ready_timeout(DEADLINE + LATE) {
            return self.ledger.wrong("I19", format!("the reader of stream {stream} has not ended"));
        }
        match taken.wait() {
            Ok(count) if count != items || !all_sent => {
                let text = format!("stream {stream} ended in order with {count} of {items} items");
                self.ledger.wrong("I4", text);
            }
            Err(CallError::Failed { message, .. }) if message.starts_with("item ") => {
                self.ledger.wrong("I4", message);
            }
            _ => {}
        }
    }
}
