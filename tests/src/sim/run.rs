//! One seed from its first context to its last: growth, chaos, healing, rest, and an orderly end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use offshoot_core::machine::{DropKind, Limits};
use offshoot_wire::{ContextId, DeadCode, Handle, IdRange};

use super::{
    agenda::Moment,
    counts::Counts,
    deeds,
    faults::Fault,
    forest::{Forest, Happening, Settings},
    shrink,
};
use crate::world::{
    Call, CallEnd, CallNo, Context, Dice, Job, Sabotage, Violation,
    birth::Tables,
    invariants::{self, Whole},
};

const SECOND: Moment = 1_000_000;
/// Once everything is mended, all must have ended after so long.
const PATIENCE: Moment = 600 * SECOND;
/// So much cannot happen at one moment, for each context, unless something goes round in circles.
const AT_ONCE: u64 = 10_000;
/// So long after that every deadline and every silence has been noticed.
const LATE: Moment = 20 * SECOND;
/// How many contexts, and how many pairs of them, are asked whether they can be reached.
const PROBES: usize = 200;
/// How many contexts are told to make a child in the end.
const PARENTS: usize = 20;
/// Forests of so many contexts ask silent links whether they live: each of these asks all the time.
const PINGED: u32 = 1000;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many contexts there are before anything goes wrong.
    pub contexts: u32,
    /// What decides all else.
    pub seed: u64,
    /// How long the chaos takes, in virtual seconds.
    pub seconds: u32,
    /// What may go wrong.
    pub faults: Vec<Fault>,
    /// Only these deeds are done.
    pub only: Option<Vec<u32>>,
    /// What goes wrong on purpose, for the checks to see it.
    pub sabotage: Option<Sabotage>,
}

impl Plan {
    /// A plan in which everything may go wrong.
    #[must_use]
    pub fn new(contexts: u32, seed: u64) -> Self {
        Self { contexts, seed, seconds: 10, faults: Fault::ALL.to_vec(), only: None, sabotage: None }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// How many deeds are done in a second.
    fn rate(&self) -> u32 {
        (self.contexts / 2).clamp(30, 3000)
    }

    /// The numbers of the deeds that are done.
    #[must_use]
    pub fn deeds(&self) -> Vec<u32> {
        self.only.clone().unwrap_or_else(|| (0..self.rate() * self.seconds).collect())
    }

    /// The faults that come by deeds: a seed has hostile contexts or honest ones alone, whose every word is checked.
    fn faults_of_deeds(&self) -> Vec<Fault> {
        let is_hostile = Dice::of(self.seed, 1).once_in(3);
        let hostile = [Fault::Hostile, Fault::Duplicate];
        let these = self.faults.iter().filter(|fault| is_hostile || !hostile.contains(fault));
        these.filter(|fault| **fault != Fault::Range).copied().collect()
    }

    fn settings(&self) -> Settings {
        let mut dice = Dice::of(self.seed, 2);
        let mut limits = Limits::default();
        limits.window_start = [512, 4096, 16 << 10][dice.below(3) as usize];
        limits.window_max = 4 * limits.window_start;
        limits.uplink_child = [2000, 256 << 10][dice.below(2) as usize];
        limits.downlink = [32_000, 1 << 20][dice.below(2) as usize];
        limits.calls_in_flight = [4, 65_536][dice.below(2) as usize];
        limits.ping_ms = if self.contexts <= PINGED { [0, 1000][dice.below(2) as usize] } else { 0 };
        let mut tables = Tables::default();
        // A third of the seeds come to the end of all ids, another has links that come to the end of theirs.
        if self.has(Fault::Range) && self.contexts <= PINGED {
            match dice.below(3) {
                0 => tables.first_range = IdRange::LAST.number() - dice.below(20) as u32,
                1 => (tables.limits.ranges, tables.limits.unused_ranges) = (2, 1),
                _ => {}
            }
            tables.limits.heard = [8, 4096][dice.below(2) as usize];
        }
        Settings {
            seed: self.seed,
            limits,
            tables,
            workers: 1 + dice.below(2) as usize,
            slow_workers: dice.once_in(2),
            one_way: dice.once_in(5),
            pace: None,
            sabotage: self.sabotage,
            contexts: self.contexts,
            is_watched: true,
        }
    }

    /// How many children a context grows: what makes a tree of at most a dozen levels.
    fn fan(&self) -> u32 {
        let mut dice = Dice::of(self.seed, 3);
        let fits = |fan: &u32| u64::from(*fan).pow(10) >= u64::from(self.contexts);
        let fans: Vec<u32> = [2, 4, 16, 64].into_iter().filter(fits).collect();
        dice.one_of(&fans).unwrap_or(64)
    }
}

/// What a seed has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The digest of all that happened.
    pub digest: u64,
    /// How often things happened.
    pub counts: Counts,
    /// Why frames were dropped.
    pub drops: BTreeSet<DropKind>,
    /// How many children found no id.
    pub found_no_id: u64,
    /// Codes of dead replies that ended calls, and of refusals at the source.
    pub codes: BTreeSet<DeadCode>,
    /// Why machines cut links, without the numbers in it, and how often.
    pub cuts: BTreeMap<String, u64>,
    /// How calls ended.
    pub ends: BTreeMap<&'static str, usize>,
    /// Contexts that lived when it came to rest.
    pub contexts: usize,
    /// How long it took to come to rest after everything was mended, in virtual microseconds.
    pub rest_after: Moment,
}

/// What went wrong, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong.
    pub violation: Violation,
    /// The plan, with as few deeds as still lead there.
    pub plan: Plan,
    /// What happened last.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { violation: Violation { invariant, text }, plan, story } = self;
        writeln!(f, "{invariant}: {text}")?;
        for line in story {
            writeln!(f, "  {line}")?;
        }
        write!(f, "again: cargo xtask sim {plan}")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--contexts {} --seed {} --seconds {}", self.contexts, self.seed, self.seconds)?;
        if self.faults != Fault::ALL {
            write!(f, " --faults {}", list(&self.faults))?;
        }
        match &self.only {
            Some(deeds) => write!(f, " --deeds {}", list(deeds)),
            None => Ok(()),
        }
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Runs a seed twice: what it has seen, which is the same both times.
///
/// # Errors
/// The [`Failure`], with the fewest deeds that were found for it.
pub fn run(plan: &Plan) -> Result<Seen, Box<Failure>> {
    let first = once(plan, false).map_err(|(violation, _)| Box::new(shrink::fewest(plan, violation)))?;
    match once(plan, false) {
        Ok(second) if first == second => Ok(first),
        _ => {
            let text = "a second run of the same seed goes another way".to_owned();
            let violation = Violation { invariant: "again", text };
            Err(Box::new(Failure { violation, plan: plan.clone(), story: Vec::new() }))
        }
    }
}

/// Runs a seed once: what it has seen, or what is wrong and what happened before that.
pub(super) fn once(plan: &Plan, is_told: bool) -> Result<Seen, (Violation, Vec<String>)> {
    let mut forest = Forest::new(plan.settings(), plan.fan());
    match live(&mut forest, plan, is_told) {
        Ok(seen) => Ok(seen),
        Err(violation) => {
            let story = forest.story();
            Err((violation, story))
        }
    }
}

fn live(forest: &mut Forest, plan: &Plan, is_told: bool) -> Result<Seen, Violation> {
    settle(forest, &[])?;
    if is_told {
        forest.tell_story();
    }
    let faults = plan.faults_of_deeds();
    let gap = SECOND / u64::from(plan.rate());
    for number in plan.deeds() {
        let mut dice = Dice::of(plan.seed, 1 << 41 | u64::from(number));
        forest.plan(u64::from(number) * gap + dice.below(gap), Happening::Deed(number));
    }
    let end = forest.now() + u64::from(plan.seconds) * SECOND;
    while forest.next_at().is_some_and(|at| at <= end) {
        step(forest, &faults)?;
    }
    heal(forest);
    let healed = forest.now();
    settle(forest, &faults)?;
    let mut seen = seen(forest);
    seen.rest_after = forest.now() - healed;
    invariants::at_rest(forest)?;
    probe(forest, &mut Dice::of(plan.seed, 4))?;
    let found_none = connect(forest, &mut Dice::of(plan.seed, 5))?;
    seen.found_no_id = forest.history.without_id.values().sum();
    if found_none > 0 {
        // Who is there goes on.
        settle(forest, &[])?;
        invariants::at_rest(forest)?;
        probe(forest, &mut Dice::of(plan.seed, 6))?;
    }
    end_in_order(forest)?;
    seen.digest = forest.digest();
    Ok(seen)
}

/// Lets the next thing happen.
pub(super) fn step(forest: &mut Forest, faults: &[Fault]) -> Result<bool, Violation> {
    let Some(what) = forest.take_next() else { return Ok(false) };
    match what {
        Happening::Deed(number) => deeds::deed(forest, number, faults),
        other => forest.happen(other),
    }
    if forest.at_once() > AT_ONCE * u64::from(forest.settings.contexts) {
        return Err(Violation { invariant: "progress", text: "time stands still".into() });
    }
    forest.history.violation.clone().map_or(Ok(true), Err)
}

/// Everything goes on until nothing is under way and no silence has gone unnoticed.
pub(super) fn settle(forest: &mut Forest, faults: &[Fault]) -> Result<(), Violation> {
    let begun = forest.now();
    while !(forest.is_quiet() && forest.now() >= begun + LATE) {
        if !step(forest, faults)? {
            break;
        }
        if forest.now() > begun + PATIENCE {
            return Err(Violation { invariant: "progress", text: "it does not come to rest".into() });
        }
    }
    Ok(())
}

/// Every fault is mended, and who is hostile is gone.
fn heal(forest: &mut Forest) {
    for undo in forest.undos.clone() {
        forest.happen(Happening::Undo(undo));
    }
    for id in forest.history.hostile.clone() {
        forest.kill(id);
    }
}

/// I23: everybody in the tree that is left can be reached, from the root and from each other.
fn probe(forest: &mut Forest, dice: &mut Dice) -> Result<(), Violation> {
    let live: Vec<ContextId> = forest.contexts().filter(|(_, c)| !c.closing).map(|(id, _)| id).collect();
    let mut pairs: Vec<(ContextId, ContextId)> = Vec::new();
    for _ in 0..PROBES.min(live.len()) {
        pairs.extend(dice.one_of(&live).map(|dst| (ContextId::ROOT, dst)));
        let related = forest.settings.one_way;
        pairs.extend(dice.one_of(&live).zip(dice.one_of(&live)).filter(|_| !related));
    }
    // A few at a time, so that they do not crowd each other out.
    for some in pairs.chunks(4) {
        let first = forest.history.calls.len();
        for (src, dst) in some.iter().filter(|(src, dst)| src != dst) {
            let job = Call::default().job;
            forest.with(*src, |context, io| {
                context.start(&Call::default(), *dst, job, io);
            });
        }
        while !forest.is_quiet() && step(forest, &[])? {}
        for no in first..forest.history.calls.len() {
            reached(forest, no as CallNo)?;
        }
    }
    Ok(())
}

/// I25: whoever can have children makes one when he is told to, unless it finds no id; how many found none.
fn connect(forest: &mut Forest, dice: &mut Dice) -> Result<usize, Violation> {
    let can = |(id, context): (ContextId, &Context)| {
        (id != ContextId::ROOT && context.router.is_parent() && !context.closing).then_some(id)
    };
    let mut parents: Vec<ContextId> = forest.contexts().filter_map(can).collect();
    while parents.len() > PARENTS {
        parents.swap_remove(dice.below(parents.len() as u64) as usize);
    }
    let first = forest.history.calls.len();
    for parent in parents {
        let label = forest.new_label();
        let call = Call::default().mailbox(Handle::CREATE_CHILD);
        forest.with(ContextId::ROOT, |context, io| {
            context.start(&call, parent, Job::Answer(label), io);
        });
        while !forest.is_quiet() && step(forest, &[])? {}
    }
    let ends = forest.history.calls[first..].iter().map(|call| (call.dst, call.end.as_ref()));
    let others =
        |(_, end): &(ContextId, Option<&CallEnd>)| !matches!(end, Some(CallEnd::Value | CallEnd::NoId));
    if let Some((parent, end)) = ends.clone().find(others) {
        let text = format!("{parent} is told to make a child, and that ends as {end:?}");
        return Err(Violation { invariant: "I25", text });
    }
    Ok(ends.filter(|(_, end)| *end == Some(&CallEnd::NoId)).count())
}

fn reached(forest: &Forest, no: CallNo) -> Result<(), Violation> {
    let call = &forest.history.calls[no as usize];
    if call.end == Some(CallEnd::Value) {
        return Ok(());
    }
    let text =
        format!("a call from {} to {} in the tree that is left ends as {:?}", call.src, call.dst, call.end);
    Err(Violation { invariant: "I23", text })
}

/// I26: the root is told to end, and nobody outlives it for long.
fn end_in_order(forest: &mut Forest) -> Result<(), Violation> {
    let begun = forest.now();
    forest.with(ContextId::ROOT, |context, io| context.shut_down(ContextId::ROOT, io));
    let grace = u64::from(forest.settings.limits.grace_ms) * 1000;
    while forest.next_at().is_some_and(|at| at <= begun + grace + 2 * SECOND) {
        step(forest, &[])?;
    }
    let left: Vec<ContextId> = forest.contexts().map(|(id, _)| id).take(10).collect();
    if left.is_empty() {
        return Ok(());
    }
    let text = format!("{} contexts outlive the root's grace, among them {left:?}", forest.len());
    Err(Violation { invariant: "I26", text })
}

fn seen(forest: &Forest) -> Seen {
    let history = &forest.history;
    let ends = || history.calls.iter().filter_map(|call| call.end.as_ref());
    let codes = ends().filter_map(|end| match end {
        CallEnd::Dead(code, ..) | CallEnd::Refused(Some(code)) => Some(*code),
        _ => None,
    });
    let mut by_name = BTreeMap::new();
    for end in ends() {
        *by_name.entry(end.name()).or_default() += 1;
    }
    Seen {
        digest: 0,
        counts: forest.counts.clone(),
        drops: history.notes.iter().map(|(_, kind)| *kind).collect(),
        found_no_id: history.without_id.values().sum(),
        codes: codes.collect(),
        cuts: history.cuts.clone(),
        ends: by_name,
        contexts: forest.len(),
        rest_after: 0,
    }
}
