//! The latch by itself: hand-over between two threads, put and get alone, many threads on both sides.

use std::{hint::black_box, os::fd::OwnedFd, thread};

use anyhow::Result;
use offshoot_latch::Latch;
use rustix::event::{EventfdFlags, eventfd};

use crate::{
    bench::Bench,
    harness::{Turns, micros_each, seconds},
    report::Line,
};

pub(crate) const ROWS: &[&str] = &[
    "latch.ping_pong",
    "latch.ping_pong.flume",
    "latch.ping_pong.crossbeam",
    "latch.ping_pong.mitogen",
    "latch.put_get",
    "latch.8x8",
    "latch.8x8.crossbeam",
];

/// Threads on each side.
const SIDE: usize = 8;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (trips, alone, many) = (bench.amount(20_000), bench.amount(4_000_000), bench.amount(2_000_000));
    let mitogen = bench.python("mitogen")?;
    let mut turns = Turns::default();
    let ours = turns.add(|| {
        let (there, back) = (Latch::new(), Latch::new());
        ping_pong(trips, Link::of_latches(&there, &back), Link::of_latches(&back, &there))
    });
    let eventfds = turns.add(|| {
        let [there, back] = [eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?];
        ping_pong(trips, Link::of_eventfds(&there, &back), Link::of_eventfds(&back, &there))
    });
    let flume = turns.add(|| {
        let ((put, theirs), (answer, get)) = (flume::unbounded(), flume::unbounded());
        let link = Link::new(move |it| Ok(put.send(it)?), move || Ok(get.recv()?));
        ping_pong(trips, link, Link::new(move |it| Ok(answer.send(it)?), move || Ok(theirs.recv()?)))
    });
    let crossbeam = turns.add(|| {
        let ((put, theirs), (answer, get)) = (crossbeam_channel::unbounded(), crossbeam_channel::unbounded());
        let link = Link::new(move |it| Ok(put.send(it)?), move || Ok(get.recv()?));
        ping_pong(trips, link, Link::new(move |it| Ok(answer.send(it)?), move || Ok(theirs.recv()?)))
    });
    let python = turns.ask(&mitogen, format!("latch {trips}"));
    let put_get = turns.add(|| put_get(alone));
    let latches = turns.add(|| {
        let latch = Latch::new();
        crowd(many, || (|it| Ok(latch.put(it)?), || Ok(latch.get()?)))
    });
    let flumes = turns.add(|| {
        let (sender, receiver) = flume::unbounded();
        crowd(many, || {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            (move |it| Ok(sender.send(it)?), move || Ok(receiver.recv()?))
        })
    });
    let crossbeams = turns.add(|| {
        let (sender, receiver) = crossbeam_channel::unbounded();
        crowd(many, || {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            (move |it| Ok(sender.send(it)?), move || Ok(receiver.recv()?))
        })
    });
    let mut measured = turns.run(bench.rounds)?;
    let (ours, latches) = (measured.take(ours), measured.take(latches));
    let line = |suffix: &str| Line::new(format!("latch.ping_pong{suffix}"), "us", &ours);
    bench.emit(line("").against("eventfd", &measured.take(eventfds)).at_most_times(1.15))?;
    bench.emit(line(".flume").against("flume", &measured.take(flume)))?;
    bench.emit(line(".crossbeam").against("crossbeam (spins)", &measured.take(crossbeam)))?;
    bench.emit(line(".mitogen").against("Mitogen's Latch", &measured.take(python)).below())?;
    bench.emit(Line::new("latch.put_get", "ns", &measured.take(put_get)).at_most(60.0))?;
    let line = |suffix: &str| Line::new(format!("latch.8x8{suffix}"), "M/s", &latches);
    bench.emit(line("").against("flume", &measured.take(flumes)).above())?;
    bench.emit(line(".crossbeam").against("crossbeam", &measured.take(crossbeams)))
}

/// One side of a ping-pong: how it puts, and how it gets.
struct Link<'a> {
    put: Box<dyn Fn(u64) -> Result<()> + Send + 'a>,
    get: Box<dyn Fn() -> Result<u64> + Send + 'a>,
}

impl<'a> Link<'a> {
    fn new(put: impl Fn(u64) -> Result<()> + Send + 'a, get: impl Fn() -> Result<u64> + Send + 'a) -> Self {
        Self { put: Box::new(put), get: Box::new(get) }
    }

    fn of_latches(put: &'a Latch<u64>, get: &'a Latch<u64>) -> Self {
        Self::new(|it| Ok(put.put(it)?), || Ok(get.get()?))
    }

    /// A blocking read and a write of 8 bytes: no more than the system calls.
    #[expect(clippy::host_endian_bytes, reason = "an eventfd counts as its machine does")]
    fn of_eventfds(put: &'a OwnedFd, get: &'a OwnedFd) -> Self {
        let read = move || {
            let mut count = [0; 8];
            rustix::io::read(get, &mut count)?;
            Ok(u64::from_ne_bytes(count))
        };
        let write = move |_| {
            rustix::io::write(put, &1_u64.to_ne_bytes())?;
            Ok(())
        };
        Self::new(write, read)
    }
}

/// Microseconds from a thread to another and back.
fn ping_pong(n: usize, ours: Link<'_>, theirs: Link<'_>) -> Result<f64> {
    thread::scope(|scope| {
        let other = scope.spawn(move || (0..n).try_for_each(|_| (theirs.put)((theirs.get)()?)));
        let each = micros_each(n, || {
            (ours.put)(1)?;
            (ours.get)().map(drop)
        });
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        each
    })
}

/// Nanoseconds for one put and one get on a thread by itself.
fn put_get(n: usize) -> Result<f64> {
    let latch = Latch::new();
    let each = micros_each(n, || {
        latch.put(black_box(1_u64))?;
        black_box(latch.get()?);
        Ok(())
    })?;
    Ok(each * 1e3)
}

/// Million items a second through one queue with [`SIDE`] threads on each side; `ends` makes what a thread needs.
fn crowd<P, G>(n: usize, ends: impl Fn() -> (P, G)) -> Result<f64>
where
    P: Fn(u64) -> Result<()> + Send,
    G: Fn() -> Result<u64> + Send,
{
    let each = n / SIDE;
    let all = seconds(|| {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..SIDE)
                .flat_map(|_| {
                    let (put, get) = ends();
                    let putting = scope.spawn(move || (0..each as u64).try_for_each(put));
                    [putting, scope.spawn(move || (0..each).try_for_each(|_| get().map(drop)))]
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    })?;
    Ok((each * SIDE) as f64 / 1e6 / all)
}
