//! Waking whoever was served, apart from serving him: under a lock one decides, after it one wakes.

use std::{fmt, mem, task};

use crate::{sleeper::Bell, sync::Arc};

/// What a waiter left behind to be woken by.
#[derive(Debug)]
pub(crate) enum Waker {
    Thread(Arc<Bell>),
    Task(task::Waker),
}

impl Waker {
    pub(crate) fn wake(self) {
        match self {
            Self::Thread(bell) => bell.ring(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// The wake-ups that a put or a close owes, to be fired once no lock is held; dropping it fires too.
///
/// Served already, the sleepers would find their items at their next look; but they look only when woken.
/// Firing costs at most a system call for each thread, and runs the foreign code of each task's waker.
#[must_use = "dropped at once it wakes at once: bind it, release your lock, then fire it"]
#[derive(Default)]
pub struct Wake(Owed);

#[derive(Default)]
enum Owed {
    #[default]
    Nothing,
    One(Waker),
    /// Each fires when it is dropped, so a waker that panics takes none of the others with it.
    Many(Vec<Wake>),
}

impl Wake {
    pub(crate) fn one(waker: Option<Waker>) -> Self {
        Self(waker.map_or(Owed::Nothing, Owed::One))
    }

    pub(crate) fn many(wakers: impl Iterator<Item = Waker>) -> Self {
        Self(Owed::Many(wakers.map(|waker| Self(Owed::One(waker))).collect()))
    }

    /// Wakes them all.
    pub fn fire(self) {
        drop(self);
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        if let Owed::One(waker) = mem::take(&mut self.0) {
            waker.wake();
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owed = match &self.0 {
            Owed::Nothing => 0,
            Owed::One(_) => 1,
            Owed::Many(wakes) => wakes.len(),
        };
        f.debug_struct("Wake").field("owed", &owed).finish()
    }
}
