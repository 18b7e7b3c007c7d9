//! One command on many hosts, and a tree that grows by helpers.

use std::{
    cell::RefCell,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use offshoot_bench::table::NOOP;
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    far::Sshd,
    harness::{Samples, Turns, seconds},
    proc::Process,
    report::Line,
};

pub(crate) const ROWS: &[&str] = &[
    "fleet.1",
    "fleet.10",
    "fleet.100",
    "fleet.100.root_memory",
    "fleet.100.clients_memory",
    "fleet.100.root_descriptors",
    "fleet.100.clients_descriptors",
    "fleet.500",
    "fleet.500.root_memory",
    "fleet.500.clients_memory",
    "fleet.500.root_descriptors",
    "fleet.500.clients_descriptors",
    "fleet.tree.1",
    "fleet.tree.8",
    "fleet.tree.64",
    "fleet.tree.65",
    "fleet.tree.72",
    "fleet.tree.130",
    "fleet.tree.256",
];

/// How many go on at once, of ours and of the others.
const PARALLEL: usize = 64;
/// How long the way to a host of the tree takes, in seconds: that of a login on a fast network.
const WAY: &str = "0.2";

/// From how many hosts on it is said what they take.
const SOME: usize = 100;
/// From how many hosts on a turn takes a minute, and rounds enough.
const MANY: usize = 500;
pub(crate) const FEW_ROUNDS: usize = 3;

/// What is held while all are up: memory in KiB, and descriptors.
#[derive(Clone, Copy, Default)]
struct Held {
    memory: f64,
    descriptors: f64,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match Sshd::new() {
        Ok(sshd) => fleets(bench, &sshd)?,
        Err(why) => {
            bench.emit(Line::new("fleet.1", "ms", &Samples::absent(format!("{why:#}"))))?;
        }
    }
    trees(bench)
}

fn fleets(bench: &Bench, sshd: &Sshd) -> Result<()> {
    let leaf = bench.programs.leaf.as_path();
    let sizes: &[usize] = if bench.quick { &[1] } else { &[1, 10, SOME, MANY] };
    for &n in sizes.iter().filter(|n| bench.wants(&format!("fleet.{n}"))) {
        let held = RefCell::new(Vec::new());
        let mut turns = Turns::default();
        let ours = turns.add(|| {
            let (took, holding) = commanded(n, sshd, leaf)?;
            held.borrow_mut().push(holding);
            Ok(took)
        });
        let theirs = turns.add(|| by_xargs(n, sshd));
        let rounds = bench.rounds.min(if n < MANY { usize::MAX } else { FEW_ROUNDS });
        let mut measured = if n < MANY { turns.run(rounds) } else { turns.run_cold(rounds) }?;
        let line = Line::new(format!("fleet.{n}"), "ms", &measured.take(ours));
        let line = line.against("xargs -P 64 ssh", &measured.take(theirs));
        bench.emit(line.noting(format!("{rounds} rounds")))?;
        if n >= SOME {
            holdings(bench, n, &held.take())?;
        }
    }
    Ok(())
}

fn holdings(bench: &Bench, n: usize, held: &[[Held; 2]]) -> Result<()> {
    for (at, who) in ["root", "clients"].into_iter().enumerate() {
        let of = |what: fn(&Held) -> f64| Samples::of(held.iter().filter_map(|both| both.get(at)).map(what));
        let memory = Line::new(format!("fleet.{n}.{who}_memory"), "KiB", &of(|held| held.memory));
        bench.emit(memory.noting(if at == 0 {
            "PSS of the root"
        } else {
            "PSS of its ssh clients together"
        }))?;
        let descriptors = format!("fleet.{n}.{who}_descriptors");
        bench.emit(Line::new(descriptors, "", &of(|held| held.descriptors)))?;
    }
    Ok(())
}

/// Milliseconds until each of n hosts has answered one call, and what the root and its clients hold then.
fn commanded(n: usize, sshd: &Sshd, leaf: &Path) -> Result<(f64, [Held; 2])> {
    let router = Router::new()?;
    let hosts: Vec<Ssh> =
        (0..n).map(|n| Ok(sshd.ssh("client", leaf)?.name(format!("h{n}")))).collect::<Result<_>>()?;
    let mut up = Vec::new();
    let took = seconds(|| {
        for (_, host) in router.connect_all(hosts).parallel(PARALLEL) {
            let host = host?;
            host.call(NOOP, ())?;
            up.push(host);
        }
        Ok(())
    })?;
    let mut root = Held::default();
    root.add(Process::me())?;
    Ok((took * 1e3, [root, clients()?]))
}

impl Held {
    fn add(&mut self, process: Process) -> Result<()> {
        self.memory += process.memory("Pss")?;
        self.descriptors += process.descriptors()? as f64;
        Ok(())
    }
}

/// All ssh clients that this process has started.
fn clients() -> Result<Held> {
    let mut all = Held::default();
    for task in fs::read_dir("/proc/self/task")? {
        let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ssh\n") {
                all.add(Process::of(pid))?;
            }
        }
    }
    Ok(all)
}

fn by_xargs(n: usize, sshd: &Sshd) -> Result<f64> {
    let config = sshd.file("client");
    let words =
        ["-P", &PARALLEL.to_string(), "-I{}", "ssh", "-T", "-F", &config, "{}", "true"].map(str::to_owned);
    let took = seconds(|| {
        let mut xargs = Command::new("xargs").args(&words).stdin(Stdio::piped()).spawn()?;
        let mut to = xargs.stdin.take().context("its input is a pipe")?;
        (0..n).try_for_each(|n| writeln!(to, "h{n}"))?;
        drop(to);
        ensure!(xargs.wait()?.success(), "xargs failed");
        Ok(())
    })?;
    Ok(took * 1e3)
}

/// Hosts that are as far away as a login takes, flat and with those helping that are up.
fn trees(bench: &Bench) -> Result<()> {
    let sizes: &[usize] = if bench.quick { &[1, 8] } else { &[1, 8, 64, 65, 72, 130, 256] };
    let hop = Payload::bytes("hop", fs::read(&bench.programs.hop)?)?;
    let script = format!("sleep {WAY}; exec \"$@\"");
    let host = |n| Wrapped::new(["sh", "-c", &script, "sh"]).payload(hop.clone()).name(format!("h{n}"));
    for &n in sizes.iter().filter(|n| bench.wants(&format!("fleet.tree.{n}"))) {
        let mut turns = Turns::default();
        let grown = turns.add(|| launched((0..n).map(host), true));
        let flat = turns.add(|| launched((0..n).map(host), false));
        let mut measured = turns.run_cold(bench.rounds)?;
        let line = Line::new(format!("fleet.tree.{n}"), "ms", &measured.take(grown));
        bench.emit(line.against("the same, flat", &measured.take(flat)).at_most_times(1.1))?;
    }
    Ok(())
}

/// Milliseconds until all of them are up, those that are helping with the rest or not.
pub(crate) fn launched(hosts: impl IntoIterator<Item: Method>, grows: bool) -> Result<f64> {
    let router = Router::new()?;
    let all = router.connect_all(hosts).parallel(PARALLEL);
    let all = if grows { all.growing() } else { all };
    let took = seconds(|| all.into_iter().try_for_each(|(_, host)| Ok(host.map(drop)?)))?;
    Ok(took * 1e3)
}
