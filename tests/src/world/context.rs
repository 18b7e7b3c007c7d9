//! A context of the small world: a machine, and a program that does what calls ask of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offshoot_core::machine::{
    Action, Actions, CallKey, Ended, Event, Incoming, LinkKey, NewChild, NoId, Outcome, Outgoing, Progress,
    StreamUnsent, Tick, Unsent,
};
use offshoot_wire::{
    Body, CallId, ContextId, Direction, End, Frame, Handle, Hello, ReplyHead, Role, Setup, VERSION,
};

use super::{
    arrival::Arrival,
    history::{CallEnd, CallNo, History, StreamNo},
    job::{self, Args, Item, Job, Plan, Taste, Then, Value},
    router::Router,
    script::Call,
};

/// The functions that every context serves.
pub const FUNCTIONS: [&str; 3] = ["anyone", "parents", "children"];

/// What a context needs from outside while it acts.
pub struct Io<'a> {
    /// The time.
    pub now: Tick,
    /// What has happened so far.
    pub history: &'a mut History,
    /// What the world has to do.
    pub effects: &'a mut Vec<Effect>,
    /// When a child that is made now must have said HELLO.
    pub hello_by: Tick,
    /// Every frame that comes is checked: the cost is that of all that a context holds.
    pub is_thorough: bool,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What a context cannot do by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A new child has a link.
    Spawn(Birth),
    /// End the link to this neighbour.
    Cut(ContextId),
    /// Kill this child.
    Kill(ContextId),
    /// Something waits to be written to this neighbour.
    Write(ContextId),
    /// This neighbour is read again.
    Read(ContextId),
}

/// A child to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Birth {
    /// Its id, once there is one.
    pub id: ContextId,
    /// How the script calls it.
    pub label: u32,
    /// Whether it can have children.
    pub is_parent: bool,
    /// Whether its frames get the authority of its parent.
    pub is_stamped: bool,
    /// The call that asked for it.
    pub for_call: Option<CallKey>,
}

/// A call that a handler works on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    call: CallNo,
    src: ContextId,
    worker: Option<usize>,
    /// What it answers when told to; nothing while it waits for a nested call.
    pub held: Option<u32>,
}

/// Who waits for the answer to a call of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wait {
    call: CallNo,
    /// The call to us that waits for it.
    nested_in: Option<CallKey>,
    /// What is done with an end that comes with the answer.
    taste: Taste,
}

/// What the program does with one end of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndUser {
    stream: StreamNo,
    work: Work,
    /// Items that came and were not taken: their costs.
    pub untaken: VecDeque<u32>,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Send { plan: Plan, next: u8 },
    Receive { taste: Taste, taken: u8 },
}

/// A context.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// Its machine.
    pub router: Router,
    /// Its neighbours.
    pub links: BTreeMap<ContextId, LinkKey>,
    /// Its children that have said HELLO.
    pub up: BTreeSet<ContextId>,
    /// Neighbours that its machine does not want to read.
    pub unread: BTreeSet<ContextId>,
    /// Its workers: which are busy.
    workers: Vec<bool>,
    /// Whether a call may be waiting for a worker.
    pub has_calls: bool,
    /// The calls that its handlers work on.
    pub tasks: BTreeMap<CallKey, Task>,
    waits: BTreeMap<Handle, Wait>,
    /// Handles of calls that handed on ends whose home is elsewhere, until they are used again.
    handed_on: BTreeSet<Handle>,
    /// Its ends of streams.
    pub ends: BTreeMap<Handle, EndUser>,
    watches: BTreeSet<Handle>,
    /// Ends of streams that the program has yet to look at.
    stirred: BTreeSet<Handle>,
    /// Children that wait for an id.
    births: VecDeque<Birth>,
    /// Children that were made for a call and have not said HELLO.
    newborn: BTreeMap<ContextId, CallKey>,
    /// One-way messages that wait for room.
    blocked: VecDeque<(ContextId, Body)>,
    /// It has been told to end, or has lost its parent.
    pub closing: bool,
    /// It tells each child this.
    setup: Setup,
}

impl Context {
    /// A context around a machine; `setup` is what it was told itself.
    #[must_use]
    pub fn new(mut router: Router, setup: Setup, workers: usize) -> Self {
        router.set_workers(workers);
        Self {
            router,
            links: BTreeMap::new(),
            up: BTreeSet::new(),
            unread: BTreeSet::new(),
            workers: vec![false; workers],
            has_calls: false,
            tasks: BTreeMap::new(),
            waits: BTreeMap::new(),
            handed_on: BTreeSet::new(),
            ends: BTreeMap::new(),
            watches: BTreeSet::new(),
            stirred: BTreeSet::new(),
            births: VecDeque::new(),
            newborn: BTreeMap::new(),
            blocked: VecDeque::new(),
            closing: false,
            setup,
        }
    }

    fn me(&self) -> ContextId {
        self.setup.id
    }

    /// Does all that the machine wants done; then its program looks at what has come for its streams.
    pub fn act(&mut self, mut out: Actions, io: &mut Io<'_>) {
        loop {
            while let Some(action) = out.pop() {
                self.act_one(action, &mut out, io);
            }
            let Some(handle) = self.stirred.pop_first() else { return };
            self.look(handle, &mut out, io);
        }
    }

    /// The program looks at an end of a stream for which something has come.
    fn look(&mut self, handle: Handle, out: &mut Actions, io: &mut Io<'_>) {
        let Some(user) = self.ends.get(&handle) else { return };
        match user.work {
            Work::Send { .. } if !user.ended => self.pump(handle, out, io),
            Work::Receive { taste: Taste { slow: false, .. }, .. } => {
                while self.can_read(handle) {
                    self.read_one(handle, out, io);
                }
            }
            Work::Send { .. } | Work::Receive { .. } => {}
        }
        if self.ends.get(&handle).is_some_and(|user| user.ended && user.untaken.is_empty()) {
            self.ends.remove(&handle);
            self.router.stream_close(handle, None, out);
        }
    }

    fn act_one(&mut self, action: Action, out: &mut Actions, io: &mut Io<'_>) {
        if let Action::Write(link) | Action::Pause(link) | Action::Resume(link) | Action::Escalate(link) =
            &action
            && self.links.get(&link.peer) != Some(link)
        {
            io.history.wrong("I10", format!("context {}: {action:?} for a link that is down", self.me()));
        }
        match action {
            Action::Record { .. } | Action::Lost { .. } => {}
            Action::Write(link) => io.effects.push(Effect::Write(link.peer)),
            Action::Cut(link, _) => io.effects.push(Effect::Cut(link.peer)),
            Action::Escalate(link) => io.effects.push(Effect::Kill(link.peer)),
            Action::Up(link, _) => self.child_is_up(link.peer, out, io),
            Action::Pause(link) => {
                self.unread.insert(link.peer);
            }
            Action::Resume(link) => {
                self.unread.remove(&link.peer);
                io.effects.push(Effect::Read(link.peer));
            }
            Action::Answer { handle, outcome } => self.answered(handle, &outcome, out, io),
            Action::Watched { handle, .. } => {
                if !self.watches.remove(&handle) {
                    io.history.wrong("I1", format!("watch {handle} ended twice"));
                }
            }
            Action::Item { handle, body, cost } => self.item(handle, &body, cost, io),
            Action::Ended { handle, how } => self.stream_ended(handle, how, io),
            Action::StreamRoom(handle) => {
                self.stirred.insert(handle);
            }
            Action::Room(_) => self.send_blocked(out, io),
            Action::CallReady => self.has_calls = true,
            Action::Cancelled(_) => {}
            Action::Service(key) => self.serve(key, out, io),
            Action::Ids => self.make_children(out, io),
            Action::Shutdown(_) => self.closing = true,
            Action::ParentLost(_) => {
                self.router.shutdown(io.now, 1000, out);
                self.closing = true;
            }
            Action::Note(note) => {
                io.history.note(self.me(), note.kind);
            }
        }
    }

    // ---- calls of ours

    /// Sends a call of a script.
    pub fn start(&mut self, call: &Call, dst: ContextId, job: Job, io: &mut Io<'_>) -> CallNo {
        let mut out = Actions::new();
        let no = self.send_call(call, dst, job, None, Vec::new(), None, &mut out, io);
        self.act(out, io);
        no
    }

    #[expect(clippy::too_many_arguments, reason = "a script's call and a handler's differ in all of these")]
    fn send_call(
        &mut self,
        call: &Call,
        dst: ContextId,
        job: Job,
        nested_in: Option<CallKey>,
        above: Vec<CallId>,
        given: Option<(End, StreamNo)>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) -> CallNo {
        let no = io.history.call(self.me(), dst, call.function, call.one_way, call.grant.is_some());
        // A job that takes an end is given one of a stream that is made here.
        let mut made = None;
        let given = given.or_else(|| {
            let ours = match job_of_end(&job)? {
                Direction::Receives => Direction::Sends,
                Direction::Sends => Direction::Receives,
            };
            let stream = io.history.stream();
            let handle = self.router.export(dst, ours);
            let work = match ours {
                Direction::Sends => Work::Send { plan: call.plan, next: 0 },
                Direction::Receives => Work::Receive { taste: call.taste, taken: 0 },
            };
            self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
            made = Some(handle);
            let direction = if ours == Direction::Sends { Direction::Receives } else { Direction::Sends };
            Some((End { home: self.me(), handle, direction }, stream))
        });
        let ends: Vec<End> = given.iter().map(|(end, _)| *end).collect();
        let hands_on = ends.iter().any(|end| end.home != self.me());
        let args =
            Args { call: no, job, stream: given.map(|(_, stream)| stream), pad: job::pad(call.arg_bytes) };
        let left = call.within_ms;
        let body = match call.grant {
            Some(to) => job::grant_body(call.function, to),
            None => job::call_body(call.function, left, above, call.chain, ends.clone(), &args),
        };
        if call.one_way {
            match self.router.send_one_way(io.now, dst, call.mailbox, body, out) {
                Ok(()) => io.history.unanswered(self.me(), dst),
                Err(Unsent::Full(body)) => {
                    io.history.calls[no as usize].has_waited = true;
                    self.blocked.push_back((dst, body));
                }
                Err(unsent) => io.history.refused(no, &unsent),
            }
            return no;
        }
        let deadline = left.map(|left| io.now.after(u64::from(left)));
        let outgoing = Outgoing { dst, handle: call.mailbox, body, deadline, ends };
        match self.router.call(io.now, outgoing, out) {
            Ok(handle) => {
                io.history.calls[no as usize].handle = Some(handle);
                let wait = Wait { call: no, nested_in, taste: call.taste };
                if hands_on {
                    self.handed_on.insert(handle);
                } else {
                    self.handed_on.remove(&handle);
                }
                if self.waits.insert(handle, wait).is_some() {
                    io.history.wrong("I1", format!("handle {handle} was given out while its call is open"));
                }
            }
            Err(unsent) => {
                io.history.refused(no, &unsent);
                if let Some(handle) = made {
                    self.router.unexport(handle);
                    self.ends.remove(&handle);
                }
                if let Some(key) = nested_in {
                    self.answer(key, 0, None, out, io);
                }
            }
        }
        no
    }

    fn send_blocked(&mut self, out: &mut Actions, io: &mut Io<'_>) {
        for (dst, body) in std::mem::take(&mut self.blocked) {
            let sent = self.router.send_one_way(io.now, dst, Handle::CALL_FUNCTION, body, out);
            match sent {
                Ok(()) => io.history.unanswered(self.me(), dst),
                Err(Unsent::Full(body)) => self.blocked.push_back((dst, body)),
                Err(_) => {}
            }
        }
    }

    fn answered(&mut self, handle: Handle, outcome: &Outcome, out: &mut Actions, io: &mut Io<'_>) {
        let Some(wait) = self.waits.remove(&handle) else {
            return io.history.wrong("I1", format!("context {}: an answer for handle {handle}", self.me()));
        };
        io.history.outcome(wait.call, outcome);
        if let Outcome::Reply(body) = outcome
            && let Ok((ReplyHead::Value(ends), Some(value))) = job::reply(body)
        {
            let from = io.history.calls[wait.call as usize].dst;
            let ends = if io.history.hostile.contains(&from) { Vec::new() } else { ends };
            for end in ends {
                self.take_end(from, end, value.stream, Some(wait.taste), None, out, io);
            }
        }
        if let Some(key) = wait.nested_in {
            self.answer(key, 0, None, out, io);
        }
    }

    /// Gives a call up.
    pub fn cancel(&mut self, handle: Handle, io: &mut Io<'_>) {
        let Some(wait) = self.waits.remove(&handle) else { return };
        let mut out = Actions::new();
        let progress = self.router.cancel(io.now, handle, &mut out);
        io.history.end(wait.call, CallEnd::Cancelled(progress));
        if let Some(key) = wait.nested_in {
            self.answer(key, 0, None, &mut out, io);
        }
        self.act(out, io);
    }

    /// How far a call of ours has got.
    #[must_use]
    pub fn progress(&self, handle: Handle) -> Progress {
        self.router.progress(handle)
    }

    /// Asks to be told when a context goes.
    pub fn watch(&mut self, of: ContextId) {
        let handle = self.router.watch(of);
        self.watches.insert(handle);
    }

    // ---- calls to us

    /// Whether a worker could take a call.
    #[must_use]
    pub fn can_work(&self) -> bool {
        self.has_calls && self.workers.iter().any(|busy| !busy)
    }

    /// A free worker takes the next call and begins to run it.
    pub fn work(&mut self, io: &mut Io<'_>) {
        let mut out = Actions::new();
        if let Some(worker) = self.workers.iter().position(|busy| !busy) {
            let call = self.router.take_call(io.now, worker, &mut out);
            // What that call's machine wants done is done before a handler can speak to it again.
            self.act(std::mem::take(&mut out), io);
            match call {
                Some(call) => self.run(worker, call, &mut out, io),
                None => self.has_calls = false,
            }
        }
        self.act(out, io);
    }

    fn run(&mut self, worker: usize, call: Incoming, out: &mut Actions, io: &mut Io<'_>) {
        if io.history.hostile.contains(&call.src) {
            // What it asks for proves nothing, and need not make sense.
            self.router.answer(io.now, call.key, job::failed_body(), &[], true, out);
            return self.router.release_worker(worker);
        }
        self.workers[worker] = true;
        let Ok(args) = job::args(&call.body, call.args_at) else {
            io.history.wrong("I16", format!("the arguments of a call to context {} are damaged", self.me()));
            return;
        };
        if !job::is_pad(&args.pad) {
            io.history.wrong("I16", format!("the arguments of call {} are damaged", args.call));
        }
        io.history.runs(args.call, call.src, self.me(), Handle::CALL_FUNCTION);
        super::invariants::i15_a_handler_runs_only_where_its_policy_allows_it(self, &call, io.history);
        let task = Task { call: args.call, src: call.src, worker: Some(worker), held: None };
        self.tasks.insert(call.key, task);
        self.do_job(call, args, out, io);
    }

    fn do_job(&mut self, call: Incoming, args: Args, out: &mut Actions, io: &mut Io<'_>) {
        let key = call.key;
        match args.job {
            Job::Answer(bytes) => self.answer(key, bytes, None, out, io),
            Job::Hold(bytes) => {
                if let Some(task) = self.tasks.get_mut(&key) {
                    task.held = Some(bytes);
                }
            }
            Job::Fail => {
                let Some(task) = self.tasks.remove(&key) else { return };
                self.free(&task);
                self.router.answer(io.now, key, job::failed_body(), &[], true, out);
            }
            Job::Nest(dst, job) => {
                let nested = nested(call.deadline, io.now);
                self.send_call(&nested, dst, *job, Some(key), call.above, None, out, io);
            }
            Job::Source(plan) => {
                let stream = io.history.stream();
                let handle = self.router.export(call.src, Direction::Sends);
                let work = Work::Send { plan, next: 0 };
                self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
                let end = End { home: self.me(), handle, direction: Direction::Receives };
                self.answer(key, 0, Some((end, stream)), out, io);
            }
            Job::Sink(taste) => {
                for end in call.ends {
                    self.take_end(call.src, end, args.stream, Some(taste), None, out, io);
                }
                self.answer(key, 0, None, out, io);
            }
            Job::Feed(plan) => {
                for end in call.ends {
                    self.take_end(call.src, end, args.stream, None, Some(plan), out, io);
                }
                self.answer(key, 0, None, out, io);
            }
            Job::HandOn(dst, job) => {
                let given = call.ends.first().and_then(|end| {
                    let handle = self.router.import(call.src, *end).ok()?;
                    match self.router.hand_on(handle, dst, out) {
                        Ok(end) => Some((end, args.stream?)),
                        Err(_) => {
                            self.router.stream_close(handle, None, out);
                            None
                        }
                    }
                });
                if given.is_none() {
                    return self.answer(key, 0, None, out, io);
                }
                let nested = nested(call.deadline, io.now);
                self.send_call(&nested, dst, *job, Some(key), call.above, given, out, io);
            }
        }
    }

    fn free(&mut self, task: &Task) {
        if let Some(worker) = task.worker {
            self.workers[worker] = false;
            self.router.release_worker(worker);
        }
    }

    fn answer(
        &mut self,
        key: CallKey,
        bytes: u32,
        end: Option<(End, StreamNo)>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) {
        let Some(task) = self.tasks.remove(&key) else { return };
        self.free(&task);
        let ends: Vec<End> = end.iter().map(|(end, _)| *end).collect();
        let value = Value { call: task.call, stream: end.map(|(_, stream)| stream), pad: job::pad(bytes) };
        self.router.answer(io.now, key, job::reply_body(ends.clone(), &value), &ends, false, out);
    }

    /// A handler that held its answer gives it.
    pub fn finish(&mut self, key: CallKey, io: &mut Io<'_>) {
        let mut out = Actions::new();
        if let Some(bytes) = self.tasks.get(&key).and_then(|task| task.held) {
            self.answer(key, bytes, None, &mut out, io);
        }
        self.act(out, io);
    }

    // ---- streams

    #[expect(clippy::too_many_arguments, reason = "who gives what to whom, and what for")]
    fn take_end(
        &mut self,
        from: ContextId,
        end: End,
        stream: Option<StreamNo>,
        taste: Option<Taste>,
        plan: Option<Plan>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) {
        let Ok(handle) = self.router.import(from, end) else {
            if !io.history.hostile.contains(&from) {
                io.history.wrong("I3", format!("context {} cannot take {end:?} of {from}", self.me()));
            }
            return;
        };
        let work = match (end.direction, taste, plan) {
            (Direction::Receives, Some(taste), _) => Work::Receive { taste, taken: 0 },
            (Direction::Sends, _, Some(plan)) => Work::Send { plan, next: 0 },
            _ => return self.router.stream_close(handle, None, out),
        };
        let stream = stream.unwrap_or_default();
        let receives = matches!(work, Work::Receive { .. });
        self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
        if receives {
            self.router.stream_open(handle, out);
        } else {
            self.stirred.insert(handle);
        }
    }

    /// A sender sends what it can.
    fn pump(&mut self, handle: Handle, out: &mut Actions, io: &mut Io<'_>) {
        loop {
            let Some(EndUser { stream, work: Work::Send { plan, next }, ended, .. }) =
                self.ends.get_mut(&handle)
            else {
                return;
            };
            if *ended {
                return;
            }
            if *next == plan.items {
                let fail = match plan.then {
                    Then::Close => None,
                    Then::Fail => Some("the sender failed".to_owned()),
                    Then::Keep => return,
                };
                io.history.streams[*stream as usize].sender_closed = Some(fail.is_none());
                self.ends.remove(&handle);
                return self.router.stream_close(handle, fail, out);
            }
            let item = Item { stream: *stream, number: *next, pad: job::pad(plan.bytes) };
            match self.router.stream_send(io.now, handle, job::item_body(&item), out) {
                Ok(()) => {
                    *next += 1;
                    io.history.streams[*stream as usize].sent += 1;
                }
                Err(StreamUnsent::Full(_)) => return,
                Err(StreamUnsent::Closed) => return,
                Err(StreamUnsent::TooLarge) => return io.history.wrong("I9", "an item was too large"),
            }
        }
    }

    fn item(&mut self, handle: Handle, body: &Body, cost: u32, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle) else {
            let text = format!("context {}: an item for handle {handle}, which nobody has", self.me());
            return io.history.wrong("I3", text);
        };
        if user.ended {
            io.history.wrong("I4", format!("an item of stream {} came behind its end", user.stream));
        }
        io.history.item(user.stream, body);
        user.untaken.push_back(cost);
        self.stirred.insert(handle);
    }

    /// Whether a slow receiver could take an item.
    #[must_use]
    pub fn can_read(&self, handle: Handle) -> bool {
        self.ends.get(&handle).is_some_and(|user| !user.untaken.is_empty())
    }

    /// A slow receiver takes an item.
    pub fn read(&mut self, handle: Handle, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.read_one(handle, &mut out, io);
        self.act(out, io);
    }

    fn read_one(&mut self, handle: Handle, out: &mut Actions, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle) else { return };
        let Some(cost) = user.untaken.pop_front() else { return };
        self.router.taken(handle, cost, out);
        let Work::Receive { taste, taken } = &mut user.work else { return };
        *taken += 1;
        let enough = taste.enough == Some(*taken);
        if enough {
            io.history.streams[user.stream as usize].receiver_closed = true;
        }
        if enough || (user.ended && user.untaken.is_empty()) {
            self.ends.remove(&handle);
            self.router.stream_close(handle, None, out);
        }
    }

    fn stream_ended(&mut self, handle: Handle, how: Ended, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle).filter(|user| !user.ended) else {
            let text = format!("context {}: the end of handle {handle}, which nobody has", self.me());
            return io.history.wrong("I1", text);
        };
        user.ended = true;
        let record = &mut io.history.streams[user.stream as usize];
        match user.work {
            Work::Send { .. } => record.sender_ended = Some(how),
            Work::Receive { .. } => record.receiver_ended = Some(how),
        }
        self.stirred.insert(handle);
    }

    // ---- children and the end

    /// Makes a child as soon as there is an id for it.
    pub fn create(&mut self, birth: Birth, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.births.push_back(birth);
        self.make_children(&mut out, io);
        self.act(out, io);
    }

    fn serve(&mut self, key: CallKey, out: &mut Actions, io: &mut Io<'_>) {
        let Some(call) = self.router.service_call(key) else { return };
        if io.history.hostile.contains(&call.src) {
            return self.router.answer(io.now, key, job::failed_body(), &[], true, out);
        }
        let Ok(args) = job::args(&call.body, call.args_at) else { return };
        self.tasks.insert(key, Task { call: args.call, src: call.src, worker: None, held: None });
        io.history.runs(args.call, call.src, self.me(), Handle::CREATE_CHILD);
        // The label of the child travels in place of an answer's length.
        let Job::Answer(label) = args.job else { return };
        let birth = Birth { id: self.me(), label, is_parent: true, is_stamped: false, for_call: Some(key) };
        self.births.push_back(birth);
        self.make_children(out, io);
    }

    fn make_children(&mut self, out: &mut Actions, io: &mut Io<'_>) {
        while let Some(mut birth) = self.births.pop_front() {
            if self.closing {
                if let Some(key) = birth.for_call {
                    self.answer(key, 0, None, out, io);
                }
                continue;
            }
            match self.router.take_id(out) {
                Ok(id) => {
                    birth.id = id;
                    self.make_child(birth, out, io);
                }
                Err(NoId::Asked) => return self.births.push_front(birth),
                Err(NoId::Exhausted) => {
                    if let Some(key) = birth.for_call {
                        self.answer(key, 0, None, out, io);
                    }
                }
            }
        }
    }

    fn make_child(&mut self, birth: Birth, out: &mut Actions, io: &mut Io<'_>) {
        if !io.history.ids.insert(birth.id) {
            io.history.wrong("I8", format!("id {} is given out twice", birth.id));
        }
        let mut ancestors = vec![self.me()];
        ancestors.extend(&self.setup.ancestors);
        let name = format!("c{}", birth.label);
        let setup =
            Setup { version: VERSION, id: birth.id, ancestors, name: name.clone(), ..self.setup.clone() };
        let child = NewChild { id: birth.id, name, stamped: birth.is_stamped, deadline: io.hello_by, setup };
        let link = self.router.add_child(io.now, child, out);
        self.links.insert(birth.id, link);
        if let Some(key) = birth.for_call {
            self.newborn.insert(birth.id, key);
        }
        io.effects.push(Effect::Spawn(birth));
    }

    fn child_is_up(&mut self, child: ContextId, out: &mut Actions, io: &mut Io<'_>) {
        self.up.insert(child);
        if let Some(key) = self.newborn.remove(&child) {
            self.answer(key, 0, None, out, io);
        }
    }

    /// It has read its SETUP, and says HELLO to its parent.
    pub fn say_hello(&mut self, role: Role, io: &mut Io<'_>) {
        let mut out = Actions::new();
        let hello = Hello { version: VERSION, features: 0, role, pid: 1, build: 0 };
        let parent = self.ancestors().first().copied();
        if let Some((parent, link)) = parent.zip(self.router.add_parent(io.now, &hello, &mut out)) {
            self.links.insert(parent, link);
        }
        self.act(out, io);
    }

    /// A timer fires.
    pub fn due(&mut self, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.router.handle(io.now, Event::Due, &mut out);
        self.act(out, io);
    }

    /// It tells another context, or itself, to end.
    pub fn shut_down(&mut self, dst: ContextId, io: &mut Io<'_>) {
        let mut out = Actions::new();
        if dst == self.me() {
            self.router.shutdown(io.now, 1000, &mut out);
            self.closing = true;
        } else {
            self.router.shutdown_context(io.now, dst, 1000, &mut out).ok();
        }
        self.act(out, io);
    }

    /// It will add nothing more to a chain in another context.
    pub fn end_chain(&mut self, dst: ContextId, chain: u32, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.router.end_chain(dst, chain, &mut out);
        self.act(out, io);
    }

    /// Bytes have come from a neighbour, be they a frame or less.
    pub fn heard(&mut self, peer: ContextId, io: &Io<'_>) {
        if let Some(link) = self.links.get(&peer) {
            self.router.heard(io.now, *link);
        }
    }

    /// The header of a frame that is too long has come from a neighbour.
    pub fn oversize(&mut self, peer: ContextId, frame: Frame, io: &mut Io<'_>) {
        let Some(link) = self.links.get(&peer).copied() else { return };
        let mut out = Actions::new();
        self.router.handle(io.now, Event::Oversize { link, frame }, &mut out);
        self.act(out, io);
    }

    /// A frame has come from a neighbour.
    pub fn frame(&mut self, peer: ContextId, frame: Frame, io: &mut Io<'_>) {
        let Some(link) = self.links.get(&peer).copied() else { return };
        let mut out = Actions::new();
        let arrival = io.is_thorough.then(|| Arrival::of(self, link, &frame));
        self.router.heard(io.now, link);
        // Who is told that a call did not arrive tells the home of an end that it handed on: rule 12.
        let hands_on = self.handed_on.contains(&frame.handle);
        self.router.handle(io.now, Event::Frame { link, frame }, &mut out);
        if let Some(arrival) = arrival {
            arrival.check(&self.router, hands_on, io.history);
        }
        self.act(out, io);
    }

    /// The link to a neighbour has ended, and what it brought was read.
    pub fn link_down(&mut self, peer: ContextId, io: &mut Io<'_>) {
        let Some(link) = self.links.remove(&peer) else { return };
        let mut out = Actions::new();
        self.unread.remove(&peer);
        self.up.remove(&peer);
        let event = Event::LinkDown { link, reason: "connection reset".into() };
        self.router.handle(io.now, event, &mut out);
        if let Some(key) = self.newborn.remove(&peer) {
            self.answer(key, 0, None, &mut out, io);
        }
        self.act(out, io);
    }

    /// Whether it may end now: it was told to, and nothing of it waits to leave.
    #[must_use]
    pub fn can_exit(&self) -> bool {
        self.closing && self.router.is_quiet()
    }

    /// Who it may speak to next: nothing is open here but what a script left so.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.waits.len()
    }

    /// The calls whose handlers hold an answer.
    pub fn held(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.tasks.iter().filter(|(_, task)| task.held.is_some()).map(|(key, _)| *key)
    }

    /// Its part of the dotted name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.setup.name
    }

    /// Its ancestors, parent first.
    #[must_use]
    pub fn ancestors(&self) -> &[ContextId] {
        &self.setup.ancestors
    }

    /// How many of its handles its program holds.
    #[must_use]
    pub fn held_handles(&self) -> usize {
        self.waits.len() + self.ends.len() + self.watches.len()
    }
}

/// A call from a handler: it has the rest of the time that the handler has.
fn nested(deadline: Option<Tick>, now: Tick) -> Call {
    let left = deadline.map(|at| u32::try_from(at.since(now)).unwrap_or(u32::MAX));
    Call { within_ms: left, ..Call::default() }
}

/// What a job takes the end of a stream for.
fn job_of_end(job: &Job) -> Option<Direction> {
    match job {
        Job::Sink(_) => Some(Direction::Receives),
        Job::Feed(_) => Some(Direction::Sends),
        Job::HandOn(_, job) => job_of_end(job),
        Job::Answer(_) | Job::Hold(_) | Job::Fail | Job::Nest(..) | Job::Source(_) => None,
    }
}
