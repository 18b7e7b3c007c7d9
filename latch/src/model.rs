//! Clock, bed and mistakes for loom, which knows neither time nor descriptors.
//!
//! Both are a flag beside loom's `park`: a model sets a deadline's flag from a thread of its own, at any moment, so that
//! a sleep may end by the one, by the other, or by both at once, as with a kernel.

use std::{cell::Cell, os::fd::BorrowedFd};

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

pub use crate::flaw::Flaw;
pub(crate) use loom::thread::{ThreadId, current};

thread_local! {
    // Of std: loom runs all threads of a model on one thread of the system, and each test on its own.
    static FLAW: Cell<Option<Flaw>> = const { Cell::new(None) };
}

/// Runs `f` with a mistake built into every latch of this thread's models.
pub fn with(flaw: Flaw, f: impl FnOnce()) {
    FLAW.set(Some(flaw));
    f();
    FLAW.set(None);
}

pub(crate) fn has(flaw: Flaw) -> bool {
    FLAW.get() == Some(flaw)
}

/// A deadline, of the thread that made it; it passes when a model says so.
#[derive(Clone, Debug)]
pub struct Instant(Arc<Flag>);

impl Instant {
    /// Makes a deadline that has not passed, to be waited for by the calling thread.
    #[must_use]
    pub fn new() -> Self {
        Self(Flag::new())
    }

    /// Lets it pass.
    pub fn pass(&self) {
        self.0.raise();
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.0.is_up()
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::new()
    }
}

/// A flag that wakes the thread that made it.
#[derive(Debug)]
struct Flag {
    up: AtomicBool,
    thread: Thread,
}

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Self { up: AtomicBool::new(false), thread: current() })
    }

    fn raise(&self) {
        self.up.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }
}

/// The sleeper's side of a flag that stays up until it is drained, as a descriptor stays readable.
#[derive(Debug)]
pub(crate) struct Bed(Arc<Flag>);

/// The side of who wakes.
#[derive(Debug)]
pub(crate) struct Cord(Arc<Flag>);

impl Bed {
    pub(crate) fn new() -> (Self, Cord) {
        let flag = Flag::new();
        (Self(Arc::clone(&flag)), Cord(flag))
    }

    pub(crate) fn parker() -> (Self, Cord) {
        Self::new()
    }

    pub(crate) fn sleep(&self, deadline: Option<&Instant>) {
        while !self.0.is_up() && !deadline.is_some_and(Instant::has_passed) {
            thread::park();
        }
    }

    pub(crate) fn drain(&self) {
        self.0.up.store(false, Ordering::SeqCst);
    }

    pub(crate) const fn is_worth_keeping(&self) -> bool {
        true
    }

    pub(crate) const fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Cord {
    pub(crate) fn pull(&self) {
        self.0.raise();
    }
}
