//! Each thread's one means of sleeping, lent to one wait at a time, and the bell that others ring to wake it.

use std::{cell::Cell, os::fd::BorrowedFd};

#[cfg(not(loom))]
use crate::bed::{Bed, Cord};
use crate::flaw::{Flaw, has};
#[cfg(loom)]
use crate::model::{Bed, Cord};
use crate::sync::{Arc, AtomicU8, Instant, Ordering, ThreadId, current};
use crate::wake::{Wake, Waker};

/// A thread's means of sleeping, seen by the hook of [`get_with`](crate::Latch::get_with).
///
/// It is made when the thread first sleeps and closed when the thread ends.
#[derive(Debug)]
pub struct Sleeper {
    bed: Bed,
    bell: Arc<Bell>,
}

impl Sleeper {
    /// Runs `f` with the calling thread's sleeper. A wait within a wait gets one of its own.
    pub(crate) fn lend<R>(f: impl FnOnce(&Self) -> R) -> R {
        // A thread that is being torn down has no place to keep one, and should open nothing any more.
        let own = SLEEPER.try_with(Cell::take).unwrap_or_else(|_| Some(Self::new(Bed::parker())));
        let sleeper = own.unwrap_or_else(|| Self::new(Bed::new()));
        // Nobody waits with it yet: what has rung so far was late.
        sleeper.bell.state.swap(AWAKE, Ordering::AcqRel);
        let result = f(&sleeper);
        if sleeper.bed.is_worth_keeping() {
            let _: Result<(), _> = SLEEPER.try_with(|own| own.set(Some(sleeper)));
        }
        result
    }

    fn new((bed, cord): (Bed, Cord)) -> Self {
        Self { bed, bell: Arc::new(Bell { state: AtomicU8::new(AWAKE), owner: current().id(), cord }) }
    }

    /// The descriptor that becomes readable when the thread is woken; `None` where the process had none left.
    ///
    /// Poll it, never read it.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.bed.fd()
    }

    /// Whether the thread has been told to look at its slot since it came to wait, also by itself, which makes no
    /// descriptor readable: a hook that does more than sleep asks before it sleeps, and returns.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.bell.state.load(Ordering::Acquire) != ASLEEP
    }

    /// Sleeps until woken or until the deadline, and at times for less.
    pub fn sleep(&self, deadline: Option<&Instant>) {
        self.bed.sleep(deadline);
    }

    /// A wake-up that comes with no item, for another thread to fire: it ends the wait, and costs one look.
    pub fn wake(&self) -> Wake {
        Wake::one(Some(Waker::Thread(self.bell())))
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Calls `wait`, unless the bell has rung since the last rest. Afterwards the caller looks at its slot.
    pub(crate) fn rest(&self, wait: impl FnOnce(&Self)) {
        let state = &self.bell.state;
        if has(Flaw::DrainAfterLook) {
            state.swap(AWAKE, Ordering::AcqRel);
            self.bed.drain();
        }
        if state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Rung while awake: nobody pulled the cord, so there is nothing to drain.
            state.swap(AWAKE, Ordering::AcqRel);
            return;
        }
        wait(self);
        if state.swap(AWAKE, Ordering::AcqRel) != AWAKE {
            self.bed.drain();
        }
    }
}

/// What a waker holds. The cord is pulled, at the price of a system call, only for a thread that has lain down.
#[derive(Debug)]
pub(crate) struct Bell {
    state: AtomicU8,
    owner: ThreadId,
    cord: Cord,
}

/// Will look at its slot before it sleeps.
const AWAKE: u8 = 0;
/// Has looked, and may be sleeping: only the cord reaches it.
const ASLEEP: u8 = 1;
/// Was told to look again.
const RUNG: u8 = 2;

impl Bell {
    /// Makes the sleeper look at its slot, now or soon.
    pub(crate) fn ring(&self) {
        if self.owner == current().id() {
            // Served by itself, from within its hook: it is up, and looks as soon as the hook returns.
            if !has(Flaw::ServeSelfSilently) {
                self.state.swap(AWAKE, Ordering::AcqRel);
            }
        } else if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            self.cord.pull();
        }
    }
}

#[cfg(not(loom))]
thread_local! {
    static SLEEPER: Cell<Option<Sleeper>> = const { Cell::new(None) };
}

#[cfg(loom)]
loom::thread_local! {
    static SLEEPER: Cell<Option<Sleeper>> = Cell::new(None);
}
