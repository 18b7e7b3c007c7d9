//! A running context: the machine behind its lock, and what happens outside because of it.
//!
//! Every use of the machine goes through [`Shared::with`]: decide and queue under the lock, act after it. What is
//! delivered to a sink is delivered under the lock; system calls, wake-ups, drops of user values and log lines wait
//! until it has been released.

mod effects;
mod links;
mod node;
#[cfg(feature = "children")]
mod parent;
mod sinks;

use std::{
    any::Any,
    cell::Cell,
    fmt, io, mem,
    sync::{
        Arc, Condvar, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use offshoot_wire::{ContextId, Frame};

pub(crate) use self::effects::Effects;
#[cfg(feature = "children")]
pub use self::parent::shared_of;
use self::{
    links::Links,
    sinks::{Cancels, Sinks},
};
use crate::{
    close::Life,
    crew::{self, Crew, Next, Worker},
    here::{Here, IS_LEAF, Running},
    lease::{Lease, wait_reading},
    link::{Link, Poller},
    machine::{Actions, CallKey, Config, Incoming, LinkKey, Machine, Routes, Tick, sooner},
    node::Node,
    sink::Sink,
    stdio::Capture,
    sync::{MutexGuard, lock, rest},
    wake::{Listener, Wake, wait},
};

/// What a program that has children does beside routing. Called with no lock held, mostly by the broker: must not
/// block.
pub trait Hooks<R: Routes>: Any + Send + Sync {
    /// A call to a reserved handle has come: take it with [`Shared::service_call`], and answer it.
    fn service(&self, _shared: &Arc<Shared<R>>, _key: CallKey) {}
    /// Ids have come, or will not come: who was told [`NoId::Asked`](crate::machine::NoId::Asked) should ask again.
    fn ids(&self) {}
    /// Contexts are gone: their ids, the name of the top, and why.
    fn lost(&self, _ids: &[ContextId], _name: &str, _reason: &str) {}
    /// This context has begun to end, and has so much time; its children have been told. Told again if it turns out to
    /// have less.
    fn ending(&self, _shared: &Arc<Shared<R>>, _left: Duration) {}
    /// This process is about to end: waits until those that it has started are gone, at most until `deadline`. Called
    /// by the main thread.
    fn finish(&self, _deadline: Instant) {}
    /// A frame has passed on a link of this context.
    fn frame(&self, _link: LinkKey, _way: Way, _frame: &Frame) {}
}

/// A leaf does nothing beside.
impl<R: Routes> Hooks<R> for () {}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the neighbour to this context.
    In,
    /// From this context to the neighbour.
    Out,
}

/// A running context.
pub struct Shared<R: Routes> {
    this: Weak<Self>,
    me: ContextId,
    ancestors: Vec<ContextId>,
    name: String,
    body_limit: usize,
    start: Instant,
    pub(crate) poller: Arc<Poller>,
    state: Mutex<State<R>>,
    /// Room to send, a worker free, a link gone, all written, the end: whoever waits for one of these looks again.
    changed: Condvar,
    pub(crate) sink: Arc<Sink>,
    /// The captured outputs of this process, if they are.
    pub(crate) stdio: Mutex<Vec<Capture>>,
    /// How this process ends; a root does not.
    pub(crate) life: Option<Arc<Life>>,
    hooks: Arc<dyn Hooks<R>>,
    /// The broker is about to sleep, or does.
    broker_sleeps: AtomicBool,
    is_stopped: AtomicBool,
}

/// What the lock protects.
pub(crate) struct State<R> {
    pub(crate) machine: Machine<R>,
    /// What the machine wants done; empty whenever the lock is free.
    pub(crate) out: Actions,
    pub(crate) links: Links,
    sinks: Sinks,
    /// What is run when a call to us is cancelled.
    on_cancel: Cancels,
    /// The broker sleeps until then.
    sleeps_until: Option<Tick>,
    /// When a call to us was answered last.
    answered_at: Option<Tick>,
    crew: Crew<Listener>,
    is_stopped: bool,
}

impl<R: Routes> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("me", &self.me).field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: Routes> Drop for Shared<R> {
    fn drop(&mut self) {
        // So nothing is compiled in that would take it apart.
        if IS_LEAF {
            unreachable!("the context of a leaf lives as long as its process");
        }
    }
}

impl<R: Here> Shared<R> {
    /// A context without links and without threads; see [`broker::spawn`](crate::broker::spawn).
    ///
    /// # Errors
    /// The system has no descriptors left for a poller.
    pub fn new(config: Config, name: String, routes: R, hooks: Arc<dyn Hooks<R>>) -> io::Result<Arc<Self>> {
        Ok(Self::with_sink(config, name, routes, hooks, None, Sink::of_root())?)
    }

    /// The context of a child process, which ends with its parent.
    pub(crate) fn with_life(
        config: Config,
        name: String,
        routes: R,
        hooks: Arc<dyn Hooks<R>>,
        life: Arc<Life>,
    ) -> rustix::io::Result<Arc<Self>> {
        Self::with_sink(config, name, routes, hooks, Some(life), Sink::default())
    }

    fn with_sink(
        config: Config,
        name: String,
        routes: R,
        hooks: Arc<dyn Hooks<R>>,
        life: Option<Arc<Life>>,
        sink: Sink,
    ) -> rustix::io::Result<Arc<Self>> {
        let poller = Arc::new(Poller::new()?);
        let sink = Arc::new(sink);
        let shared = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            me: config.me,
            ancestors: config.ancestors.clone(),
            name,
            body_limit: usize::try_from(config.limits.body).unwrap_or(usize::MAX),
            start: Instant::now(),
            poller,
            state: Mutex::new(State {
                machine: Machine::new(config, routes),
                out: Actions::new(),
                links: Links::default(),
                sinks: Sinks::default(),
                on_cancel: Cancels::default(),
                sleeps_until: None,
                answered_at: None,
                crew: Crew::new(),
                is_stopped: false,
            }),
            changed: Condvar::new(),
            sink: Arc::clone(&sink),
            stdio: Mutex::new(Vec::new()),
            life,
            hooks,
            broker_sleeps: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        });
        sink.attach(Arc::downgrade(&shared.node()));
        Ok(shared)
    }

    /// This context as the typed face sees it.
    pub(crate) fn node(self: &Arc<Self>) -> Arc<Running> {
        R::running(Arc::clone(self))
    }

    /// Runs the machine under the lock, then does what it asked for.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&mut State<R>, Tick) -> T) -> T {
        let (mut state, at) = self.enter();
        let value = run(&mut state, self.since_start(at));
        self.leave(state);
        value
    }

    // These two are what every use of the machine begins and ends with: once in a program, not at each of them.
    #[inline(never)]
    fn enter(&self) -> (MutexGuard<'_, State<R>>, Instant) {
        (lock(&self.state), Instant::now())
    }

    #[inline(never)]
    fn leave(&self, mut state: MutexGuard<'_, State<R>>) {
        let mut effects = Effects::default();
        self.settle(&mut state, None, &mut effects);
        drop(state);
        self.act(effects);
    }

    /// Runs the machine under the lock; what it asked for is left to be done. `from` is the link by which came what
    /// caused it.
    pub(crate) fn decide<T>(
        &self,
        from: Option<LinkKey>,
        effects: &mut Effects,
        run: impl FnOnce(&mut State<R>, Instant) -> T,
    ) -> T {
        let (mut state, at) = self.enter();
        let value = run(&mut state, at);
        self.settle(&mut state, from, effects);
        value
    }

    /// Reads the state; nothing must happen because of it.
    pub(crate) fn look<T>(&self, run: impl FnOnce(&State<R>) -> T) -> T {
        run(&lock(&self.state))
    }

    pub(crate) fn now(&self) -> Tick {
        self.since_start(Instant::now())
    }

    /// What is past, as the machine knows it: cut to milliseconds.
    pub(crate) fn since_start(&self, at: Instant) -> Tick {
        let millis = at.saturating_duration_since(self.start).as_millis();
        Tick(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Until when the broker may sleep; from now on the alarm is set when that changes.
    pub(crate) fn sleep_until(&self) -> Option<Instant> {
        self.broker_sleeps.store(true, Ordering::SeqCst);
        let due = {
            let (mut state, at) = self.enter();
            let now = self.since_start(at);
            // Not longer than was asked of it before: most timers are cleared long before they are due, and for each that
            // is set anew the alarm would have to be.
            let asked = state.sleeps_until.filter(|until| *until > now);
            state.sleeps_until = sooner(state.next_due(), asked);
            state.sleeps_until
        };
        let due = due.map(|tick| self.instant(tick));
        let life = self.life.as_ref().and_then(|life| life.next_due());
        sooner(due, life)
    }

    /// The broker is up, and looks at everything before it sleeps again.
    pub(crate) fn woke(&self) {
        self.broker_sleeps.store(false, Ordering::SeqCst);
    }

    fn broker_sleeps(&self) -> bool {
        self.broker_sleeps.load(Ordering::SeqCst)
    }

    /// Whether a timer of the machine can be judged at `now`; whether something has rested long enough; whether it is time
    /// to look after turns that were kept.
    pub(crate) fn is_due(&self, now: Tick) -> [bool; 3] {
        let is_past = |due: Option<Tick>| due.is_some_and(|due| due <= now);
        self.look(|state| {
            let (rest, look) = (state.links.rest_until(), state.links.mind_at());
            [is_past(state.machine.next_due()), is_past(rest), is_past(look)]
        })
    }

    /// The broker is woken when something is due sooner than it knows of. Under the lock: of two that set the alarm the
    /// later must not win.
    fn set_alarm(&self, state: &mut State<R>) {
        let Some(due) = state.next_due().filter(|_| self.broker_sleeps()) else { return };
        if state.sleeps_until.is_none_or(|until| due < until) {
            self.ring_at(state, due);
        }
    }

    /// A call has been answered, and with it what the alarm was set for may be over. Where calls are rare it is put off:
    /// the broker would be woken for nothing. Where they are not, the next call would only have to set it again.
    fn put_off_alarm(&self, state: &mut State<R>, now: Tick) {
        /// So far apart are calls that are rare, in milliseconds.
        const APART: u64 = 10;
        /// Where nothing is due, in milliseconds.
        const AN_HOUR: u64 = 3_600_000;

        let is_rare = state.answered_at.replace(now).is_none_or(|last| now.since(last) >= APART);
        if !is_rare || !self.broker_sleeps() {
            return;
        }
        let due = state.next_due().unwrap_or_else(|| now.after(AN_HOUR));
        if state.sleeps_until.is_some_and(|until| until < due) {
            self.ring_at(state, due);
        }
    }

    fn ring_at(&self, state: &mut State<R>, due: Tick) {
        state.sleeps_until = Some(due);
        // It fails only where the poller is broken, and then the broker has ended.
        let _ = self.poller.ring_in(self.instant(due).saturating_duration_since(Instant::now()));
    }

    /// Tells the broker to look up.
    pub(crate) fn wake_broker(&self) {
        // It fails only where the poller is broken, and then the broker has ended.
        let _ = self.poller.ring();
    }

    /// What happens beside; nothing in a leaf.
    pub(crate) fn hooks(&self) -> Option<&dyn Hooks<R>> {
        R::HAS_CHILDREN.then_some(&*self.hooks)
    }

    /// Begins to read the captured outputs.
    pub(crate) fn watch_stdio(&self) {
        for (index, capture) in lock(&self.stdio).iter_mut().enumerate() {
            capture.turn(index, &self.sink);
        }
    }

    /// Reads what was written to the captured outputs so far.
    pub(crate) fn drain_stdio(&self) {
        for capture in &mut *lock(&self.stdio) {
            capture.finish(&self.sink);
        }
    }
}

impl<R: Routes> State<R> {
    /// When something is due that the broker must do.
    fn next_due(&self) -> Option<Tick> {
        sooner(self.machine.next_due(), sooner(self.links.rest_until(), self.links.mind_at()))
    }
}

/// What workers need.
impl<R: Here> Shared<R> {
    pub(crate) fn set_workers(&self, workers: usize) {
        self.with(|state, _| state.machine.set_workers(workers));
    }

    /// The next call, in order of arrival, for a worker that holds none any more; `None` once no more are taken. Blocks, and reads the link to the parent
    /// meanwhile unless somebody else does.
    pub(crate) fn next_call(
        &self,
        node: &Arc<Running>,
        worker: usize,
        lease: Option<Lease>,
    ) -> Option<(Incoming, Instant)> {
        let reads = Cell::new(lease.is_some());
        let take = || {
            let lease = self.watch_for_calls(node);
            reads.set(lease.is_some());
            lease
        };
        // Woken when a call is ready, and when the context begins to end.
        let call =
            wait_reading(lease, take, None, |listener| self.look_for_call(worker, listener, reads.get()));
        call.flatten()
    }

    /// The turn of the link to the parent, for a worker that has nothing else to do.
    fn watch_for_calls(&self, node: &Arc<Running>) -> Option<Lease> {
        let link = self.look(State::link_for_calls);
        link.and_then(|link| self.hold(link)).map(|loan| Lease::new(node, loan))
    }

    /// Takes a call, or learns that none will come; else `listener` is told of either.
    fn look_for_call(
        &self,
        number: usize,
        listener: &Listener,
        reads: bool,
    ) -> Option<Option<(Incoming, Instant)>> {
        let (mut state, at) = self.enter();
        let (crew, mut calls) = state.calls(self.since_start(at));
        let next = crew.look(Worker { number, listener, reads }, &mut calls);
        if !matches!(next, Next::Run(_)) {
            state.write_rested();
        }
        self.leave(state);
        match next {
            Next::Run(call) => Some(Some((call, at))),
            Next::Wait => None,
            Next::Go(waiter) => {
                waiter.into_iter().for_each(|listener| Wake::from(listener).fire());
                Some(None)
            }
        }
    }
}

/// The calls of a context, as its workers see them.
struct Calls<'a, R> {
    machine: &'a mut Machine<R>,
    out: &'a mut Actions,
    now: Tick,
    is_stopped: bool,
}

impl<R: Routes> State<R> {
    /// The link to the parent, if no call waits: it is for a worker to read.
    fn link_for_calls(&self) -> Option<Arc<Link>> {
        let up = self.machine.uplink().filter(|_| !self.machine.has_calls())?;
        self.links.get(up).cloned()
    }

    fn calls(&mut self, now: Tick) -> (&mut Crew<Listener>, Calls<'_, R>) {
        let Self { machine, out, crew, is_stopped, .. } = self;
        (crew, Calls { machine, out, now, is_stopped: *is_stopped })
    }
}

impl<R: Routes> crew::Calls for Calls<'_, R> {
    type Call = Incoming;

    fn release(&mut self, worker: usize) {
        self.machine.release_worker(worker);
    }

    fn take(&mut self, worker: usize) -> Option<Incoming> {
        self.machine.take_call(self.now, worker, self.out)
    }

    fn are_running(&self) -> bool {
        self.machine.is_working() && !self.is_stopped
    }

    fn are_over(&self) -> bool {
        self.is_stopped || self.machine.is_closing()
    }
}

/// The end.
impl<R: Here> Shared<R> {
    /// This context begins to end: its children are told at once, calls are no longer taken. Returns without waiting. Of
    /// several orders the shortest counts.
    pub fn begin_shutdown(&self, left: Duration) {
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        self.with(|state, now| state.machine.shutdown(now, left, &mut state.out));
    }

    /// Whether this context has begun to end.
    pub fn is_closing(&self) -> bool {
        self.look(|state| state.is_stopped || state.machine.is_closing())
    }

    /// Waits until no worker is in a call, at most until what `until` says, which may come nearer meanwhile.
    pub(crate) fn wait_for_workers(&self, until: impl Fn() -> Instant) {
        loop {
            let deadline = until();
            // Woken by the last worker that goes, by a shorter order to end, and by `stop`.
            let is_done = wait(Some(deadline), |listener| {
                let is_done = self.with(|state, now| {
                    let (crew, calls) = state.calls(now);
                    crew.is_done(listener, &calls)
                });
                (is_done || until() < deadline).then_some(is_done)
            });
            if is_done != Some(false) {
                return;
            }
        }
    }

    /// Waits until everything that this context has to say has been written.
    pub(crate) fn wait_until_quiet(&self, deadline: Instant) -> bool {
        self.wait_until(deadline, |state| state.machine.is_quiet() && state.links.are_written())
    }

    /// Ends everything that waits, and the broker with it. Nothing can be sent or received any more.
    pub fn stop(&self) {
        let dismissed = self.with(|state, _| {
            let was_stopped = mem::replace(&mut state.is_stopped, true);
            (!was_stopped).then(|| {
                state.machine.stop(&mut state.out);
                state.crew.dismiss()
            })
        });
        if let Some(dismissed) = dismissed {
            self.is_stopped.store(true, Ordering::Release);
            dismissed.into_iter().for_each(|listener| Wake::from(listener).fire());
            self.changed.notify_all();
            self.sink.end();
            if let Some(life) = &self.life {
                life.stopped();
            }
            self.wake_broker();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    fn wait_until(&self, deadline: Instant, is_so: impl Fn(&State<R>) -> bool) -> bool {
        let mut state = lock(&self.state);
        // Notified when a link is gone or has been written empty, and when a worker is free, while this context ends.
        loop {
            if is_so(&state) {
                return true;
            }
            if state.is_stopped || Instant::now() >= deadline {
                return false;
            }
            state = rest(&self.changed, state, Some(deadline));
        }
    }
}
