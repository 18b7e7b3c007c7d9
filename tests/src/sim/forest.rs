//! Contexts, the links between them, and one thread that lets happen what is due: the whole tree in one process.

mod ends;
mod growth;
mod pipes;
mod program;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use offshoot_core::machine::{Limits, Tick};
use offshoot_wire::{ContextId, Role, Setup};

use super::{
    agenda::{Agenda, Moment},
    counts::Counts,
    link::{Link, Pace, Way},
    pipe::End,
};
use crate::world::{
    Context, Dice, History, Violation,
    birth::{self, Birth, Tables},
    context::{Effect, Io},
    invariants::{self, Whole},
    sabotage::Sabotage,
};

/// Whoever knows so many contexts is looked at half as often as one who knows none.
const FEW: u64 = 32;
/// How many of the last happenings a story tells.
const TOLD: usize = 400;

/// How a forest is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides all that is left to chance.
    pub seed: u64,
    /// The bounds of every machine.
    pub limits: Limits,
    /// How every table is made.
    pub tables: Tables,
    /// How many workers each context has.
    pub workers: usize,
    /// Workers take their time.
    pub slow_workers: bool,
    /// The tree is one-way.
    pub one_way: bool,
    /// How fast every link is; without it each has a pace of its own.
    pub pace: Option<Pace>,
    /// What goes wrong on purpose, for the checks to see it.
    pub sabotage: Option<Sabotage>,
    /// How many contexts there will be.
    pub contexts: u32,
    /// What holds at every moment is looked at all the time, not only at rest.
    pub is_watched: bool,
}

/// Something that happens at its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The end of a pipe is read.
    Read(ContextId, Way),
    /// A timer of a context fires.
    Due(ContextId),
    /// A program goes on.
    Program(ContextId),
    /// A context makes children, below which there will be so many contexts altogether, themselves included.
    Grow(ContextId, u32),
    /// The deed of that number is done.
    Deed(u32),
    /// A fault is mended.
    Undo(Undo),
}

/// What mends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undo {
    /// A context goes on.
    Resume(ContextId),
    /// The link to that child flows again.
    Unclog(ContextId),
    /// The link to that child is as fast as before.
    SpeedUp(ContextId),
}

/// A context, and what is planned for it.
#[derive(Debug)]
struct Cell {
    context: Context,
    dice: Dice,
    is_paused: bool,
    /// The program will go on by itself.
    is_stirred: bool,
    /// The moment for which the next timer is planned.
    due: Moment,
    /// Its neighbours whose pipes it leads to.
    neighbours: BTreeSet<ContextId>,
}

/// A whole tree.
#[derive(Debug)]
pub struct Forest {
    cells: BTreeMap<ContextId, Cell>,
    unborn: BTreeMap<ContextId, Birth>,
    /// The links, by their child.
    links: BTreeMap<ContextId, Link>,
    agenda: Agenda<Happening>,
    /// How much is planned that is no timer.
    busy: usize,
    now: Moment,
    /// How much has happened at this moment.
    at_once: u64,
    /// Every id that was given to a context, in the order in which they were.
    pub made: Vec<ContextId>,
    /// How many contexts will grow below the one with this label, once it is there.
    budgets: BTreeMap<u32, u32>,
    /// How many children a context grows at most.
    fan: u32,
    next_label: u32,
    /// What has happened to calls and streams.
    pub history: History,
    /// How often things happened.
    pub counts: Counts,
    /// How it was made.
    pub settings: Settings,
    digest: DefaultHasher,
    story: Option<VecDeque<String>>,
    /// What each hostile context wrote last.
    pub said: BTreeMap<ContextId, Vec<u8>>,
    /// What has to be mended.
    pub undos: BTreeSet<Undo>,
}

impl Forest {
    /// A root that will grow so many contexts, each with so many children at most.
    #[must_use]
    pub fn new(settings: Settings, fan: u32) -> Self {
        let mut forest = Self {
            cells: BTreeMap::new(),
            unborn: BTreeMap::new(),
            links: BTreeMap::new(),
            agenda: Agenda::default(),
            busy: 0,
            now: 0,
            at_once: 0,
            made: vec![ContextId::ROOT],
            budgets: BTreeMap::new(),
            fan: fan.max(1),
            next_label: 0,
            history: History::default(),
            counts: Counts::default(),
            digest: DefaultHasher::new(),
            story: None,
            said: BTreeMap::new(),
            undos: BTreeSet::new(),
            settings,
        };
        forest.plant_root();
        let budget = forest.settings.contexts.saturating_sub(1);
        forest.plan(0, Happening::Grow(ContextId::ROOT, budget));
        forest
    }

    /// The last happenings are told.
    pub fn tell_story(&mut self) {
        self.story = Some(VecDeque::new());
    }

    /// What has happened last, if it was told.
    pub fn story(&mut self) -> Vec<String> {
        self.story.take().into_iter().flatten().collect()
    }

    fn plant_root(&mut self) {
        let setup = birth::root(&self.settings.limits, self.settings.one_way);
        self.history.made_by.insert(ContextId::ROOT, ContextId::ROOT);
        self.put(&setup, Role::Parent);
    }

    fn put(&mut self, setup: &Setup, role: Role) {
        let id = setup.id;
        let router =
            birth::router(setup, role, &self.settings.limits, self.settings.tables, self.settings.sabotage);
        let context = Context::new(router, setup.clone(), self.settings.workers);
        let dice = Dice::of(!self.settings.seed, u64::from(id.number()));
        let neighbours = context.ancestors().first().copied().into_iter().collect();
        let cell = Cell { context, dice, is_paused: false, is_stirred: false, due: Moment::MAX, neighbours };
        self.cells.insert(id, cell);
    }

    // ---- time

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// How much has happened since time went on.
    #[must_use]
    pub const fn at_once(&self) -> u64 {
        self.at_once
    }

    const fn tick(&self) -> Tick {
        Tick(self.now / 1000)
    }

    /// Something will happen in so many microseconds.
    pub fn plan(&mut self, after: Moment, what: Happening) {
        self.plan_at(self.now + after, what);
    }

    fn plan_at(&mut self, at: Moment, what: Happening) {
        self.busy += usize::from(!matches!(what, Happening::Due(_)));
        self.agenda.plan(at.max(self.now), what);
    }

    /// Whether nothing is under way: only timers are planned.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.busy == 0
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Moment> {
        self.agenda.next_at()
    }

    /// Takes the next thing that happens; who does deeds is the caller's.
    pub fn take_next(&mut self) -> Option<Happening> {
        let (at, what) = self.agenda.take_next()?;
        self.busy -= usize::from(!matches!(what, Happening::Due(_)));
        self.at_once = if at == self.now { self.at_once + 1 } else { 0 };
        self.now = at;
        self.counts.events += 1;
        (at, what).hash(&mut self.digest);
        Some(what)
    }

    /// Lets it happen.
    pub fn happen(&mut self, what: Happening) {
        match what {
            Happening::Read(child, way) => self.read(child, way),
            Happening::Due(id) => self.due(id),
            Happening::Program(id) => self.program(id),
            Happening::Grow(id, budget) => self.grow(id, budget),
            Happening::Undo(undo) => self.undo(undo),
            Happening::Deed(_) => {}
        }
    }

    /// A digest of all that has happened so far, and in which order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = self.digest.clone();
        (&self.history, self.now, self.counts.events).hash(&mut digest);
        digest.finish()
    }

    /// Remembers a line of the story, if it is told.
    pub fn tell(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.story.is_none() {
            return;
        }
        let line = format!("{:>12.3} ms  {}", self.now as f64 / 1000.0, line(self));
        if let Some(story) = &mut self.story {
            story.push_back(line);
            if story.len() > TOLD {
                story.pop_front();
            }
        }
    }

    // ---- contexts

    /// Lets a context act, and does what it cannot do by itself.
    pub fn with(&mut self, id: ContextId, act: impl FnOnce(&mut Context, &mut Io<'_>)) {
        let now = self.tick();
        let is_thorough = self.is_looked_at(id);
        let Some(cell) = self.cells.get_mut(&id) else { return };
        let mut effects = Vec::new();
        let mut io = io(now, &mut self.history, &mut effects);
        io.is_thorough = is_thorough;
        io.sabotage = self.settings.sabotage;
        act(&mut cell.context, &mut io);
        while !self.settings.slow_workers && cell.context.can_work() {
            cell.context.work(&mut io);
        }
        self.carry_out(id, effects);
        self.plan_program(id);
        self.plan_due(id);
        if is_thorough {
            self.look(id);
        }
    }

    fn carry_out(&mut self, id: ContextId, effects: Vec<Effect>) {
        let mut open = VecDeque::from(effects);
        while let Some(effect) = open.pop_front() {
            match effect {
                Effect::Spawn(birth) => self.spawn(id, birth),
                Effect::Cut(peer) => self.cut(id, peer),
                Effect::Kill(child) => self.kill(child),
                Effect::Write(peer) => self.flush(id, peer, &mut open),
                Effect::Read(peer) => self.await_pipe(id, peer),
            }
        }
    }

    /// Whether this is one of the times at which a context is looked at: each that it acts, if it holds few, and less
    /// often the more it holds, since that is what a look costs.
    fn is_looked_at(&self, id: ContextId) -> bool {
        if !self.settings.is_watched {
            return false;
        }
        let held = self.context(id).map_or(0, Context::neighbourhood) as u64;
        self.counts.events.is_multiple_of(1 + held / FEW)
    }

    fn look(&mut self, id: ContextId) {
        let wrong = self.context(id).and_then(|context| invariants::of_one(self, id, context).err());
        if let Some(Violation { invariant, text }) = wrong {
            self.history.wrong(invariant, text);
        }
    }

    /// Whether a context is there and goes on.
    #[must_use]
    pub fn is_awake(&self, id: ContextId) -> bool {
        self.cells.get(&id).is_some_and(|cell| !cell.is_paused)
    }

    /// How many contexts live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether nobody lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Some link, by its child.
    #[must_use]
    pub fn some_link(&self, dice: &mut Dice) -> Option<ContextId> {
        let id = self.some(dice)?;
        self.links.range(id..).next().or_else(|| self.links.iter().next()).map(|(child, _)| *child)
    }

    /// Some context that lives.
    #[must_use]
    pub fn some(&self, dice: &mut Dice) -> Option<ContextId> {
        let first = dice.below(self.made.len() as u64) as usize;
        let (before, behind) = self.made.split_at(first);
        behind.iter().chain(before).find(|id| self.cells.contains_key(id)).copied()
    }

    /// A context goes on later than the rest.
    pub fn pause(&mut self, id: ContextId) {
        if let Some(cell) = self.cells.get_mut(&id) {
            cell.is_paused = true;
        }
    }

    fn resume(&mut self, id: ContextId) {
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.is_paused = false;
        cell.due = Moment::MAX;
        let neighbours = cell.neighbours.clone();
        let writes = neighbours.iter().map(|peer| Effect::Write(*peer)).collect();
        self.carry_out(id, writes);
        for peer in neighbours {
            self.await_pipe(id, peer);
        }
        self.with(id, |_, _| {});
    }

    fn undo(&mut self, undo: Undo) {
        if !self.undos.remove(&undo) {
            return;
        }
        self.tell(|_| format!("{undo:?}"));
        match undo {
            Undo::Resume(id) => self.resume(id),
            Undo::Unclog(child) => self.set_clogged(child, &Way::BOTH, false),
            Undo::SpeedUp(child) => {
                if let Some(link) = self.links.get_mut(&child) {
                    link.speed_up();
                }
                self.stir_link(child);
            }
        }
    }
}

/// What a context acts with.
const fn io<'a>(now: Tick, history: &'a mut History, effects: &'a mut Vec<Effect>) -> Io<'a> {
    Io { now, history, effects, hello_by: now.after(HELLO), is_thorough: false, sabotage: None }
}

/// How long a child may take to say HELLO, in milliseconds.
const HELLO: u64 = 10_000;

impl Whole for Forest {
    fn history(&self) -> &History {
        &self.history
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    fn has_timers(&self) -> bool {
        true
    }

    fn context(&self, id: ContextId) -> Option<&Context> {
        self.cells.get(&id).map(|cell| &cell.context)
    }

    fn contexts(&self) -> impl Iterator<Item = (ContextId, &Context)> {
        self.cells.iter().map(|(id, cell)| (*id, &cell.context))
    }

    fn label(&self, id: ContextId) -> String {
        id.to_string()
    }

    fn some(&self, dice: &mut Dice) -> Option<ContextId> {
        self.some(dice)
    }
}
