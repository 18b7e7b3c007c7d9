//! Connects that go by a transport: each has a thread until its program runs, and no more than so many go on at once.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, PipeWriter},
    os::fd::AsFd as _,
    sync::{
        Arc,
        mpsc::{self, Sender, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use offshoot_bootstrap::{
    ConnectError, ConnectErrorKind, Launch, Observer, Phase, Plan, Prompter, Spawned, Started, Step,
};
use offshoot_core::{internal::contain, wire::ContextId};

use crate::{
    nest::{Asked, Request},
    spawner::Job,
    turn::{Asker, Turns},
};

/// How many go on at once; a bastion with default limits refuses long before. The time of those that wait for their turn runs:
/// a list begins no more than these.
pub(crate) const AT_ONCE: usize = 64;

/// A connect whose program runs, or which has failed.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) request: Request,
    pub(crate) id: ContextId,
    pub(crate) outcome: Result<Spawned, ConnectError>,
}

/// Who is asked, and who looks on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Company {
    pub(crate) prompter: Option<Arc<dyn Prompter>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// An observer that panics has seen enough; the connect goes on.
#[derive(Debug)]
struct Guarded(Arc<dyn Observer>);

impl Observer for Guarded {
    fn saw(&self, plan: &Plan, step: &Step) {
        contain(|| self.0.saw(plan, step), |_| ());
    }
}

/// The connects that go by a transport and have not come so far.
#[derive(Debug)]
pub(crate) struct Launches {
    jobs: Sender<Job>,
    turns: Option<Arc<Turns>>,
    observer: Option<Arc<dyn Observer>>,
    running: BTreeMap<ContextId, Running>,
    waiting: VecDeque<(Request, ContextId)>,
}

/// A connect with a thread.
#[derive(Debug)]
struct Running {
    asked: Asked,
    /// Dropping it gives the connect up.
    gate: Option<PipeWriter>,
    thread: JoinHandle<()>,
}

impl Launches {
    pub(crate) fn new(jobs: Sender<Job>, company: Company) -> io::Result<Self> {
        let turns = company.prompter.map(Turns::new).transpose()?.map(Arc::new);
        let observer = company.observer.map(|observer| Arc::new(Guarded(observer)) as Arc<dyn Observer>);
        Ok(Self { jobs, turns, observer, running: BTreeMap::new(), waiting: VecDeque::new() })
    }

    /// Begins one, or has it wait for its turn. Its end is a [`Job::Launched`], whatever happens.
    pub(crate) fn begin(&mut self, request: Request, id: ContextId) {
        if self.running.len() < AT_ONCE {
            self.start(request, id);
        } else {
            self.waiting.push_back((request, id));
        }
    }

    /// One has come to its end; the next that waits is begun.
    pub(crate) fn ended(&mut self, id: ContextId) {
        if let Some(running) = self.running.remove(&id) {
            // That it has ended was the last thing that it had to say.
            drop(running.thread.join());
        }
        // Who is late is told so, and nothing of his is begun.
        let now = Instant::now();
        let next = self.waiting.iter().position(|(request, _)| request.deadline > now);
        if let Some((request, id)) = next.and_then(|at| self.waiting.remove(at)) {
            self.start(request, id);
        }
    }

    /// Gives all of them up. Those that had not begun are returned; each of the others still ends.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Request> {
        self.running.values_mut().for_each(|running| running.gate = None);
        std::mem::take(&mut self.waiting).into_iter().map(|(request, _)| request)
    }

    /// Gives the connect up that was asked for so. It is returned if it had not begun; else it still ends.
    pub(crate) fn cancel(&mut self, is_it: impl Fn(&Asked) -> bool) -> Option<Request> {
        if let Some(running) = self.running.values_mut().find(|running| is_it(&running.asked)) {
            running.gate = None;
        }
        let at = self.waiting.iter().position(|(request, _)| is_it(&request.asked))?;
        self.waiting.remove(at).map(|(request, _)| request)
    }

    /// Those whose time is over before their turn has come; they wait no more.
    pub(crate) fn take_late(&mut self, now: Instant) -> impl Iterator<Item = Request> {
        let waiting = std::mem::take(&mut self.waiting);
        let (late, waiting): (VecDeque<_>, _) = waiting.into_iter().partition(|(it, _)| it.deadline <= now);
        self.waiting = waiting;
        late.into_iter().map(|(request, _)| request)
    }

    /// Until when those wait whose turn has not come.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Instant> + '_ {
        self.waiting.iter().map(|(request, _)| request.deadline)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Starts the process by this thread, which lives as long as its children: what leads to one goes with it. The rest
    /// has a thread of its own.
    fn start(&mut self, request: Request, id: ContextId) {
        // Nobody is asked before the second half, which has its own prompter.
        let mut launch = Launch::new(&request.plan).tied();
        if let Some(observer) = &self.observer {
            launch = launch.seen_by(&**observer);
        }
        let asked = request.asked;
        let begun = launch.start().and_then(|started| {
            let refused = |error: io::Error| {
                ConnectError::new(&request.plan, Phase::Spawn, ConnectErrorKind::from_system(&error))
            };
            Ok((started, self.thread(id).map_err(refused)?))
        });
        match begun {
            Ok((started, (thread, give, gate))) => {
                self.running.insert(id, Running { asked, gate: Some(gate), thread });
                drop(give.send((request, started)));
            }
            Err(error) => finish(&self.jobs, request, id, Err(error)),
        }
    }

    /// A thread that waits for what it is to carry on with.
    fn thread(&self, id: ContextId) -> io::Result<(JoinHandle<()>, SyncSender<Begun>, PipeWriter)> {
        let (give, take) = mpsc::sync_channel::<Begun>(1);
        let (cancel, gate) = io::pipe()?;
        let (jobs, turns, observer) = (self.jobs.clone(), self.turns.clone(), self.observer.clone());
        let body = move || {
            let Ok((request, started)) = take.recv() else { return };
            let (deadline, cancel) = (request.deadline, cancel.as_fd());
            let asker = turns.as_deref().map(|turns| Asker { turns, deadline, cancel });
            let mut launch = Launch::new(&request.plan).until(deadline).unless(cancel);
            if let Some(asker) = &asker {
                launch = launch.asking(asker);
            }
            if let Some(observer) = &observer {
                launch = launch.seen_by(&**observer);
            }
            let outcome = launch.finish(started);
            finish(&jobs, request, id, outcome);
        };
        let thread = thread::Builder::new().name("offshoot-connect".to_owned()).spawn(body)?;
        Ok((thread, give, gate))
    }
}

/// A connect with a process.
type Begun = (Request, Started);

/// It fails only once the thread that makes children has ended; what was started is killed with it then.
fn finish(jobs: &Sender<Job>, request: Request, id: ContextId, outcome: Result<Spawned, ConnectError>) {
    drop(jobs.send(Job::Launched(Box::new(Launched { request, id, outcome }))));
}
