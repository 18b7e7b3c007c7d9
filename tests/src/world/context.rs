//! A context of the small world: a machine, and a program that does what calls ask of it.

mod ours;
mod streams;
mod theirs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offshoot_core::machine::{Action, Actions, CallKey, Event, LinkKey, NewChild, NoId, Owner, Tick};
use offshoot_wire::{Body, ContextId, Failed, Frame, Handle, Hello, Role, Setup, VERSION};

use super::{
    arrival::Arrival,
    birth::Birth,
    history::{CallNo, History, StreamNo},
    invariants,
    job::{self, Job, Plan, Taste},
    router::Router,
    sabotage::Sabotage,
};

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
    /// What goes wrong on purpose.
    pub sabotage: Option<Sabotage>,
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
    /// Whom it watches.
    watches: BTreeMap<Handle, ContextId>,
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
            watches: BTreeMap::new(),
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
            Action::Cut(link, why) => {
                io.history.cut(&why);
                io.effects.push(Effect::Cut(link.peer));
            }
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
                if self.watches.remove(&handle).is_none() {
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
            Action::Cancelled(key) if io.sabotage == Some(Sabotage::FreeEarly) => {
                self.router.fail(io.now, key, Failed::Error, job::FAILED.to_owned(), out);
            }
            Action::Cancelled(_) => {}
            Action::Service(key) => self.serve(key, out, io),
            Action::Ids => self.make_children(out, io),
            Action::Shutdown(_) => self.closing = true,
            Action::ParentLost(_) => {
                self.router.shutdown(io.now, 1000, out);
                self.closing = true;
            }
            Action::Note(note) => {
                io.history.note(self.me(), &note);
            }
        }
    }

    /// Makes a child as soon as there is an id for it.
    pub fn create(&mut self, birth: Birth, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.births.push_back(birth);
        self.make_children(&mut out, io);
        self.act(out, io);
    }

    fn serve(&mut self, key: CallKey, out: &mut Actions, io: &mut Io<'_>) {
        let Some(call) = self.router.service_call(key) else { return };
        invariants::i15_a_child_is_made_only_for_an_ancestor(self, &call, io.history);
        if io.history.is_touched(self.me(), call.src) {
            return self.router.fail(io.now, key, Failed::Error, job::FAILED.to_owned(), out);
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
                    let gone = |id: &&ContextId| **id != self.me() && !self.links.contains_key(id);
                    let gone = || io.history.made_by.keys().find(gone).copied();
                    birth.id = io.sabotage.map_or(id, |sabotage| sabotage.id(id, gone()));
                    self.make_child(birth, out, io);
                }
                Err(NoId::Asked) => return self.births.push_front(birth),
                Err(NoId::Exhausted) => {
                    let key = birth.for_call;
                    io.history.no_id(self.me(), key.and_then(|key| Some(self.tasks.get(&key)?.call)));
                    if let Some(key) = key {
                        self.fail(key, job::NO_ID, out, io);
                    }
                }
            }
        }
    }

    fn make_child(&mut self, birth: Birth, out: &mut Actions, io: &mut Io<'_>) {
        if io.history.made_by.insert(birth.id, self.me()).is_some() {
            io.history.wrong("I8", format!("id {} is given out twice", birth.id));
        }
        // Whoever is below a hostile context is at its mercy.
        if io.history.hostile.contains(&self.me()) {
            io.history.hostile.insert(birth.id);
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
        let believed = match self.router.owner(frame.src) {
            Owner::Child(owner) if io.sabotage == Some(Sabotage::Believe) => owner,
            _ => link,
        };
        let read = match io.sabotage {
            Some(sabotage) => sabotage.read(frame, self.me()),
            None => Some(frame),
        };
        if let Some(frame) = read {
            self.router.handle(io.now, Event::Frame { link: believed, frame }, &mut out);
        }
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
        if io.sabotage != Some(Sabotage::Untold) {
            let event = Event::LinkDown { link, reason: "connection reset".into() };
            self.router.handle(io.now, event, &mut out);
        }
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

    /// Whom it watches, and has not lost.
    pub fn watched(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.watches.values().copied()
    }

    /// How many of its calls are open to the one context to which most are.
    #[must_use]
    pub fn most_calls_to_one(&self, history: &History) -> usize {
        let mut calls = BTreeMap::new();
        for call in self.waits.values().filter_map(|wait| history.calls.get(wait.call as usize)) {
            *calls.entry(call.dst).or_default() += 1;
        }
        calls.into_values().max().unwrap_or(0)
    }

    /// The calls whose handlers hold an answer.
    pub fn held(&self) -> impl Iterator<Item = CallKey> + '_ {
        self.tasks.iter().filter(|(_, task)| task.held.is_some()).map(|(key, _)| *key)
    }

    /// Its ancestors, parent first.
    #[must_use]
    pub fn ancestors(&self) -> &[ContextId] {
        &self.setup.ancestors
    }

    /// How many children of it wait for an id.
    #[must_use]
    pub fn births(&self) -> usize {
        self.births.len()
    }

    /// How many contexts it knows: its neighbours, and all below it.
    #[must_use]
    pub fn neighbourhood(&self) -> usize {
        self.links.len() + self.router.table().map_or(0, |table| table.sizes().contexts)
    }

    /// How many of its handles its program holds.
    #[must_use]
    pub fn held_handles(&self) -> usize {
        self.waits.len() + self.ends.len() + self.watches.len()
    }
}
