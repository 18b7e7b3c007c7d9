//! A tree of machines that is moved by hand: one frame at a time, in the order that a test wants.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_core::{
    machine::{
        Action, Actions, Config, Event, Incoming, Limits, LinkKey, Machine, NewChild, Outgoing, Policy, Tick,
        Unsent,
    },
    wire::{
        Body, CallHead, CallId, ContextId, End, Frame, Handle, Hello, ReplyHead, ReplyTo, Role, Setup,
        StreamHead, VERSION, codec,
    },
};
use offshoot_parent::table::Table;

/// One context: its machine, and everything that it wanted done so far.
struct Context {
    machine: Machine<Table>,
    out: Actions,
    done: Vec<Action>,
}

/// One end of a link, by context.
type LinkEnd = (ContextId, LinkKey);

/// The tree. Frames move when a test says so, and never from or to a context that is stopped.
pub(crate) struct Bed {
    contexts: BTreeMap<ContextId, Context>,
    peers: BTreeMap<LinkEnd, LinkEnd>,
    stopped: BTreeSet<ContextId>,
    pub(crate) now: Tick,
}

pub(crate) const ROOT: ContextId = ContextId::ROOT;

impl Bed {
    /// A root with these bounds, which its children get too. It has one worker, as they have.
    pub(crate) fn new(limits: Limits) -> Self {
        let root = context(ROOT, Vec::new(), limits, Table::root());
        Self {
            contexts: BTreeMap::from([(ROOT, root)]),
            peers: BTreeMap::new(),
            stopped: BTreeSet::new(),
            now: Tick::default(),
        }
    }

    /// A child of `parent` that is up.
    pub(crate) fn child(&mut self, parent: ContextId) -> ContextId {
        let (id, down) = self.silent_child(parent);
        let config = self.contexts[&parent].machine.config();
        let ancestors = [parent].into_iter().chain(config.ancestors.iter().copied()).collect();
        let mut child = context(id, ancestors, config.limits.clone(), Table::hop(id));
        let hello = Hello { version: VERSION, features: 0, role: Role::Parent, pid: 1, build: 0 };
        let up = child.machine.add_parent(self.now, &hello, &mut child.out).expect("it has a parent");
        self.contexts.insert(id, child);
        self.peers.insert((parent, down), (id, up));
        self.peers.insert((id, up), (parent, down));
        self.settle();
        id
    }

    /// A child of `parent` that has not said HELLO, and has no machine of its own.
    pub(crate) fn silent_child(&mut self, parent: ContextId) -> (ContextId, LinkKey) {
        let id = loop {
            if let Ok(id) = self.at(parent, |machine, out| machine.take_id(out)) {
                break id;
            }
            self.settle();
        };
        let setup = Setup {
            version: VERSION,
            features: 0,
            id,
            ancestors: Vec::new(),
            name: "child".into(),
            one_way: false,
            body_limit: 1 << 27,
            ping_ms: 0,
            grace_ms: 1000,
            log_level: 0,
        };
        let deadline = Tick(1 << 40);
        let child = NewChild { id, name: "child".into(), stamped: false, deadline, setup };
        let now = self.now;
        (id, self.at(parent, |machine, out| machine.add_child(now, child, out)))
    }

    /// Does something with the machine of a context.
    pub(crate) fn at<T>(
        &mut self,
        id: ContextId,
        act: impl FnOnce(&mut Machine<Table>, &mut Actions) -> T,
    ) -> T {
        let context = self.contexts.get_mut(&id).expect("the context lives");
        let value = act(&mut context.machine, &mut context.out);
        while let Some(action) = context.out.pop() {
            context.done.push(action);
        }
        value
    }

    /// The link by which `from` reaches its neighbour `to`.
    pub(crate) fn link(&self, from: ContextId, to: ContextId) -> LinkKey {
        let (_, link) =
            self.peers.keys().find(|(id, link)| *id == from && link.peer == to).expect("neighbours");
        *link
    }

    /// A frame comes to `to` by the link of its neighbour `from`, whoever made it.
    pub(crate) fn inject(&mut self, from: ContextId, to: ContextId, frame: Frame) {
        let (link, now) = (self.link(to, from), self.now);
        self.at(to, |machine, out| machine.handle(now, Event::Frame { link, frame }, out));
    }

    /// Moves one frame from a context to its neighbour; `false` if there is none that may move.
    pub(crate) fn step(&mut self, from: ContextId, to: ContextId) -> bool {
        let link = self.link(from, to);
        if self.stopped.contains(&from) || self.stopped.contains(&to) {
            return false;
        }
        let Some(frame) = self.at(from, |machine, out| machine.pull(link, out)) else { return false };
        if frame.handle != Handle::SETUP {
            self.inject(from, to, frame);
        }
        true
    }

    /// Moves frames until none may move.
    pub(crate) fn settle(&mut self) {
        let links: Vec<(ContextId, ContextId)> =
            self.peers.keys().map(|(id, link)| (*id, link.peer)).collect();
        while links.iter().fold(false, |moved, (from, to)| self.step(*from, *to) || moved) {}
    }

    /// Nothing moves from or to a context any more.
    pub(crate) fn stop(&mut self, id: ContextId) {
        self.stopped.insert(id);
    }

    /// What was stopped moves again.
    pub(crate) fn resume(&mut self) {
        self.stopped.clear();
        self.settle();
    }

    /// A context dies, with what it had not written.
    pub(crate) fn kill(&mut self, id: ContextId) {
        self.contexts.remove(&id);
        let dead: Vec<LinkEnd> = self.peers.keys().filter(|(at, _)| *at == id).copied().collect();
        for end in dead {
            let Some((neighbour, link)) = self.peers.remove(&end) else { continue };
            self.peers.remove(&(neighbour, link));
            self.cut_at(neighbour, link);
        }
        self.settle();
    }

    /// One end of a link learns that it has ended.
    pub(crate) fn cut_at(&mut self, id: ContextId, link: LinkKey) {
        let now = self.now;
        let event = Event::LinkDown { link, reason: "killed".into() };
        self.at(id, |machine, out| machine.handle(now, event, out));
    }

    /// A call to a function that anyone may call.
    pub(crate) fn call(&mut self, from: ContextId, to: ContextId, body: Body) -> Result<Handle, Unsent> {
        let now = self.now;
        let call =
            Outgoing { dst: to, handle: Handle::CALL_FUNCTION, body, deadline: None, ends: Vec::new() };
        self.at(from, |machine, out| machine.call(now, call, out))
    }

    /// The worker of a context takes the next call.
    pub(crate) fn take(&mut self, id: ContextId) -> Option<Incoming> {
        let now = self.now;
        self.at(id, |machine, out| machine.take_call(now, 0, out))
    }

    /// The worker of a context takes the next call and answers it with so many bytes.
    pub(crate) fn take_and_answer(&mut self, id: ContextId, bytes: usize) {
        let now = self.now;
        let call = self.take(id).expect("a call waits");
        let mut body = codec::encode(&ReplyHead::Value(Vec::new())).expect("a head");
        body.resize(body.len() + bytes, 0);
        self.at(id, |machine, out| {
            machine.release_worker(0);
            machine.answer(now, call.key, body.into(), &[], out);
        });
    }

    /// Sends an item of so many bytes, if there is room.
    pub(crate) fn send_item(&mut self, from: ContextId, handle: Handle, bytes: usize) -> bool {
        let now = self.now;
        let mut body = codec::encode(&StreamHead::Item(Vec::new())).expect("a head");
        body.resize(body.len() + bytes, 7);
        let sent = self.at(from, |machine, out| machine.stream_send(now, handle, body.into(), out).is_ok());
        self.settle();
        sent
    }

    /// Everything that a context wanted done.
    pub(crate) fn done(&self, id: ContextId) -> &[Action] {
        &self.contexts[&id].done
    }

    /// How many calls of a context have ended.
    pub(crate) fn ended_calls(&self, id: ContextId) -> usize {
        self.done(id).iter().filter(|action| matches!(action, Action::Answer { .. })).count()
    }

    pub(crate) fn machine(&self, id: ContextId) -> &Machine<Table> {
        &self.contexts[&id].machine
    }
}

fn context(id: ContextId, ancestors: Vec<ContextId>, limits: Limits, table: Table) -> Context {
    let functions = vec![("any".into(), Policy::Anyone), ("ours".into(), Policy::Parents)];
    let config =
        Config { me: id, ancestors, role: Role::Parent, one_way: false, functions, build: 0, limits };
    let mut machine = Machine::new(config, table);
    machine.set_workers(1);
    Context { machine, out: Actions::new(), done: Vec::new() }
}

/// The body of a call with so many bytes of arguments.
pub(crate) fn call_body(bytes: usize) -> Body {
    call_to("any", Vec::new(), Vec::new(), bytes)
}

/// The body of a call that hands over ends, and that others wait for.
pub(crate) fn call_to(function: &'static str, ends: Vec<End>, above: Vec<CallId>, bytes: usize) -> Body {
    let head = CallHead { function: function.into(), left_ms: None, above, chain: None, ends };
    let mut body = codec::encode(&head).expect("a head");
    body.resize(body.len() + bytes, 0);
    body.into()
}

/// A frame that a context could have made itself.
pub(crate) fn frame(
    src: ContextId,
    dst: ContextId,
    handle: Handle,
    reply_to: ReplyTo,
    body: Vec<u8>,
) -> Frame {
    Frame { dst, src, auth: src, handle, reply_to, part: None, body: body.into() }
}
