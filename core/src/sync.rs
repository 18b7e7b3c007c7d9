//! The one place that says what a poisoned lock means.

pub(crate) use std::sync::{Mutex, MutexGuard};
use std::{
    io,
    sync::{Condvar, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Locks. No user code runs under a lock of this crate, so a panic under one is a defect of ours: what it left is
/// still the best there is for telling every waiter that the end has come, and so we go on.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps until `condvar` is notified or `deadline` has passed; the caller looks again either way.
pub(crate) fn rest<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> MutexGuard<'a, T> {
    match deadline {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(at) => {
            let left = at.saturating_duration_since(Instant::now());
            condvar.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// Starts a thread. Boxed, so that what a thread is started by is compiled once.
pub(crate) fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// The moment `wait` from now; a wait beyond what the clock can say is cut to a century.
pub fn later(wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(wait).or_else(|| now.checked_add(CENTURY)).unwrap_or(now)
}
