//! The router as a state machine: events in, one ordered queue of actions out, no world.
//!
//! One rule of `docs/architecture.md` is one function here. The machine reads no clock, opens nothing and cannot fail;
//! it is `Clone + Eq + Hash`, so that the small world can try every order of deliveries.

mod answers;
mod calls;
mod close;
mod company;
mod control;
mod credit;
mod dead;
mod deliver;
mod desk;
mod drops;
mod event;
mod front;
mod handles;
mod incoming;
mod invariants;
mod limits;
mod link;
mod load;
mod lost;
mod map;
mod outbox;
mod parts;
mod policy;
mod queue;
mod queued;
mod route;
mod routes;
mod skim;
mod slots;
mod streams;
#[cfg(test)]
mod tests;
mod timers;
mod types;
mod unsaid;

use offshoot_wire::{Body, ContextId, Frame, Handle, Hello, ReplyTo, Window};

pub use drops::DropKind;
pub(crate) use event::sooner;
pub use event::{Action, Actions, Event, LinkKey, Note, Tick};
pub use invariants::{Received, Sizes};
pub use limits::Limits;
pub use routes::{Owner, RouteFrame, Routes, Side, Standing, Step, UpOnly};
pub use types::*;

use credit::Credits;
use desk::Desk;
use handles::Handles;
use link::{Link, LinkEnd};
use map::{Map, Set};
use outbox::{Outbox, Pulled};
use parts::Parts;
use policy::Grants;
use queued::{FlowKey, Queued};
use route::NoWay;
use slots::Slots;
use timers::{Timer, Timers};
use unsaid::{Topic, Word};

/// The router of one context.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine<R> {
    config: Config,
    routes: R,
    links: Slots<Link>,
    up: Option<LinkKey>,
    handles: Handles,
    credits: Credits,
    parts: Parts,
    desk: Desk,
    grants: Grants,
    timers: Timers,
    closing: bool,
    /// When this context must have ended; later than any moment until it is told to.
    end_by: Tick,
    next_chain: u32,
    /// Destinations that somebody waits to send to without an answer.
    waiting_room: Set<ContextId>,
    /// The links for which a GRANT waits, and some where it has left meanwhile.
    granting: Set<LinkKey>,
    /// What is to be said on links of which too much waits.
    unsaid: Map<LinkKey, Map<Topic, Word>>,
}

impl<R: Routes> Machine<R> {
    /// The router of a context that has no links yet.
    #[must_use]
    pub fn new(config: Config, routes: R) -> Self {
        Self {
            credits: Credits::new(&config.limits),
            config,
            routes,
            links: Slots::default(),
            up: None,
            handles: Handles::default(),
            parts: Parts::default(),
            desk: Desk::default(),
            grants: Grants::default(),
            timers: Timers::default(),
            closing: false,
            end_by: Tick(u64::MAX),
            next_chain: 0,
            waiting_room: Set::new(),
            granting: Set::new(),
            unsaid: Map::new(),
        }
    }

    /// This context.
    #[must_use]
    pub const fn me(&self) -> ContextId {
        self.config.me
    }

    /// What this context is and by which bounds it lives.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The routing table.
    #[must_use]
    pub const fn routes(&self) -> &R {
        &self.routes
    }

    /// Takes one event at `now` and appends what must happen, in order, to `out`.
    pub fn handle(&mut self, now: Tick, event: Event, out: &mut Actions) {
        self.timers.advance(now);
        match event {
            Event::Frame { link, frame } => self.on_frame(link, frame, out),
            Event::Oversize { link, frame } => self.on_oversize(link, &frame, out),
            Event::LinkDown { link, reason } => self.on_link_down(link, &reason, out),
            Event::Due => self.on_due(out),
        }
    }

    /// Makes the link to the parent, and says HELLO on it.
    pub fn add_parent(&mut self, now: Tick, hello: &Hello, out: &mut Actions) -> Option<LinkKey> {
        self.timers.advance(now);
        let peer = *self.config.ancestors.first()?;
        let link = LinkKey { slot: self.links.insert(Link::new(peer, LinkEnd::Up, now)), peer };
        self.up = Some(link);
        self.send_control(link, Handle::HELLO, hello, out);
        self.watch_silence(link);
        Some(link)
    }

    /// Makes the link to a new child: announces it upward and queues its SETUP. Calls may follow at once.
    pub fn add_child(&mut self, now: Tick, child: NewChild, out: &mut Actions) -> LinkKey {
        self.timers.advance(now);
        let end = LinkEnd::Down { stamped: child.stamped, role: None, ending: None };
        let link = LinkKey { slot: self.links.insert(Link::new(child.id, end, now)), peer: child.id };
        let mut steps = Vec::new();
        self.routes.add_child(link, &child.name, &mut steps);
        self.carry_out(steps, out);
        self.send_control(link, Handle::SETUP, &child.setup, out);
        self.timers.set(child.deadline, Timer::Hello(link));
        link
    }

    /// An id for a new child.
    ///
    /// # Errors
    /// [`NoId::Asked`] until [`Action::Ids`] comes; [`NoId::Exhausted`] if there is none to be had.
    pub fn take_id(&mut self, out: &mut Actions) -> Result<ContextId, NoId> {
        if self.closing {
            return Err(NoId::Exhausted);
        }
        let mut steps = Vec::new();
        let id = self.routes.take_id(&mut steps);
        self.carry_out(steps, out);
        id
    }

    /// The next frame to be written to a link; the bodies of our own are cut to chunks. `None`: nothing may leave now.
    pub fn pull(&mut self, link: LinkKey, out: &mut Actions) -> Option<Frame> {
        let pulled = loop {
            self.say_unsaid(link, out);
            if let Some(pulled) = self.pull_queued(link) {
                break pulled;
            }
            // What stood in front of it has come to wait for credit by this.
            if !self.may_say(link) {
                return None;
            }
        };
        // What takes no credit may stand here longer than its handle, which can be that of somebody else by now.
        match (pulled.window, pulled.frame.reply_to.handle(), pulled.done) {
            (Some(Window::Calls), Some(handle), _) => self.handles.mark_sent(handle),
            (Some(Window::Stream(_)), Some(handle), Some((_, weight))) => {
                self.stream_left(handle, weight, out);
            }
            (_, _, Some((Some(from), weight))) => self.unbook(from, weight, out),
            _ => {}
        }
        self.make_room(link, &pulled.frame, out);
        Some(pulled.frame)
    }

    fn pull_queued(&mut self, link: LinkKey) -> Option<Pulled> {
        self.links.get_mut(link.slot).filter(|l| l.peer == link.peer)?.outbox.pull(&mut self.credits)
    }

    /// Whoever waits to send without an answer may go on once nothing of it waits any more.
    fn make_room(&mut self, link: LinkKey, left: &Frame, out: &mut Actions) {
        let is_waited_for = left.src == self.config.me && self.waiting_room.contains(&left.dst);
        if is_waited_for && self.link(link).is_some_and(|l| l.outbox.cost_of(&FlowKey::of(left)) == 0) {
            self.waiting_room.remove(&left.dst);
            out.push(Action::Room(left.dst));
        }
    }

    /// Whether short frames leave by a link beside long ones: then little is to be in front of them.
    #[must_use]
    pub fn is_mixed(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|l| l.outbox.is_mixed())
    }

    /// Whether something could be pulled for a link.
    #[must_use]
    pub fn wants_write(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|l| l.outbox.is_ready()) || self.may_say(link)
    }

    /// Whether nothing is to be read from a link for the time being.
    #[must_use]
    pub fn is_paused(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|l| l.paused)
    }

    /// Any byte has come by a link: it lives.
    pub fn heard(&mut self, now: Tick, link: LinkKey) {
        self.timers.advance(now);
        if let Some(entry) = self.link_mut(link) {
            entry.heard = now;
            entry.pings = 0;
        }
    }

    /// What was dropped, by link and kind.
    #[must_use]
    pub fn counters(&self) -> Vec<(LinkKey, DropKind, u64)> {
        let key = |slot, link: &Link| LinkKey { slot, peer: link.peer };
        self.links
            .iter()
            .flat_map(|(slot, link)| link.drops.iter().map(move |(kind, n)| (key(slot, link), *kind, *n)))
            .collect()
    }

    /// The build id of a context, if it is a child of this one that has said it, or this one itself.
    #[must_use]
    pub fn build_of(&self, id: ContextId) -> Option<u64> {
        if id == self.config.me {
            return Some(self.config.build);
        }
        let Owner::Child(link) = self.routes.owner(id) else { return None };
        self.link(link).filter(|link| link.peer == id).and_then(|link| link.build)
    }

    fn link(&self, key: LinkKey) -> Option<&Link> {
        self.links.get(key.slot).filter(|link| link.peer == key.peer)
    }

    fn link_mut(&mut self, key: LinkKey) -> Option<&mut Link> {
        self.links.get_mut(key.slot).filter(|link| link.peer == key.peer)
    }

    /// Counts a log record that came by a link and cannot be read.
    pub fn count_unreadable(&mut self, link: LinkKey, out: &mut Actions) {
        self.count_drop(link, DropKind::Malformed, out);
    }

    /// Counts a frame whose content was at fault.
    fn count_drop(&mut self, link: LinkKey, kind: DropKind, out: &mut Actions) {
        let frame = self.own_frame(self.config.me, Handle::new(0), ReplyTo::Nobody, Body::default());
        self.drop_frame(Some(link), kind, &Frame { src: link.peer, ..frame }, out);
    }

    /// Counts a dropped frame, and tells of the first of its kind on the link.
    fn drop_frame(&mut self, link: Option<LinkKey>, kind: DropKind, frame: &Frame, out: &mut Actions) {
        let Some((link, entry)) = link.and_then(|key| Some((key, self.link_mut(key)?))) else { return };
        if entry.count_drop(kind) == 1 {
            out.push(Action::Note(Note { link, kind, src: frame.src, dst: frame.dst, handle: frame.handle }));
        }
    }

    /// Ends a link for what its peer did; nothing more is taken from it or queued for it.
    fn cut(&mut self, link: LinkKey, reason: impl Into<String>, out: &mut Actions) {
        if let Some(entry) = self.link_mut(link)
            && !entry.cut
        {
            entry.cut = true;
            out.push(Action::Cut(link, reason.into()));
        }
    }

    /// Queues a frame for a link and wakes its writer.
    fn queue(&mut self, link: LinkKey, queued: Queued, out: &mut Actions) {
        let is_grant = R::HAS_CHILDREN && queued.frame.handle == Handle::GRANT;
        let Some(entry) = self.link_mut(link).filter(|l| !l.cut) else { return };
        entry.outbox.push(queued);
        if is_grant {
            self.granting.insert(link);
        }
        out.push(Action::Write(link));
    }

    /// As [`queue`](Self::queue), in front of what waits in the same flow.
    fn queue_first(&mut self, link: LinkKey, queued: Queued, out: &mut Actions) {
        let Some(entry) = self.link_mut(link).filter(|l| !l.cut) else { return };
        entry.outbox.push_first(queued);
        out.push(Action::Write(link));
    }

    /// Takes what is not wanted any more out of what waits for a link. What waited behind it may leave now, so the
    /// writer is woken, and whoever waits for room.
    fn take_out(
        &mut self,
        link: LinkKey,
        take: &mut dyn FnMut(&mut Outbox) -> Vec<Queued>,
        out: &mut Actions,
    ) -> Vec<Queued> {
        let Some(entry) = self.link_mut(link) else { return Vec::new() };
        let taken = take(&mut entry.outbox);
        let is_ready = entry.outbox.is_ready();
        if !taken.is_empty() && (is_ready || self.may_say(link)) {
            out.push(Action::Write(link));
        }
        for queued in &taken {
            self.make_room(link, &queued.frame, out);
        }
        taken
    }

    /// Gives credit back to the source of what came.
    fn give_credit(&mut self, src: ContextId, window: Window, bytes: Option<u32>, out: &mut Actions) {
        if let Some(bytes) = bytes {
            self.send_credit(src, window, bytes, out);
        }
    }
}
