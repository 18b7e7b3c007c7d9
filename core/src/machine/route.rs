//! Where a frame goes: rules 1 (route), 2 (reverse path) and 8 (one-way trees), each a decision of its own.

use offshoot_wire::{ContextId, DeadCode, Frame, Handle, ReplyHead, ReplyTo, StreamHead, codec};

use super::{
    Actions, DropKind, LinkEnd, LinkKey, Machine, Owner, Queued, Routes, Standing, Topic,
    parts::CONTROL_BUDGET,
};

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Deliver,
    Forward(LinkKey),
    Refuse(DropKind, DeadCode, String),
}

impl<R: Routes> Machine<R> {
    /// A frame came by a link.
    pub(super) fn on_frame(&mut self, link: LinkKey, mut frame: Frame, out: &mut Actions) {
        let Some(entry) = self.link(link).filter(|l| !l.cut) else { return };
        if R::HAS_CHILDREN && entry.is_silent() && !(frame.handle == Handle::HELLO && frame.is_control()) {
            return self.cut(link, "it sent frames before HELLO", out);
        }
        if R::HAS_CHILDREN && entry.is_stamped() {
            frame.auth = self.config.me;
        }
        if let Some(kind) = self.forged(link, &frame) {
            return self.drop_frame(Some(link), kind, &frame, out);
        }
        if frame.is_control() && !frame.is_end_to_end() {
            return self.on_neighbour(link, frame, out);
        }
        self.remember_passing(link, frame.dst);
        match self.verdict(Some(link), frame.dst) {
            Verdict::Deliver => self.deliver(Some(link), frame, out),
            Verdict::Forward(to) if R::HAS_CHILDREN => self.forward(link, to, frame, out),
            // What comes from above goes up from nowhere: a leaf has no other link.
            Verdict::Forward(_) => {}
            Verdict::Refuse(kind, code, text) => {
                self.refuse_passing(link, &frame, kind, code, text, out);
                if R::HAS_CHILDREN && code == DeadCode::Gone {
                    self.tell_again(link, &frame, out);
                }
            }
        }
    }

    /// Refuses a frame on its way to somebody else, who will not give back the credit that it cost.
    fn refuse_passing(
        &mut self,
        link: LinkKey,
        frame: &Frame,
        kind: DropKind,
        code: DeadCode,
        text: String,
        out: &mut Actions,
    ) {
        self.give_back(link, frame, out);
        // Who waits at a handle for just this learns that it will not come: a caller, and not that his call was refused;
        // the other end of a stream, before it hears that the stream has ended.
        if frame.handle.is_allocated() && !frame.is_dead() {
            let is_answer = frame.reply_to == ReplyTo::Nobody;
            let code = if is_answer { DeadCode::Unanswered } else { code };
            if self.tell_dead(frame, code, &text, out) && is_answer && R::HAS_CHILDREN {
                self.refuse_ends_passing(frame, &text, out);
            }
        }
        self.refuse(Some(link), frame, kind, code, text, out);
    }

    /// The ends of its own that somebody hands over by an answer which is refused on its way: nobody will ever have the
    /// other ends, and refuse or close them. They stand at the beginning of a body: what comes behind it is anybody's.
    fn refuse_ends_passing(&mut self, frame: &Frame, text: &str, out: &mut Actions) {
        if frame.part.is_some_and(|part| part.offset > 0) {
            return;
        }
        let Ok((ReplyHead::Value(ends), _)) = codec::decode_prefix(&frame.body, CONTROL_BUDGET) else {
            return;
        };
        for end in ends.iter().filter(|end| end.home == frame.src) {
            let back = Frame { dst: frame.src, src: frame.dst, handle: end.handle, ..frame.clone() };
            self.tell_dead(&back, DeadCode::Gone, text, out);
        }
    }

    /// Tells the destination of a frame that it will not come, now or when there is room; whether there is a way to it.
    fn tell_dead(&mut self, frame: &Frame, code: DeadCode, text: &str, out: &mut Actions) -> bool {
        let Some(to) = self.way_to(frame.dst) else { return false };
        if self.is_crowded(to, frame.dst, Crowd::Word) {
            self.keep_dead(to, frame, code, out);
        } else {
            self.send_dead(frame.dst, frame.src, frame.handle, code, text.to_owned(), out);
        }
        true
    }

    /// Rule 2: whether a frame claims a source or an authority that its link may not use.
    pub(super) fn forged(&self, link: LinkKey, frame: &Frame) -> Option<DropKind> {
        if !self.speaks_for(link, frame.src) {
            return Some(DropKind::Source);
        }
        // An authority of our own is our stamp, put on a moment ago.
        let stamped = R::HAS_CHILDREN && self.link(link).is_some_and(super::Link::is_stamped);
        if !stamped && !self.speaks_for(link, frame.auth) {
            return Some(DropKind::Authority);
        }
        None
    }

    /// Whether frames of `id` come by this link: its owner, and for a child link announced by it.
    fn speaks_for(&self, link: LinkKey, id: ContextId) -> bool {
        match self.routes.owner(id) {
            Owner::Child(owner) => owner == link && self.routes.standing(id) != Standing::Unknown,
            Owner::Up => self.up == Some(link),
            // Of a child that is lost those above still say what became of what was sent to it.
            Owner::Nobody => self.up == Some(link) && self.routes.standing(id) == Standing::Gone,
            Owner::Me => false,
        }
    }

    /// Rules 1 and 8.
    fn verdict(&self, from: Option<LinkKey>, dst: ContextId) -> Verdict {
        let me = self.config.me;
        match self.routes.owner(dst) {
            Owner::Me => Verdict::Deliver,
            Owner::Up => match self.up {
                Some(up) if from != Some(up) => Verdict::Forward(up),
                _ => no_route(format!("context {me} knows no way to context {dst}")),
            },
            Owner::Child(to) => match self.routes.standing(dst) {
                Standing::Live if from == Some(to) => {
                    no_route(format!("context {dst} is behind the link by which the message came"))
                }
                Standing::Live if self.turns_one_way(from, to) => Verdict::Refuse(
                    DropKind::OneWay,
                    DeadCode::OneWay,
                    format!("this tree is one-way: context {me} passes nothing between its children"),
                ),
                Standing::Live => Verdict::Forward(to),
                Standing::Gone => gone(dst),
                Standing::Unknown => no_route(format!("context {dst} was never announced")),
            },
            Owner::Nobody if self.routes.standing(dst) == Standing::Gone => gone(dst),
            Owner::Nobody => no_route(format!("there is no context {dst}")),
        }
    }

    /// Rule 8: whether a frame would turn between children of a one-way tree.
    pub(super) fn turns_one_way(&self, from: Option<LinkKey>, to: LinkKey) -> bool {
        let Some(from) = from.filter(|from| self.config.one_way && self.up != Some(*from)) else {
            return false;
        };
        let stamped = |key| self.link(key).is_some_and(super::Link::is_stamped);
        !stamped(from) && !stamped(to)
    }

    /// Passes a frame of somebody on, whole, as it came.
    fn forward(&mut self, from: LinkKey, to: LinkKey, frame: Frame, out: &mut Actions) {
        if self.link(to).is_none_or(|l| l.cut) {
            let text = format!("context {} is being cut off", frame.dst);
            return self.refuse_passing(from, &frame, DropKind::NoRoute, DeadCode::Gone, text, out);
        }
        let in_vain = self.granted_without_right(from, &frame).or_else(|| self.granted_in_vain(&frame));
        if let Some(text) = in_vain {
            return self.refuse_passing(from, &frame, DropKind::Policy, DeadCode::Policy, text, out);
        }
        self.remember_passing(to, frame.src);
        self.remember_granted(to, &frame);
        if frame.is_control() {
            return self.forward_control(from, to, frame, out);
        }
        let crowd = if is_word(&frame) { Crowd::Word } else { Crowd::Data };
        // A body whose beginning has passed passes whole: its window bounds it.
        let begins = frame.part.is_none_or(|part| part.offset == 0);
        if begins && self.is_crowded(to, frame.dst, crowd) {
            if self.keep_word(Some(from), to, &frame, out) {
                return;
            }
            let text = format!("too much waits for context {}", frame.dst);
            return self.refuse_passing(from, &frame, DropKind::Congested, DeadCode::Congested, text, out);
        }
        let upward = self.up == Some(to);
        let queued = Queued::free(frame, upward.then_some(from));
        if upward {
            self.book(from, queued.weight(), out);
        }
        for topic in [Some(Topic::of(&queued.frame)), Topic::cancelling(&queued.frame)].into_iter().flatten()
        {
            self.say(to, topic, out);
        }
        self.queue(to, queued, out);
    }

    /// Rule 9: whether so much waits for a child that nothing more is taken for `dst`, which holds most of it.
    fn is_crowded(&self, to: LinkKey, dst: ContextId, crowd: Crowd) -> bool {
        let downlink = self.config.limits.downlink;
        let limit = match crowd {
            Crowd::Data => downlink,
            // Short of where a child that takes nothing is cut off: others cannot bring it there.
            Crowd::Word => downlink.saturating_add(downlink / 2),
        };
        R::HAS_CHILDREN
            && self
                .link(to)
                .is_some_and(|l| !l.is_up() && l.outbox.bytes() > limit && l.outbox.is_heaviest(dst))
    }

    /// Sends a frame that this context makes itself; what cannot go is refused as if it had come by no link.
    pub(super) fn send_own(&mut self, queued: Queued, out: &mut Actions) -> Result<(), NoWay> {
        match self.verdict(None, queued.frame.dst) {
            Verdict::Deliver => {
                self.handles.mark_sent_by(&queued.frame);
                self.deliver(None, queued.frame, out);
                Ok(())
            }
            Verdict::Forward(to) => {
                if self.link(to).is_none_or(|l| l.cut) {
                    let text = format!("context {} is being cut off", queued.frame.dst);
                    return Err(NoWay { code: DeadCode::Gone, text });
                }
                if let Some(text) = self.granted_in_vain(&queued.frame) {
                    return Err(NoWay { code: DeadCode::Policy, text });
                }
                self.hear_of_granted(&queued.frame, out);
                self.remember_granted(to, &queued.frame);
                self.queue(to, queued, out);
                Ok(())
            }
            Verdict::Refuse(_, code, text) => Err(NoWay { code, text }),
        }
    }

    /// Sends a frame that nobody misses where there is no way for it: its destination is gone, and so is the question.
    pub(super) fn post(&mut self, queued: Queued, out: &mut Actions) {
        self.send_own(queued, out).ok();
    }

    /// Why frames to `dst` cannot leave, if they cannot.
    pub(super) fn refusal(&self, dst: ContextId) -> Option<NoWay> {
        match self.verdict(None, dst) {
            Verdict::Refuse(_, code, text) => Some(NoWay { code, text }),
            Verdict::Deliver | Verdict::Forward(_) => None,
        }
    }

    /// The link by which frames to `dst` leave.
    pub(super) fn way_to(&self, dst: ContextId) -> Option<LinkKey> {
        match self.verdict(None, dst) {
            Verdict::Forward(link) => Some(link),
            Verdict::Deliver | Verdict::Refuse(..) => None,
        }
    }

    /// The link by which comes what `peer` sends, if it is up.
    #[must_use]
    pub fn link_from(&self, peer: ContextId) -> Option<LinkKey> {
        let link = self.way_to(peer)?;
        self.link(link).is_some_and(|l| !l.cut && !l.is_silent()).then_some(link)
    }

    /// The link to the parent.
    #[must_use]
    pub const fn uplink(&self) -> Option<LinkKey> {
        self.up
    }

    /// A frame from or to `id` passes on a link: a child link must hear of its loss (rule 6).
    pub(super) fn remember_passing(&mut self, link: LinkKey, id: ContextId) {
        let is_down = |l: &super::Link| matches!(l.end, LinkEnd::Down { .. });
        if R::HAS_CHILDREN && self.link(link).is_some_and(is_down) && id != self.config.me {
            self.routes.passed(link, id);
        }
    }

    /// Rule 9: frames of a child wait for the uplink; over its share it is not read.
    fn book(&mut self, from: LinkKey, weight: u64, out: &mut Actions) {
        let all = self.up.and_then(|up| self.link(up)).map_or(0, |up| up.outbox.bytes());
        let share = self.uplink_share(all.saturating_add(weight));
        let Some(entry) = self.link_mut(from) else { return };
        entry.booked = entry.booked.saturating_add(weight);
        if entry.booked > share && !entry.paused {
            entry.paused = true;
            out.push(super::Action::Pause(from));
        }
    }

    /// Half of the share has gone: the child is read again.
    pub(super) fn unbook(&mut self, from: LinkKey, weight: u64, out: &mut Actions) {
        if !R::HAS_CHILDREN {
            return;
        }
        let all = self.up.and_then(|up| self.link(up)).map_or(0, |up| up.outbox.bytes());
        let share = self.uplink_share(all);
        let Some(entry) = self.link_mut(from) else { return };
        entry.booked = entry.booked.saturating_sub(weight);
        if entry.paused && entry.booked <= share / 2 {
            entry.paused = false;
            out.push(super::Action::Resume(from));
        }
    }

    const fn uplink_share(&self, all: u64) -> u64 {
        let limits = &self.config.limits;
        if all >= limits.uplink_all { limits.uplink_child_crowded } else { limits.uplink_child }
    }
}

/// What a crowded link is asked to take.
#[derive(Clone, Copy)]
enum Crowd {
    Data,
    /// What takes no credit, and is never said again.
    Word,
}

/// Whether a frame tells that something begins or has ended, and takes no credit: dead messages, CANCEL, CHAIN_END, and
/// what a stream says beside its items.
fn is_word(frame: &Frame) -> bool {
    let on_stream = frame.handle.is_allocated() && frame.reply_to.handle().is_some();
    match frame.handle {
        _ if frame.is_dead() => true,
        Handle::CANCEL | Handle::CHAIN_END => true,
        _ if on_stream && frame.part.is_none() => codec::decode_prefix(&frame.body, CONTROL_BUDGET)
            .is_ok_and(|(head, _)| !matches!(head, StreamHead::Item(_))),
        _ => false,
    }
}

/// Why a frame of our own was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoWay {
    pub(super) code: DeadCode,
    pub(super) text: String,
}

fn gone(dst: ContextId) -> Verdict {
    Verdict::Refuse(DropKind::NoRoute, DeadCode::Gone, format!("context {dst} is gone"))
}

fn no_route(text: String) -> Verdict {
    Verdict::Refuse(DropKind::NoRoute, DeadCode::NoRoute, text)
}
