//! How long it takes from asking for a child to the end of its first call.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result};
use offshoot_bench::table::NOOP;
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Samples, Turns},
    limits::Started,
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &["start.local", "start.local.mitogen", "start.local.execnet"];

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (n, few) = (bench.amount(100), bench.starts(12));
    let router = Router::new()?;
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let program = bench.programs.leaf.as_path();
    let mut turns = Turns::default();
    let ours = turns.add(|| median_of(n, || connect_and_call(&router, program)));
    let bare = turns.add(|| median_of(n, || first_byte(program)));
    let theirs = [("Mitogen", &mitogen), ("execnet", &execnet)]
        .map(|(peer, python)| (peer, turns.ask(python, format!("start {few}"))));
    let mut measured = turns.run(bench.rounds)?;
    let ours = measured.take(ours);
    let line = |suffix: &str| Line::new(format!("start.local{suffix}"), "ms", &ours);
    bench.emit(line("").against("posix_spawn, first byte", &measured.take(bare)).at_most_times(2.0))?;
    for (peer, id) in theirs {
        bench.emit(line(&format!(".{}", peer.to_lowercase())).against(peer, &measured.take(id)).below())?;
    }
    Ok(())
}

fn median_of(n: usize, mut one: impl FnMut() -> Result<f64>) -> Result<f64> {
    let all: Vec<f64> = (0..n).map(|_| one()).collect::<Result<_>>()?;
    Samples::of(all).median().context("there was one")
}

/// Milliseconds; its end is not counted, as for all here.
fn connect_and_call(router: &Router, program: &Path) -> Result<f64> {
    let method = tree::local(program)?;
    let start = Instant::now();
    let leaf = router.connect(method)?;
    leaf.call(NOOP, ())?;
    let took = start.elapsed();
    leaf.shutdown().wait()?;
    Ok(took.as_secs_f64() * 1e3)
}

fn first_byte(program: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut started = Started::spawn(program)?;
    started.first_byte()?;
    let took = start.elapsed();
    started.end()?;
    Ok(took.as_secs_f64() * 1e3)
}
