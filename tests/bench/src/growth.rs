//! How cost grows with the number of children and with the depth of the tree.

use std::{cell::RefCell, path::Path};

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Samples, Turns, exponent, seconds},
    limits::{Crowd, PingPong},
    many::{Lives, Raised},
    report::Line,
    round_trip::frame_sizes,
    tree,
};

pub(crate) const OF_CHILDREN: &[&str] =
    &["growth.children.create", "growth.children.broadcast", "growth.children.end", "growth.children.call"];
pub(crate) const OF_DEPTH: &[&str] = &["growth.depth.connect", "growth.depth.call"];

const CHILDREN: [usize; 4] = [1, 10, 100, 1000];
const DEPTHS: usize = 10;
/// An exponent over this is worse than linear: a tenth for what is noise.
const LINEAR: f64 = 1.1;

/// What was measured at each size.
type Points = Vec<(usize, Samples)>;

/// One root with so many children.
pub(crate) fn children(bench: &Bench) -> Result<()> {
    let _raised = Raised::to_have(1000)?;
    let lives: Vec<_> = CHILDREN.map(|n| (n, RefCell::new((Lives::default(), Vec::new())))).into();
    let mut turns = Turns::default();
    let mut bare = Vec::new();
    for (n, lives) in &lives {
        turns.add(|| live(*n, &bench.programs.leaf, lives));
        bare.push((*n, turns.add(|| Crowd::broadcast_once(*n))));
    }
    let mut measured = turns.run_cold(bench.rounds)?;
    let bare: Points = bare.into_iter().map(|(n, id)| (n, measured.take(id))).collect();
    let lives = || lives.iter().map(|(n, lives)| (*n, lives.borrow()));
    let grown = |part: fn(&Lives) -> &Vec<f64>| -> Points {
        lives().map(|(n, lives)| (n, Samples::of(part(&lives.0).iter().copied()))).collect()
    };
    let of_all = |each: &Points| -> Points {
        each.iter().map(|(n, each)| (*n, each.map(|us| us * *n as f64 / 1e3))).collect()
    };
    emit(bench, "children.create", "ms", &grown(|lives| &lives.create), None)?;
    let broadcast = of_all(&grown(|lives| &lives.broadcast));
    emit(bench, "children.broadcast", "ms", &broadcast, Some(("bare processes", &of_all(&bare))))?;
    emit(bench, "children.end", "ms", &grown(|lives| &lives.end), None)?;
    let call: Points = lives().map(|(n, lives)| (n, Samples::of(lives.1.iter().copied()))).collect();
    emit(bench, "children.call", "us", &call, None)
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

/// A line of hops with a leaf at each depth, beside bare chains of the same lengths.
pub(crate) fn depth(bench: &Bench) -> Result<()> {
    let (call_size, reply_size) = frame_sizes()?;
    let n = bench.amount(1000);
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
        let mut bare = PingPong::new(depth - 1, call_size, reply_size)?;
        let connect = turns.add(move || connect(parent, leaf));
        let call = turns.add(move || tree::round_trips(&living, n));
        ids.push((depth, [connect, call, turns.add(move || bare.round_trips(n))]));
    }
    let mut measured = turns.run(bench.rounds)?;
    let [mut connects, mut calls, mut bare] = [Points::new(), Points::new(), Points::new()];
    for (depth, [connect, call, of_bare]) in ids {
        connects.push((depth, measured.take(connect)));
        calls.push((depth, measured.take(call)));
        bare.push((depth, measured.take(of_bare)));
    }
    emit(bench, "depth.connect", "ms", &connects, None)?;
    emit(bench, "depth.call", "us", &calls, Some(("epoll relays", &bare)))
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

/// A row a size, the exponent over all of them, and that of the upper half: what is fixed hides in the lower. Beside
/// them those of what the machine itself allows.
fn emit(bench: &Bench, what: &str, unit: &str, points: &Points, bare: Option<(&str, &Points)>) -> Result<()> {
    let row = |name: String, unit, samples: &Samples, of_bare: &dyn Fn(&Points) -> Option<Samples>| {
        let line = Line::new(format!("growth.{what}.{name}"), unit, samples);
        match bare.and_then(|(shape, bare)| Some((shape, of_bare(bare)?))) {
            Some((shape, bare)) => line.against(shape, &bare),
            None => line,
        }
    };
    for (at, (n, samples)) in points.iter().enumerate() {
        let of_bare = |bare: &Points| bare.get(at).map(|(_, samples)| samples.clone());
        bench.emit(row(n.to_string(), unit, samples, &of_bare))?;
    }
    // Of depth, neighbouring sizes are too close for a slope.
    for (name, from) in [("exponent", 0), ("last_exponent", points.len() / 2)] {
        let fitted = |points: &Points| points.get(from..).map(fitted);
        let samples = fitted(points).unwrap_or_default();
        bench.emit(row(name.to_owned(), "", &samples, &fitted).at_most(LINEAR))?;
    }
    Ok(())
}

/// The exponent of each round.
fn fitted(points: &[(usize, Samples)]) -> Samples {
    let rounds = points.iter().map(|(_, samples)| samples.values().len()).min().unwrap_or_default();
    Samples::of((0..rounds).filter_map(|round| {
        let at = |(n, samples): &(usize, Samples)| Some((*n as f64, *samples.values().get(round)?));
        exponent(&points.iter().filter_map(at).collect::<Vec<_>>())
    }))
}
