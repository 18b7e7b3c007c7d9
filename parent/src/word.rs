//! What a context that makes a child is told while it does so: that the program does not come, or that nobody wants the
//! child any more.
//!
//! It is no call: all that may be in flight to a context can be connects that wait for just this.

use std::time::{Duration, Instant};

use offshoot_core::{
    CallError, Context,
    internal::{self, later},
    wire::Handle,
};

use crate::{create::Ask, nursery::Nursery, table::Table};

/// How long one that has no room waits for the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// One of them, of which there are two at most for each connect.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) maker: Context,
    pub(crate) ask: Ask,
    /// Until when anybody waits for the child.
    pub(crate) until: Instant,
}

impl Word {
    /// Says it, behind the plan that it is about: now, or as soon as there is room.
    pub(crate) fn say(self) {
        let said = internal::tell(&self.maker, Handle::CREATE_CHILD, "word", &self.ask);
        // Where it fails otherwise, one of the two makes or asks for nothing any more.
        if matches!(said, Err(CallError::TimedOut { .. }))
            && let Some(shared) = internal::shared_of::<Table>(&self.maker)
            && let Some(nursery) = shared.hooks_as::<Nursery>()
        {
            nursery.say_later(self);
        }
    }
}

/// Those that wait for room, and when each is tried again.
#[derive(Debug, Default)]
pub(crate) struct Unsaid(Vec<(Instant, Word)>);

impl Unsaid {
    pub(crate) fn add(&mut self, word: Word) {
        self.0.push((later(PAUSE), word));
    }

    pub(crate) fn next_try(&self) -> Option<Instant> {
        // The pause is the same for all: they are in order.
        self.0.first().map(|(at, _)| *at)
    }

    /// Says what is due, if anybody still waits.
    pub(crate) fn try_again(&mut self, now: Instant) {
        let due: Vec<_> = self.0.extract_if(.., |(at, _)| *at <= now).collect();
        due.into_iter().filter(|(_, word)| word.until > now).for_each(|(_, word)| word.say());
    }
}
