//! What a context that can have children does beside routing: has them made, and remembers what they said of themselves.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use offshoot_core::{
    internal::{Hooks, Shared, Way},
    machine::{CallKey, LinkKey, Routes as _},
    wire::{ContextId, Frame, Setup, VERSION},
};

use crate::{
    create::{About, Created},
    gateway::Gateways,
    larder::Parcel,
    launching::Company,
    record::Recorder,
    spawner::{Job, Spawner},
    table::Table,
    word::Word,
};

/// One for each context that can have children; the spawner's thread is started by the first of them.
pub(crate) struct Nursery {
    spawner: Spawner,
    /// What contexts below said of themselves, as far as this context made them or had them made.
    known: Mutex<BTreeMap<ContextId, About>>,
    gateways: Gateways,
    recorder: Option<Recorder>,
}

/// What every child of a context is told, as the context itself was.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    pub(crate) ancestors: Vec<ContextId>,
    pub(crate) one_way: bool,
    pub(crate) body_limit: u32,
    pub(crate) ping_ms: u32,
    pub(crate) grace_ms: u32,
    pub(crate) log_level: u8,
}

impl Inherited {
    /// What a context hands on of its own SETUP.
    pub(crate) fn from(setup: &Setup) -> Self {
        let ancestors = std::iter::once(setup.id).chain(setup.ancestors.iter().copied()).collect();
        Self {
            ancestors,
            one_way: setup.one_way,
            body_limit: setup.body_limit,
            ping_ms: setup.ping_ms,
            grace_ms: setup.grace_ms,
            log_level: setup.log_level,
        }
    }

    /// The SETUP of a child.
    pub(crate) fn setup(&self, id: ContextId, name: &str) -> Setup {
        Setup {
            version: VERSION,
            features: 0,
            id,
            ancestors: self.ancestors.clone(),
            name: name.to_owned(),
            one_way: self.one_way,
            body_limit: self.body_limit,
            ping_ms: self.ping_ms,
            grace_ms: self.grace_ms,
            log_level: self.log_level,
        }
    }

    pub(crate) const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms as u64)
    }

    /// Whether the context that hands it on is the root.
    pub(crate) fn is_of_root(&self) -> bool {
        self.ancestors.len() == 1
    }
}

impl Nursery {
    pub(crate) fn new(inherited: Inherited, recorder: Option<Recorder>, company: Company) -> Self {
        Self {
            spawner: Spawner::new(inherited, company),
            known: Mutex::default(),
            gateways: Gateways::default(),
            recorder,
        }
    }

    /// Waits until all that was recorded is written, and records no more.
    pub(crate) fn end_recording(&self) {
        self.recorder.iter().for_each(Recorder::end);
    }

    /// What `id` said of itself, if this context has it at first hand or from who made it.
    pub(crate) fn about(&self, id: ContextId) -> Option<About> {
        self.known().get(&id).copied()
    }

    /// A child of this context has said HELLO.
    pub(crate) fn greeted(&self, shared: &Shared<Table>, id: ContextId, about: About) {
        self.known().insert(id, about);
        self.unless_gone(shared, id);
    }

    /// Takes the word of `maker` that it made a child for this context: it must be new, its own, and announced.
    pub(crate) fn claim(&self, shared: &Shared<Table>, maker: ContextId, created: &Created) -> bool {
        if shared.routes(|table| table.parent(created.id)) != Some(maker) {
            return false;
        }
        let is_new = self.known().insert(created.id, created.about).is_none();
        self.unless_gone(shared, created.id);
        is_new
    }

    /// A loss that was told before the entry was made is not told again.
    fn unless_gone(&self, shared: &Shared<Table>, id: ContextId) {
        if shared.routes(|table| table.name(id).is_none()) {
            self.known().remove(&id);
        }
    }

    /// Sends a program to a context below, for plans that name it by its hash.
    pub(crate) fn provide(&self, parcel: Parcel) {
        self.spawner.tell(Job::Provide(parcel));
    }

    /// Has a word said as soon as there is room for it.
    pub(crate) fn say_later(&self, word: Word) {
        self.spawner.tell(Job::Unsaid(word));
    }

    /// Waits until every process that this context started is gone, at most so long; whether they are.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        self.spawner.wait(limit)
    }

    /// The ways by which connects of this program go.
    pub(crate) const fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ContextId, About>> {
        lock(&self.known)
    }
}

impl Hooks<Table> for Nursery {
    fn service(&self, shared: &Arc<Shared<Table>>, key: CallKey) {
        self.spawner.create(shared, key);
    }

    fn ids(&self) {
        self.spawner.tell(Job::Ids);
    }

    fn lost(&self, ids: &[ContextId], _name: &str, _reason: &str) {
        let mut known = self.known();
        for id in ids {
            known.remove(id);
            self.gateways.forget(*id);
        }
    }

    fn ending(&self, shared: &Arc<Shared<Table>>, left: Duration) {
        self.spawner.end(shared, left);
    }

    fn finish(&self, deadline: Instant) {
        self.wait(deadline.saturating_duration_since(Instant::now()));
    }

    fn frame(&self, link: LinkKey, way: Way, frame: &Frame) {
        if let Some(recorder) = &self.recorder {
            recorder.frame(link, way, frame);
        }
    }
}

impl fmt::Debug for Nursery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nursery").field("known", &*self.known()).finish_non_exhaustive()
    }
}

/// No user code runs under a lock of this crate, so what a panic leaves is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
