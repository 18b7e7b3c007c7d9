//! The whole: contexts, the wires between them, and the steps that can happen next.

mod scripts;
mod steps;
mod wires;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use offshoot_core::machine::{CallKey, Limits, Tick};
use offshoot_wire::{ContextId, Frame, Handle, Role, Setup};

use super::{
    birth::{self, Birth, Tables},
    context::Context,
    history::History,
    invariants::Whole,
    router::Router,
    sabotage::Sabotage,
    script::{Expectation, OpNo, Pending},
    tree,
};

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The bounds of every machine.
    pub limits: Limits,
    /// How many frames of one direction of a link may be under way; what is more waits in the outbox.
    pub in_flight: usize,
    /// How many workers each context has.
    pub workers: usize,
    /// Workers take calls at steps of their own.
    pub slow_workers: bool,
    /// Timers fire.
    pub timers: bool,
    /// The tree is one-way.
    pub one_way: bool,
    /// What goes wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut limits = Limits::default();
        limits.window_start = 512;
        limits.window_max = 1024;
        limits.ping_ms = 0;
        // Whoever wants to see STARTED makes it sooner.
        limits.started_ms = u32::MAX;
        Self {
            limits,
            in_flight: 1,
            workers: 1,
            slow_workers: false,
            timers: false,
            one_way: false,
            sabotage: None,
        }
    }
}

impl Settings {
    /// Links that are silent for `ms` are asked, and lost after so many questions.
    #[must_use]
    pub fn pinging(mut self, ms: u32, lost: u32) -> Self {
        self.limits.ping_ms = ms;
        self.limits.pings_lost = lost;
        self
    }
}

/// What is due from then on does not happen.
const NEVER: Tick = Tick(u32::MAX as u64);

/// One direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wire {
    /// What is under way.
    pub frames: VecDeque<Frame>,
    /// Nothing more is written.
    pub cut: bool,
    /// Its writer has ended in order: what is under way will arrive.
    pub closed: bool,
}

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The next frame from the first to the second arrives.
    Deliver(ContextId, ContextId),
    /// The first finds the link to the second ended; what was under way to it is lost.
    Down(ContextId, ContextId),
    /// A worker takes a call.
    Work(ContextId),
    /// A handler gives an answer that it held.
    Finish(ContextId, CallKey),
    /// A slow receiver takes an item.
    Read(ContextId, Handle),
    /// The next timer of a context fires.
    Due(ContextId),
    /// A context that was told to end does.
    Exit(ContextId),
    /// Something of the script happens.
    Op(OpNo),
}

/// A context and the hash of its state.
#[derive(Clone, Debug)]
struct Cell {
    context: Arc<Context>,
    hash: u64,
}

/// A context that waits for its SETUP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Unborn {
    birth: Birth,
    parent: ContextId,
}

/// A check of a script.
type Check = Arc<dyn Fn(&World) -> Result<(), String> + Send + Sync>;
/// A claim of a script that holds in some world.
type Witness = Arc<dyn Fn(&World) -> bool + Send + Sync>;

/// A tree of contexts.
#[derive(Clone)]
pub struct World {
    cells: BTreeMap<ContextId, Cell>,
    unborn: BTreeMap<ContextId, Unborn>,
    /// The wires, by source and destination.
    pub wires: BTreeMap<(ContextId, ContextId), Wire>,
    /// Where a machine has asked for something to be written, and not all that can has been.
    wishes: BTreeSet<(ContextId, ContextId)>,
    paused: BTreeSet<ContextId>,
    now: Tick,
    /// What has happened.
    pub history: History,
    done: u64,
    script: Arc<Vec<Pending>>,
    /// How the world was made.
    pub settings: Arc<Settings>,
    names: BTreeMap<u32, ContextId>,
    /// What the script expects at rest.
    pub expectations: Arc<Vec<Expectation>>,
    /// More that it expects.
    pub checks: Arc<Vec<Check>>,
    /// What it expects at every moment.
    pub always: Arc<Vec<Check>>,
    /// What must be so in some world at rest.
    pub witnesses: Arc<Vec<(String, Witness)>>,
    /// What must be so at some moment.
    pub meetings: Arc<Vec<(String, Witness)>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("contexts", &self.cells.keys()).finish_non_exhaustive()
    }
}

impl World {
    /// A tree in which everybody has been announced and nothing is under way.
    #[must_use]
    pub fn grown(text: &str, settings: Settings) -> Self {
        let mut world = Self {
            cells: BTreeMap::new(),
            unborn: BTreeMap::new(),
            wires: BTreeMap::new(),
            wishes: BTreeSet::new(),
            paused: BTreeSet::new(),
            now: Tick(0),
            history: History::default(),
            done: 0,
            script: Arc::default(),
            settings: Arc::new(settings),
            names: BTreeMap::from([(0, ContextId::ROOT)]),
            expectations: Arc::default(),
            checks: Arc::default(),
            always: Arc::default(),
            witnesses: Arc::default(),
            meetings: Arc::default(),
        };
        world.plant_root();
        for edge in tree::parse(text) {
            let birth = Birth {
                id: ContextId::ROOT,
                label: edge.label,
                is_parent: edge.is_parent,
                is_stamped: edge.is_stamped,
                for_call: None,
            };
            let parent = world.id(edge.parent);
            world.with(parent, |context, io| context.create(birth, io));
            world.settle();
        }
        assert!(world.history.violation.is_none(), "growing {text}: {:?}", world.history.violation);
        world
    }

    fn plant_root(&mut self) {
        let setup = birth::root(&self.settings.limits, self.settings.one_way);
        self.history.made_by.insert(ContextId::ROOT, ContextId::ROOT);
        self.put(&setup, Role::Parent);
    }

    fn put(&mut self, setup: &Setup, role: Role) {
        let router =
            birth::router(setup, role, &self.settings.limits, Tables::default(), self.settings.sabotage);
        let context = Context::new(router, setup.clone(), self.settings.workers);
        self.cells.insert(setup.id, Cell::new(context));
    }

    /// Runs one order of steps to its end: of the steps of the world itself, the first each time. Where time never comes
    /// to an end, since links are asked again and again, it does not pass.
    ///
    /// # Panics
    /// If it does not end.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let may = |step: &Step| match step {
                Step::Op(_) => false,
                Step::Due(_) => !self.pings(),
                _ => true,
            };
            let Some(step) = self.steps().into_iter().find(may) else { return };
            self.apply(step);
            if self.history.violation.is_some() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    // ---- what is there

    /// The id of the context that a script calls so.
    ///
    /// # Panics
    /// If there never was one.
    #[must_use]
    pub fn id(&self, label: u32) -> ContextId {
        *self.names.get(&label).unwrap_or_else(|| panic!("no context is called {label}"))
    }

    /// Whether links that are silent are asked whether anybody is there, so that time never stands still.
    #[must_use]
    pub fn pings(&self) -> bool {
        self.settings.limits.ping_ms > 0
    }

    /// What a script calls a context, else its id.
    #[must_use]
    pub fn label(&self, id: ContextId) -> String {
        match self.names.iter().find(|(_, named)| **named == id) {
            Some((label, _)) => label.to_string(),
            None => format!("#{id}"),
        }
    }

    /// The live context of that id.
    #[must_use]
    pub fn context(&self, id: ContextId) -> Option<&Context> {
        self.cells.get(&id).map(|cell| &*cell.context)
    }

    /// Every live context.
    pub fn contexts(&self) -> impl Iterator<Item = (ContextId, &Context)> {
        self.cells.iter().map(|(id, cell)| (*id, &*cell.context))
    }

    /// Whether a context of the script lives.
    #[must_use]
    pub fn is_alive(&self, label: u32) -> bool {
        self.names.get(&label).is_some_and(|id| self.cells.contains_key(id))
    }

    /// Whether a context is on its way: its SETUP has not arrived.
    #[must_use]
    pub fn is_unborn(&self, id: ContextId) -> bool {
        self.unborn.contains_key(&id)
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Tick {
        self.now
    }

    /// Something that waits for its step.
    #[must_use]
    pub fn pending(&self, op: OpNo) -> &Pending {
        &self.script[op]
    }

    /// What the script calls each context that lives.
    pub fn live_labels(&self) -> impl Iterator<Item = u32> {
        self.names.iter().filter(|(_, id)| self.cells.contains_key(id)).map(|(label, _)| *label)
    }

    /// Whether a frame to this handle is under way from one context to another.
    #[must_use]
    pub fn wires_hold(&self, from: u32, to: u32, handle: Handle) -> bool {
        let wire = self.wires.get(&(self.id(from), self.id(to)));
        wire.is_some_and(|wire| wire.frames.iter().any(|frame| frame.handle == handle))
    }

    /// Whether as much is under way from one context to another as may be, and more waits for it.
    #[must_use]
    pub fn wires_are_full(&self, from: u32, to: u32) -> bool {
        let (from, to) = (self.id(from), self.id(to));
        let wire = self.wires.get(&(from, to));
        wire.is_some_and(|wire| wire.frames.len() >= self.settings.in_flight)
            && self.wishes.contains(&(from, to))
    }

    /// Whether a context does not want to read a neighbour now.
    #[must_use]
    pub fn is_unread(&self, at: u32, of: u32) -> bool {
        self.context(self.id(at)).is_some_and(|context| context.unread.contains(&self.id(of)))
    }

    /// Whether the link between two contexts has been cut.
    #[must_use]
    pub fn is_cut(&self, a: u32, b: u32) -> bool {
        self.wires.get(&(self.id(a), self.id(b))).is_none_or(|wire| wire.cut)
    }

    /// Whether a context's program can have children.
    #[must_use]
    pub fn can_have_children(&self, label: u32) -> bool {
        self.context(self.id(label)).is_some_and(|context| matches!(context.router, Router::Parent(_)))
    }

    /// What the script calls the parent of a context that lives.
    #[must_use]
    pub fn parent(&self, label: u32) -> Option<u32> {
        let parent = self.context(self.id(label))?.ancestors().first()?;
        self.names.iter().find(|(_, id)| *id == parent).map(|(label, _)| *label)
    }

    /// Whether a context is paused.
    #[must_use]
    pub fn is_paused(&self, label: u32) -> bool {
        self.names.get(&label).is_some_and(|id| self.paused.contains(id))
    }

    /// The hash of all that matters for what can happen from here on.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (id, cell) in &self.cells {
            (id, cell.hash).hash(&mut hasher);
        }
        (&self.unborn, &self.wires, &self.wishes, &self.paused, self.now, &self.history, self.done)
            .hash(&mut hasher);
        hasher.finish()
    }
}

impl Whole for World {
    fn history(&self) -> &History {
        &self.history
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    fn has_timers(&self) -> bool {
        self.settings.timers && !self.pings()
    }

    fn context(&self, id: ContextId) -> Option<&Context> {
        self.context(id)
    }

    fn contexts(&self) -> impl Iterator<Item = (ContextId, &Context)> {
        self.contexts()
    }

    fn label(&self, id: ContextId) -> String {
        self.label(id)
    }
}

impl Cell {
    fn new(context: Context) -> Self {
        let mut cell = Self { context: Arc::new(context), hash: 0 };
        cell.rehash();
        cell
    }

    fn rehash(&mut self) {
        let mut hasher = DefaultHasher::new();
        self.context.hash(&mut hasher);
        self.hash = hasher.finish();
    }
}
