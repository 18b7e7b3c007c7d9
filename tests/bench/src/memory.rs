//! What an idle leaf takes, and what a child costs the root.

use std::path::Path;

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Sample, Samples, Turns},
    proc::Process,
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "memory.leaf.pss",
    "memory.leaf.pss.mitogen",
    "memory.leaf.pss.execnet",
    "memory.leaf.private_dirty",
    "memory.leaf.tiny.pss",
    "memory.root.a_child",
    "memory.root.a_child.descriptors",
    "memory.root.a_child.threads",
];

/// Function of the reference leaf.
const ADD: Function<(i64, i64), i64> = Function::new("add");
/// Children by which what one costs is found out.
const CHILDREN: usize = 200;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    leaf(bench)?;
    root(bench)
}

/// One leaf at a time, so that nobody shares its pages; it has answered a call.
fn leaf(bench: &Bench) -> Result<()> {
    let router = Router::new()?;
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let programs = &bench.programs;
    let figure = |what: &'static str| {
        let router = &router;
        move || memory(router, &programs.reference, what)
    };
    let mut turns = Turns::default();
    let (pss, dirty) = (turns.add(figure("Pss")), turns.add(figure("Private_Dirty")));
    let tiny = turns.add_if(|| match &programs.tiny {
        Some(program) => memory(&router, program, "Pss").map(Sample::Value),
        None => Ok(Sample::Absent(programs.no_tiny.clone())),
    });
    let theirs = [("Mitogen", &mitogen), ("execnet", &execnet)]
        .map(|(peer, python)| (peer, turns.ask(python, "memory Pss".to_owned())));
    let mut measured = turns.run(bench.rounds)?;
    let pss = measured.take(pss);
    bench.emit(Line::new("memory.leaf.pss", "KiB", &pss).at_most(400.0))?;
    for (peer, id) in theirs {
        let name = format!("memory.leaf.pss.{}", peer.to_lowercase());
        bench.emit(Line::new(name, "KiB", &pss).against(peer, &measured.take(id)).below())?;
    }
    bench.emit(Line::new("memory.leaf.private_dirty", "KiB", &measured.take(dirty)).at_most(200.0))?;
    bench.emit(Line::new("memory.leaf.tiny.pss", "KiB", &measured.take(tiny)).at_most(400.0))
}

/// What of its memory a leaf has of this kind that has answered a call, in KiB.
fn memory(router: &Router, program: &Path, what: &str) -> Result<f64> {
    let leaf = router.connect(tree::local(program)?)?;
    leaf.call(ADD, (1, 2))?;
    let pid = router.tree().pid(leaf.id()).context("the tree knows its pid")?;
    let kib = Process::of(pid).memory(what)?;
    leaf.shutdown().wait()?;
    Ok(kib)
}

/// What [`CHILDREN`] more children add to a root that has one already, by child.
fn root(bench: &Bench) -> Result<()> {
    let program = &bench.programs.reference;
    let (mut kib, mut descriptors, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let router = Router::new()?;
        let _first = tree::children(&router, 1, program)?;
        let look = || -> Result<[f64; 3]> {
            let me = Process::me();
            Ok([me.memory("Private_Dirty")?, me.descriptors()? as f64, me.threads()?])
        };
        let before = look()?;
        let children = tree::children(&router, CHILDREN, program)?;
        let after = look()?;
        for ((after, before), samples) in
            after.into_iter().zip(before).zip([&mut kib, &mut descriptors, &mut threads])
        {
            samples.push((after - before) / CHILDREN as f64);
        }
        tree::end(&children)?;
    }
    // Later rounds find the memory of the first in the allocator, so the first, the dearest, is what counts.
    let first = Samples::of(kib.first().copied());
    bench.emit(Line::new("memory.root.a_child", "KiB", &first).at_most(8.0))?;
    bench.emit(Line::new("memory.root.a_child.descriptors", "", &Samples::of(descriptors)).at_most(1.0))?;
    bench.emit(Line::new("memory.root.a_child.threads", "", &Samples::of(threads)).at_most(0.0))
}
