//! The faults of a soak: contexts are made, told to end, killed, stopped and resumed, connects are given up.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use offshoot_core::Context;

use super::stand::Stand;
use crate::{
    real::{Signal, descendants_of, signalled},
    world::Dice,
};

/// How often something goes wrong.
const BETWEEN_MS: u64 = 120;
/// A pause that nobody takes for a loss.
const SHORT_MS: u64 = 300;
/// One that is longer than a link may be silent.
const LONG_MS: u64 = 2_500;

/// What a soak can do to its trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A child is made.
    Grow,
    /// A child is begun and given up.
    GiveUp,
    /// A process is killed.
    Kill,
    /// A process stands still for a while.
    Pause,
    /// A process stands still for so long that it is lost.
    Silence,
    /// A context is told to end.
    Shutdown,
}

impl Fault {
    const fn of(dice: u64) -> Self {
        match dice {
            0..8 => Self::Grow,
            8..10 => Self::GiveUp,
            10..14 => Self::Kill,
            14..17 => Self::Pause,
            17 => Self::Silence,
            _ => Self::Shutdown,
        }
    }
}

/// What was done in one round.
#[derive(Clone, Debug, Default)]
pub(super) struct Deeds {
    pub(super) faults: BTreeMap<Fault, u64>,
    /// Connects that failed, by the reason.
    pub(super) unconnected: BTreeMap<&'static str, u64>,
}

/// Does something to the trees of a stand until a round is over.
#[derive(Debug)]
pub(super) struct Chaos<'a> {
    stand: &'a Stand,
    /// Every process of the soak is below this one.
    above: u32,
    dice: Dice,
    /// Stopped processes, with when they are resumed.
    stopped: Vec<(u32, Instant)>,
    deeds: Deeds,
}

impl<'a> Chaos<'a> {
    pub(super) fn new(stand: &'a Stand, above: u32, dice: Dice) -> Self {
        Self { stand, above, dice, stopped: Vec::new(), deeds: Deeds::default() }
    }

    /// Something now and then, until `end` or `is_over`; then all that stands still is resumed.
    pub(super) fn reign(mut self, end: Instant, is_over: impl Fn() -> bool) -> Deeds {
        for _ in 0..4 + self.dice.below(8) {
            self.deed(Fault::Grow);
        }
        while Instant::now() < end && !is_over() {
            let fault = Fault::of(self.dice.below(20));
            self.deed(fault);
            thread::park_timeout(Duration::from_millis(self.dice.below(2 * BETWEEN_MS)));
            self.resume(Instant::now());
        }
        for (pid, _) in &self.stopped {
            signalled(*pid, Signal::CONT);
        }
        self.deeds
    }

    fn deed(&mut self, fault: Fault) {
        let is_done = match fault {
            Fault::Grow => self.grow(),
            Fault::GiveUp => self.give_up(),
            Fault::Kill => self.signal(Signal::KILL).is_some(),
            Fault::Pause => self.stop(SHORT_MS),
            Fault::Silence => self.stop(LONG_MS),
            Fault::Shutdown => self.stand.mortal(&mut self.dice).map(|it| drop(it.shutdown())).is_some(),
        };
        *self.deeds.faults.entry(fault).or_default() += u64::from(is_done);
    }

    fn grow(&mut self) -> bool {
        let Some(begun) = self.stand.begin(&mut self.dice) else { return false };
        if let Err(error) = self.stand.finish(begun) {
            *self.deeds.unconnected.entry(error.code()).or_default() += 1;
        }
        true
    }

    fn give_up(&mut self) -> bool {
        let Some((connecting, _)) = self.stand.begin(&mut self.dice) else { return false };
        thread::park_timeout(Duration::from_millis(self.dice.below(60)));
        drop(connecting);
        true
    }

    fn stop(&mut self, ms: u64) -> bool {
        let until = Instant::now() + Duration::from_millis(self.dice.below(ms));
        let stopped = self.signal(Signal::STOP);
        self.stopped.extend(stopped.map(|pid| (pid, until)));
        stopped.is_some()
    }

    fn resume(&mut self, now: Instant) {
        self.stopped.retain(|(pid, until)| {
            let is_due = *until <= now;
            if is_due {
                signalled(*pid, Signal::CONT);
            }
            !is_due
        });
    }

    /// Sends a signal to a context that may be lost; its process, if there is one.
    fn signal(&mut self, signal: Signal) -> Option<u32> {
        let whom: Context = self.stand.mortal(&mut self.dice)?;
        let pid = self.stand.router.tree().pid(whom.id())?;
        // It may have ended, and its number be a stranger's.
        (descendants_of(self.above).contains(&pid) && signalled(pid, signal)).then_some(pid)
    }
}
