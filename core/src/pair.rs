//! For tests: a root and a child, two machines back to back under one lock, with the threads that run their calls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::Latch;
use offshoot_wire::{Body, ContextId, Direction, End, Handle, Hello, Role, Setup, VERSION};

use crate::{
    Context, Functions, dispatch,
    lease::Loan,
    link::Link,
    machine::{
        Action, Actions, BadEnd, CallKey, Config, DropKind, Event, Limits, LinkKey, Machine, NewChild, NoId,
        Outcome, Outgoing, Owner, Progress, RouteFrame, Routes, Side, Standing, Step, StreamUnsent, Tick,
        Unsent,
    },
    node::{CallSink, Held, Node, Pace, StreamSink, Then},
    sync::lock,
    wake::{Run, Wake},
};

const ROOT: ContextId = ContextId::ROOT;
const CHILD: ContextId = ContextId::new(1);

/// The table of a tree of two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Two {
    me: ContextId,
    child: Option<LinkKey>,
}

impl Routes for Two {
    fn owner(&self, id: ContextId) -> Owner {
        match (id == self.me, self.child) {
            (true, _) => Owner::Me,
            (false, Some(link)) if id == CHILD => Owner::Child(link),
            (false, _) if self.me == ROOT => Owner::Nobody,
            _ => Owner::Up,
        }
    }

    fn standing(&self, id: ContextId) -> Standing {
        if id == CHILD && self.child.is_some() { Standing::Live } else { Standing::Unknown }
    }

    fn name(&self, id: ContextId) -> Option<&str> {
        (id == CHILD).then_some("child")
    }

    fn passed(&mut self, _: LinkKey, _: ContextId) {}

    fn take_id(&mut self, _: &mut Vec<Step>) -> Result<ContextId, NoId> {
        Ok(CHILD)
    }

    fn add_child(&mut self, link: LinkKey, _: &str, _: &mut Vec<Step>) {
        self.child = Some(link);
    }

    fn set_role(&mut self, _: LinkKey, _: Role) {}

    fn control(&mut self, _: Side, _: RouteFrame, _: &mut Vec<Step>) {}

    fn parent_down(&mut self, _: ContextId, _: &str, _: &mut Vec<Step>) {}

    fn child_down(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>) {
        self.child = None;
        let del = offshoot_wire::DelRoute {
            ids: vec![link.peer],
            top: link.peer,
            name: "child".into(),
            reason: reason.into(),
        };
        steps.push(Step::Lost(del));
    }
}

enum Sink {
    Call(Arc<dyn CallSink>),
    Stream(Arc<dyn StreamSink>),
}

struct Party {
    machine: Machine<Two>,
    out: Actions,
    link: Option<LinkKey>,
    sinks: BTreeMap<Handle, Sink>,
    on_cancel: BTreeMap<CallKey, Arc<dyn Run>>,
}

/// Both machines.
pub(crate) struct World {
    inner: Mutex<Inner>,
    start: Instant,
    /// Calls that wait for a worker.
    calls: [Latch<()>; 2],
    /// Rung when a timer may be due earlier than before.
    timers: Latch<()>,
    is_over: AtomicBool,
}

struct Inner {
    parties: [Party; 2],
    wakes: Vec<Wake>,
    dropped: Vec<Sink>,
}

/// One of the two contexts.
struct Place {
    world: Arc<World>,
    at: usize,
    me: ContextId,
    ancestors: Vec<ContextId>,
}

/// A root and a child in this process; both end with it.
pub(crate) struct Pair {
    pub(crate) root: Context,
    /// The child as the root sees it.
    pub(crate) child: Context,
    /// The root as the child sees it.
    pub(crate) root_from_child: Context,
    world: Arc<World>,
}

impl Pair {
    /// A root and a child that both serve `functions`, on one worker each.
    pub(crate) fn new(functions: Functions) -> Self {
        Self::with(functions, Limits::default(), 1)
    }

    pub(crate) fn with(functions: Functions, limits: Limits, workers: usize) -> Self {
        let party = |me: ContextId, ancestors: Vec<ContextId>, functions: &Functions| Party {
            machine: Machine::new(
                Config {
                    me,
                    ancestors,
                    role: Role::Parent,
                    one_way: false,
                    functions: functions.entries().map(|(name, policy)| (name.to_owned(), policy)).collect(),
                    build: functions.build_id(),
                    limits: limits.clone(),
                },
                Two { me, child: None },
            ),
            out: Actions::new(),
            link: None,
            sinks: BTreeMap::new(),
            on_cancel: BTreeMap::new(),
        };
        let mut parties = [party(ROOT, vec![], &functions), party(CHILD, vec![ROOT], &functions)];
        let setup = Setup {
            version: VERSION,
            features: 0,
            id: CHILD,
            ancestors: vec![ROOT],
            name: "child".into(),
            one_way: false,
            body_limit: limits.body,
            ping_ms: 0,
            grace_ms: 0,
            log_level: 0,
        };
        let child =
            NewChild { id: CHILD, name: "child".into(), stamped: false, deadline: Tick(60_000), setup };
        let [root, leaf] = &mut parties;
        root.link = Some(root.machine.add_child(Tick(0), child, &mut root.out));
        let hello = Hello { version: VERSION, features: 0, role: Role::Leaf, pid: 1, build: 0 };
        leaf.link = leaf.machine.add_parent(Tick(0), &hello, &mut leaf.out);
        root.machine.set_workers(workers);
        leaf.machine.set_workers(workers);
        let world = Arc::new(World {
            inner: Mutex::new(Inner { parties, wakes: Vec::new(), dropped: Vec::new() }),
            start: Instant::now(),
            calls: [Latch::new(), Latch::new()],
            timers: Latch::new(),
            is_over: AtomicBool::new(false),
        });
        let root: Arc<dyn Node> =
            Arc::new(Place { world: Arc::clone(&world), at: 0, me: ROOT, ancestors: vec![] });
        let leaf: Arc<dyn Node> =
            Arc::new(Place { world: Arc::clone(&world), at: 1, me: CHILD, ancestors: vec![ROOT] });
        for (at, node) in [(0, &root), (1, &leaf)] {
            for worker in 0..workers {
                let (world, node, functions) = (Arc::clone(&world), Arc::clone(node), functions.clone());
                thread::spawn(move || world.work(at, &node, worker, &functions));
            }
        }
        let timed = Arc::downgrade(&world);
        thread::spawn(move || keep_time(&timed));
        world.with(0, |_, _| ());
        Self {
            child: Context::new(&root, CHILD),
            root: Context::new(&root, ROOT),
            root_from_child: Context::new(&leaf, ROOT),
            world,
        }
    }

    /// Cuts the link; both learn it.
    pub(crate) fn cut(&self, reason: &str) {
        for at in [0, 1] {
            self.world.with(at, |party, now| {
                if let Some(link) = party.link.take() {
                    let event = Event::LinkDown { link, reason: reason.to_owned() };
                    party.machine.handle(now, event, &mut party.out);
                }
            });
        }
    }

    /// The root's broker ends.
    pub(crate) fn stop(&self) {
        self.world.with(0, |party, _| party.machine.stop(&mut party.out));
    }

    /// Sinks that a context still holds: calls and streams that have not ended.
    pub(crate) fn sinks(&self) -> [usize; 2] {
        let inner = lock(&self.world.inner);
        [inner.parties[0].sinks.len(), inner.parties[1].sinks.len()]
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.cut("the test is over");
        self.world.is_over.store(true, Ordering::Release);
        self.world.calls.iter().for_each(Latch::close);
        self.world.timers.close();
    }
}

impl World {
    fn now(&self) -> Tick {
        Tick(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Does something with one context, moves frames until there are none, and wakes after the lock.
    fn with<T>(&self, at: usize, run: impl FnOnce(&mut Party, Tick) -> T) -> T {
        let mut guard = lock(&self.inner);
        let inner = &mut *guard;
        let now = self.now();
        let value = run(&mut inner.parties[at], now);
        while self.settle(inner, now) {}
        let (wakes, dropped) = (std::mem::take(&mut inner.wakes), std::mem::take(&mut inner.dropped));
        drop(guard);
        drop(dropped);
        wakes.into_iter().for_each(Wake::fire);
        let _open_while_the_pair_lives = self.timers.put(());
        value
    }

    fn settle(&self, inner: &mut Inner, now: Tick) -> bool {
        let mut moved = false;
        for at in [0, 1] {
            while let Some(action) = inner.parties[at].out.pop() {
                moved = true;
                self.act(inner, at, action);
            }
            let party = &mut inner.parties[at];
            let frame = party.link.and_then(|link| party.machine.pull(link, &mut party.out));
            let other = &mut inner.parties[1 - at];
            if let (Some(frame), Some(link)) = (frame, other.link) {
                moved = true;
                if frame.handle != Handle::SETUP {
                    other.machine.handle(now, Event::Frame { link, frame }, &mut other.out);
                }
            }
        }
        moved
    }

    fn act(&self, inner: &mut Inner, at: usize, action: Action) {
        let Inner { parties, wakes, dropped } = inner;
        let sinks = &mut parties[at].sinks;
        match action {
            Action::Answer { handle, outcome } => {
                if let Some(Sink::Call(sink)) = sinks.remove(&handle) {
                    wakes.extend(sink.end(outcome));
                    dropped.push(Sink::Call(sink));
                }
            }
            Action::Watched { handle, reason } => {
                if let Some(Sink::Call(sink)) = sinks.remove(&handle) {
                    let outcome = Outcome::Lost {
                        id: CHILD,
                        name: "child".into(),
                        reason,
                        progress: Progress::Unknown,
                    };
                    wakes.extend(sink.end(outcome));
                    dropped.push(Sink::Call(sink));
                }
            }
            Action::Item { handle, body, cost } => {
                if let Some(Sink::Stream(sink)) = sinks.get(&handle) {
                    wakes.extend(sink.item(body, cost));
                }
            }
            Action::Ended { handle, how } => {
                if let Some(Sink::Stream(sink)) = sinks.remove(&handle) {
                    wakes.extend(sink.ended(how));
                    dropped.push(Sink::Stream(sink));
                }
            }
            Action::StreamRoom(handle) => {
                if let Some(Sink::Stream(sink)) = sinks.get(&handle) {
                    wakes.extend(sink.room());
                }
            }
            Action::Cancelled(key) => wakes.extend(parties[at].on_cancel.remove(&key).map(Wake::Run)),
            Action::CallReady => drop(self.calls[at].put(())),
            // Beside calls that are refused, or cancelled before they run, nothing goes astray here.
            Action::Note(note) if !matches!(note.kind, DropKind::Late | DropKind::Policy) => {
                panic!("the pair dropped a frame: {note:?}")
            }
            _ => {}
        }
    }

    fn work(&self, at: usize, node: &Arc<dyn Node>, worker: usize, functions: &Functions) {
        while self.calls[at].get().is_ok() {
            while let Some(incoming) =
                self.with(at, |party, now| party.machine.take_call(now, worker, &mut party.out))
            {
                dispatch::run(node, functions, incoming, || Pace::AtOnce);
                self.with(at, |party, _| party.machine.release_worker(worker));
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let inner = lock(&self.inner);
        let due = inner.parties.iter().filter_map(|party| party.machine.next_due()).min()?;
        self.start.checked_add(Duration::from_millis(due.0))
    }
}

fn keep_time(world: &Weak<World>) {
    while let Some(world) = world.upgrade().filter(|world| !world.is_over.load(Ordering::Acquire)) {
        let rung = match world.next_due() {
            Some(due) => world.timers.get_deadline(due),
            None => world.timers.get(),
        };
        if rung == Err(offshoot_latch::GetError::Closed) {
            return;
        }
        for at in [0, 1] {
            let due = lock(&world.inner).parties[at].machine.next_due();
            if due.is_some_and(|due| due <= world.now()) {
                world.with(at, |party, now| party.machine.handle(now, Event::Due, &mut party.out));
            }
        }
    }
}

impl Place {
    fn with<T>(&self, run: impl FnOnce(&mut Party, Tick) -> T) -> T {
        self.world.with(self.at, run)
    }
}

impl Node for Place {
    fn me(&self) -> ContextId {
        self.me
    }

    fn ancestors(&self) -> &[ContextId] {
        &self.ancestors
    }

    fn name_of(&self, id: ContextId) -> String {
        match id {
            ROOT => "root".to_owned(),
            CHILD => "child".to_owned(),
            id => id.to_string(),
        }
    }

    fn build_of(&self, id: ContextId) -> Option<u64> {
        self.with(|party, _| party.machine.build_of(id))
    }

    fn is_alive(&self, id: ContextId) -> bool {
        self.with(|party, _| id == self.me || (id.number() < 2 && party.link.is_some()))
    }

    fn tick(&self, at: Instant) -> Tick {
        let micros = at.saturating_duration_since(self.world.start).as_micros();
        Tick(u64::try_from(micros.div_ceil(1000)).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Tick) -> Instant {
        self.world.start + Duration::from_millis(at.0)
    }

    fn body_limit(&self) -> usize {
        self.with(|party, _| party.machine.config().limits.body as usize)
    }

    fn call(
        &self,
        call: Outgoing,
        sink: Arc<dyn CallSink>,
        _then: Then,
    ) -> Result<(Handle, Option<Loan>), Unsent> {
        self.with(|party, now| {
            let handle = party.machine.call(now, call, &mut party.out)?;
            party.sinks.insert(handle, Sink::Call(sink));
            Ok((handle, None))
        })
    }

    fn take_turn(&self, _peer: ContextId) -> Option<Loan> {
        None
    }

    fn read(&self, _loan: &Loan) {}

    fn give_back(&self, _loan: &Loan) {}

    fn cancel(&self, call: Held) -> Progress {
        let handle = call.handle;
        self.with(|party, now| {
            party.sinks.remove(&handle);
            party.machine.cancel(now, handle, &mut party.out)
        })
    }

    fn send_one_way(
        &self,
        dst: ContextId,
        handle: Handle,
        body: Body,
        _: Vec<End>,
        _: Option<Instant>,
    ) -> Result<(), Unsent> {
        self.with(|party, now| party.machine.send_one_way(now, dst, handle, body, &mut party.out))
    }

    fn watch(&self, dst: ContextId, sink: Arc<dyn CallSink>) -> Option<Handle> {
        self.with(|party, _| {
            if dst != self.me && (dst.number() >= 2 || party.link.is_none()) {
                return None;
            }
            let handle = party.machine.watch(dst);
            party.sinks.insert(handle, Sink::Call(sink));
            Some(handle)
        })
    }

    fn unwatch(&self, watch: Held) {
        let handle = watch.handle;
        self.with(|party, _| {
            party.sinks.remove(&handle);
            party.machine.unwatch(handle);
        });
    }

    fn shutdown_context(&self, dst: ContextId, left_ms: u32) -> Result<(), Unsent> {
        self.with(|party, now| party.machine.shutdown_context(now, dst, left_ms, &mut party.out))
    }

    fn new_chain(&self) -> u32 {
        self.with(|party, _| party.machine.new_chain())
    }

    fn end_chain(&self, dst: ContextId, chain: u32) {
        self.with(|party, _| party.machine.end_chain(dst, chain, &mut party.out));
    }

    fn answer(&self, key: CallKey, body: Body, ends: Vec<End>, failed: bool, _: Pace) {
        let answered = self.with(|party, now| {
            party.machine.answer(now, key, body, &ends, failed, &mut party.out);
            party.on_cancel.remove(&key)
        });
        drop(answered);
    }

    fn is_cancelled(&self, key: CallKey) -> bool {
        self.with(|party, _| party.machine.is_cancelled(key))
    }

    fn on_cancel(&self, key: CallKey, work: Arc<dyn Run>) {
        self.with(|party, _| party.on_cancel.insert(key, work));
    }

    fn export(&self, to: ContextId, ours: Direction, sink: Arc<dyn StreamSink>) -> Handle {
        self.with(|party, _| {
            let handle = party.machine.export(to, ours);
            party.sinks.insert(handle, Sink::Stream(sink));
            handle
        })
    }

    fn unexport(&self, stream: Held) {
        let handle = stream.handle;
        let _sink = self.with(|party, _| {
            party.machine.unexport(handle);
            party.sinks.remove(&handle)
        });
    }

    fn import(&self, from: ContextId, end: End, sink: Arc<dyn StreamSink>) -> Result<Handle, BadEnd> {
        self.with(|party, _| {
            let handle = party.machine.import(from, end)?;
            party.sinks.insert(handle, Sink::Stream(sink));
            Ok(handle)
        })
    }

    fn decline(&self, from: ContextId, ends: Vec<End>) {
        self.with(|party, _| party.machine.decline(from, &ends, &mut party.out));
    }

    fn hand_on(&self, stream: Held, to: ContextId) -> Result<End, BadEnd> {
        let handle = stream.handle;
        let (end, _sink) = self.with(|party, _| {
            let end = party.machine.hand_on(handle, to, &mut party.out);
            (end, party.sinks.remove(&handle))
        });
        end
    }

    fn stream_open(&self, stream: Held) {
        let handle = stream.handle;
        self.with(|party, _| party.machine.stream_open(handle, &mut party.out));
    }

    fn stream_send(
        &self,
        stream: Held,
        body: Body,
        _: Vec<End>,
        _: Then,
    ) -> Result<Option<Arc<Link>>, StreamUnsent> {
        let handle = stream.handle;
        self.with(|party, now| party.machine.stream_send(now, handle, body, &mut party.out)).map(|()| None)
    }

    fn take_write(&self, _: ContextId) -> Option<Arc<Link>> {
        None
    }

    fn write(&self, _: &Arc<Link>) -> bool {
        false
    }

    fn leave_write(&self, _: &Arc<Link>) {}

    fn stream_close(&self, stream: Held, fail: Option<String>) {
        let handle = stream.handle;
        let _sink = self.with(|party, _| {
            party.machine.stream_close(handle, fail, &mut party.out);
            party.sinks.remove(&handle)
        });
    }

    fn taken(&self, stream: Held, cost: u32) {
        let handle = stream.handle;
        self.with(|party, _| party.machine.taken(handle, cost, &mut party.out));
    }
}
