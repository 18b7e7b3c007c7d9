//! Both machines under one lock: what one queues the other reads at once, and threads run the calls of each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch};
use offshoot_wire::{ContextId, Handle, Hello, Role, Setup, VERSION};

use super::{CHILD, ROOT, two::Two};
use crate::{
    Functions, dispatch,
    here::Running,
    machine::{
        Action, Actions, CallKey, Config, DropKind, Event, Limits, LinkKey, Machine, NewChild, Outcome,
        Progress, Tick,
    },
    node::{CallSink, Pace, StreamSink},
    sync::lock,
    wake::{Run, Wake},
};

/// Both machines.
pub(super) struct World {
    inner: Mutex<Inner>,
    pub(super) start: Instant,
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

pub(super) enum Sink {
    Call(Arc<dyn CallSink>),
    Stream(Arc<dyn StreamSink>),
}

/// One of them, and what its program waits for.
pub(super) struct Party {
    pub(super) machine: Machine<Two>,
    pub(super) out: Actions,
    pub(super) link: Option<LinkKey>,
    pub(super) sinks: BTreeMap<Handle, Sink>,
    pub(super) on_cancel: BTreeMap<CallKey, Arc<dyn Run>>,
}

impl Party {
    fn new(me: ContextId, ancestors: Vec<ContextId>, functions: &Functions, limits: &Limits) -> Self {
        let config = Config {
            me,
            ancestors,
            role: Role::Parent,
            one_way: false,
            functions: functions.entries().map(|(name, policy)| (name.to_owned(), policy)).collect(),
            build: functions.build_id(),
            limits: limits.clone(),
        };
        Self {
            machine: Machine::new(config, Two::new(me)),
            out: Actions::new(),
            link: None,
            sinks: BTreeMap::new(),
            on_cancel: BTreeMap::new(),
        }
    }
}

impl World {
    /// Two machines with a link between them, each for so many workers.
    pub(super) fn new(functions: &Functions, limits: &Limits, workers: usize) -> Self {
        let mut parties = [(ROOT, vec![]), (CHILD, vec![ROOT])]
            .map(|(me, ancestors)| Party::new(me, ancestors, functions, limits));
        let [root, leaf] = &mut parties;
        root.link = Some(root.machine.add_child(Tick(0), child(limits.body), &mut root.out));
        let hello = Hello { version: VERSION, features: 0, role: Role::Leaf, pid: 1, build: 0 };
        leaf.link = leaf.machine.add_parent(Tick(0), &hello, &mut leaf.out);
        root.machine.set_workers(workers);
        leaf.machine.set_workers(workers);
        Self {
            inner: Mutex::new(Inner { parties, wakes: Vec::new(), dropped: Vec::new() }),
            start: Instant::now(),
            calls: [Latch::new(), Latch::new()],
            timers: Latch::new(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Cuts the link; both learn it.
    pub(super) fn cut(&self, reason: &str) {
        for at in [0, 1] {
            self.with(at, |party, now| {
                if let Some(link) = party.link.take() {
                    let event = Event::LinkDown { link, reason: reason.to_owned() };
                    party.machine.handle(now, event, &mut party.out);
                }
            });
        }
    }

    /// Ends all threads.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.calls.iter().for_each(Latch::close);
        self.timers.close();
    }

    fn now(&self) -> Tick {
        Tick(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Does something with one context, moves frames until there are none, and wakes after the lock.
    pub(super) fn with<T>(&self, at: usize, run: impl FnOnce(&mut Party, Tick) -> T) -> T {
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

    /// What a worker does, to the end.
    pub(super) fn work(&self, at: usize, node: &Arc<Running>, worker: usize, functions: &Functions) {
        while self.calls[at].get().is_ok() {
            while let Some(incoming) =
                self.with(at, |party, now| party.machine.take_call(now, worker, &mut party.out))
            {
                dispatch::run(node, functions, incoming, Pace::AtOnce);
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

/// Lets timers fire, to the end.
pub(super) fn keep_time(world: &Weak<World>) {
    while let Some(world) = world.upgrade().filter(|world| !world.is_over.load(Ordering::Acquire)) {
        let rung = match world.next_due() {
            Some(due) => world.timers.get_deadline(due),
            None => world.timers.get(),
        };
        if rung == Err(GetError::Closed) {
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

/// What the root makes.
fn child(body_limit: u32) -> NewChild {
    let setup = Setup {
        version: VERSION,
        features: 0,
        id: CHILD,
        ancestors: vec![ROOT],
        name: "child".into(),
        one_way: false,
        body_limit,
        ping_ms: 0,
        grace_ms: 0,
        log_level: 0,
    };
    NewChild { id: CHILD, name: "child".into(), stamped: false, deadline: Tick(60_000), setup }
}
