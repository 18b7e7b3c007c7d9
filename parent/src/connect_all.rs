//! Many connects by one context: so many at a time, fewer where the way there takes no more, each result as it comes.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    iter::FusedIterator,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Payload, Phase, Plan};
use offshoot_core::{
    Context,
    internal::{self, Shared, later},
    wire::Role,
};

use crate::{
    Connecting,
    connecting::is_here,
    descriptors,
    gateway::{Door, Knock, Passage},
    helpers::{MakerKey, Makers, WayKey},
    launching::AT_ONCE,
    nursery::Nursery,
    proof::{Leave, ProofKey, Proofs},
    table::Table,
};

/// How many connects go on at once where nobody said otherwise: an sshd with default limits takes ten that have not
/// logged in.
const PARALLEL: usize = 10;
/// How long a connect rests that was not taken, the first time; each time twice as long as before, up to the second.
const REST: Duration = Duration::from_millis(100);
const MAX_REST: Duration = Duration::from_secs(3);
/// How many a helper makes at a time where nobody said otherwise.
const ARITY: usize = 8;

/// Many connects, made by [`ContextExt::connect_all`](crate::ContextExt::connect_all). Nothing happens before it is
/// iterated; it yields the place of each in the list and its outcome, in the order in which they end.
///
/// A connect that is not taken because too many come at once (`busy`) is tried again after a rest, for as long as its
/// time lasts, and fewer go on at once from then on: in all lists of the router that go the same way, such as ssh, from the
/// same context. One that is refused a third time waits by itself, and costs the others nothing. Dropping the iterator gives up what has not ended.
///
/// A password that several of them have is given to one host at first, and to the others once one has asked for it and let us
/// in: as long as none has asked they are begun one after another. If it is refused it is given to none of them, though somebody
/// typed another then that was right; a host that asks for it a second time has refused it. If two connects have failed behind it, and
/// it was not said whether it was right, the others are not begun either ([`ConnectErrorKind::PasswordUnclear`]).
///
/// If the root has not the descriptors for all of them, none is begun, and each ends with an error that says how many it
/// takes ([`ConnectErrorKind::DescriptorsNeeded`]).
///
/// ```no_run
/// # fn f(router: &offshoot_parent::Router) {
/// use std::time::Duration;
/// use offshoot_parent::prelude::*;
///
/// let hosts = ["web1", "web2", "web3"];
/// let all = router.connect_all(hosts.map(Ssh::new)).parallel(32).within(Duration::from_secs(60));
/// for (n, host) in all {
///     match host {
///         Ok(context) => println!("{} is up as {context}", hosts[n]),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # }
/// ```
#[must_use = "nothing is connected before it is iterated"]
#[derive(Debug)]
pub struct ConnectAll {
    maker: Context,
    plans: Vec<Plan>,
    parallel: usize,
    limit: Option<Duration>,
    helpers: Vec<Context>,
    grows: bool,
    arity: usize,
}

impl ConnectAll {
    pub(crate) const fn new(maker: Context, plans: Vec<Plan>) -> Self {
        Self {
            maker,
            plans,
            parallel: PARALLEL,
            limit: None,
            helpers: Vec::new(),
            grows: false,
            arity: ARITY,
        }
    }

    /// How many go on at once, at most: 10 unless set, and no more than 64, which is what a context has under way of all that it
    /// was asked for. The time of each begins when it is begun itself.
    pub fn parallel(self, parallel: usize) -> Self {
        Self { parallel: parallel.clamp(1, AT_ONCE), ..self }
    }

    /// Has these contexts make some of them as well, whenever the one that was asked makes as many as it may, or as its way
    /// there takes, and will not come to the rest as soon as those have ended. They go by ways and keys of their own, and
    /// see what is sent to what they make: passwords too.
    ///
    /// What a helper fails at, or is lost with while it makes it, is made by the context that was asked. What it has made
    /// is its child, and goes with it.
    pub fn helped_by(mut self, helpers: impl IntoIterator<Item = Context>) -> Self {
        self.helpers.extend(helpers);
        self
    }

    /// Has each of them help with the rest as soon as it is up, if it can have children: a tree grows, as by
    /// [`helped_by`](Self::helped_by).
    pub fn growing(self) -> Self {
        Self { grows: true, ..self }
    }

    /// How many a helper makes at a time: 8 unless set, and no more than 64.
    pub fn arity(self, arity: usize) -> Self {
        Self { arity: arity.clamp(1, AT_ONCE), ..self }
    }

    /// How long all of them may take, beside the time-out of each.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

impl IntoIterator for ConnectAll {
    type Item = (usize, Result<Context, ConnectError>);
    type IntoIter = Arrivals;

    fn into_iter(self) -> Arrivals {
        let Self { maker, mut plans, parallel, limit, helpers, grows, arity } = self;
        let (wake, woken) = mpsc::channel();
        let now = Instant::now();
        let shared = internal::shared_of::<Table>(&maker);
        let is_here = is_here(&maker);
        let lack = if is_here { descriptors::lack(&plans, parallel) } else { None };
        if grows || !helpers.is_empty() {
            // A helper has no files of ours. What cannot be read is told by whoever makes it.
            load(plans.iter_mut());
        } else if !is_here {
            // What is sent on is read once for all.
            load(plans.iter_mut().filter(|plan| plan.transport.is_some()));
        }
        let mut makers = Makers::new(maker, parallel, arity);
        helpers.into_iter().for_each(|helper| makers.add(helper));
        let mut proofs = Proofs::default();
        let mut ways = BTreeMap::new();
        let jobs = plans.into_iter().enumerate();
        let waiting = jobs.map(|(index, plan)| {
            let (proof, next) = (proofs.key(&plan), WayKey(ways.len()));
            let way = *ways.entry(plan.method.to_string()).or_insert(next);
            Job { index, plan, way, proof, refused: 0, rest: REST, not_before: now, end: None, helped: true }
        });
        let (waiting, deadline) = (waiting.collect(), limit.map(|limit| (later(limit), limit)));
        let (ways, running) = (ways.len(), BTreeMap::new());
        Arrivals { shared, makers, grows, proofs, ways, waiting, running, deadline, lack, wake, woken }
    }
}

/// The outcomes of [`ConnectAll`], as they come.
pub struct Arrivals {
    shared: Option<Arc<Shared<Table>>>,
    makers: Makers,
    /// Whether each that comes up helps.
    grows: bool,
    proofs: Proofs,
    /// How many ways they go.
    ways: usize,
    waiting: VecDeque<Job>,
    running: BTreeMap<usize, Running>,
    deadline: Option<(Instant, Duration)>,
    /// Why none of them is begun.
    lack: Option<ConnectErrorKind>,
    wake: Sender<Knock>,
    woken: Receiver<Knock>,
}

/// One connect.
struct Job {
    index: usize,
    plan: Plan,
    way: WayKey,
    proof: ProofKey,
    /// How often it was not taken.
    refused: u32,
    /// How long it rests when it is not taken.
    rest: Duration,
    not_before: Instant,
    /// Set when it is begun for the first time.
    end: Option<Instant>,
    /// Whether a helper may make it: none has failed at it.
    helped: bool,
}

/// Puts the programs of files into memory, each once.
fn load<'a>(plans: impl Iterator<Item = &'a mut Plan>) {
    let mut loaded: BTreeMap<PathBuf, Payload> = BTreeMap::new();
    for plan in plans {
        if let Some(path) = plan.payload.path() {
            let program = loaded.entry(path.to_owned()).or_insert_with(|| plan.payload.loaded());
            plan.payload = program.clone();
        }
    }
}

/// One that is under way.
struct Running {
    job: Job,
    by: MakerKey,
    since: Instant,
    passage: Passage,
    connecting: Connecting,
}

/// By way, how many of the makers, from the one that was asked on, have no room for one more: as long as none ends.
struct Full(Vec<usize>);

/// The place of a list at the gateway by which the plans of a maker go.
fn door(shared: Option<&Arc<Shared<Table>>>, maker: &Context, plan: &Plan, wake: &Sender<Knock>) -> Door {
    let nursery = shared.and_then(|shared| shared.hooks_as::<Nursery>());
    let gateway = nursery.map(|nursery| nursery.gateways().of(maker.id(), plan)).unwrap_or_default();
    gateway.door(wake.clone())
}

/// Says which connect has something to tell.
struct Ring {
    index: usize,
    to: Sender<Knock>,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        // It fails once nobody listens any more.
        let _ = self.to.send(Knock::Ended(self.index));
    }
}

impl Iterator for Arrivals {
    type Item = (usize, Result<Context, ConnectError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // One for the whole turn: whoever is not begun for having to rest must be waited for.
            let now = Instant::now();
            if let Some(hopeless) = self.hopeless().or_else(|| self.late(now)) {
                return Some(hopeless);
            }
            if let Some(ended) = self.begin(now) {
                return Some(ended);
            }
            if self.waiting.is_empty() && self.running.is_empty() {
                return None;
            }
            // Woken by a connect that has ended, by a gateway that has room, when one has rested, and when the time is over.
            let mut knock = match self.next_due(now) {
                Some(due) => self.woken.recv_timeout(due.saturating_duration_since(Instant::now())).ok(),
                None => self.woken.recv().ok(),
            };
            // Once for all that there may be room.
            while let Some(Knock::Room) = knock {
                knock = self.woken.try_recv().ok();
            }
            if let Some(Knock::Ended(index)) = knock
                && let Some(ended) = self.look(index)
            {
                return Some(ended);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.waiting.len().saturating_add(self.running.len());
        (left, Some(left))
    }
}

impl ExactSizeIterator for Arrivals {}
impl FusedIterator for Arrivals {}

impl Arrivals {
    /// The next of those that are not begun at all.
    fn hopeless(&mut self) -> Option<(usize, Result<Context, ConnectError>)> {
        let (at, kind) = match self.lack.clone() {
            Some(lack) => (0, lack),
            None => {
                let why = |job: &Job| match self.proofs.leave(&job.proof) {
                    Leave::Refused => Some(ConnectErrorKind::PasswordWrong),
                    Leave::Unclear { failed } => Some(ConnectErrorKind::PasswordUnclear { failed }),
                    Leave::Given | Leave::Later => None,
                };
                self.waiting.iter().enumerate().find_map(|(at, job)| Some((at, why(job)?)))?
            }
        };
        let job = self.waiting.remove(at)?;
        Some((job.index, Err(self.error(&job, Phase::Allocate, kind))))
    }

    /// What the list itself has to say of one.
    fn error(&self, job: &Job, phase: Phase, kind: ConnectErrorKind) -> ConnectError {
        let error = ConnectError::new(&job.plan, phase, kind);
        let maker = self.makers.context(MakerKey::ASKED).filter(|maker| !is_here(maker));
        match maker {
            Some(maker) => error.asked_of(maker.name()),
            None => error,
        }
    }

    /// The next of those for which the time of all is over.
    fn late(&mut self, now: Instant) -> Option<(usize, Result<Context, ConnectError>)> {
        let (at, limit) = self.deadline?;
        if at > now {
            return None;
        }
        // What has come up in time was in time, however late it is looked at.
        while let Ok(knock) = self.woken.try_recv() {
            if let Knock::Ended(index) = knock
                && let Some(ended) = self.look(index)
            {
                return Some(ended);
            }
        }
        let waiting = self.waiting.pop_front().map(|job| (job, Phase::Allocate));
        // Dropping a connect gives it up.
        let running = || self.running.pop_first().map(|(_, running)| (running.job, Phase::Spawn));
        let (job, phase) = waiting.or_else(running)?;
        Some((job.index, Err(self.error(&job, phase, ConnectErrorKind::NoAnswer { limit }))))
    }

    /// Begins what there is room for, up to the first that ends at once.
    fn begin(&mut self, now: Instant) -> Option<(usize, Result<Context, ConnectError>)> {
        let mut full = Full(vec![0; self.ways]);
        while let Some((at, by, passage)) = self.next_job(&mut full, now) {
            let maker = self.makers.context(by)?.clone();
            let mut job = self.waiting.remove(at)?;
            let (since, end) = (Instant::now(), *job.end.get_or_insert_with(|| later(job.plan.timeout)));
            let mut plan = job.plan.clone();
            plan.timeout = end.saturating_duration_since(since);
            let (index, connecting) = (job.index, Connecting::new(&maker, plan));
            self.makers.begun(by);
            self.proofs.begun(&job.proof);
            self.running.insert(index, Running { job, by, since, passage, connecting });
            if let Some(ended) = self.look(index) {
                return Some(ended);
            }
        }
        None
    }

    /// The first that can be begun, by whom, and its passage: by the one that was asked as long as it and the way have room,
    /// then by the first helper where that is so, which may have been sent the program already.
    fn next_job(&mut self, Full(full): &mut Full, now: Instant) -> Option<(usize, MakerKey, Passage)> {
        for (at, job) in self.waiting.iter().enumerate() {
            if job.not_before > now || self.proofs.leave(&job.proof) != Leave::Given {
                continue;
            }
            let (next, all) = (full.get_mut(job.way.0)?, self.makers.len());
            if *next >= all {
                continue;
            }
            let makers = if all > 1 && job.helped && self.needs_help(job.way, now) { all } else { 1 };
            while *next < makers {
                let door = |maker: &Context| door(self.shared.as_ref(), maker, &job.plan, &self.wake);
                if let Some((by, passage)) = self.makers.enter(*next, job.way, door) {
                    return Some((at, by, passage));
                }
                *next += 1;
            }
            if full.iter().all(|next| *next >= all) {
                return None;
            }
        }
        None
    }

    /// Looks at a connect that may have ended.
    fn look(&mut self, index: usize) -> Option<(usize, Result<Context, ConnectError>)> {
        let Running { connecting, .. } = self.running.get_mut(&index)?;
        let waker = Waker::from(Arc::new(Ring { index, to: self.wake.clone() }));
        let Poll::Ready(outcome) = Pin::new(connecting).poll(&mut TaskContext::from_waker(&waker)) else {
            return None;
        };
        let Running { mut job, by, since, passage, connecting } = self.running.remove(&index)?;
        let failure = outcome.as_ref().err().map(ConnectError::kind);
        passage.ended(failure, job.refused);
        let told = outcome.as_ref().map_or_else(ConnectError::passwords, |_| connecting.passwords());
        self.proofs.ended(&job.proof, told);
        self.makers.ended(by);
        if outcome.is_ok() {
            self.makers.took(by, since.elapsed());
        }
        match outcome {
            Err(error) if *error.kind() == ConnectErrorKind::Busy => self.rest(job, error),
            // Where it has cost the last leave to give its password it would not be begun any more, and its reason be lost.
            Err(_) if by.is_helper() && self.may_be_begun(&job) => {
                // It may be the helper's fault, and it has cost time.
                (job.helped, job.end) = (false, None);
                self.waiting.push_front(job);
                None
            }
            outcome => {
                if let (true, Ok(context)) = (self.grows, &outcome)
                    && self.can_help(context)
                {
                    self.makers.add(context.clone());
                }
                Some((index, outcome))
            }
        }
    }

    fn may_be_begun(&self, job: &Job) -> bool {
        matches!(self.proofs.leave(&job.proof), Leave::Given | Leave::Later)
    }

    /// Whether more wait than the one that was asked can begin when those that it makes have ended: what a helper makes takes
    /// longer, and the program has to go to the helper first. Those that have not ended in time are not waited for, nor, if
    /// it is the way that has no room, those that go another.
    fn needs_help(&self, way: WayKey, now: Instant) -> bool {
        let asked_has_room = self.makers.has_room(MakerKey::ASKED);
        let counts = |other: WayKey| !asked_has_room || other == way;
        let soon = self.due_by_asked().filter(|(way, due)| counts(*way) && *due > now).count();
        self.waiting.iter().filter(|job| counts(job.way)).nth(soon).is_some()
    }

    /// When each that the asked one makes should have ended, and which way it goes.
    fn due_by_asked(&self) -> impl Iterator<Item = (WayKey, Instant)> {
        let patience = self.makers.patience();
        let by_asked = self.running.values().filter(|running| !running.by.is_helper());
        by_asked.map(move |running| {
            (running.job.way, running.since.checked_add(patience).unwrap_or(running.since))
        })
    }

    fn can_help(&self, context: &Context) -> bool {
        let nursery = self.shared.as_ref().and_then(|shared| shared.hooks_as::<Nursery>());
        nursery
            .and_then(|nursery| nursery.about(context.id()))
            .is_some_and(|about| about.role == Role::Parent)
    }

    /// Has a connect that was not taken wait, if it has the time.
    fn rest(&mut self, mut job: Job, error: ConnectError) -> Option<(usize, Result<Context, ConnectError>)> {
        job.refused = job.refused.saturating_add(1);
        job.not_before = later(job.rest);
        job.rest = MAX_REST.min(job.rest.saturating_mul(2));
        if job.end.is_some_and(|end| end <= job.not_before) {
            return Some((job.index, Err(error)));
        }
        self.waiting.push_back(job);
        None
    }

    /// When something is to be done though nothing has come.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let has_room = self.makers.have_room();
        // Those that have rested wait for a gateway.
        let resting = self.waiting.iter().filter(|job| has_room && job.not_before > now);
        let rested = resting.map(|job| job.not_before);
        // A helper may be waiting for them, and takes their place.
        let helps = has_room && !self.waiting.is_empty();
        let overdue = self.due_by_asked().map(|(_, due)| due).filter(|due| helps && *due > now);
        rested.chain(overdue).chain(self.deadline.map(|(at, _)| at)).min()
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("waiting", &self.waiting.len())
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use offshoot_bootstrap::Ssh;

    use super::*;
    use crate::Router;

    #[test]
    fn who_is_not_begun_for_having_to_rest_is_waited_for_though_his_time_has_come_meanwhile() {
        let router = Router::new().unwrap();
        let mut all = router.connect_all([Ssh::new("web")]).into_iter();
        let now = Instant::now();
        let rested = now + Duration::from_nanos(1);
        all.waiting.iter_mut().for_each(|job| job.not_before = rested);
        assert!(all.next_job(&mut Full(vec![0; all.ways]), now).is_none());
        assert_eq!(all.next_due(now), Some(rested));
        assert!(all.next_job(&mut Full(vec![0; all.ways]), rested).is_some());
    }
}
