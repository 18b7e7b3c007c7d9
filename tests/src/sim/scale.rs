//! How what a tree costs grows with it: one honest tree of so many contexts, all links alike.

use std::{fs, time::Instant};

use offshoot_core::machine::Limits;
use offshoot_wire::{ContextId, Handle};

use super::{
    agenda::Moment,
    forest::{Forest, Settings},
    link::Pace,
    run::{settle, step},
};
use crate::world::{
    Call, Dice, Violation,
    birth::Tables,
    invariants::{self, Whole},
};

/// How many children a context has at most.
const FAN: u32 = 64;
/// How many calls are made between contexts anywhere.
const CALLS: u32 = 1000;

/// What a tree of one size takes; times are virtual, in microseconds, where they do not say otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    /// How many contexts.
    pub contexts: u32,
    /// How many levels below the root.
    pub depth: usize,
    /// Until every table was the true tree.
    pub grown: Moment,
    /// Frames that announced a context, altogether.
    pub announced: u64,
    /// Entries in the tables of all contexts.
    pub entries: usize,
    /// Frames that a call made between two contexts anywhere, on the average.
    pub frames_a_call: f64,
    /// How many contexts were below the child of the root that was lost.
    pub lost: usize,
    /// Frames that told of it.
    pub told: u64,
    /// Until everybody whom it concerned knew.
    pub known: Moment,
    /// Until all had ended after the root was told to.
    pub ended: Moment,
    /// Memory of this process for each context, in bytes.
    pub bytes: u64,
    /// Real seconds.
    pub seconds: f64,
    /// Events in a real second.
    pub rate: f64,
}

impl Row {
    /// The heads of the columns.
    pub const HEADS: [&'static str; 13] = [
        "contexts",
        "levels",
        "grown, ms",
        "ADD_ROUTE",
        "table entries",
        "frames a call",
        "lost",
        "DEL_ROUTE",
        "known, ms",
        "ended, ms",
        "bytes a context",
        "real s",
        "events/s",
    ];

    /// What stands under them.
    #[must_use]
    pub fn cells(&self) -> [String; 13] {
        let ms = |us: Moment| format!("{:.1}", us as f64 / 1000.0);
        [
            self.contexts.to_string(),
            self.depth.to_string(),
            ms(self.grown),
            self.announced.to_string(),
            self.entries.to_string(),
            format!("{:.1}", self.frames_a_call),
            self.lost.to_string(),
            self.told.to_string(),
            ms(self.known),
            ms(self.ended),
            self.bytes.to_string(),
            format!("{:.1}", self.seconds),
            format!("{:.0}", self.rate),
        ]
    }
}

/// Grows a tree of so many contexts, talks in it, loses a part of it, and ends it.
///
/// # Errors
/// What an invariant says against it.
pub fn measure(contexts: u32) -> Result<Row, Violation> {
    let begun = Instant::now();
    let before = resident();
    let mut forest = Forest::new(settings(contexts), FAN);
    until_quiet(&mut forest)?;
    invariants::at_rest(&forest)?;
    let mut row = Row {
        contexts,
        depth: forest.contexts().map(|(_, context)| context.ancestors().len()).max().unwrap_or_default(),
        grown: forest.now(),
        announced: forest.counts.of(Handle::ADD_ROUTE),
        entries: forest.contexts().map(|(_, context)| context.ancestors().len()).sum(),
        bytes: resident().saturating_sub(before) / u64::from(contexts),
        ..Row::default()
    };
    talk(&mut forest, &mut row)?;
    lose(&mut forest, &mut row)?;
    let now = forest.now();
    forest.with(ContextId::ROOT, |context, io| context.shut_down(ContextId::ROOT, io));
    until_quiet(&mut forest)?;
    row.ended = forest.now() - now;
    row.seconds = begun.elapsed().as_secs_f64();
    row.rate = forest.counts.events as f64 / row.seconds;
    if forest.is_empty() {
        return Ok(row);
    }
    let text = format!("{} contexts outlive the root", forest.len());
    Err(Violation { invariant: "I26", text })
}

fn settings(contexts: u32) -> Settings {
    let mut limits = Limits::default();
    limits.ping_ms = 0;
    Settings {
        seed: u64::from(contexts),
        limits,
        tables: Tables::default(),
        workers: 1,
        slow_workers: false,
        one_way: false,
        sabotage: None,
        pace: Some(Pace { delay: 100, capacity: 212_992 }),
        contexts,
        // It is measured.
        is_watched: false,
    }
}

fn until_quiet(forest: &mut Forest) -> Result<(), Violation> {
    while !forest.is_quiet() && step(forest, &[])? {}
    Ok(())
}

fn talk(forest: &mut Forest, row: &mut Row) -> Result<(), Violation> {
    let mut dice = Dice::new(1);
    let before = forest.counts.frames;
    for _ in 0..CALLS {
        let Some((src, dst)) = forest.some(&mut dice).zip(forest.some(&mut dice)) else { break };
        let call = Call::default();
        let job = call.job.clone();
        forest.with(src, |context, io| {
            context.start(&call, dst, job, io);
        });
    }
    until_quiet(forest)?;
    row.frames_a_call = (forest.counts.frames - before) as f64 / f64::from(CALLS);
    Ok(())
}

/// The first child of the root is lost, and all below it.
fn lose(forest: &mut Forest, row: &mut Row) -> Result<(), Violation> {
    let Some(first) = forest.made.get(1).copied() else { return Ok(()) };
    let is_below = |id: &ContextId| {
        *id == first || forest.context(*id).is_some_and(|context| context.ancestors().contains(&first))
    };
    row.lost = forest.contexts().filter(|(id, _)| is_below(id)).count();
    let (told, now) = (forest.counts.of(Handle::DEL_ROUTE), forest.now());
    forest.cut(first, first);
    until_quiet(forest)?;
    row.told = forest.counts.of(Handle::DEL_ROUTE) - told;
    row.known = forest.now() - now;
    settle(forest, &[])?;
    invariants::at_rest(forest)
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    const PAGE: u64 = 4096;
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE
}
