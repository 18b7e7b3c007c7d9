//! Connects that go by a transport: each has a thread until its program runs, and no more than so many go on at once.

use std::{
    collections::VecDeque,
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd as _,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
};

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Phase, Spawned, launch};
use offshoot_core::wire::ContextId;

use crate::{nest::Request, spawner::Job};

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
    running: usize,
    waiting: VecDeque<(Request, ContextId)>,
    /// Made by the first of them. Dropping the writer gives all of them up.
    gate: Option<(Arc<PipeReader>, PipeWriter)>,
}

impl Launches {
    pub(crate) const fn new(jobs: Sender<Job>) -> Self {
        Self { jobs, running: 0, waiting: VecDeque::new(), gate: None }
    }

    /// Begins one, or has it wait for its turn. Its end is a [`Job::Launched`], whatever happens.
    pub(crate) fn begin(&mut self, request: Request, id: ContextId) {
        if self.running < AT_ONCE {
            self.start(request, id);
        } else {
            self.waiting.push_back((request, id));
        }
    }

    /// One has come to its end; the next that waits is begun.
    pub(crate) fn ended(&mut self) {
        self.running = self.running.saturating_sub(1);
        if let Some((request, id)) = self.waiting.pop_front() {
            self.start(request, id);
        }
    }

    /// Gives all of them up. Those that had not begun are returned; each of the others still ends.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Request> {
        self.gate = None;
        std::mem::take(&mut self.waiting).into_iter().map(|(request, _)| request)
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.running == 0
    }

    fn start(&mut self, request: Request, id: ContextId) {
        self.running = self.running.saturating_add(1);
        // The request goes to the thread once there is one.
        let (give, take) = mpsc::sync_channel::<Request>(1);
        let jobs = self.jobs.clone();
        let thread = self.gate().and_then(|gate| {
            let body = move || {
                let Ok(request) = take.recv() else { return };
                let outcome = launch(&request.plan, request.deadline, Some(gate.as_fd()));
                finish(&jobs, request, id, outcome);
            };
            thread::Builder::new().name("offshoot-connect".to_owned()).spawn(body)
        });
        match thread {
            Ok(_) => drop(give.send(request)),
            Err(error) => {
                let kind = ConnectErrorKind::Spawn { error: error.to_string().into() };
                let error = ConnectError::new(&request.plan, Phase::Spawn, kind);
                finish(&self.jobs, request, id, Err(error));
            }
        }
    }

    fn gate(&mut self) -> io::Result<Arc<PipeReader>> {
        if let Some((reader, _)) = &self.gate {
            return Ok(Arc::clone(reader));
        }
        let (reader, writer) = io::pipe()?;
        let reader = Arc::new(reader);
        self.gate = Some((Arc::clone(&reader), writer));
        Ok(reader)
    }
}

/// It fails only once the thread that makes children has ended; what was started is killed with it then.
fn finish(jobs: &Sender<Job>, request: Request, id: ContextId, outcome: Result<Spawned, ConnectError>) {
    drop(jobs.send(Job::Launched(Box::new(Launched { request, id, outcome }))));
}
