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

/// What is held while all are up, over the rounds.
#[derive(Default)]
struct Held {
    root: Vec<f64>,
    clients: Vec<f64>,
    descriptors: Vec<f64>,
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
    let sizes: &[usize] = if bench.quick { &[1, 10] } else { &[1, 10, 100] };
    for &n in sizes {
        let held = RefCell::new(Held::default());
        let mut turns = Turns::default();
        let ours = turns.add(|| commanded(n, sshd, leaf, &mut held.borrow_mut()));
        let theirs = turns.add(|| by_xargs(n, sshd));
        let mut measured = turns.run(bench.rounds)?;
        let line = Line::new(format!("fleet.{n}"), "ms", &measured.take(ours));
        bench.emit(line.against("xargs -P 64 ssh", &measured.take(theirs)))?;
        if n == 100 {
            let Held { root, clients, descriptors } = held.take();
            let line =
                |name: &str, unit, values| Line::new(format!("fleet.{n}.{name}"), unit, &Samples::of(values));
            bench.emit(line("root_memory", "KiB", root).noting("PSS of the root"))?;
            bench.emit(line("clients_memory", "KiB", clients).noting("PSS of its ssh clients together"))?;
            bench.emit(line("root_descriptors", "", descriptors))?;
        }
    }
    Ok(())
}

/// Milliseconds until each of n hosts has answered one call.
fn commanded(n: usize, sshd: &Sshd, leaf: &Path, held: &mut Held) -> Result<f64> {
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
    held.root.push(Process::me().memory("Pss")?);
    held.descriptors.push(Process::me().descriptors()? as f64);
    held.clients.push(clients()?);
    Ok(took * 1e3)
}

/// The memory of all ssh clients that this process has started, in KiB.
fn clients() -> Result<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir("/proc/self/task")? {
        let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ssh\n") {
                sum += Process::of(pid).memory("Pss")?;
            }
        }
    }
    Ok(sum)
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
    let sizes: &[usize] = if bench.quick { &[1, 65] } else { &[1, 8, 64, 65, 72, 130, 256] };
    let hop = Payload::bytes("hop", fs::read(&bench.programs.hop)?)?;
    for &n in sizes {
        let mut turns = Turns::default();
        let grown = turns.add(|| launched(n, &hop, true));
        let flat = turns.add(|| launched(n, &hop, false));
        let mut measured = turns.run_cold(bench.rounds)?;
        let line = Line::new(format!("fleet.tree.{n}"), "ms", &measured.take(grown));
        bench.emit(line.against("the same, flat", &measured.take(flat)).at_most_times(1.1))?;
    }
    Ok(())
}

fn launched(n: usize, hop: &Payload, grows: bool) -> Result<f64> {
    let router = Router::new()?;
    let script = format!("sleep {WAY}; exec \"$@\"");
    let host = |n| Wrapped::new(["sh", "-c", &script, "sh"]).payload(hop.clone()).name(format!("h{n}"));
    let all = router.connect_all((0..n).map(host)).parallel(PARALLEL);
    let all = if grows { all.growing() } else { all };
    let took = seconds(|| all.into_iter().try_for_each(|(_, host)| Ok(host.map(drop)?)))?;
    Ok(took * 1e3)
}
