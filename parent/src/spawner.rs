//! The way to the one thread that makes children: started by the first of them, ended with the context.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use offshoot_bootstrap::Exit;
use offshoot_core::{
    internal::{ChildWatcher, LinkFailure, Shared},
    machine::CallKey,
    wire::{ContextId, Hello},
};

use crate::{
    larder::{Parcel, Passed},
    launching::{Company, Launched, Launches},
    nest::{Nest, refuse},
    nursery::{Inherited, lock},
    table::Table,
    word::Word,
};

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Job {
    /// Somebody asks for a child.
    Create(CallKey),
    /// A program is to be sent to a context below, by a child and its children.
    Provide(Parcel),
    /// A child has said what has become of one.
    Passed(Box<Passed>),
    /// A word to who makes a child has to wait for room.
    Unsaid(Word),
    /// Ids have come, or will not come.
    Ids,
    /// The program of one that went by a transport runs, or will not.
    Launched(Box<Launched>),
    /// Nobody waits any more for the child that a call asked for.
    Cancelled(CallKey),
    /// Something has happened to a child.
    Child(ContextId, News),
    /// This context has begun to end, and has so much time.
    End(Duration),
}

/// What can happen to a child.
#[derive(Debug)]
pub(crate) enum News {
    /// It has said HELLO.
    Up(Hello),
    /// Its link has ended before that.
    Failed(LinkFailure),
    /// Its link has ended after that.
    Down,
    /// It was told to end, and has not.
    Overdue,
    /// Its process has been reaped.
    Gone(Exit),
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Spawner {
    inherited: Inherited,
    company: Company,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    jobs: Sender<Job>,
    /// Its other end is dropped when the thread has done everything.
    done: Option<Receiver<()>>,
}

impl Spawner {
    pub(crate) const fn new(inherited: Inherited, company: Company) -> Self {
        Self { inherited, company, running: Mutex::new(None) }
    }

    /// Has a child made for a call to this context; the call is answered whatever happens.
    pub(crate) fn create(&self, shared: &Arc<Shared<Table>>, call: CallKey) {
        let mut running = lock(&self.running);
        if running.is_none() {
            match self.start(shared) {
                Ok(started) => *running = Some(started),
                Err(error) => {
                    drop(running);
                    return refuse(shared, call, &error);
                }
            }
        }
        drop(running);
        self.tell(Job::Create(call));
    }

    /// Tells the thread, if there is one.
    pub(crate) fn tell(&self, job: Job) {
        if let Some(running) = &*lock(&self.running) {
            // It fails only once the thread has ended, and then nothing is left to be done.
            drop(running.jobs.send(job));
        }
    }

    /// This context begins to end. The root is stopped once all its children are gone.
    pub(crate) fn end(&self, shared: &Arc<Shared<Table>>, left: Duration) {
        let is_running = lock(&self.running).is_some();
        if is_running {
            self.tell(Job::End(left));
        } else if self.inherited.is_of_root() {
            shared.stop();
        }
    }

    /// Waits until the thread has ended, at most so long; whether it has.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let done = lock(&self.running).as_mut().and_then(|running| running.done.take());
        // Ended by the thread: nothing is ever sent.
        done.is_none_or(|done| done.recv_timeout(limit) != Err(RecvTimeoutError::Timeout))
    }

    fn start(&self, shared: &Arc<Shared<Table>>) -> std::io::Result<Running> {
        let (jobs, inbox) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let launches = Launches::new(jobs.clone(), self.company.clone())?;
        let nest = Nest::new(Arc::downgrade(shared), self.inherited.clone(), jobs.clone(), launches)?;
        let body = move || {
            nest.run(&inbox);
            drop::<Sender<()>>(finished);
        };
        thread::Builder::new().name("offshoot-spawner".to_owned()).spawn(body).map(drop)?;
        Ok(Running { jobs, done: Some(done) })
    }
}

/// Passes on what becomes of a child's link.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) id: ContextId,
    pub(crate) jobs: Sender<Job>,
}

impl Watcher {
    fn tell(&self, news: News) {
        // As in `Spawner::tell`.
        drop(self.jobs.send(Job::Child(self.id, news)));
    }
}

impl ChildWatcher for Watcher {
    fn up(&self, hello: &Hello) {
        self.tell(News::Up(hello.clone()));
    }

    fn failed(&self, failure: LinkFailure) {
        self.tell(News::Failed(failure));
    }

    fn down(&self, _reason: &str) {
        self.tell(News::Down);
    }

    fn escalate(&self) {
        self.tell(News::Overdue);
    }
}
