//! Many threads, random time-outs, every item counted once.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    future::Future,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
        mpsc::channel,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use offshoot_latch::{GetError, Latch, Select};

const PRODUCERS: usize = 8;
const CONSUMERS: usize = 64;
const ITEMS: usize = 20_000;
/// Only a deadlock takes that long.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Item {
    producer: usize,
    number: usize,
}

/// Small random numbers, the same at each run, though the threads' order is not.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How often each item came.
struct Tally(Vec<Vec<AtomicU8>>);

impl Tally {
    fn new() -> Self {
        Self((0..PRODUCERS).map(|_| (0..ITEMS).map(|_| AtomicU8::new(0)).collect()).collect())
    }

    fn count(&self, item: Item) {
        self.0[item.producer][item.number].fetch_add(1, Ordering::Relaxed);
    }

    fn assert_each_once(&self) {
        for (producer, items) in self.0.iter().enumerate() {
            for (number, count) in items.iter().enumerate() {
                assert_eq!(count.load(Ordering::Relaxed), 1, "item {number} of producer {producer}");
            }
        }
    }
}

/// Runs producers, which put to one of the latches each time, and consumers until the latches are closed and empty.
fn run(
    latches: &'static [Latch<Item>],
    consume: fn(&'static [Latch<Item>], &mut Random) -> Result<Item, GetError>,
) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let tally: &Tally = Box::leak(Box::new(Tally::new()));
    let (tell, ended) = channel();
    for consumer in 0..CONSUMERS {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut random = Random(consumer as u64 + 1);
            loop {
                match consume(latches, &mut random) {
                    Ok(item) => tally.count(item),
                    Err(GetError::TimedOut) => {}
                    Err(GetError::Closed) => break,
                }
            }
            tell.send(()).unwrap();
        });
    }
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            thread::spawn(move || {
                let mut random = Random(producer as u64 + 1_000);
                for number in 0..ITEMS {
                    let latch = random.below(latches.len() as u64) as usize;
                    latches[latch].put(Item { producer, number }).unwrap();
                    if random.below(50) == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    latches.iter().for_each(Latch::close);
    for _ in 0..CONSUMERS {
        ended.recv_timeout(LONG).unwrap_or_else(|_| panic!("a consumer hangs: {latches:?}"));
    }
    tally.assert_each_once();
}

fn short(random: &mut Random) -> Duration {
    Duration::from_micros(random.below(300))
}

#[test]
fn every_item_comes_once_whoever_times_out() {
    static LATCHES: [Latch<Item>; 1] = [Latch::new()];
    run(&LATCHES, |latches, random| match random.below(8) {
        0 => latches[0].get(),
        1 => latches[0].try_get(),
        _ => latches[0].get_timeout(short(random)),
    });
}

#[test]
fn every_item_comes_once_through_selects_futures_and_gets() {
    static LATCHES: [Latch<Item>; 2] = [Latch::new(), Latch::new()];
    run(&LATCHES, |latches, random| {
        let one = random.below(2) as usize;
        match random.below(6) {
            0 => open(latches, latches[one].get_timeout(short(random))),
            // Given up at once, served or not.
            1 => match pin!(latches[one].get_async()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(got) => open(latches, got),
                Poll::Pending => Err(GetError::TimedOut),
            },
            kind => {
                let mut select = Select::new();
                select.add(&latches[0], |item| item).add(&latches[1], |item| item);
                if kind == 2 { select.get() } else { select.get_timeout(short(random)) }
            }
        }
    });
}

/// One closed latch is not the end while the other has items.
fn open(latches: &[Latch<Item>], got: Result<Item, GetError>) -> Result<Item, GetError> {
    let done = latches.iter().all(|latch| latch.is_closed() && latch.is_empty());
    match got {
        Err(GetError::Closed) if !done => Err(GetError::TimedOut),
        got => got,
    }
}
