//! Larger trees by seed: a random tree, random calls and faults, a random order of steps; each seed gives the same again.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_core::machine::DropKind;
use offshoot_wire::DeadCode;

use super::{
    birth::tighten,
    dice::Dice,
    explore::Failure,
    history::{CallEnd, CallNo, Violation},
    invariants,
    script::{Call, Op},
    story::{self, Event},
    whole::{Settings, Step, World},
};

/// After so many steps everything is looked at; what the history watches is seen at once.
const EVERY: usize = 32;
/// How many steps may be spent on making a story shorter.
const PATIENCE: usize = 50_000;

/// The codes by which a call of some seed must end: what a tree of honest contexts refuses.
pub const REFUSALS: [DeadCode; 9] = [
    DeadCode::NoRoute,
    DeadCode::Policy,
    DeadCode::OneWay,
    DeadCode::Congested,
    DeadCode::Gone,
    DeadCode::ShuttingDown,
    DeadCode::Busy,
    DeadCode::WouldWait,
    DeadCode::TooLate,
];

/// What a seed has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Steps taken.
    pub steps: usize,
    /// The hash of the last state.
    pub fingerprint: u64,
    /// Why frames were dropped.
    pub drops: BTreeSet<DropKind>,
    /// Codes of dead replies that ended calls, and of refusals at the source.
    pub codes: BTreeSet<DeadCode>,
    /// What happened to the tree, and how often.
    pub faults: BTreeMap<&'static str, usize>,
    /// Calls that ended with a value.
    pub values: usize,
    /// Calls that ended by a loss.
    pub losses: usize,
}

/// Runs one seed: chaos for so many steps, then everything goes on until nothing is left to do.
///
/// # Errors
/// The [`Failure`], with the shortest story that was found for it.
pub fn seeded(contexts: u32, seed: u64, steps: usize) -> Result<Seen, Failure> {
    let mut run = Run::new(contexts, seed);
    match run.chaos(steps).and_then(|()| run.calm()) {
        Ok(()) => Ok(run.seen()),
        Err(violation) => Err(story::shortest(&run.start, run.story, violation, PATIENCE)),
    }
}

struct Run {
    start: World,
    world: World,
    dice: Dice,
    story: Vec<Event>,
    next_label: u32,
}

impl Run {
    fn new(contexts: u32, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let tree = tree(contexts, &mut dice);
        let mut settings = Settings {
            in_flight: dice.below(4) as usize + 1,
            workers: dice.below(2) as usize + 1,
            slow_workers: dice.below(2) == 0,
            timers: true,
            one_way: dice.below(5) == 0,
            ..Settings::default()
        };
        tighten(&mut settings.limits);
        let world = World::grown(&tree, settings);
        Self { start: world.clone(), world, dice, story: Vec::new(), next_label: contexts }
    }

    fn seen(&self) -> Seen {
        let history = &self.world.history;
        let ends = || history.calls.iter().filter_map(|call| call.end.as_ref());
        let codes = ends().filter_map(|end| match end {
            CallEnd::Dead(code, ..) | CallEnd::Refused(Some(code)) => Some(*code),
            _ => None,
        });
        let mut faults = BTreeMap::new();
        for event in &self.story {
            if let Some(name) = event.fault() {
                *faults.entry(name).or_default() += 1;
            }
        }
        Seen {
            steps: self.story.len(),
            fingerprint: self.world.fingerprint(),
            drops: history.notes.iter().map(|(_, kind)| *kind).collect(),
            codes: codes.collect(),
            faults,
            values: ends().filter(|end| **end == CallEnd::Value).count(),
            losses: ends().filter(|end| matches!(end, CallEnd::Lost(..))).count(),
        }
    }

    fn chaos(&mut self, steps: usize) -> Result<(), Violation> {
        for at in 0..steps {
            let acts = self.dice.below(5) == 0;
            if acts || !self.step()? {
                self.something()?;
            }
            if at % EVERY == 0 {
                invariants::every_step(&self.world)?;
            }
        }
        Ok(())
    }

    /// Everybody goes on, and everything comes to its end.
    fn calm(&mut self) -> Result<(), Violation> {
        for op in story::resume_all(&self.world) {
            self.op(op)?;
        }
        for _ in 0..1_000_000 {
            if !self.step()? {
                return story::rest(&self.world);
            }
        }
        Err(Violation { invariant: "bound", text: "it does not come to rest".into() })
    }

    /// Takes one of the steps that can happen; time passes rarely while anything else can.
    fn step(&mut self) -> Result<bool, Violation> {
        let steps = self.world.steps();
        let (timers, others): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| matches!(step, Step::Due(_)));
        let patient = !others.is_empty() && self.dice.below(200) != 0;
        let choice = if patient || timers.is_empty() { others } else { timers };
        let Some(step) = self.dice.one_of(&choice) else { return Ok(false) };
        self.event(Event::Step(step)).map(|()| true)
    }

    fn op(&mut self, op: Op) -> Result<(), Violation> {
        self.event(Event::Op(op))
    }

    fn event(&mut self, event: Event) -> Result<(), Violation> {
        event.happen(&mut self.world);
        self.story.push(event);
        self.world.violation().map_or(Ok(()), Err)
    }

    /// A script writes itself.
    fn something(&mut self) -> Result<(), Violation> {
        let live: Vec<u32> = self.world.live_labels().collect();
        let (Some(a), Some(b)) = (self.dice.one_of(&live), self.dice.one_of(&live)) else { return Ok(()) };
        match self.dice.below(200) {
            0..=139 => {
                let call = self.call(a, b);
                self.op(Op::Start(call))
            }
            140..=169 => {
                let calls = self.world.history.calls.len() as u64;
                let call = self.dice.below(calls.max(1)) as CallNo;
                if calls > 0 { self.op(Op::Cancel(call)) } else { Ok(()) }
            }
            170..=181 => self.op(if self.world.is_paused(a) { Op::Resume(a) } else { Op::Pause(a) }),
            182..=189 => {
                self.next_label += 1;
                let is_parent = self.dice.below(2) == 0;
                if self.world.can_have_children(a) {
                    self.op(Op::Create(a, self.next_label, is_parent))
                } else {
                    Ok(())
                }
            }
            190..=193 if a != 0 => self.op(Op::Crash(a)),
            194..=196 => match self.world.parent(a) {
                Some(parent) => self.op(Op::Cut(parent, a)),
                None => Ok(()),
            },
            197..=198 if a != 0 => self.op(Op::Shutdown(0, a)),
            _ => Ok(()),
        }
    }

    fn call(&mut self, src: u32, dst: u32) -> Call {
        let third = self.world.live_labels().nth(self.dice.below(4) as usize).unwrap_or(0);
        Call::any(&mut self.dice, src, dst, self.world.id(third))
    }
}

/// A tree of so many contexts, none deeper than six links; every second can have children.
fn tree(contexts: u32, dice: &mut Dice) -> String {
    let mut parents = vec![(0_u32, 0_u32)];
    let mut text = String::new();
    for label in 1..contexts {
        let Some((parent, depth)) = dice.one_of(&parents) else { break };
        let (is_parent, is_stamped) = (dice.below(2) == 0, dice.below(12) == 0);
        if is_parent && depth < 5 {
            parents.push((label, depth + 1));
        }
        let flags = if is_parent { "p" } else { "" };
        text += &format!("{parent}>{label}{flags}{} ", if is_stamped { "s" } else { "" });
    }
    text
}
