//! What a saturating stream does to the small calls beside it on the same link.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use offshoot_bench::table::{DRAIN, NOOP, SOURCE};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Samples, Turns},
    limits::Way,
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &["beside_bulk.up", "beside_bulk.down"];

const MESSAGE: usize = 128 * 1024;
/// Messages that have passed before the calls are counted: the stream has reached its pace.
const RUN_UP: u64 = 200;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let n = bench.amount(8000);
    let router = Router::new()?;
    let leaf = tree::leaf_behind(&router, 0, &bench.programs)?;
    let (router, leaf) = (&router, &leaf);
    let pace = Way::BOTH.map(|_| Cell::new(0.0));
    let mut turns = Turns::default();
    let alone = turns.add(|| p99(leaf, n));
    let beside: Vec<_> = Way::BOTH
        .into_iter()
        .zip(&pace)
        .map(|(way, pace)| (way, pace, turns.add(move || p99_beside(router, leaf, way, n, pace))))
        .collect();
    let mut measured = turns.run(bench.rounds)?;
    let alone = measured.take(alone);
    for (way, pace, id) in beside {
        let line = Line::new(format!("beside_bulk.{}", way.name()), "us p99", &measured.take(id));
        let note = format!("beside {:.0} MB/s in the last round", pace.get());
        bench.emit(line.against("alone", &alone).at_most_times(3.0).noting(note))?;
    }
    Ok(())
}

/// The time in microseconds that 99 of 100 calls do not exceed.
fn p99(leaf: &Context, n: usize) -> Result<f64> {
    let mut micros = Vec::with_capacity(n);
    for _ in 0..n {
        let start = Instant::now();
        leaf.call(NOOP, ())?;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Samples::of(micros).quantile(0.99).context("there was a call")
}

/// The same while messages go one way as fast as they can; `pace` learns how fast, in megabytes a second.
fn p99_beside(router: &Router, leaf: &Context, way: Way, n: usize, pace: &Cell<f64>) -> Result<f64> {
    let (stop, passed) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let stream: Box<dyn FnOnce() -> Result<()> + Send> = match way {
        Way::Up => {
            let messages = leaf.call(SOURCE, (u64::MAX, MESSAGE as u64))?;
            Box::new(move || {
                while !stop.load(Ordering::Relaxed) && messages.recv()?.is_some() {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        }
        Way::Down => {
            let (sender, receiver) = router.channel();
            leaf.call(DRAIN, receiver)?;
            let message = Blob::from(vec![7; MESSAGE]);
            Box::new(move || {
                while !stop.load(Ordering::Relaxed) {
                    sender.send(message.clone())?;
                    passed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        }
    };
    thread::scope(|scope| {
        let streaming = scope.spawn(stream);
        while passed.load(Ordering::Relaxed) < RUN_UP && !streaming.is_finished() {
            thread::yield_now();
        }
        let (start, before) = (Instant::now(), passed.load(Ordering::Relaxed));
        let measured = p99(leaf, n);
        let messages = passed.load(Ordering::Relaxed) - before;
        pace.set(messages as f64 * MESSAGE as f64 / 1e6 / start.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        streaming.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        measured
    })
}
