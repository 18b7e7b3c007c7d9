//! What links cost on which nothing is said.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::Samples,
    many::Raised,
    proc::{Activity, Process},
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] =
    &["idle.root.cpu", "idle.root.wakeups", "idle.leaf.cpu", "idle.leaf.wakeups"];

const LINKS: usize = 1000;
const TIME: Duration = Duration::from_secs(60);
/// A link that is silent for so long is asked for a sign of life.
const PING: Duration = Duration::from_secs(10);

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let _raised = Raised::to_have(LINKS as u64)?;
    let router = Router::new()?;
    let children = tree::children(&router, LINKS, &bench.programs.leaf)?;
    tree::broadcast(&children)?;
    let tree = router.tree();
    let leaves: Vec<Process> = children
        .iter()
        .map(|child| tree.pid(child.id()).map(Process::of).context("the tree knows its pid"))
        .collect::<Result<_>>()?;
    let look = || -> Result<(Activity, Vec<Activity>)> {
        let leaves = leaves.iter().map(|leaf| leaf.activity()).collect::<Result<_>>()?;
        Ok((Process::me().activity()?, leaves))
    };
    let (root_before, leaves_before) = look()?;
    #[expect(clippy::disallowed_methods, reason = "that nothing happens for so long is what is measured")]
    thread::sleep(TIME);
    let (root, leaves) = look()?;
    let pings = TIME.as_secs_f64() / PING.as_secs_f64();
    let one = |value| Samples::of([value]);
    let cpu_ms = (root.cpu_ns - root_before.cpu_ns) as f64 / 1e6;
    bench.emit(Line::new("idle.root.cpu", "ms", &one(cpu_ms)))?;
    // Two of them are of this thread: its sleep, and its look at the rest.
    let wakeups = root.sleeps - root_before.sleeps;
    let line = Line::new("idle.root.wakeups", "", &one(wakeups as f64));
    bench.emit(line.against("PINGs due", &one(pings * LINKS as f64)).at_most_times(1.0))?;
    let changes = || leaves.iter().zip(&leaves_before);
    let cpu_us = changes().map(|(now, before)| (now.cpu_ns - before.cpu_ns) as f64 / 1e3);
    bench.emit(Line::new("idle.leaf.cpu", "us", &Samples::of(cpu_us)))?;
    let wakeups = changes().map(|(now, before)| (now.sleeps - before.sleeps) as f64);
    let line = Line::new("idle.leaf.wakeups", "", &Samples::of(wakeups));
    bench.emit(line.against("PINGs due", &one(pings)))
}
