//! What a soak has done and what it took, for people.

use std::{collections::BTreeMap, fmt};

use super::chaos::{Deeds, Fault};
use crate::{
    real::{rss_kib, threads_of},
    world::History,
};

/// How many descriptors, threads and KiB of memory a process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    pub(super) rss_kib: u64,
}

impl Held {
    pub(super) fn by(pid: u32) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Self { descriptors, threads: threads_of(pid), rss_kib: rss_kib(pid) }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, threads, rss_kib } = self;
        write!(f, "{descriptors} descriptors, {threads} threads, {:.1} MiB", *rss_kib as f64 / 1024.0)
    }
}

/// All rounds so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) rounds: u32,
    contexts: u64,
    calls: BTreeMap<&'static str, u64>,
    runs: u64,
    streams: u64,
    items: u64,
    faults: BTreeMap<Fault, u64>,
    unconnected: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) fn add(&mut self, history: &History, deeds: &Deeds) {
        self.rounds += 1;
        for call in &history.calls {
            let end = call.end.as_ref().map_or("one-way", |end| end.name());
            *self.calls.entry(end).or_default() += 1;
            self.runs += u64::from(call.runs);
        }
        self.streams += history.streams.len() as u64;
        self.items += history.streams.iter().map(|stream| u64::from(stream.received)).sum::<u64>();
        for (fault, times) in &deeds.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        for (code, times) in &deeds.unconnected {
            *self.unconnected.entry(code).or_default() += times;
        }
        let failed: u64 = deeds.unconnected.values().sum();
        self.contexts += deeds.faults.get(&Fault::Grow).copied().unwrap_or_default().saturating_sub(failed);
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.values().sum()
    }

    pub(super) fn contexts(&self) -> u64 {
        self.contexts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, count: u64| writeln!(f, "| {what} | {count} |");
        row("rounds", self.rounds.into())?;
        row("contexts that came up", self.contexts)?;
        row("calls", self.calls())?;
        for (end, count) in &self.calls {
            row(&format!("… that ended: {end}"), *count)?;
        }
        row("calls that are known to have run", self.runs)?;
        row("streams", self.streams)?;
        row("items read by the root", self.items)?;
        for (fault, count) in &self.faults {
            row(&format!("{fault:?}"), *count)?;
        }
        for (code, count) in &self.unconnected {
            row(&format!("connects that failed: {code}"), *count)?;
        }
        Ok(())
    }
}
