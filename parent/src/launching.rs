//! Connects that go by a transport: each has a thread until its program runs, and no more than so many go on at once.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, PipeWriter},
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use offshoot_bootstrap::{
    ConnectError, ConnectErrorKind, Phase, Prompter, Query, Secret, Spawned, launch_asking,
};
use offshoot_core::{machine::CallKey, wire::ContextId};

use crate::{nest::Request, nursery::lock, spawner::Job};

/// How many go on at once; a bastion with default limits refuses long before.
const AT_ONCE: usize = 64;

/// A connect whose program runs, or which has failed.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) request: Request,
    pub(crate) id: ContextId,
    pub(crate) outcome: Result<Spawned, ConnectError>,
}

/// The connects that go by a transport and have not come so far.
#[derive(Debug)]
pub(crate) struct Launches {
    jobs: Sender<Job>,
    prompter: Option<Arc<InTurn>>,
    running: BTreeMap<ContextId, Running>,
    waiting: VecDeque<(Request, ContextId)>,
}

/// Has a person asked one question at a time, whatever connects are under way.
#[derive(Debug)]
struct InTurn {
    prompter: Arc<dyn Prompter>,
    /// Held while it is asked: that is what the others wait for.
    turn: Mutex<()>,
}

impl Prompter for InTurn {
    fn answer(&self, query: &Query) -> Option<Secret> {
        let _turn = lock(&self.turn);
        // Without an answer the connect fails; without an end it would be waited for.
        catch_unwind(AssertUnwindSafe(|| self.prompter.answer(query))).unwrap_or_default()
    }
}

/// A connect with a thread.
#[derive(Debug)]
struct Running {
    call: CallKey,
    /// Dropping it gives the connect up.
    gate: Option<PipeWriter>,
    thread: JoinHandle<()>,
}

impl Launches {
    pub(crate) fn new(jobs: Sender<Job>, prompter: Option<Arc<dyn Prompter>>) -> Self {
        let prompter = prompter.map(|prompter| Arc::new(InTurn { prompter, turn: Mutex::default() }));
        Self { jobs, prompter, running: BTreeMap::new(), waiting: VecDeque::new() }
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
        if let Some((request, id)) = self.waiting.pop_front() {
            self.start(request, id);
        }
    }

    /// Gives all of them up. Those that had not begun are returned; each of the others still ends.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Request> {
        self.running.values_mut().for_each(|running| running.gate = None);
        std::mem::take(&mut self.waiting).into_iter().map(|(request, _)| request)
    }

    /// Gives the connect for a call up. It is returned if it had not begun; else it still ends.
    pub(crate) fn cancel(&mut self, call: CallKey) -> Option<Request> {
        if let Some(running) = self.running.values_mut().find(|running| running.call == call) {
            running.gate = None;
        }
        let at = self.waiting.iter().position(|(request, _)| request.call == call)?;
        self.waiting.remove(at).map(|(request, _)| request)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    fn start(&mut self, request: Request, id: ContextId) {
        let call = request.call;
        // The request goes to the thread once there is one.
        let (give, take) = mpsc::sync_channel::<Request>(1);
        match self.thread(id, take) {
            Ok((thread, gate)) => {
                self.running.insert(id, Running { call, gate: Some(gate), thread });
                drop(give.send(request));
            }
            Err(error) => {
                let kind = ConnectErrorKind::Spawn { error: error.to_string().into() };
                let error = ConnectError::new(&request.plan, Phase::Spawn, kind);
                finish(&self.jobs, request, id, Err(error));
            }
        }
    }

    fn thread(
        &self,
        id: ContextId,
        take: mpsc::Receiver<Request>,
    ) -> io::Result<(JoinHandle<()>, PipeWriter)> {
        let (cancel, gate) = io::pipe()?;
        let (jobs, prompter) = (self.jobs.clone(), self.prompter.clone());
        let body = move || {
            let Ok(request) = take.recv() else { return };
            let prompter = prompter.as_deref().map(|prompter| prompter as &dyn Prompter);
            let outcome = launch_asking(&request.plan, request.deadline, Some(cancel.as_fd()), prompter);
            finish(&jobs, request, id, outcome);
        };
        Ok((thread::Builder::new().name("offshoot-connect".to_owned()).spawn(body)?, gate))
    }
}

/// It fails only once the thread that makes children has ended; what was started is killed with it then.
fn finish(jobs: &Sender<Job>, request: Request, id: ContextId, outcome: Result<Spawned, ConnectError>) {
    drop(jobs.send(Job::Launched(Box::new(Launched { request, id, outcome }))));
}
