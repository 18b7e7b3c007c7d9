//! Many connects by one context: so many at a time, fewer where the way there takes no more, each result as it comes.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    iter::FusedIterator,
    pin::Pin,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Phase, Plan};
use offshoot_core::{Context, internal::later};

use crate::Connecting;

/// How many connects go on at once where nobody said otherwise: an sshd with default limits takes ten that have not
/// logged in.
const PARALLEL: usize = 10;
/// How long a connect rests that was not taken, the first time; each time twice as long as before, up to the second.
const REST: Duration = Duration::from_millis(100);
const MAX_REST: Duration = Duration::from_secs(3);

/// Many connects, made by [`ContextExt::connect_all`](crate::ContextExt::connect_all). Nothing happens before it is
/// iterated; it yields the place of each in the list and its outcome, in the order in which they end.
///
/// A connect that is not taken because too many come at once (`busy`) is tried again after a rest, for as long as its
/// time lasts, and fewer go on at once from then on. Dropping the iterator gives up what has not ended.
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
}

impl ConnectAll {
    pub(crate) const fn new(maker: Context, plans: Vec<Plan>) -> Self {
        Self { maker, plans, parallel: PARALLEL, limit: None }
    }

    /// How many go on at once, at most: 10 unless set.
    pub fn parallel(self, parallel: usize) -> Self {
        Self { parallel: parallel.max(1), ..self }
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
        let Self { maker, plans, parallel, limit } = self;
        let (wake, woken) = mpsc::channel();
        let now = Instant::now();
        let jobs = plans.into_iter().enumerate();
        let waiting = jobs.map(|(index, plan)| Job { index, plan, rest: REST, not_before: now, end: None });
        let (waiting, deadline) = (waiting.collect(), limit.map(|limit| (later(limit), limit)));
        Arrivals {
            maker,
            waiting,
            running: BTreeMap::new(),
            window: Window { now: parallel, most: parallel },
            deadline,
            wake,
            woken,
        }
    }
}

/// The outcomes of [`ConnectAll`], as they come.
pub struct Arrivals {
    maker: Context,
    waiting: VecDeque<Job>,
    running: BTreeMap<usize, (Job, Connecting)>,
    window: Window,
    deadline: Option<(Instant, Duration)>,
    wake: Sender<usize>,
    woken: Receiver<usize>,
}

/// One connect.
struct Job {
    index: usize,
    plan: Plan,
    /// How long it rests when it is not taken.
    rest: Duration,
    not_before: Instant,
    /// Set when it is begun for the first time.
    end: Option<Instant>,
}

/// How many go on at once: half as many after each that was not taken, one more after each that was.
struct Window {
    now: usize,
    most: usize,
}

impl Window {
    const fn refused(&mut self) {
        self.now = if self.now > 1 { self.now / 2 } else { 1 };
    }

    const fn taken(&mut self) {
        if self.now < self.most {
            self.now += 1;
        }
    }
}

/// Says which connect has something to tell.
struct Ring {
    index: usize,
    to: Sender<usize>,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        // It fails once nobody listens any more.
        let _ = self.to.send(self.index);
    }
}

impl Iterator for Arrivals {
    type Item = (usize, Result<Context, ConnectError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(late) = self.late() {
                return Some(late);
            }
            if let Some(ended) = self.begin() {
                return Some(ended);
            }
            if self.waiting.is_empty() && self.running.is_empty() {
                return None;
            }
            // Woken by a connect that has ended, when one has rested, and when the time is over.
            let index = match self.next_due() {
                Some(due) => self.woken.recv_timeout(due.saturating_duration_since(Instant::now())).ok(),
                None => self.woken.recv().ok(),
            };
            if let Some(ended) = index.and_then(|index| self.look(index)) {
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
    /// The next of those for which the time of all is over.
    fn late(&mut self) -> Option<(usize, Result<Context, ConnectError>)> {
        let (at, limit) = self.deadline?;
        if at > Instant::now() {
            return None;
        }
        // What has come up in time was in time, however late it is looked at.
        while let Ok(index) = self.woken.try_recv() {
            if let Some(ended) = self.look(index) {
                return Some(ended);
            }
        }
        let waiting = self.waiting.pop_front().map(|job| (job, Phase::Allocate));
        // Dropping a connect gives it up.
        let running = || self.running.pop_first().map(|(_, (job, _))| (job, Phase::Spawn));
        let (job, phase) = waiting.or_else(running)?;
        Some((job.index, Err(ConnectError::new(&job.plan, phase, ConnectErrorKind::NoAnswer { limit }))))
    }

    /// Begins what there is room for, up to the first that ends at once.
    fn begin(&mut self) -> Option<(usize, Result<Context, ConnectError>)> {
        while self.running.len() < self.window.now {
            let now = Instant::now();
            let at = self.waiting.iter().position(|job| job.not_before <= now)?;
            let mut job = self.waiting.remove(at)?;
            let end = *job.end.get_or_insert_with(|| later(job.plan.timeout));
            let mut plan = job.plan.clone();
            plan.timeout = end.saturating_duration_since(now);
            let (index, connecting) = (job.index, Connecting::new(&self.maker, plan));
            self.running.insert(index, (job, connecting));
            if let Some(ended) = self.look(index) {
                return Some(ended);
            }
        }
        None
    }

    /// Looks at a connect that may have ended.
    fn look(&mut self, index: usize) -> Option<(usize, Result<Context, ConnectError>)> {
        let (_, connecting) = self.running.get_mut(&index)?;
        let waker = Waker::from(Arc::new(Ring { index, to: self.wake.clone() }));
        let Poll::Ready(outcome) = Pin::new(connecting).poll(&mut TaskContext::from_waker(&waker)) else {
            return None;
        };
        let (job, _) = self.running.remove(&index)?;
        match outcome {
            Err(error) if *error.kind() == ConnectErrorKind::Busy => self.rest(job, error),
            outcome => {
                self.window.taken();
                Some((index, outcome))
            }
        }
    }

    /// Has a connect that was not taken wait, if it has the time.
    fn rest(&mut self, mut job: Job, error: ConnectError) -> Option<(usize, Result<Context, ConnectError>)> {
        self.window.refused();
        job.not_before = later(job.rest);
        job.rest = MAX_REST.min(job.rest.saturating_mul(2));
        if job.end.is_some_and(|end| end <= job.not_before) {
            return Some((job.index, Err(error)));
        }
        self.waiting.push_back(job);
        None
    }

    /// When something is to be done though nothing has come.
    fn next_due(&self) -> Option<Instant> {
        let has_room = self.running.len() < self.window.now;
        let rested = self.waiting.iter().filter(|_| has_room).map(|job| job.not_before);
        rested.chain(self.deadline.map(|(at, _)| at)).min()
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
    use super::*;

    #[test]
    fn fewer_go_on_after_a_refusal_and_more_again_after_each_that_was_taken() {
        let mut window = Window { now: 9, most: 9 };
        window.refused();
        assert_eq!(window.now, 4);
        (0..3).for_each(|_| window.refused());
        assert_eq!(window.now, 1);
        (0..20).for_each(|_| window.taken());
        assert_eq!(window.now, 9);
    }
}
