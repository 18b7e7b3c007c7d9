//! Clock, bed and mistakes for loom, which knows neither time nor descriptors.
//!
//! A model lets a deadline pass from a thread of its own, at any moment, so that a sleep may end by the deadline, by
//! its cord, or by both at once, as with a kernel. (Condition variables, since loom's `unpark` disturbs its `join`.)

use std::{
    env,
    os::fd::BorrowedFd,
    sync::{OnceLock, PoisonError},
};

use loom::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, Ordering},
};

pub use crate::flaw::Flaw;
use crate::sync::lock;
pub(crate) use loom::thread::{ThreadId, current};

/// The environment variable that names the one mistake to make, as `Flaw`'s `Debug` does.
pub const FLAW: &str = "LATCH_FLAW";

pub(crate) fn has(flaw: Flaw) -> bool {
    static MADE: OnceLock<Option<String>> = OnceLock::new();
    let made = MADE.get_or_init(|| env::var(FLAW).ok());
    made.as_ref().is_some_and(|made| *made == format!("{flaw:?}"))
}

loom::thread_local! {
    static PILLOW: Arc<Pillow> = Arc::new(Pillow::default());
}

/// Where a thread sleeps until its cord is pulled or its deadline passes.
#[derive(Debug, Default)]
struct Pillow {
    /// Stays set until it is drained, as a descriptor stays readable.
    pulled: Mutex<bool>,
    changed: Condvar,
}

impl Pillow {
    fn own() -> Arc<Self> {
        PILLOW.with(Arc::clone)
    }
}

/// A deadline of the thread that made it; it passes when a model says so.
#[derive(Clone, Debug)]
pub struct Instant {
    passed: Arc<AtomicBool>,
    pillow: Arc<Pillow>,
}

impl Instant {
    /// Makes a deadline that has not passed, to be waited for by the calling thread alone.
    #[must_use]
    pub fn new() -> Self {
        Self { passed: Arc::new(AtomicBool::new(false)), pillow: Pillow::own() }
    }

    /// Lets it pass.
    pub fn pass(&self) {
        let _pulled = lock(&self.pillow.pulled);
        self.passed.store(true, Ordering::SeqCst);
        self.pillow.changed.notify_one();
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.passed.load(Ordering::SeqCst)
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::new()
    }
}

/// The sleeper's side.
#[derive(Debug)]
pub(crate) struct Bed(Arc<Pillow>);

/// The side of who wakes.
#[derive(Debug)]
pub(crate) struct Cord(Arc<Pillow>);

impl Bed {
    pub(crate) fn new() -> (Self, Cord) {
        (Self(Pillow::own()), Cord(Pillow::own()))
    }

    pub(crate) fn parker() -> (Self, Cord) {
        Self::new()
    }

    pub(crate) fn sleep(&self, deadline: Option<&Instant>) {
        let mut pulled = lock(&self.0.pulled);
        while !*pulled && !deadline.is_some_and(Instant::has_passed) {
            pulled = self.0.changed.wait(pulled).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn drain(&self) {
        *lock(&self.0.pulled) = false;
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
        *lock(&self.0.pulled) = true;
        self.0.changed.notify_one();
    }
}
