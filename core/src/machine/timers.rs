//! What is to be done at a given moment.

use std::collections::VecDeque;

use offshoot_wire::{ContextId, Handle};

use super::{
    Action, Actions, CallKey, LinkKey, Machine, Routes, Tick,
    event::sooner,
    map::{Key, Map, Set, pair, part},
};

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
}

impl Timer {
    const fn is_of_link(self) -> bool {
        matches!(self, Self::Silence(_) | Self::Hello(_) | Self::Ending(_))
    }

    /// Which kind, and of what.
    fn pack(self) -> (u32, u128) {
        let link = |link: LinkKey| pair(slot(link.slot), link.peer.number());
        let call = |call: CallKey| pair(slot(call.slot), call.serial);
        match self {
            Self::Silence(of) => (0, link(of)),
            Self::Hello(of) => (1, link(of)),
            Self::Ending(of) => (2, link(of)),
            Self::Deadline(handle) => (3, pair(0, handle.number())),
            Self::CallerGone(key) => (4, call(key)),
        }
    }

    fn unpack(kind: u32, of: u128) -> Self {
        let (slot, low) = (part(of, 32) as usize, part(of, 0));
        let link = LinkKey { slot, peer: ContextId::new(low) };
        let call = CallKey { slot, serial: low };
        match kind {
            0 => Self::Silence(link),
            1 => Self::Hello(link),
            2 => Self::Ending(link),
            3 => Self::Deadline(Handle::new(low)),
            _ => Self::CallerGone(call),
        }
    }
}

impl Key for Timer {
    fn pack(self) -> u128 {
        let (kind, of) = Self::pack(self);
        u128::from(kind) << 64 | of
    }

    fn unpack(bits: u128) -> Self {
        Self::unpack(part(bits, 64), bits)
    }
}

/// There are never so many that the number of a slot would not fit.
fn slot(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

impl Key for (Tick, Timer) {
    fn pack(self) -> u128 {
        /// The last moment: 36 million years on, and four bits are left for the kind.
        const NEVER: u64 = u64::MAX >> 4;

        let (kind, of) = self.1.pack();
        u128::from(self.0.0.min(NEVER)) << 68 | u128::from(kind) << 64 | of
    }

    fn unpack(bits: u128) -> Self {
        let at = u64::try_from(bits >> 68).unwrap_or(u64::MAX);
        (Tick(at), Timer::unpack(part(bits, 64) & 0xf, bits))
    }
}

/// The timers of a machine, soonest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Timers {
    now: Tick,
    set: Set<(Tick, Timer)>,
    /// When those of links are due, which go with their link.
    of_links: Map<Timer, Tick>,
    /// The moments at which the callers of calls to us are told that these are still here. Each call has one and nearly
    /// none is ever due, but all are given the same time, and so they wait in line; some behind the first are over.
    started: VecDeque<(Tick, CallKey)>,
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
        if timer.is_of_link() {
            self.clear_of_link(timer);
            self.of_links.insert(timer, at);
        }
        self.set.insert((at, timer));
    }

    pub(super) fn clear(&mut self, at: Tick, timer: Timer) {
        self.set.remove(&(at, timer));
        if timer.is_of_link() {
            self.of_links.remove(&timer);
        }
    }

    pub(super) fn forget_link(&mut self, link: LinkKey) {
        for timer in [Timer::Silence(link), Timer::Hello(link), Timer::Ending(link)] {
            self.clear_of_link(timer);
        }
    }

    pub(super) fn clear_of_link(&mut self, timer: Timer) {
        if let Some(at) = self.of_links.remove(&timer) {
            self.set.remove(&(at, timer));
        }
    }

    fn pop_due(&mut self) -> Option<Timer> {
        let (at, timer) = self.set.first().filter(|(at, _)| *at <= self.now)?;
        self.clear(at, timer);
        Some(timer)
    }

    /// A call is to be told of unless it has ended by then; no earlier than any that was before.
    pub(super) fn line_up(&mut self, at: Tick, call: CallKey) {
        self.started.push_back((at, call));
    }

    /// Calls have ended: nobody is woken for those at the front.
    pub(super) fn step_up(&mut self, is_there: impl Fn(CallKey) -> bool) {
        while self.started.front().is_some_and(|(_, call)| !is_there(*call)) {
            self.started.pop_front();
        }
    }

    fn pop_started(&mut self) -> Option<CallKey> {
        self.started.front().filter(|(at, _)| *at <= self.now)?;
        self.started.pop_front().map(|(_, call)| call)
    }

    pub(super) fn len(&self) -> usize {
        self.set.len() + self.started.len()
    }
}

impl<R: Routes> Machine<R> {
    /// The moment at which [`Event::Due`](super::Event::Due) should come next.
    #[must_use]
    pub fn next_due(&self) -> Option<Tick> {
        let first = self.timers.set.first().map(|(at, _)| at);
        let started = self.timers.started.front().map(|(at, _)| *at);
        sooner(first, started)
    }

    pub(super) fn on_due(&mut self, out: &mut Actions) {
        while let Some(timer) = self.timers.pop_due() {
            match timer {
                Timer::Silence(link) => self.on_silence(link, out),
                Timer::Hello(_) | Timer::Ending(_) if !R::HAS_CHILDREN => {}
                Timer::Hello(link) => self.cut(link, "it did not say HELLO in time", out),
                Timer::Ending(link) => {
                    if self.link(link).is_some() {
                        out.push(Action::Escalate(link));
                    }
                }
                Timer::Deadline(handle) => self.on_deadline(handle, out),
                Timer::CallerGone(key) => self.on_caller_gone(key, out),
            }
        }
        while let Some(key) = self.timers.pop_started() {
            self.on_started_due(key, out);
        }
        self.timers.step_up(|call| self.desk.has(call));
    }
}
