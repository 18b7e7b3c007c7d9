//! The latch as its users see it, one claim a test.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod order;
mod races;
mod select;
mod task;
mod verbs;

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::{Scope, ScopedJoinHandle},
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch, Sleeper};

/// Longer than anything here may take.
const LONG: Duration = Duration::from_secs(20);

type Got<T> = Result<T, GetError>;

/// A thread that stands in a latch's line, each look of which is told.
struct Waiter<'s, T> {
    looks: Receiver<()>,
    thread: ScopedJoinHandle<'s, Got<T>>,
}

impl<T> Waiter<'_, T> {
    /// Waits until the thread is about to sleep once more.
    fn wait_for_a_look(&self) {
        self.looks.recv_timeout(LONG).expect("the thread sleeps");
    }

    fn join(self) -> Got<T> {
        self.thread.join().unwrap()
    }
}

/// Starts a thread that gets, and returns when it stands in line.
fn asleep<'s, T: Send>(scope: &'s Scope<'s, '_>, latch: &'s Latch<T>) -> Waiter<'s, T> {
    waiter(scope, latch, None, |sleeper| {
        let end = Instant::now() + LONG;
        sleeper.sleep(Some(&end));
        assert!(Instant::now() < end, "nobody woke it");
    })
}

fn waiter<'s, T: Send>(
    scope: &'s Scope<'s, '_>,
    latch: &'s Latch<T>,
    deadline: Option<Instant>,
    mut sleep: impl FnMut(&Sleeper) + Send + 's,
) -> Waiter<'s, T> {
    let (tell, looks) = channel();
    let thread = scope.spawn(move || {
        latch.get_with(deadline, |sleeper| {
            let _: Result<(), _> = tell.send(());
            sleep(sleeper);
        })
    });
    let waiter = Waiter { looks, thread };
    waiter.wait_for_a_look();
    waiter
}

/// A thread in a latch's line that hears no wake and looks at its slot only when it is let go.
struct Frozen<'s, T> {
    waiter: Waiter<'s, T>,
    go: Sender<()>,
}

impl<T> Frozen<'_, T> {
    fn release(self) -> Got<T> {
        self.go.send(()).unwrap();
        self.waiter.join()
    }
}

fn frozen<'s, T: Send>(scope: &'s Scope<'s, '_>, latch: &'s Latch<T>) -> Frozen<'s, T> {
    frozen_until(scope, latch, None)
}

/// The same, and when it is let go its deadline has passed too.
fn frozen_until<'s, T: Send>(
    scope: &'s Scope<'s, '_>,
    latch: &'s Latch<T>,
    deadline: Option<Instant>,
) -> Frozen<'s, T> {
    let (go, gone) = channel();
    let waiter = waiter(scope, latch, deadline, move |_| {
        gone.recv_timeout(LONG).unwrap();
        while deadline.is_some_and(|deadline| Instant::now() < deadline) {
            std::thread::yield_now();
        }
    });
    Frozen { waiter, go }
}
