//! The one place that says what a poisoned lock means, and what a panic of the user's.

pub(crate) use std::sync::{Mutex, MutexGuard};
use std::{
    any::Any,
    io,
    sync::{Condvar, PoisonError},
    time::{Duration, Instant},
};
#[cfg(panic = "unwind")]
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

#[cfg(not(panic = "unwind"))]
pub(crate) use crate::sys::Thread;

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

/// Runs code of the user's on a thread that must outlive it. A panic has told its own story by the panic hook; what it
/// leaves behind is the user's too, and may panic once more as it is dropped.
#[cfg(panic = "unwind")]
pub fn contain<T>(run: impl FnOnce() -> T, panicked: impl FnOnce(&(dyn Any + Send)) -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let value = panicked(&*panic);
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            mem::forget(again);
        }
        value
    })
}

/// Where nothing unwinds, a panic ends the process.
#[cfg(not(panic = "unwind"))]
pub fn contain<T>(run: impl FnOnce() -> T, _panicked: impl FnOnce(&(dyn Any + Send)) -> T) -> T {
    run()
}

/// Starts a thread. Boxed, so that what a thread is started by is compiled once.
pub(crate) fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Thread> {
    Thread::spawn(name, body)
}

/// A running thread; dropped, it goes on by itself.
#[cfg(panic = "unwind")]
#[derive(Debug)]
pub(crate) struct Thread(std::thread::JoinHandle<()>);

#[cfg(panic = "unwind")]
impl Thread {
    fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<Self> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map(Self)
    }

    /// Waits until it has ended, also by a panic.
    pub(crate) fn join(self) {
        drop(self.0.join());
    }

    /// Whether it is the calling thread.
    pub(crate) fn is_current(&self) -> bool {
        self.0.thread().id() == std::thread::current().id()
    }
}

/// A time in milliseconds, rounded up, so that whoever waits for so long does not look early.
pub(crate) fn whole_millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(time.subsec_micros().div_ceil(1000).into())
}

/// The moment `wait` from now; a wait beyond what the clock can say is cut to a century.
pub fn later(wait: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(wait).or_else(|| now.checked_add(CENTURY)).unwrap_or(now)
}
