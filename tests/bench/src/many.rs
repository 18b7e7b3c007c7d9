//! Very many children of one root: making them, calling all, ending them.

use std::{cell::RefCell, fs, path::Path};

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    bench::Bench,
    harness::{Samples, Turns, seconds},
    limits::{Crowd, Started},
    proc::Process,
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "many.1000.create",
    "many.1000.broadcast",
    "many.1000.end",
    "many.100.create.mitogen",
    "many.100.create.execnet",
    "many.100.broadcast.mitogen",
    "many.100.broadcast.execnet",
    "many.100.end.mitogen",
    "many.100.end.execnet",
    "many.10000.create",
    "many.10000.broadcast",
    "many.10000.end",
    "many.10000.root_memory",
    "many.10000.leaf_memory",
];

/// What a life of many children took: the samples of each part, over the rounds.
#[derive(Default)]
pub(crate) struct Lives {
    /// Milliseconds for all.
    pub(crate) create: Vec<f64>,
    /// Microseconds a child.
    pub(crate) broadcast: Vec<f64>,
    /// Milliseconds for all.
    pub(crate) end: Vec<f64>,
}

impl Lives {
    /// One life more, under a root of its own; `look` sees the children while they are idle.
    pub(crate) fn live(
        &mut self,
        n: usize,
        program: &Path,
        look: impl FnOnce(&Router, &[Context]) -> Result<()>,
    ) -> Result<()> {
        let router = Router::new()?;
        let mut children = Vec::new();
        self.create.push(
            1e3 * seconds(|| {
                children = tree::children(&router, n, program)?;
                Ok(())
            })?,
        );
        tree::broadcast(&children)?;
        self.broadcast.push(1e6 / n as f64 * seconds(|| tree::broadcast(&children))?);
        look(&router, &children)?;
        self.end.push(1e3 * seconds(|| tree::end(&children))?);
        Ok(())
    }
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let raised = Raised::to_have(10_000)?;
    thousand(bench)?;
    against_python(bench)?;
    ten_thousand(bench, &raised)
}

fn thousand(bench: &Bench) -> Result<()> {
    let program = &bench.programs.leaf;
    let lives = RefCell::new(Lives::default());
    let mut turns = Turns::default();
    turns.add(|| lives.borrow_mut().live(1000, program, |_, _| Ok(())).map(|()| 0.0));
    let bare = turns.add(|| spawn_bare(1000, program));
    let crowd = turns.add(|| Crowd::broadcast_once(1000));
    let mut measured = turns.run_cold(bench.rounds)?;
    let Lives { create, broadcast, end } = lives.take();
    let line = |part: &str, unit, values| Line::new(format!("many.1000.{part}"), unit, &Samples::of(values));
    let create = line("create", "ms", create).against("1,000 posix_spawn", &measured.take(bare));
    bench.emit(create.at_most_times(2.0))?;
    let broadcast = line("broadcast", "us each", broadcast);
    bench.emit(broadcast.against("bare processes", &measured.take(crowd)).at_most(25.0))?;
    bench.emit(line("end", "ms", end).at_most(200.0))
}

/// Milliseconds until so many bare processes have written their first byte.
fn spawn_bare(n: usize, program: &Path) -> Result<f64> {
    let mut all = Vec::with_capacity(n);
    let took = seconds(|| {
        for _ in 0..n {
            all.push(Started::spawn(program)?);
        }
        all.iter_mut().try_for_each(Started::first_byte)
    })?;
    all.into_iter().try_for_each(Started::end)?;
    Ok(took * 1e3)
}

/// A hundred only: a child of theirs takes some 15 MB.
fn against_python(bench: &Bench) -> Result<()> {
    let lives = RefCell::new(Lives::default());
    let peers = [("Mitogen", bench.python("mitogen")?), ("execnet", bench.python("execnet")?)];
    let mut turns = Turns::default();
    turns.add(|| lives.borrow_mut().live(100, &bench.programs.leaf, |_, _| Ok(())).map(|()| 0.0));
    let ids: Vec<_> = peers
        .iter()
        .map(|(peer, python)| {
            let parts = ["create 100", "broadcast", "end"];
            (*peer, parts.map(|question| turns.ask(python, question.to_owned())))
        })
        .collect();
    let mut measured = turns.run_cold(bench.rounds)?;
    let Lives { create, broadcast, end } = lives.take();
    let ours = [("create", "ms", create), ("broadcast", "us each", broadcast), ("end", "ms", end)]
        .map(|(part, unit, values)| (part, unit, Samples::of(values)));
    for (peer, ids) in ids {
        for ((part, unit, samples), id) in ours.iter().zip(ids) {
            let name = format!("many.100.{part}.{}", peer.to_lowercase());
            bench.emit(Line::new(name, unit, samples).against(peer, &measured.take(id)).below())?;
        }
    }
    Ok(())
}

fn ten_thousand(bench: &Bench, raised: &Raised) -> Result<()> {
    let mut lives = Lives::default();
    let (mut root, mut leaf) = (Vec::new(), Vec::new());
    let mut failure = None;
    for _ in 0..bench.rounds {
        let before = Process::me().memory("Private_Dirty")?;
        let lived = lives.live(10_000, &bench.programs.leaf, |router, children| {
            root.push((Process::me().memory("Private_Dirty")? - before) / 1024.0);
            let some = children.iter().step_by(500);
            let pss: Vec<f64> = some
                .map(|child| Process::of(router.tree().pid(child.id()).context("a pid")?).memory("Pss"))
                .collect::<Result<_>>()?;
            leaf.extend(Samples::of(pss).median());
            Ok(())
        });
        if let Err(error) = lived {
            failure = Some(format!("{error:#}"));
            break;
        }
    }
    let note = failure.map_or_else(|| raised.note(), |why| format!("{why}; {}", raised.note()));
    let line = |part: &str, unit, values| Line::new(format!("many.10000.{part}"), unit, &Samples::of(values));
    bench.emit(line("create", "ms", lives.create).noting(note))?;
    bench.emit(line("broadcast", "us each", lives.broadcast))?;
    bench.emit(line("end", "ms", lives.end))?;
    bench.emit(line("root_memory", "MiB", root))?;
    bench.emit(line("leaf_memory", "KiB", leaf))
}

/// Limits of the system that were raised so that many children fit; those of the whole machine are put back.
pub(crate) struct Raised {
    descriptors: u64,
    pids: Option<(String, u64)>,
    limit: Option<String>,
}

const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// Threads of a leaf, with some to spare.
const TASKS_A_CHILD: u64 = 4;

impl Raised {
    pub(crate) fn to_have(children: u64) -> Result<Self> {
        // A descriptor a child, and as many again for a moment while it is made.
        let wanted = 2 * children + 100;
        let now = getrlimit(Resource::Nofile);
        if now.current.is_some_and(|current| current < wanted) {
            let best = now.maximum.map_or(wanted, |maximum| maximum.max(wanted));
            let raise =
                |to| setrlimit(Resource::Nofile, Rlimit { current: Some(to), maximum: Some(best.max(to)) });
            if raise(wanted).is_err() {
                let maximum = now.maximum.unwrap_or(wanted);
                setrlimit(Resource::Nofile, Rlimit { current: Some(maximum), maximum: now.maximum })?;
            }
        }
        let before = fs::read_to_string(PID_MAX)?.trim().to_owned();
        let tasks = children * TASKS_A_CHILD;
        let enough = before.parse::<u64>().is_ok_and(|most| most > tasks);
        let raised = !enough && fs::write(PID_MAX, (2 * tasks).to_string()).is_ok();
        Ok(Self {
            descriptors: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
            limit: (!enough && !raised).then(|| format!("pid_max is {before} and cannot be raised")),
            pids: raised.then_some((before, 2 * tasks)),
        })
    }

    /// What was changed, and what may not suffice.
    fn note(&self) -> String {
        let pids = match (&self.pids, &self.limit) {
            (Some((before, now)), _) => format!("pid_max raised from {before} to {now}"),
            (None, Some(limit)) => limit.clone(),
            (None, None) => "pid_max as it was".to_owned(),
        };
        format!("{pids}, {} descriptors allowed", self.descriptors)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some((before, _)) = &self.pids
            && let Err(error) = fs::write(PID_MAX, before)
        {
            eprintln!("{PID_MAX} could not be set back to {before}: {error}");
        }
    }
}
