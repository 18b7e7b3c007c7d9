//! What sleeping costs in descriptors, and what happens when there are none.
#![cfg(all(target_os = "linux", not(loom)))]
#![allow(clippy::unwrap_used)]

use std::{
    cell::RefCell,
    fs::{self, File},
    sync::{
        Arc, Barrier, Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LONG: Duration = Duration::from_secs(20);

/// The tests count and limit what belongs to the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_descriptors() -> usize {
    // The listing has one open itself, each time.
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A process without a descriptor to spare, until it is dropped.
struct Exhausted {
    before: Rlimit,
    _taken: Vec<File>,
}

impl Exhausted {
    fn new() -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: before.maximum }).unwrap();
        Self { before, _taken: std::iter::from_fn(|| File::open("/dev/null").ok()).collect() }
    }
}

impl Drop for Exhausted {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

#[test]
fn descriptors_grow_with_the_threads_that_sleep_and_go_with_them() {
    const THREADS: usize = 8;
    let _alone = alone();
    let before = open_descriptors();
    let (slept, counted) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let latches: Vec<_> = (0..100).map(|_| Latch::<u8>::new()).collect();
    thread::scope(|scope| {
        let sleepers = [(); THREADS].map(|()| {
            scope.spawn(|| {
                for latch in &latches {
                    assert_eq!(latch.get_timeout(Duration::from_micros(1)), Err(GetError::TimedOut));
                }
                slept.wait();
                counted.wait();
            })
        });
        slept.wait();
        let during = open_descriptors();
        counted.wait();
        // Their ends, thread-locals included; a scope alone waits for their closures only.
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(during - before, THREADS);
    });
    assert_eq!(open_descriptors(), before);
}

#[test]
fn who_does_not_sleep_opens_nothing() {
    let _alone = alone();
    let before = open_descriptors();
    let latch = Latch::new();
    latch.put(1).unwrap();
    assert_eq!(latch.get(), Ok(1));
    assert_eq!(latch.try_get(), Err(GetError::TimedOut));
    assert_eq!(latch.get_timeout(Duration::ZERO), Err(GetError::TimedOut));
    assert_eq!(open_descriptors(), before);
}

#[test]
fn without_descriptors_a_thread_parks_and_later_has_one_again() {
    let _alone = alone();
    let latch = Latch::new();
    thread::scope(|scope| {
        let (tell, asleep) = channel();
        let (go, gone) = channel();
        let latch_too = &latch;
        let exhausted = Exhausted::new();
        let sleeper = scope.spawn(move || {
            let get = || {
                latch_too.get_with(None, |sleeper| {
                    tell.send(sleeper.fd().is_some()).unwrap();
                    sleeper.sleep(Some(&(Instant::now() + LONG)));
                })
            };
            let parked = get();
            let timed_out = latch_too.get_timeout(Duration::from_millis(1));
            gone.recv_timeout(LONG).unwrap();
            [parked, timed_out, get()]
        });
        assert!(!asleep.recv_timeout(LONG).unwrap());
        latch.put(1).unwrap();
        drop(exhausted);
        go.send(()).unwrap();
        assert!(asleep.recv_timeout(LONG).unwrap());
        latch.put(2).unwrap();
        assert_eq!(sleeper.join().unwrap(), [Ok(1), Err(GetError::TimedOut), Ok(2)]);
    });
}

/// Gets from a latch in the destructor of a thread-local, when the thread's sleeper is gone.
struct AtTheEnd {
    latch: Arc<Latch<u8>>,
    /// Whether it had a descriptor to sleep on, then what it got.
    tell: Sender<Result<bool, Result<u8, GetError>>>,
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let got = self.latch.get_with(None, |sleeper| {
            let _: Result<(), _> = self.tell.send(Ok(sleeper.fd().is_some()));
            sleeper.sleep(Some(&(Instant::now() + LONG)));
        });
        let _: Result<(), _> = self.tell.send(Err(got));
    }
}

#[test]
fn a_thread_that_is_torn_down_parks() {
    thread_local! {
        static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    let _alone = alone();
    let latch = Arc::new(Latch::new());
    let (tell, told) = channel();
    let thread = thread::spawn({
        let latch = Arc::clone(&latch);
        move || {
            // First come, last destroyed: it outlives the sleeper that the next line leaves behind.
            LAST.set(Some(AtTheEnd { latch, tell }));
            assert_eq!(Latch::<u8>::new().get_timeout(Duration::from_millis(1)), Err(GetError::TimedOut));
        }
    });
    assert_eq!(told.recv_timeout(LONG).unwrap(), Ok(false));
    latch.put(1).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), Err(Ok(1)));
    thread.join().unwrap();
}
