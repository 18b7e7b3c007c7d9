//! The seam between std and loom: what the latch locks, counts and tells the time with.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread::{ThreadId, current},
    time::Instant,
};

#[cfg(loom)]
pub(crate) use crate::model::{Instant, ThreadId, current};
#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

use std::sync::PoisonError;

/// Locks, and goes on where another thread panicked: no foreign code runs under our locks, so the data is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the deadline, where there is one, has passed.
#[cfg(not(loom))]
pub(crate) fn is_past(deadline: Option<&Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= *deadline)
}

#[cfg(loom)]
pub(crate) fn is_past(deadline: Option<&Instant>) -> bool {
    deadline.is_some_and(Instant::has_passed)
}
