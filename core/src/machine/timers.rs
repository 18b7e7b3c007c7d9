//! What is to be done at a given moment.

use std::collections::BTreeSet;

use offshoot_wire::Handle;

use super::{Action, Actions, CallKey, LinkKey, Machine, Routes, Tick};

/// Something that becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A link may have been silent for too long.
    Silence(LinkKey),
    /// A child must have said HELLO by now.
    Hello(LinkKey),
    /// A child that was told to end must have gone by now.
    Ending(LinkKey),
    /// A call of ours has reached its deadline.
    Deadline(Handle),
    /// The caller of a call to us has stopped waiting.
    CallerGone(CallKey),
    /// A call to us is still here: tell its caller that it began.
    Started(CallKey),
}

/// The timers of a machine, soonest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Timers {
    now: Tick,
    set: BTreeSet<(Tick, Timer)>,
}

impl Timers {
    /// Time goes on; never back.
    pub(super) fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    /// The moment of the event that is being handled.
    pub(super) const fn now(&self) -> Tick {
        self.now
    }

    pub(super) fn set(&mut self, at: Tick, timer: Timer) {
        self.set.insert((at, timer));
    }

    pub(super) fn clear(&mut self, at: Tick, timer: Timer) {
        self.set.remove(&(at, timer));
    }

    pub(super) fn forget_link(&mut self, link: LinkKey) {
        self.set.retain(|(_, timer)| {
            !matches!(timer, Timer::Silence(l) | Timer::Hello(l) | Timer::Ending(l) if *l == link)
        });
    }

    fn pop_due(&mut self) -> Option<Timer> {
        if self.set.first()?.0 > self.now {
            return None;
        }
        self.set.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}

impl<R: Routes> Machine<R> {
    /// The moment at which [`Event::Due`](super::Event::Due) should come next.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        self.timers.set.first().map(|(at, _)| *at)
    }

    pub(super) fn on_due(&mut self, out: &mut Actions) {
        while let Some(timer) = self.timers.pop_due() {
            match timer {
                Timer::Silence(link) => self.on_silence(link, out),
                Timer::Hello(link) => {
                    if self.link(link).is_some_and(super::Link::is_silent) {
                        self.cut(link, "it did not say HELLO in time", out);
                    }
                }
                Timer::Ending(link) => {
                    if self.link(link).is_some() {
                        out.push(Action::Escalate(link));
                    }
                }
                Timer::Deadline(handle) => self.on_deadline(handle, out),
                Timer::CallerGone(key) => self.on_caller_gone(key, out),
                Timer::Started(key) => self.on_started_due(key, out),
            }
        }
    }
}
