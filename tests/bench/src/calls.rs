//! How many calls a second there are when many are in flight.

use std::collections::VecDeque;

use anyhow::Result;
use offshoot_bench::table::NOOP;
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Turns, seconds},
    peers::{remoc::Remoc, tarpc::Tarpc},
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "calls.leaf",
    "calls.leaf.remoc",
    "calls.leaf.mitogen",
    "calls.leaf.execnet",
    "calls.hop1.mitogen",
    "calls.hop1.execnet",
];

const IN_FLIGHT: usize = 512;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (n, few) = (bench.amount(100_000), bench.amount(5_000));
    let router = Router::new()?;
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let (tarpc, remoc) = (Tarpc::start()?, Remoc::start()?);
    let mut turns = Turns::default();
    let mut ids = Vec::new();
    for (hops, name) in [(0, "leaf"), (1, "hop1")] {
        let leaf = tree::leaf_behind(&router, hops, &bench.programs)?;
        let ours = turns.add(move || calls(&leaf, n));
        let theirs = [("Mitogen", &mitogen), ("execnet", &execnet)]
            .map(|(peer, python)| (peer, turns.ask(python, format!("calls {hops} {few} {IN_FLIGHT}"))));
        ids.push((name, ours, theirs));
    }
    let tarpc = turns.add(|| tarpc.calls(n, IN_FLIGHT));
    let remoc = turns.add(|| remoc.calls(n / 4, IN_FLIGHT));
    let mut measured = turns.run(bench.rounds)?;
    for (name, ours, theirs) in ids {
        let ours = measured.take(ours);
        let line = |suffix: &str| Line::new(format!("calls.{name}{suffix}"), "1/s", &ours);
        if name == "leaf" {
            bench.emit(line("").against("tarpc, one thread", &measured.take(tarpc)).above())?;
            bench.emit(line(".remoc").against("remoc, one thread", &measured.take(remoc)))?;
        }
        for (peer, id) in theirs {
            let suffix = format!(".{}", peer.to_lowercase());
            bench.emit(line(&suffix).against(peer, &measured.take(id)).above())?;
        }
    }
    Ok(())
}

/// Calls a second: as soon as the oldest has ended, the next is made.
fn calls(leaf: &Context, n: usize) -> Result<f64> {
    let mut open: VecDeque<Pending<()>> = VecDeque::with_capacity(IN_FLIGHT);
    let all = seconds(|| {
        for _ in 0..n {
            if open.len() == IN_FLIGHT
                && let Some(oldest) = open.pop_front()
            {
                oldest.wait()?;
            }
            open.push_back(leaf.call_async(NOOP, ()));
        }
        open.drain(..).try_for_each(|rest| Ok(rest.wait()?))
    })?;
    Ok(n as f64 / all)
}
