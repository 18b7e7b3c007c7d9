//! The whole: contexts, the wires between them, and the steps that can happen next.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use offshoot_core::machine::{Actions, CallKey, Config, Limits, Machine, Policy, Tick, UpOnly};
use offshoot_parent::table::Table;
use offshoot_wire::{ContextId, Decoded, Decoder, Frame, Handle, Role, Setup, VERSION, codec};

use super::{
    context::{Birth, Context, Effect, FUNCTIONS, Io},
    history::{CallNo, History, Violation},
    invariants::Whole,
    router::Router,
    sabotage::Sabotage,
    script::{Call, End, Expectation, Op, OpNo, Pending},
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

/// A check of a script at rest.
type RestCheck = Arc<dyn Fn(&World) -> Result<(), String> + Send + Sync>;
/// A claim of a script that holds in some world at rest.
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
    pub checks: Arc<Vec<RestCheck>>,
    /// What must be so in some world at rest.
    pub witnesses: Arc<Vec<(String, Witness)>>,
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
            witnesses: Arc::default(),
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
        let setup = Setup {
            version: VERSION,
            features: 0,
            id: ContextId::ROOT,
            ancestors: Vec::new(),
            name: "root".into(),
            one_way: self.settings.one_way,
            body_limit: self.settings.limits.body,
            ping_ms: self.settings.limits.ping_ms,
            grace_ms: self.settings.limits.grace_ms,
            log_level: 0,
        };
        self.history.ids.insert(ContextId::ROOT);
        let config = self.config(&setup, Role::Parent);
        let router = Router::Parent(Machine::new(config, Table::root()));
        let context = Context::new(router, setup, self.settings.workers);
        self.cells.insert(ContextId::ROOT, Cell::new(context));
    }

    fn config(&self, setup: &Setup, role: Role) -> Config {
        let policies = [Policy::Anyone, Policy::Parents, Policy::Children];
        Config {
            me: setup.id,
            ancestors: setup.ancestors.clone(),
            role,
            one_way: setup.one_way,
            functions: FUNCTIONS.iter().map(|name| (*name).to_owned()).zip(policies).collect(),
            build: 0,
            limits: self.settings.limits.clone(),
        }
    }

    /// Runs one order of steps to its end: of the steps of the world itself, the first each time.
    ///
    /// # Panics
    /// If it does not end.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let Some(step) = self.steps().into_iter().find(|step| !matches!(step, Step::Op(_))) else {
                return;
            };
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

    // ---- scripts

    /// Sends a call now.
    pub fn start(&mut self, call: Call) -> CallNo {
        let no = self.history.calls.len() as CallNo;
        self.op(&Op::Start(call));
        no
    }

    /// Sends a call between contexts that the script may have no names for.
    pub fn start_by_id(&mut self, src: ContextId, dst: ContextId, call: &Call) {
        let job = call.job.clone();
        self.with(src, |context, io| {
            context.start(call, dst, job, io);
        });
    }

    /// Sends a small call now.
    pub fn call(&mut self, src: u32, dst: u32) -> CallNo {
        self.start(Call::new(src, dst))
    }

    /// Lets a script speak of an id, whether there is such a context or not.
    pub fn name(&mut self, label: u32, id: u32) {
        self.names.insert(label, ContextId::new(id));
    }

    /// The call by which `by` grants `to` the function in `at`.
    pub fn grant(&mut self, by: u32, at: u32, to: u32, function: &'static str) -> Call {
        let (at_id, to) = (self.id(at), self.id(to));
        self.history.grants.insert((at_id, to, function.to_owned()));
        Call { grant: Some(to), function, mailbox: Handle::GRANT, ..Call::new(by, at) }
    }

    /// Does something now.
    pub fn now_do(&mut self, op: &Op) {
        self.op(op);
    }

    /// Something happens at any step, once.
    pub fn will(&mut self, op: Op) -> OpNo {
        self.plan(Pending { op, optional: false, after: None })
    }

    /// Something happens at any step, or not at all.
    pub fn may(&mut self, op: Op) -> OpNo {
        self.plan(Pending { op, optional: true, after: None })
    }

    /// Something happens at any step behind another.
    pub fn then(&mut self, after: OpNo, op: Op) -> OpNo {
        self.plan(Pending { op, optional: false, after: Some(after) })
    }

    fn plan(&mut self, pending: Pending) -> OpNo {
        let script = Arc::make_mut(&mut self.script);
        script.push(pending);
        script.len() - 1
    }

    /// At rest a call has ended in one of these ways.
    pub fn expect(&mut self, call: CallNo, among: &[End]) {
        let among = among.to_vec();
        Arc::make_mut(&mut self.expectations).push(Expectation { call, among });
    }

    /// At rest this holds.
    pub fn at_rest(&mut self, check: impl Fn(&Self) -> Result<(), String> + Send + Sync + 'static) {
        Arc::make_mut(&mut self.checks).push(Arc::new(check));
    }

    /// In some world at rest this holds.
    pub fn sometimes(&mut self, claim: &str, holds: impl Fn(&Self) -> bool + Send + Sync + 'static) {
        Arc::make_mut(&mut self.witnesses).push((claim.to_owned(), Arc::new(holds)));
    }

    /// In some world at rest that call has ended so.
    pub fn sometimes_ends(&mut self, call: CallNo, end: End) {
        self.sometimes(&format!("call {call} ends as {end:?}"), move |world| {
            world.history.calls[call as usize].end.as_ref().is_some_and(|is| end.is(is))
        });
    }

    // ---- steps

    /// All that can happen next.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((from, to), wire) in &self.wires {
            if !wire.frames.is_empty() && self.can_read(*to, *from) {
                steps.push(Step::Deliver(*from, *to));
            }
        }
        for (id, cell) in self.cells.iter().filter(|(id, _)| !self.paused.contains(id)) {
            self.steps_of(*id, &cell.context, &mut steps);
        }
        for (at, pending) in self.script.iter().enumerate() {
            let ready = pending.after.is_none_or(|before| self.is_done(before));
            if ready && !self.is_done(at) && self.is_possible(&pending.op) {
                steps.push(Step::Op(at));
            }
        }
        steps
    }

    fn steps_of(&self, id: ContextId, context: &Context, steps: &mut Vec<Step>) {
        for peer in context.links.keys() {
            let ended = |wire: &Wire| wire.cut || (wire.closed && wire.frames.is_empty());
            if self.wires.get(&(*peer, id)).is_none_or(ended) {
                steps.push(Step::Down(id, *peer));
            }
        }
        if context.can_work() {
            steps.push(Step::Work(id));
        }
        for (key, task) in &context.tasks {
            if task.held.is_some() {
                steps.push(Step::Finish(id, *key));
            }
        }
        for handle in context.ends.keys().filter(|handle| context.can_read(**handle)) {
            steps.push(Step::Read(id, *handle));
        }
        if context.can_exit() {
            steps.push(Step::Exit(id));
        }
        let due = context.router.next_due().filter(|at| *at < NEVER);
        if self.settings.timers && due.is_some() {
            steps.push(Step::Due(id));
        }
    }

    fn can_read(&self, at: ContextId, from: ContextId) -> bool {
        let context = self.cells.get(&at).map(|cell| &cell.context);
        !self.paused.contains(&at)
            && (self.unborn.contains_key(&at)
                || context.is_some_and(|c| c.links.contains_key(&from) && !c.unread.contains(&from)))
    }

    fn is_done(&self, op: OpNo) -> bool {
        self.done & (1 << op) != 0
    }

    /// Whether a step can happen now.
    #[must_use]
    pub fn can(&self, step: Step) -> bool {
        let mut steps = Vec::new();
        match step {
            Step::Deliver(from, to) => {
                return self.can_read(to, from)
                    && self.wires.get(&(from, to)).is_some_and(|wire| !wire.frames.is_empty());
            }
            Step::Down(id, _)
            | Step::Work(id)
            | Step::Finish(id, _)
            | Step::Read(id, _)
            | Step::Due(id)
            | Step::Exit(id) => {
                if let Some(context) = self.context(id).filter(|_| !self.paused.contains(&id)) {
                    self.steps_of(id, context, &mut steps);
                }
            }
            Step::Op(op) => return !self.is_done(op) && self.is_possible(&self.script[op].op),
        }
        steps.contains(&step)
    }

    /// Whether something of a script can happen now.
    #[must_use]
    pub fn is_possible(&self, op: &Op) -> bool {
        let alive = |label: &u32| self.is_alive(*label);
        match op {
            Op::Start(call) => alive(&call.src) && self.names.contains_key(&call.dst),
            Op::Cancel(call) => self.history.calls.get(*call as usize).is_some(),
            Op::Cut(a, b) => match (self.names.get(a), self.names.get(b)) {
                (Some(a), Some(b)) => self.wires.get(&(*a, *b)).is_some_and(|wire| !wire.cut),
                _ => false,
            },
            Op::Crash(a) | Op::Pause(a) | Op::Resume(a) | Op::Create(a, ..) | Op::Inject(a, _) => alive(a),
            Op::Shutdown(a, b) | Op::EndChain(a, b, _) | Op::Watch(a, b) => {
                alive(a) && self.names.contains_key(b)
            }
        }
    }

    /// Whether nothing is left but what may as well not happen.
    #[must_use]
    pub fn is_at_rest(&self, steps: &[Step]) -> bool {
        steps.iter().all(|step| matches!(step, Step::Op(op) if self.script[*op].optional))
    }

    /// Takes a step.
    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::Down(at, peer) => {
                self.wires.remove(&(peer, at));
                if let Some(wire) = self.wires.get_mut(&(at, peer)) {
                    wire.cut = true;
                }
                self.with(at, |context, io| context.link_down(peer, io));
            }
            Step::Work(id) => self.with(id, |context, io| context.work(io)),
            Step::Finish(id, key) => self.with(id, |context, io| context.finish(key, io)),
            Step::Read(id, handle) => self.with(id, |context, io| context.read(handle, io)),
            Step::Due(id) => self.due(id),
            Step::Exit(id) => self.exit(id),
            Step::Op(at) => {
                self.done |= 1 << at;
                let script = Arc::clone(&self.script);
                self.op(&script[at].op);
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Start(call) => {
                let (src, dst) = (self.id(call.src), self.id(call.dst));
                let job = call.job.clone();
                self.with(src, |context, io| {
                    context.start(call, dst, job, io);
                });
            }
            Op::Cancel(call) => {
                let record = &self.history.calls[*call as usize];
                if let (src, Some(handle)) = (record.src, record.handle) {
                    self.with(src, |context, io| context.cancel(handle, io));
                }
            }
            Op::Cut(a, b) => self.cut(self.id(*a), self.id(*b)),
            Op::Crash(a) => self.end(self.id(*a)),
            Op::Pause(a) => {
                self.paused.insert(self.id(*a));
            }
            Op::Resume(a) => {
                let id = self.id(*a);
                self.paused.remove(&id);
                self.with(id, |_, _| {});
            }
            Op::Shutdown(by, of) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, io| context.shut_down(of, io));
            }
            Op::Create(parent, label, is_parent) => {
                let (label, is_parent) = (*label, *is_parent);
                let birth =
                    Birth { id: ContextId::ROOT, label, is_parent, is_stamped: false, for_call: None };
                self.with(self.id(*parent), |context, io| context.create(birth, io));
            }
            Op::Inject(by, frame) => self.inject(self.id(*by), frame),
            Op::EndChain(by, of, chain) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, io| context.end_chain(of, *chain, io));
            }
            Op::Watch(by, of) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, _| context.watch(of));
            }
        }
    }

    /// A hostile context writes this to a child of its.
    pub fn inject_down(&mut self, by: u32, child: u32, frame: Frame) {
        let (by, child) = (self.id(by), self.id(child));
        self.history.hostile.insert(by);
        if let Some(wire) = self.wires.get_mut(&(by, child)) {
            wire.frames.push_back(frame);
        }
    }

    fn inject(&mut self, by: ContextId, frame: &Frame) {
        self.history.hostile.insert(by);
        let parent = self.cells.get(&by).and_then(|cell| cell.context.ancestors().first().copied());
        if let Some(wire) = parent.and_then(|parent| self.wires.get_mut(&(by, parent))) {
            wire.frames.push_back(frame.clone());
        }
    }

    fn deliver(&mut self, from: ContextId, to: ContextId) {
        let Some(frame) = self.wires.get_mut(&(from, to)).and_then(|wire| wire.frames.pop_front()) else {
            return;
        };
        if self.unborn.contains_key(&to) {
            if frame.handle == Handle::SETUP {
                self.give_birth(to, &frame);
            }
        } else {
            self.with(to, |context, io| context.frame(from, frame, io));
        }
        self.with(from, |_, _| {});
    }

    /// A child has read its SETUP: it is there, and says HELLO.
    fn give_birth(&mut self, id: ContextId, frame: &Frame) {
        let Some(Unborn { birth, .. }) = self.unborn.remove(&id) else { return };
        let Ok(setup) = codec::decode::<Setup>(&frame.body, 1 << 16) else {
            return self.history.wrong("I16", "SETUP is damaged");
        };
        let role = if birth.is_parent { Role::Parent } else { Role::Leaf };
        let config = self.config(&setup, role);
        let router = match role {
            Role::Parent => Router::Parent(Machine::new(config, Table::hop(id))),
            Role::Leaf => Router::Leaf(Machine::new(config, UpOnly::new(id))),
        };
        self.cells.insert(id, Cell::new(Context::new(router, setup, self.settings.workers)));
        self.with(id, |context, io| context.say_hello(role, io));
    }

    /// It is so late now, and a context judges its timers.
    pub fn advance(&mut self, label: u32, ms: u64) {
        self.now = self.now.max(Tick(ms));
        self.fire(self.id(label));
    }

    fn due(&mut self, id: ContextId) {
        let due = self.context(id).and_then(|context| context.router.next_due());
        self.now = self.now.max(due.unwrap_or(self.now));
        self.fire(id);
    }

    fn fire(&mut self, id: ContextId) {
        self.with(id, Context::due);
    }

    /// Lets a context act, does what it cannot do by itself, and writes what it has to write.
    fn with(&mut self, id: ContextId, act: impl FnOnce(&mut Context, &mut Io<'_>)) {
        let Some(mut cell) = self.cells.remove(&id) else { return };
        let mut effects = Vec::new();
        let context = Arc::make_mut(&mut cell.context);
        let mut io = io(self.now, &mut self.history, &mut effects);
        act(context, &mut io);
        if !self.settings.slow_workers {
            while context.can_work() {
                context.work(&mut io);
            }
        }
        cell.rehash();
        self.cells.insert(id, cell);
        self.carry_out(id, effects);
        if !self.paused.contains(&id) {
            self.write_out(id);
        }
    }

    fn carry_out(&mut self, id: ContextId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Spawn(birth) => self.spawn(id, birth),
                Effect::Cut(peer) => self.cut(id, peer),
                Effect::Kill(child) => self.end(child),
                Effect::Write(peer) => {
                    self.wishes.insert((id, peer));
                }
                // Whoever may read can take a step.
                Effect::Read(_) => {}
            }
        }
    }

    /// Moves what may leave from the outboxes to the wires, as far as these take it, where a machine has asked for it.
    fn write_out(&mut self, id: ContextId) {
        let wishes = |world: &Self| -> Vec<ContextId> {
            let all = (id, ContextId::new(0))..=(id, ContextId::new(u32::MAX));
            world.wishes.range(all).map(|(_, peer)| *peer).collect()
        };
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for peer in wishes(self) {
                match self.write_one(id, peer) {
                    Written::Frame => moved = true,
                    Written::Nothing => {
                        self.wishes.remove(&(id, peer));
                    }
                    Written::Full => {}
                }
            }
        }
    }

    fn write_one(&mut self, id: ContextId, peer: ContextId) -> Written {
        let Some(wire) = self.wires.get(&(id, peer)).filter(|wire| !wire.cut) else {
            return Written::Nothing;
        };
        if wire.frames.len() >= self.settings.in_flight {
            return Written::Full;
        }
        let Some(mut cell) = self.cells.remove(&id) else { return Written::Nothing };
        let Some(link) = cell.context.links.get(&peer).copied() else {
            self.cells.insert(id, cell);
            return Written::Nothing;
        };
        let context = Arc::make_mut(&mut cell.context);
        let mut effects = Vec::new();
        let mut io = io(self.now, &mut self.history, &mut effects);
        let mut out = Actions::new();
        let has_control = context.router.has_control(link);
        let frame = context.router.pull(link, &mut out);
        context.act(out, &mut io);
        cell.rehash();
        self.cells.insert(id, cell);
        self.carry_out(id, effects);
        let Some(frame) = frame else { return Written::Nothing };
        if has_control && !frame.is_control() {
            self.history.wrong("I11", format!("in context {id} data leave to {peer} before a control frame"));
        }
        let frame = over_the_wire(frame, &mut self.history);
        if let Some(wire) = self.wires.get_mut(&(id, peer)) {
            match &self.settings.sabotage {
                Some(sabotage) => sabotage.write(frame, &mut wire.frames),
                None => wire.frames.push_back(frame),
            }
        }
        Written::Frame
    }

    fn spawn(&mut self, parent: ContextId, birth: Birth) {
        let id = birth.id;
        self.names.insert(birth.label, id);
        self.wires.insert((parent, id), Wire::default());
        self.wires.insert((id, parent), Wire::default());
        self.unborn.insert(id, Unborn { birth, parent });
        self.with(parent, |_, _| {});
    }

    fn cut(&mut self, a: ContextId, b: ContextId) {
        for way in [(a, b), (b, a)] {
            if let Some(wire) = self.wires.get_mut(&way) {
                wire.cut = true;
            }
        }
        // A context that was never set up ends with its link.
        self.unborn.remove(&a);
        self.unborn.remove(&b);
    }

    /// A context ends in order: what it has written arrives.
    fn exit(&mut self, id: ContextId) {
        for ((from, _), wire) in &mut self.wires {
            wire.closed |= *from == id && !wire.cut;
        }
        self.forget(id);
    }

    /// A context ends: what it has written may still arrive, what was written to it does not.
    fn end(&mut self, id: ContextId) {
        for ((from, _), wire) in &mut self.wires {
            wire.cut |= *from == id;
        }
        self.forget(id);
    }

    fn forget(&mut self, id: ContextId) {
        self.cells.remove(&id);
        self.unborn.remove(&id);
        self.paused.remove(&id);
        self.wires.retain(|(_, to), _| *to != id);
        self.wishes.retain(|(from, to)| *from != id && *to != id);
        self.history.context_gone(id);
    }

    /// The first thing that is wrong so far.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.history.violation.clone()
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
        self.settings.timers
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

/// What a context of the small world acts with: nobody waits for a HELLO, and every frame is looked at.
const fn io<'a>(now: Tick, history: &'a mut History, effects: &'a mut Vec<Effect>) -> Io<'a> {
    Io { now, history, effects, hello_by: Tick(u64::MAX), is_thorough: true }
}

/// What came of writing one frame to a wire.
enum Written {
    Frame,
    Nothing,
    /// There is no room: what there is goes once there is.
    Full,
}

/// What the far side decodes of a frame's bytes.
fn over_the_wire(frame: Frame, history: &mut History) -> Frame {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    match decoder.next_frame() {
        Ok(Some(Decoded::Frame(read))) if read == frame => frame,
        other => {
            history.wrong("I16", format!("{frame:?} was read as {other:?}"));
            frame
        }
    }
}
