//! The thread that makes children: starts their processes, waits for their word, and sees each to its end.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, Read as _},
    mem,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use offshoot_bootstrap::{
    ConnectError, ConnectErrorKind, Exit, LinkOutput, Phase, Plan, Process, Reaper, Told, spawn,
};
use offshoot_core::{
    internal::{Ends, Heard, LinkFailure, LinkParts, Shared, later},
    machine::{CallKey, LinkKey, NewChild, NoId},
    wire::{
        ContextId, Failed, Nonce,
        codec::{self, DecodeError},
    },
};

use crate::{
    create::{About, Answer, Ask, Created, Keep, Kept, Lack, explain},
    larder::Larder,
    launching::{Launched, Launches},
    nursery::{Inherited, Nursery},
    spawner::{Job, News, Watcher},
    table::Table,
    word::Unsaid,
};

/// How long a process may take to go once its link has ended, and again after SIGTERM.
const GOING: Duration = Duration::from_millis(500);
/// The same for one that was told to end and has outlived every grace.
const OVERDUE: Duration = Duration::from_millis(100);
/// What is added to the graces of a root that ends, for the escalation of its last child.
const SLACK: Duration = Duration::from_secs(1);
/// The part of its time that a hop has left when it kills what is left of its children: they were given three quarters.
const MARGIN: u32 = 8;
/// What decoding a plan may take beside the bytes of its payload, in bytes.
const PLAN_BUDGET: usize = 64 * 1024;

/// The children of a context.
pub(crate) struct Nest {
    shared: Weak<Shared<Table>>,
    inherited: Inherited,
    jobs: Sender<Job>,
    reaper: Reaper,
    /// Where nonces come from.
    random: File,
    /// Who waits for an id, first come first.
    waiting: VecDeque<Request>,
    /// Those that are on their way to another place.
    launches: Launches,
    larder: Larder,
    unsaid: Unsaid,
    children: BTreeMap<ContextId, Nestling>,
    /// When to look who has waited too long, and what is to be tried again: not behind the first of them.
    due: Option<Instant>,
    /// When whatever is left is killed, once this context ends: no child outlives its parent.
    end: Option<Instant>,
}

/// The call by which somebody has asked for a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) call: CallKey,
    pub(crate) by: ContextId,
    /// The number that he has given it.
    pub(crate) ticket: u64,
}

impl Asked {
    fn is(&self, by: ContextId, ticket: u64) -> bool {
        (self.by, self.ticket) == (by, ticket)
    }
}

/// A child that somebody has asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) plan: Plan,
    pub(crate) deadline: Instant,
}

/// A child with a process. It is forgotten when its link has ended and its process is reaped.
#[derive(Debug)]
struct Nestling {
    link: LinkKey,
    /// Who waits for it to come up.
    asker: Option<Request>,
    /// Gone when the reaper has it.
    process: Option<Process>,
    /// What has become of each of the passwords for it.
    passwords: Vec<Told>,
    ending: Option<Ending>,
    exit: Option<Exit>,
}

/// How the link of a child has ended.
#[derive(Debug)]
enum Ending {
    Failed { failure: LinkFailure, expired: bool },
    Down,
}

impl Nest {
    pub(crate) fn new(
        shared: Weak<Shared<Table>>,
        inherited: Inherited,
        jobs: Sender<Job>,
        launches: Launches,
    ) -> io::Result<Self> {
        Ok(Self {
            shared,
            inherited,
            launches,
            larder: Larder::default(),
            unsaid: Unsaid::default(),
            jobs,
            reaper: Reaper::new()?,
            random: File::open("/dev/urandom")?,
            waiting: VecDeque::new(),
            children: BTreeMap::new(),
            due: None,
            end: None,
        })
    }

    /// Works until the context ends and every child is gone, or its time is over.
    pub(crate) fn run(mut self, inbox: &Receiver<Job>) {
        // Woken by whoever has something to tell, and when something is due.
        while !self.is_done() {
            let job = match self.due.into_iter().chain(self.end).min() {
                Some(due) => inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(RecvTimeoutError::from),
            };
            let Some(shared) = self.shared.upgrade() else { break };
            match job {
                Ok(job) => self.take(&shared, job),
                Err(RecvTimeoutError::Timeout) => self.expire(&shared),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let Self { shared, inherited, reaper, children, .. } = self;
        for process in children.into_values().filter_map(|child| child.process) {
            reaper.kill_now(process, |_| {});
        }
        // Waits until all are gone.
        drop(reaper);
        // A hop still has something to say.
        if let Some(shared) = shared.upgrade().filter(|_| inherited.is_of_root()) {
            shared.stop();
        }
    }

    fn is_done(&self) -> bool {
        let is_empty = || self.children.is_empty() && self.launches.is_idle();
        self.end.is_some_and(|end| is_empty() || end <= Instant::now())
    }

    fn take(&mut self, shared: &Arc<Shared<Table>>, job: Job) {
        match job {
            Job::Create(call) => self.serve(shared, call),
            Job::Provide(parcel) => self.larder.pass_on(shared, &self.jobs, parcel),
            Job::Passed(passed) => {
                self.larder.passed(shared, *passed);
                self.look_at(self.larder.next_try());
            }
            Job::Unsaid(word) => {
                self.unsaid.add(word);
                self.look_at(self.unsaid.next_try());
            }
            Job::Ids => {
                for request in mem::take(&mut self.waiting) {
                    self.find_id(shared, request);
                }
            }
            Job::Launched(launched) => self.launched(shared, *launched),
            Job::Cancelled(call) => self.give_up(shared, |asked| asked.call == call),
            Job::Child(id, news) => self.hear(shared, id, news),
            Job::End(left) => {
                let whole = if self.inherited.is_of_root() {
                    left.saturating_add(self.inherited.grace()).saturating_add(SLACK)
                } else {
                    // Its own process goes when that is over.
                    left - left / MARGIN
                };
                let end = later(whole);
                self.end = Some(self.end.map_or(end, |before| before.min(end)));
                let waiting = mem::take(&mut self.waiting);
                let unfed = self.larder.take_waiting(|_| true);
                for request in waiting.into_iter().chain(unfed).chain(self.launches.give_up()) {
                    request.fail(shared, Phase::Allocate, ConnectErrorKind::ShuttingDown);
                }
                // They do nothing for anybody yet that would be worth their grace.
                for child in self.children.values().filter(|child| child.asker.is_some()) {
                    shared.cut_child(child.link, "its parent is ending");
                }
            }
        }
    }

    /// Whoever has waited too long for an id, a program or its turn is told so, and what is due is tried again.
    fn expire(&mut self, shared: &Arc<Shared<Table>>) {
        let now = Instant::now();
        let waiting = mem::take(&mut self.waiting);
        let (late, waiting): (VecDeque<_>, _) = waiting.into_iter().partition(|it| it.deadline <= now);
        self.waiting = waiting;
        let unfed = self.larder.take_waiting(|request| request.deadline <= now);
        let late = late.into_iter().chain(unfed).chain(self.launches.take_late(now));
        for request in late.collect::<Vec<_>>() {
            let limit = request.plan.timeout;
            request.fail(shared, Phase::Allocate, ConnectErrorKind::NoAnswer { limit });
        }
        self.larder.try_again(shared, &self.jobs, now);
        self.unsaid.try_again(now);
        let waiting = self.waiting.iter().map(|request| request.deadline);
        let tries = self.larder.next_try().into_iter().chain(self.unsaid.next_try());
        let all = waiting.chain(self.larder.deadlines()).chain(self.launches.deadlines());
        self.due = all.chain(tries).min();
    }

    /// Something is due at that time.
    fn look_at(&mut self, at: Option<Instant>) {
        self.due = self.due.into_iter().chain(at).min();
    }

    fn serve(&mut self, shared: &Arc<Shared<Table>>, call: CallKey) {
        let Some(Question { by, until, ask }) = asked(shared, call) else { return };
        match ask {
            Ok(Ask::Child { plan, ticket }) => self.create(shared, Asked { call, by, ticket }, *plan),
            Ok(Ask::GiveUp { ticket }) => {
                self.give_up(shared, |asked| asked.is(by, ticket));
                shared.answer_value(call, &());
            }
            Ok(Ask::Keep(keep)) => self.keep(shared, keep, call, until),
            Ok(Ask::Missed { ticket, reason }) => {
                let kind = ConnectErrorKind::Refused { reason: reason.into() };
                if let Some(request) = self.larder.take_asked(|asked| asked.is(by, ticket)) {
                    request.fail(shared, Phase::Allocate, kind);
                }
                shared.answer_value(call, &());
            }
            Err(error) => shared.answer_failed(call, Failed::Arguments, error.to_string()),
        }
    }

    /// Keeps a program, and passes it on; the call is answered once it is where it was to go.
    fn keep(&mut self, shared: &Arc<Shared<Table>>, keep: Keep, call: CallKey, until: Option<Instant>) {
        let Some((fed, parcel)) = self.larder.keep(keep, call, until) else {
            return shared.answer_value(call, &Kept::Err(Lack::Program));
        };
        for request in fed {
            self.find_id(shared, request);
        }
        self.larder.pass_on(shared, &self.jobs, parcel);
    }

    fn create(&mut self, shared: &Shared<Table>, asked: Asked, plan: Plan) {
        let call = asked.call;
        if let Err(error) = plan.check() {
            return answer(shared, call, &Err(error));
        }
        let deadline = later(plan.timeout);
        let jobs = self.jobs.clone();
        // It fails only once this thread has ended.
        shared.when_cancelled(call, move || drop(jobs.send(Job::Cancelled(call))));
        self.look_at(Some(deadline));
        if let Some(request) = self.larder.fill(Request { asked, plan, deadline }) {
            self.find_id(shared, request);
        }
    }

    fn find_id(&mut self, shared: &Shared<Table>, request: Request) {
        if self.end.is_some() {
            return request.fail(shared, Phase::Allocate, ConnectErrorKind::ShuttingDown);
        }
        if !self.waiting.is_empty() {
            return self.waiting.push_back(request);
        }
        match shared.take_id() {
            Ok(id) => self.start(shared, request, id),
            Err(NoId::Asked) => self.waiting.push_back(request),
            // Its end is known to the machine first.
            Err(NoId::Exhausted) if shared.is_closing() => {
                request.fail(shared, Phase::Allocate, ConnectErrorKind::ShuttingDown);
            }
            Err(NoId::Exhausted) => request.fail(shared, Phase::Allocate, ConnectErrorKind::IdsExhausted),
        }
    }

    fn start(&mut self, shared: &Shared<Table>, request: Request, id: ContextId) {
        if shared.is_cancelled(request.asked.call) {
            return request.fail(shared, Phase::Allocate, ConnectErrorKind::Cancelled);
        }
        if request.plan.transport.is_none() {
            let outcome = spawn(&request.plan);
            return self.link(shared, Launched { request, id, outcome });
        }
        self.launches.begin(request, id);
    }

    fn launched(&mut self, shared: &Shared<Table>, launched: Launched) {
        self.launches.ended(launched.id);
        self.link(shared, launched);
    }

    /// Nobody waits any more for a child that is being made.
    fn give_up(&mut self, shared: &Shared<Table>, is_it: impl Fn(&Asked) -> bool) {
        let asked_so = |request: &Request| is_it(&request.asked);
        let waiting = self.waiting.iter().position(asked_so).and_then(|at| self.waiting.remove(at));
        let unfed = || self.larder.take_asked(&is_it);
        if let Some(request) = waiting.or_else(unfed).or_else(|| self.launches.cancel(&is_it)) {
            return request.fail(shared, Phase::Allocate, ConnectErrorKind::Cancelled);
        }
        let mut made = self.children.values();
        if let Some(child) = made.find(|child| child.asker.as_ref().is_some_and(asked_so)) {
            shared.cut_child(child.link, "the connect was given up");
        }
    }

    /// Links a child whose process runs.
    fn link(&mut self, shared: &Shared<Table>, launched: Launched) {
        let Launched { request, id, outcome } = launched;
        let spawned = match outcome {
            Ok(spawned) => spawned,
            Err(error) if self.end.is_some() => {
                let kind = ConnectErrorKind::ShuttingDown;
                return request.fail_with(shared, error.phase(), kind, error.passwords().to_vec());
            }
            Err(error) => return answer(shared, request.asked.call, &Err(error)),
        };
        if shared.is_closing() {
            // It is not announced any more, and goes as it came.
            self.reaper.kill_now(spawned.process, |_| {});
            let kind = ConnectErrorKind::ShuttingDown;
            return request.fail_with(shared, Phase::Spawn, kind, spawned.passwords);
        }
        let linked = self.nonce().and_then(|nonce| {
            let watcher = Arc::new(Watcher { id, jobs: self.jobs.clone() });
            let plan = &request.plan;
            let (input, output) = spawned.link.into_parts();
            // It was neither closed nor taken: it is a socket that is read and written.
            let output = if let LinkOutput::Pipe(output) = output { Some(output) } else { None };
            let parts = LinkParts {
                ends: Ends { input, output },
                nonce,
                stderr: Some(spawned.stderr),
                overheard_as: plan.transport.is_some().then(|| plan.name.clone()),
                heard: Heard { link: spawned.said, stderr: spawned.stderr_said },
                watcher,
            };
            let child = NewChild {
                id,
                name: plan.name.clone(),
                stamped: plan.stamped,
                deadline: shared.moment(request.deadline),
                setup: self.inherited.setup(id, &plan.name),
            };
            shared.attach_child(child, parts)
        });
        match linked {
            Ok(link) => {
                let (process, passwords) = (Some(spawned.process), spawned.passwords);
                let asker = Some(request);
                let child = Nestling { link, asker, process, passwords, ending: None, exit: None };
                self.children.insert(id, child);
                self.larder.add(id);
                // If this context began to end in the meantime, it has told its children, but not this one.
                if shared.is_closing() {
                    shared.cut_child(link, "its parent is ending");
                }
            }
            Err(error) => {
                self.reaper.kill_now(spawned.process, |_| {});
                let kind = ConnectErrorKind::from_system(&error);
                request.fail_with(shared, Phase::Spawn, kind, spawned.passwords);
            }
        }
    }

    fn nonce(&mut self) -> io::Result<Nonce> {
        let mut bytes = [0; 16];
        self.random.read_exact(&mut bytes)?;
        Ok(Nonce::new(bytes))
    }

    fn hear(&mut self, shared: &Shared<Table>, id: ContextId, news: News) {
        let Some(child) = self.children.get_mut(&id) else { return };
        match news {
            News::Up(hello) => {
                let Some(request) = child.asker.take() else { return };
                if shared.is_cancelled(request.asked.call) {
                    shared.cut_child(child.link, "the connect was given up");
                }
                let about = About { pid: hello.pid, role: hello.role };
                if let Some(nursery) = shared.hooks_as::<Nursery>() {
                    nursery.greeted(shared, id, about);
                }
                let created = Created { id, about, passwords: mem::take(&mut child.passwords) };
                return answer(shared, request.asked.call, &Ok(created));
            }
            News::Failed(failure) => {
                let deadline = child.asker.as_ref().map(|request| request.deadline);
                let expired = deadline.is_some_and(|deadline| deadline <= Instant::now());
                // One that has not gone by itself has nothing more to say.
                let grace = if failure.is_closed { GOING } else { Duration::ZERO };
                child.ending = Some(Ending::Failed { failure, expired });
                self.reap(id, grace);
            }
            News::Down => {
                child.ending = Some(Ending::Down);
                self.reap(id, GOING);
            }
            News::Overdue => self.reap(id, OVERDUE),
            News::Gone(exit) => {
                if child.ending.is_none() {
                    shared.child_exited(child.link, &format!("its process has ended: {exit}"));
                }
                child.exit = Some(exit);
            }
        }
        self.settle(shared, id);
    }

    /// Gives the process of a child to the reaper, which has it from then on.
    fn reap(&mut self, id: ContextId, grace: Duration) {
        let Some(process) = self.children.get_mut(&id).and_then(|child| child.process.take()) else { return };
        let jobs = self.jobs.clone();
        // It fails only once this thread has ended.
        self.reaper.end(process, grace, move |exit| drop(jobs.send(Job::Child(id, News::Gone(exit)))));
    }

    /// Forgets a child of which nothing is left, and tells who still waits for it.
    fn settle(&mut self, shared: &Shared<Table>, id: ContextId) {
        let is_over = |child: &Nestling| child.ending.is_some() && child.exit.is_some();
        if !self.children.get(&id).is_some_and(is_over) {
            return;
        }
        self.larder.forget(id);
        let Some(child) = self.children.remove(&id) else { return };
        let Nestling { asker: Some(request), ending, exit: Some(exit), passwords, .. } = child else {
            return;
        };
        if self.end.is_some() {
            return request.fail_with(shared, Phase::Hello, ConnectErrorKind::ShuttingDown, passwords);
        }
        let error = match ending {
            Some(Ending::Failed { failure, expired }) => {
                explain(&request.plan, &failure, (&exit.report, exit.escalated), expired)
            }
            Some(Ending::Down) | None => {
                ConnectError::new(&request.plan, Phase::Up, ConnectErrorKind::Closed)
            }
        };
        answer(shared, request.asked.call, &Err(error.with_passwords(passwords)));
    }
}

impl Request {
    fn fail(self, shared: &Shared<Table>, phase: Phase, kind: ConnectErrorKind) {
        self.fail_with(shared, phase, kind, Vec::new());
    }

    /// The same once passwords may have gone out: what has become of them is told, whatever else has gone wrong.
    fn fail_with(self, shared: &Shared<Table>, phase: Phase, kind: ConnectErrorKind, passwords: Vec<Told>) {
        let error = ConnectError::new(&self.plan, phase, kind).with_passwords(passwords);
        answer(shared, self.asked.call, &Err(error));
    }
}

/// What a call to this context asks.
struct Question {
    by: ContextId,
    /// How long he waits for the answer.
    until: Option<Instant>,
    ask: Result<Ask, DecodeError>,
}

fn asked(shared: &Shared<Table>, call: CallKey) -> Option<Question> {
    let incoming = shared.service_call(call)?;
    let argument = incoming.body.slice(incoming.args_at, incoming.body.len());
    let ask = codec::decode(&argument, argument.len().saturating_add(PLAN_BUDGET));
    Some(Question { by: incoming.src, until: incoming.deadline.map(|at| shared.instant(at)), ask })
}

/// The system does not let this context have the thread that makes children.
pub(crate) fn refuse(shared: &Shared<Table>, call: CallKey, error: &io::Error) {
    match asked(shared, call).map(|question| question.ask) {
        Some(Ok(Ask::Child { plan, .. })) => {
            let kind = ConnectErrorKind::from_system(error);
            answer(shared, call, &Err(ConnectError::new(&plan, Phase::Spawn, kind)));
        }
        Some(_) => shared.answer_failed(call, Failed::Error, error.to_string()),
        None => {}
    }
}

fn answer(shared: &Shared<Table>, call: CallKey, answer: &Answer) {
    shared.answer_value(call, answer);
}
