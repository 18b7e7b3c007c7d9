//! One context under test: frames go in by hand, and what it says is read off its links.

use offshoot_wire::{
    AllocateId, Body, CallHead, CallId, ContextId, Dead, DeadCode, DelRoute, End, Frame, Handle, Hello, Part,
    ReplyHead, ReplyTo, Role, Setup, StreamHead, VERSION, codec,
};
use serde::{Serialize, de::DeserializeOwned};

use super::super::{
    Action, Actions, Config, DropKind, Event, Limits, LinkKey, Machine, NewChild, NoId, Outgoing, Owner,
    Policy, RouteFrame, Routes, Side, Standing, Step, Tick, Unsent, UpOnly,
};

pub(super) const ROOT: ContextId = ContextId::ROOT;
/// The parent of the context under test.
pub(super) const ABOVE: ContextId = ContextId::new(1);
/// The context under test.
pub(super) const ME: ContextId = ContextId::new(5);
/// A context on another branch of the tree.
pub(super) const COUSIN: ContextId = ContextId::new(9);
/// The first handle that a context gives out.
pub(super) const FIRST: Handle = Handle::new(Handle::FIRST_ALLOCATED);
/// A handle of somebody who waits for an answer of the context under test.
pub(super) const THEIRS: Handle = Handle::new(4000);

/// The table of a hop: the ids from 1000 on are for its children, and everything else is up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Star {
    children: Vec<LinkKey>,
    gone: Vec<ContextId>,
    made: u32,
}

impl Routes for Star {
    fn owner(&self, id: ContextId) -> Owner {
        match self.children.iter().find(|link| link.peer == id) {
            Some(link) => Owner::Child(*link),
            None if id == ME => Owner::Me,
            None if (1000..2000).contains(&id.number()) => Owner::Nobody,
            None => Owner::Up,
        }
    }

    fn standing(&self, id: ContextId) -> Standing {
        match self.children.iter().any(|link| link.peer == id) {
            true if self.gone.contains(&id) => Standing::Gone,
            true => Standing::Live,
            false => Standing::Unknown,
        }
    }

    fn name(&self, _: ContextId) -> Option<&str> {
        None
    }

    fn passed(&mut self, _: LinkKey, _: ContextId) {}

    fn take_id(&mut self, _: &mut Vec<Step>) -> Result<ContextId, NoId> {
        self.made += 1;
        Ok(ContextId::new(999 + self.made))
    }

    fn add_child(&mut self, link: LinkKey, name: &str, steps: &mut Vec<Step>) {
        self.children.push(link);
        let frame = offshoot_wire::AddRoute { id: link.peer, parent: ME, name: name.to_owned() };
        steps.push(Step::Up(RouteFrame::Add(frame)));
    }

    fn set_role(&mut self, _: LinkKey, _: Role) {}

    fn parent_down(&mut self, _: ContextId, _: &str, _: &mut Vec<Step>) {}

    fn control(&mut self, from: Side, frame: RouteFrame, steps: &mut Vec<Step>) {
        match (from, frame) {
            (Side::Parent(_), RouteFrame::Del(del)) => steps.push(Step::Lost(del)),
            (Side::Child(_), RouteFrame::Ids(AllocateId::Ask)) => {
                steps.push(Step::Up(RouteFrame::Ids(AllocateId::Ask)));
            }
            (Side::Parent(link) | Side::Child(link), _) => steps.push(Step::Drop(link, DropKind::Route)),
        }
    }

    fn child_down(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>) {
        self.gone.push(link.peer);
        let del = DelRoute {
            ids: vec![link.peer],
            top: link.peer,
            name: "child".to_owned(),
            reason: reason.to_owned(),
        };
        steps.push(Step::Up(RouteFrame::Del(del.clone())));
        steps.push(Step::Lost(del));
    }
}

/// A context under test.
pub(super) struct Bed<R> {
    pub(super) machine: Machine<R>,
    pub(super) up: LinkKey,
    pub(super) now: Tick,
    out: Actions,
}

impl Bed<UpOnly> {
    /// A leaf that has said HELLO.
    pub(super) fn leaf() -> Self {
        Self::leaf_with(Limits::default())
    }

    pub(super) fn leaf_with(limits: Limits) -> Self {
        let mut leaf = Self::new(config(Role::Leaf, limits), UpOnly::new(ME));
        leaf.says();
        leaf
    }
}

impl Bed<Star> {
    /// A hop that has said HELLO.
    pub(super) fn hop() -> Self {
        Self::hop_with(Limits::default())
    }

    pub(super) fn hop_with(limits: Limits) -> Self {
        let mut hop = Self::new(config(Role::Parent, limits), Star::default());
        hop.says();
        hop
    }

    /// A hop of a one-way tree.
    pub(super) fn one_way_hop() -> Self {
        let config = Config { one_way: true, ..config(Role::Parent, Limits::default()) };
        let mut hop = Self::new(config, Star::default());
        hop.says();
        hop
    }

    /// A new child that has said nothing yet.
    pub(super) fn silent_child(&mut self) -> LinkKey {
        let child = self.machine.take_id(&mut self.out).unwrap();
        let setup = Setup {
            version: VERSION,
            features: 0,
            id: child,
            ancestors: vec![ME, ABOVE, ROOT],
            name: "child".to_owned(),
            one_way: false,
            body_limit: 1 << 20,
            ping_ms: 0,
            grace_ms: 0,
            log_level: 0,
        };
        let child = NewChild {
            id: child,
            name: "child".to_owned(),
            stamped: false,
            deadline: Tick(self.now.0 + 60_000),
            setup,
        };
        self.machine.add_child(self.now, child, &mut self.out)
    }

    /// A new child that is up.
    pub(super) fn child(&mut self, role: Role) -> LinkKey {
        let link = self.silent_child();
        self.hears(link, frame(link.peer, ME, Handle::HELLO, 0, hello(role)));
        self.says();
        self.says_to(link);
        link
    }
}

impl<R: Routes> Bed<R> {
    /// A context that has just been made.
    pub(super) fn new(config: Config, routes: R) -> Self {
        let mut machine = Machine::new(config, routes);
        let mut out = Actions::new();
        let role = machine.config().role;
        let up = machine.add_parent(Tick(0), &hello_of(role), &mut out).unwrap();
        machine.set_workers(1);
        Self { machine, up, now: Tick(0), out }
    }

    /// A frame comes from above.
    pub(super) fn gets(&mut self, frame: Frame) -> Vec<Action> {
        self.hears(self.up, frame)
    }

    pub(super) fn hears(&mut self, link: LinkKey, frame: Frame) -> Vec<Action> {
        self.machine.handle(self.now, Event::Frame { link, frame }, &mut self.out);
        self.actions()
    }

    /// Everything that it has to say to its parent now.
    pub(super) fn says(&mut self) -> Vec<Frame> {
        self.says_to(self.up)
    }

    pub(super) fn says_to(&mut self, link: LinkKey) -> Vec<Frame> {
        std::iter::from_fn(|| self.machine.pull(link, &mut self.out)).collect()
    }

    /// What happens inside, wakes of writers and notes for people aside.
    pub(super) fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.out.pop())
            .filter(|action| !matches!(action, Action::Write(_) | Action::Note(_)))
            .collect()
    }

    /// Does something with the machine itself.
    pub(super) fn with<T>(&mut self, run: impl FnOnce(&mut Machine<R>, Tick, &mut Actions) -> T) -> T {
        run(&mut self.machine, self.now, &mut self.out)
    }

    /// Time goes by, and what is due on the way happens at its moment.
    pub(super) fn pass(&mut self, ms: u64) -> Vec<Action> {
        let end = self.now.after(ms);
        let mut actions = Vec::new();
        while let Some(due) = self.machine.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.handle(self.now, Event::Due, &mut self.out);
            actions.extend(self.actions());
        }
        self.now = end;
        actions
    }

    /// Calls a function of `dst` with nothing; the handle that waits.
    pub(super) fn calls(&mut self, dst: ContextId) -> Handle {
        self.calls_with(dst, call("f", &()), None).unwrap()
    }

    /// What is counted is what there is: whoever asks for sizes has that looked at.
    pub(super) fn is_counted(&self) {
        let _sizes = self.machine.sizes();
    }

    pub(super) fn calls_with(
        &mut self,
        dst: ContextId,
        body: Vec<u8>,
        deadline: Option<Tick>,
    ) -> Result<Handle, Unsent> {
        let outgoing =
            Outgoing { dst, handle: Handle::CALL_FUNCTION, body: body.into(), deadline, ends: Vec::new() };
        self.machine.call(self.now, outgoing, &mut self.out)
    }

    /// The worker takes the next call, and answers it with nothing; what was called.
    pub(super) fn works(&mut self) -> Option<String> {
        let call = self.machine.take_call(self.now, 0, &mut self.out)?;
        self.machine.answer(self.now, call.key, reply(&()).into(), &[], &mut self.out);
        self.machine.release_worker(0);
        Some(call.name)
    }

    pub(super) fn dropped(&self, kind: DropKind) -> u64 {
        self.machine.dropped(kind)
    }
}

fn config(role: Role, limits: Limits) -> Config {
    Config {
        me: ME,
        ancestors: vec![ABOVE, ROOT],
        role,
        one_way: false,
        functions: vec![("f".to_owned(), Policy::Parents), ("open".to_owned(), Policy::Anyone)],
        build: 0,
        limits,
    }
}

pub(super) fn hello(role: Role) -> Body {
    encode(&hello_of(role)).into()
}

fn hello_of(role: Role) -> Hello {
    Hello { version: VERSION, features: 0, role, pid: 1, build: 0 }
}

/// A frame as its source writes it; `reply_to` as it stands in the header.
pub(super) fn frame(
    src: ContextId,
    dst: ContextId,
    handle: Handle,
    reply_to: u32,
    body: impl Into<Body>,
) -> Frame {
    let reply_to = ReplyTo::from_number(reply_to).unwrap();
    Frame { dst, src, auth: src, handle, reply_to, part: None, body: body.into() }
}

/// A call of a function of the context under test, whose caller waits at `reply_to`.
pub(super) fn call_from(src: ContextId, reply_to: u32, body: Vec<u8>) -> Frame {
    frame(src, ME, Handle::CALL_FUNCTION, reply_to, body)
}

/// The pieces of a frame, of `len` bytes each.
pub(super) fn pieces(whole: &Frame, len: usize) -> Vec<Frame> {
    let total = u32::try_from(whole.body.len()).unwrap();
    let chunks = whole.body.chunks(len).enumerate();
    let place = |at: usize| Part { total, offset: u32::try_from(at * len).unwrap() };
    chunks.map(|(at, bytes)| Frame { part: Some(place(at)), body: bytes.into(), ..whole.clone() }).collect()
}

pub(super) fn head(function: &'static str) -> CallHead {
    CallHead { function: function.into(), left_ms: None, above: Vec::new(), chain: None, ends: Vec::new() }
}

/// The body of a call.
pub(super) fn call(function: &'static str, args: &impl Serialize) -> Vec<u8> {
    with_head(&head(function), args)
}

pub(super) fn with_head(head: &impl Serialize, value: &impl Serialize) -> Vec<u8> {
    let mut body = encode(head);
    codec::encode_into(value, &mut body).unwrap();
    body
}

/// The body of a reply that is a value.
pub(super) fn reply(value: &impl Serialize) -> Vec<u8> {
    with_head(&ReplyHead::Value(Vec::new()), value)
}

/// The body of an item of a stream.
pub(super) fn item(value: &impl Serialize) -> Vec<u8> {
    with_head(&StreamHead::Item(Vec::new()), value)
}

pub(super) fn caller(context: ContextId, handle: Handle) -> CallId {
    CallId { context, handle }
}

pub(super) fn end_of(home: ContextId, handle: u32, direction: offshoot_wire::Direction) -> End {
    End { home, handle: Handle::new(handle), direction }
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    codec::encode(value).unwrap()
}

pub(super) fn decode<T: DeserializeOwned>(frame: &Frame) -> T {
    codec::decode(&frame.body, 64 * 1024).unwrap()
}

/// The one dead message among `frames`: its frame and its code.
pub(super) fn dead(frames: &[Frame]) -> Option<(&Frame, DeadCode)> {
    let mut dead = frames.iter().filter(|frame| frame.is_dead());
    let found = dead.next()?;
    assert_eq!(dead.next(), None, "one dead message for a message");
    Some((found, decode::<Dead>(found).code))
}

/// Where frames go, for a glance.
pub(super) fn handles(frames: &[Frame]) -> Vec<Handle> {
    frames.iter().map(|frame| frame.handle).collect()
}
