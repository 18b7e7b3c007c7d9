//! How cost grows with the number of children and with the depth of the tree.

use std::{cell::RefCell, path::Path};

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Samples, Turns, exponent, seconds},
    many::{Lives, Raised},
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "growth.children.create",
    "growth.children.broadcast",
    "growth.children.end",
    "growth.children.call",
    "growth.depth.connect",
    "growth.depth.call",
];

const CHILDREN: [usize; 4] = [1, 10, 100, 1000];
const DEPTHS: usize = 10;
/// An exponent over this is worse than linear: a tenth for what is noise.
const LINEAR: f64 = 1.1;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let _raised = Raised::to_have(1000)?;
    children(bench)?;
    depth(bench)
}

fn children(bench: &Bench) -> Result<()> {
    let lives: Vec<_> = CHILDREN.map(|n| (n, RefCell::new((Lives::default(), Vec::new())))).into();
    let mut turns = Turns::default();
    for (n, lives) in &lives {
        turns.add(|| live(*n, &bench.programs.leaf, lives));
    }
    drop(turns.run_cold(bench.rounds)?);
    let lives = || lives.iter().map(|(n, lives)| (*n, lives.borrow()));
    let grown = |part: fn(&Lives) -> &Vec<f64>| -> Vec<_> {
        lives().map(|(n, lives)| (n, Samples::of(part(&lives.0).iter().copied()))).collect()
    };
    emit(bench, "children.create", "ms", &grown(|lives| &lives.create))?;
    let each = grown(|lives| &lives.broadcast);
    let all: Vec<_> = each.iter().map(|(n, each)| (*n, each.map(|us| us * *n as f64 / 1e3))).collect();
    emit(bench, "children.broadcast", "ms", &all)?;
    emit(bench, "children.end", "ms", &grown(|lives| &lives.end))?;
    let call: Vec<_> = lives().map(|(n, lives)| (n, Samples::of(lives.1.iter().copied()))).collect();
    emit(bench, "children.call", "us", &call)
}

fn live(n: usize, program: &Path, lives: &RefCell<(Lives, Vec<f64>)>) -> Result<f64> {
    let (lives, calls) = &mut *lives.borrow_mut();
    lives.live(n, program, |_, children| {
        let middle = children.get(n / 2).context("there is a child")?;
        calls.push(tree::round_trips(middle, 500)?);
        Ok(())
    })?;
    Ok(0.0)
}

/// A line of hops with a leaf at each depth.
fn depth(bench: &Bench) -> Result<()> {
    let router = Router::new()?;
    let hop = tree::local(&bench.programs.hop)?;
    let leaf = tree::local(&bench.programs.leaf)?;
    let mut parents = vec![router.here()];
    for _ in 1..DEPTHS {
        let last = parents.last().context("the root is there")?;
        parents.push(last.connect(hop.clone())?);
    }
    let mut turns = Turns::default();
    let mut ids = Vec::new();
    for (depth, parent) in (1..).zip(&parents) {
        let (leaf, living) = (&leaf, parent.connect(leaf.clone())?);
        let connect = turns.add(move || connect(parent, leaf));
        ids.push((depth, connect, turns.add(move || tree::round_trips(&living, 1000))));
    }
    let mut measured = turns.run(bench.rounds)?;
    let (connect, call): (Vec<_>, Vec<_>) = ids
        .into_iter()
        .map(|(depth, connect, call)| ((depth, measured.take(connect)), (depth, measured.take(call))))
        .unzip();
    emit(bench, "depth.connect", "ms", &connect)?;
    emit(bench, "depth.call", "us", &call)
}

/// Milliseconds a connect, by ten of them.
fn connect(parent: &Context, leaf: &Local) -> Result<f64> {
    let mut made = Vec::new();
    let took = seconds(|| {
        for _ in 0..10 {
            made.push(parent.connect(leaf.clone())?);
        }
        Ok(())
    })?;
    tree::end(&made)?;
    Ok(took * 100.0)
}

/// A row a size, the exponent over all of them, and that of the last step: what is fixed hides in the first.
fn emit(bench: &Bench, what: &str, unit: &str, points: &[(usize, Samples)]) -> Result<()> {
    for (n, samples) in points {
        bench.emit(Line::new(format!("growth.{what}.{n}"), unit, samples))?;
    }
    let rounds = points.iter().map(|(_, samples)| samples.values().len()).min().unwrap_or_default();
    let fitted = |points: &[(usize, Samples)]| {
        Samples::of((0..rounds).filter_map(|round| {
            let at = |(n, samples): &(usize, Samples)| Some((*n as f64, *samples.values().get(round)?));
            exponent(&points.iter().filter_map(at).collect::<Vec<_>>())
        }))
    };
    // Of depth, neighbouring sizes are too close for a slope.
    let half = points.len() / 2;
    let last = points.get(half..).unwrap_or_default();
    bench.emit(Line::new(format!("growth.{what}.exponent"), "", &fitted(points)).at_most(LINEAR))?;
    bench.emit(Line::new(format!("growth.{what}.last_exponent"), "", &fitted(last)).at_most(LINEAR))
}
