//! Control frames: between neighbours, and those that travel from end to end.

use offshoot_wire::{
    AddRoute, AllocateId, ContextId, Credit, DeadCode, DelRoute, Frame, Handle, Hello, Rebind, ReplyTo, Role,
    Shutdown, VERSION, Window, codec,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Action, Actions, DropKind, FlowKey, LinkEnd, LinkKey, Machine, Owner, RouteFrame, Routes, Side, Step,
    Timer, credit::Earned, deliver::window_of, map::Set, parts::CONTROL_BUDGET,
};

impl<R: Routes> Machine<R> {
    /// A control frame that only a neighbour may send.
    pub(super) fn on_neighbour(&mut self, link: LinkKey, frame: Frame, out: &mut Actions) {
        if frame.src != link.peer || frame.dst != self.config.me || frame.part.is_some() {
            return self.drop_frame(Some(link), DropKind::Control, &frame, out);
        }
        match frame.handle {
            Handle::HELLO if !R::HAS_CHILDREN => self.cut(link, "it said HELLO to a leaf", out),
            Handle::ADD_ROUTE | Handle::ALLOCATE_ID if !R::HAS_CHILDREN => {
                self.drop_frame(Some(link), DropKind::Route, &frame, out);
            }
            Handle::HELLO => self.on_hello(link, &frame, out),
            Handle::SETUP => self.cut(link, "it sent SETUP to a context that is up", out),
            Handle::PING => self.on_ping(link, out),
            Handle::PONG => {}
            Handle::ADD_ROUTE => self.on_route::<AddRoute>(link, &frame, RouteFrame::Add, out),
            Handle::DEL_ROUTE => self.on_route::<DelRoute>(link, &frame, RouteFrame::Del, out),
            Handle::ALLOCATE_ID => self.on_route::<AllocateId>(link, &frame, RouteFrame::Ids, out),
            _ => self.drop_frame(Some(link), DropKind::Control, &frame, out),
        }
    }

    /// HELLO makes the link up.
    fn on_hello(&mut self, link: LinkKey, frame: &Frame, out: &mut Actions) {
        let Ok(hello) = codec::decode::<Hello>(&frame.body, CONTROL_BUDGET) else {
            return self.cut(link, "its HELLO could not be read", out);
        };
        if hello.version != VERSION {
            let text = format!(
                "it speaks version {} of the protocol, this context version {VERSION}",
                hello.version
            );
            return self.cut(link, text, out);
        }
        let Some(LinkEnd::Down { role: role @ None, .. }) = self.link_mut(link).map(|l| &mut l.end) else {
            return self.cut(link, "it said HELLO twice", out);
        };
        *role = Some(hello.role);
        if let Some(entry) = self.link_mut(link) {
            entry.build = Some(hello.build);
        }
        self.timers.clear_of_link(Timer::Hello(link));
        self.routes.set_role(link, hello.role);
        self.watch_silence(link);
        out.push(Action::Up(link, hello));
    }

    /// One PONG may wait on a link, however many PINGs come.
    fn on_ping(&mut self, link: LinkKey, out: &mut Actions) {
        let waits = |frame: &Frame| frame.handle == Handle::PONG;
        if self.link_mut(link).is_some_and(|l| l.outbox.control_mut(waits).is_none()) {
            self.send_control(link, Handle::PONG, &(), out);
        }
    }

    fn on_route<T: DeserializeOwned>(
        &mut self,
        link: LinkKey,
        frame: &Frame,
        wrap: impl Fn(T) -> RouteFrame,
        out: &mut Actions,
    ) {
        let Ok(body) = codec::decode::<T>(&frame.body, CONTROL_BUDGET) else {
            return self.drop_frame(Some(link), DropKind::Control, frame, out);
        };
        let side = match self.link(link).map(|l| &l.end) {
            Some(LinkEnd::Up) => Side::Parent(link),
            Some(LinkEnd::Down { role: Some(Role::Parent), .. }) => Side::Child(link),
            // Rule 5: a leaf has nothing to say about routes.
            Some(LinkEnd::Down { .. }) => return self.drop_frame(Some(link), DropKind::Role, frame, out),
            None => return,
        };
        if matches!(side, Side::Child(_)) && !self.has_room_for_news() {
            return self.cut(link, "it tells of more contexts than can be passed on", out);
        }
        let mut steps = Vec::new();
        self.routes.control(side, wrap(body), &mut steps);
        self.carry_out(steps, out);
    }

    /// What children tell of contexts takes half of the room on the uplink: over that the child is at fault, not this
    /// context, which would be cut off with all of them.
    fn has_room_for_news(&self) -> bool {
        let limit = self.config.limits.news as usize / 2;
        self.up.and_then(|up| self.link(up)).is_none_or(|up| up.outbox.news_bytes() <= limit)
    }

    /// Does what the routing table wants done.
    pub(super) fn carry_out(&mut self, steps: Vec<Step>, out: &mut Actions) {
        if !R::HAS_CHILDREN {
            return self.carry_out_alone(steps, out);
        }
        let lost: Set<ContextId> = steps.iter().flat_map(lost_by).copied().collect();
        self.unsay(&lost);
        // What a loss ends here may still send something, and the news of the loss leaves behind that.
        let (losses, rest): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| matches!(step, Step::Lost(_)));
        for step in losses.into_iter().chain(rest) {
            match step {
                Step::Up(frame) => {
                    if let Some(up) = self.up {
                        self.send_route(up, &frame, &lost, out);
                    }
                }
                Step::Down(link, frame) => self.send_route(link, &frame, &lost, out),
                Step::Lost(del) => self.lose(del, out),
                Step::Drop(link, kind) => self.count_drop(link, kind, out),
                Step::Cut(link, reason) => self.cut(link, reason, out),
                Step::Ids => out.push(Action::Ids),
            }
        }
    }

    /// The same for a leaf, which has nothing to tell and nobody below.
    fn carry_out_alone(&mut self, steps: Vec<Step>, out: &mut Actions) {
        for step in steps {
            match step {
                Step::Lost(del) => self.lose(del, out),
                Step::Drop(link, kind) => self.count_drop(link, kind, out),
                Step::Up(_) | Step::Down(..) | Step::Ids | Step::Cut(..) => {}
            }
        }
    }

    /// Rule 10: news of a loss leaves behind the frames of the lost that were queued before it.
    fn send_route(&mut self, link: LinkKey, frame: &RouteFrame, lost: &Set<ContextId>, out: &mut Actions) {
        match frame {
            RouteFrame::Add(body) => self.send_control(link, Handle::ADD_ROUTE, body, out),
            RouteFrame::Ids(body) => self.send_control(link, Handle::ALLOCATE_ID, body, out),
            RouteFrame::Del(body) => {
                let Ok(body) = codec::encode(body) else { return };
                let frame = self.own_frame(link.peer, Handle::DEL_ROUTE, ReplyTo::Nobody, body.into());
                self.queue_behind(link, frame, lost, &|_| true, out);
            }
        }
    }

    /// A child has sent something without an answer to somebody who is gone. It may have known, and forgotten; what it has
    /// made anew by that, an account or a grant, only the news of a loss end.
    pub(super) fn tell_again(&mut self, link: LinkKey, frame: &Frame, out: &mut Actions) {
        // The parent hears of it by what it has crossed.
        if self.up == Some(link) || frame.reply_to != ReplyTo::Nobody || frame.is_control() {
            return;
        }
        let (gone, reason) = (frame.dst, format!("context {} is gone", frame.dst));
        let del = DelRoute { ids: vec![gone], top: gone, name: String::new(), reason };
        let Ok(body) = codec::encode(&del) else { return };
        let waits = |frame: &Frame| frame.handle == Handle::DEL_ROUTE && *frame.body == *body;
        // Many may be refused one behind the other; that is told once. Where much news waits it is not told at all: an
        // account may stay, but nobody is cut for what he has answered.
        let most = self.config.limits.news as usize / 2;
        let outbox = self.link(link).map(|l| &l.outbox);
        if outbox.is_some_and(|outbox| outbox.news_bytes() <= most && !outbox.is_last_control(waits)) {
            self.send_route(link, &RouteFrame::Del(del), &[gone].into_iter().collect(), out);
        }
    }

    pub(super) fn send_control<T: Serialize>(
        &mut self,
        link: LinkKey,
        handle: Handle,
        body: &T,
        out: &mut Actions,
    ) {
        self.send_far_control(link, link.peer, handle, body, out);
    }

    /// Sends a control frame to a context that need not be a neighbour.
    pub(super) fn send_far_control<T: Serialize>(
        &mut self,
        link: LinkKey,
        dst: ContextId,
        handle: Handle,
        body: &T,
        out: &mut Actions,
    ) {
        let Ok(body) = codec::encode(body) else { return };
        let frame = self.own_frame(dst, handle, ReplyTo::Nobody, body.into());
        self.queue_control(link, frame, out);
    }

    fn queue_control(&mut self, link: LinkKey, frame: Frame, out: &mut Actions) {
        let Some(entry) = self.link_mut(link).filter(|l| !l.cut) else { return };
        entry.outbox.push_control(frame);
        self.bound_control(link, out);
    }

    /// As [`queue_control`](Self::queue_control), behind what waits in the flows of `sources` that `behind` picks.
    fn queue_behind(
        &mut self,
        link: LinkKey,
        frame: Frame,
        sources: &Set<ContextId>,
        behind: &dyn Fn(&FlowKey) -> bool,
        out: &mut Actions,
    ) {
        let Some(entry) = self.link_mut(link).filter(|l| !l.cut) else { return };
        entry.outbox.push_control_behind(frame, sources, behind);
        self.bound_control(link, out);
    }

    /// Wakes the writer of a link for a control frame, unless too many wait there.
    fn bound_control(&mut self, link: LinkKey, out: &mut Actions) {
        let (control, news) = (self.config.limits.control as usize, self.config.limits.news as usize);
        let Some(outbox) = self.link(link).map(|l| &l.outbox) else { return };
        let is_over = outbox.control_bytes() > control || outbox.news_bytes() > news;
        out.push(Action::Write(link));
        if is_over {
            let text = format!("more than {control} bytes of control frames, or {news} of news, wait for it");
            self.cut(link, text, out);
        }
    }

    /// A control frame of somebody else passes. Where too many wait, the child that sent it is at fault.
    pub(super) fn forward_control(&mut self, from: LinkKey, to: LinkKey, frame: Frame, out: &mut Actions) {
        if frame.handle == Handle::CREDIT && self.merge_credit(to, &frame) {
            return;
        }
        if let (Handle::REBIND, Ok(rebind)) =
            (frame.handle, codec::decode::<Rebind>(&frame.body, CONTROL_BUDGET))
        {
            // Rule 12: as good as a frame from the new holder, whose loss the home must hear of.
            self.remember_passing(to, rebind.holder);
            // Where the holder was behind that link, too, whoever is next knows of the loss, and takes no word of his.
            let is_told_there = self.routes.owner(rebind.holder) == Owner::Child(to);
            if self.up == Some(from) && !is_told_there && self.refusal(rebind.holder).is_some() {
                // The news of that loss have passed before, and the home did not need them then.
                self.queue_control(to, frame.clone(), out);
                let text = format!("context {} is gone", rebind.holder);
                return self.send_dead(frame.dst, rebind.holder, rebind.handle, DeadCode::Gone, text, out);
            }
        }
        // What a child sends takes half of the room: the rest is for what this context itself must say there.
        let limit = self.config.limits.control as usize / 2;
        let full = self.link(to).is_some_and(|l| l.outbox.control_bytes() + frame.cost() > limit);
        if full && self.up != Some(from) {
            return self.cut(from, "it sends more control frames than can be passed on", out);
        }
        if frame.handle != Handle::SHUTDOWN {
            return self.queue_control(to, frame, out);
        }
        // Only an order that the child will obey starts the clock by which it must be gone.
        let left =
            codec::decode::<Shutdown>(&frame.body, CONTROL_BUDGET).ok().filter(|_| self.may_rule(&frame));
        match left {
            Some(shutdown) => self.queue_shutdown(to, frame, shutdown.left_ms, out),
            None => self.drop_frame(Some(from), DropKind::Policy, &frame, out),
        }
    }

    /// SHUTDOWN leaves behind what its source has queued for that context (rule 10).
    pub(super) fn queue_shutdown(&mut self, link: LinkKey, frame: Frame, left_ms: u32, out: &mut Actions) {
        let (src, dst) = (frame.src, frame.dst);
        self.queue_behind(link, frame, &[src].into_iter().collect(), &|key| key.dst == dst, out);
        if link.peer == dst {
            self.expect_end(link, left_ms);
        }
    }

    /// Adds credit to a frame that still waits, so that no more than one waits for a window.
    fn merge_credit(&mut self, link: LinkKey, frame: &Frame) -> bool {
        let Ok(more) = codec::decode::<Credit>(&frame.body, CONTROL_BUDGET) else { return false };
        let same = |waiting: &Frame| {
            waiting.handle == Handle::CREDIT
                && (waiting.src, waiting.dst, waiting.auth) == (frame.src, frame.dst, frame.auth)
                && codec::decode::<Credit>(&waiting.body, CONTROL_BUDGET)
                    .is_ok_and(|c| c.window == more.window)
        };
        let Some(waiting) = self.link_mut(link).and_then(|l| l.outbox.control_mut(same)) else {
            return false;
        };
        let Ok(held) = codec::decode::<Credit>(&waiting.body, CONTROL_BUDGET) else { return false };
        let sum = Credit { bytes: held.bytes.saturating_add(more.bytes), ..held };
        match codec::encode(&sum) {
            Ok(body) => {
                waiting.body = body.into();
                true
            }
            Err(_) => false,
        }
    }

    pub(super) fn send_credit(&mut self, dst: ContextId, window: Window, bytes: u32, out: &mut Actions) {
        let Some(link) = self.way_to(dst) else { return };
        let Ok(body) = codec::encode(&Credit { window, bytes }) else { return };
        let frame = self.own_frame(dst, Handle::CREDIT, ReplyTo::Nobody, body.into());
        self.queue_credit(link, frame, out);
    }

    fn queue_credit(&mut self, link: LinkKey, frame: Frame, out: &mut Actions) {
        if !self.merge_credit(link, &frame) {
            self.queue_control(link, frame, out);
        }
    }

    /// What a frame cost that goes no further is given back here, in the name of its destination (rule 9).
    ///
    /// Not where much waits already: who floods a link with what cannot be delivered is left without credit.
    pub(super) fn give_back(&mut self, link: LinkKey, frame: &Frame, out: &mut Actions) {
        let Some(window) = window_of(frame) else { return };
        let limit = self.config.limits.control as usize / 2;
        if self.link(link).is_none_or(|l| l.outbox.control_bytes() > limit) {
            return;
        }
        let bytes = u32::try_from(frame.cost()).unwrap_or(u32::MAX);
        let Ok(body) = codec::encode(&Credit { window, bytes }) else { return };
        let credit = self.own_frame(frame.src, Handle::CREDIT, ReplyTo::Nobody, body.into());
        self.queue_credit(link, Frame { src: frame.dst, ..credit }, out);
    }

    /// A control frame for this context that any other may have sent.
    pub(super) fn on_end_to_end(&mut self, from: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        match frame.handle {
            Handle::CREDIT => match codec::decode::<Credit>(&frame.body, CONTROL_BUDGET) {
                Ok(credit) => self.on_credit(from, frame, credit, out),
                Err(_) => self.drop_frame(from, DropKind::Control, frame, out),
            },
            Handle::REBIND => match codec::decode::<Rebind>(&frame.body, CONTROL_BUDGET) {
                Ok(rebind) => self.on_rebind(from, frame, rebind, out),
                Err(_) => self.drop_frame(from, DropKind::Control, frame, out),
            },
            Handle::SHUTDOWN if !self.may_rule(frame) => self.drop_frame(from, DropKind::Policy, frame, out),
            Handle::SHUTDOWN => match codec::decode::<Shutdown>(&frame.body, CONTROL_BUDGET) {
                Ok(shutdown) => self.begin_to_end(shutdown.left_ms, out),
                Err(_) => self.drop_frame(from, DropKind::Control, frame, out),
            },
            _ => self.drop_frame(from, DropKind::Control, frame, out),
        }
    }

    fn on_credit(&mut self, from: Option<LinkKey>, frame: &Frame, credit: Credit, out: &mut Actions) {
        match self.credits.earn(frame.src, credit.window, credit.bytes) {
            Earned::More => {}
            Earned::Nothing => return self.drop_frame(from, DropKind::Late, frame, out),
            Earned::TooMuch(stream) => {
                self.drop_frame(from, DropKind::Credit, frame, out);
                if let Some(stream) = stream {
                    self.break_stream(stream, "more credit was given than a window can hold", out);
                }
                return;
            }
        }
        let Some(link) = self.way_to(frame.src) else { return };
        if self.link_mut(link).is_some_and(|l| l.outbox.feed(frame.src, credit.window)) {
            out.push(Action::Write(link));
        }
        if credit.window == Window::Calls && self.waiting_room.remove(&frame.src) {
            out.push(Action::Room(frame.src));
        }
    }

    /// Rule of life: a link that is silent for long is asked, and lost if it never answers.
    pub(super) fn on_silence(&mut self, link: LinkKey, out: &mut Actions) {
        let idle = u64::from(self.config.limits.ping_ms);
        let lost_after = self.patience(link);
        let now = self.timers.now();
        let Some(entry) = self.link_mut(link).filter(|l| !l.cut) else { return };
        if entry.paused {
            entry.heard = now;
        }
        let silent = now.since(entry.heard);
        if silent >= idle {
            if entry.pings >= lost_after {
                let text = format!("it has been silent for {silent} ms");
                return self.cut(link, text, out);
            }
            entry.pings += 1;
            self.send_control(link, Handle::PING, &(), out);
            self.timers.set(now.after(idle), Timer::Silence(link));
        } else {
            let heard = entry.heard;
            self.timers.set(heard.after(idle), Timer::Silence(link));
        }
    }

    /// How many PINGs may stay unanswered. The far side is three times as patient, so that both do not give up at once.
    fn patience(&self, link: LinkKey) -> u32 {
        let pings = self.config.limits.pings_lost;
        if self.up == Some(link) { pings.saturating_mul(3) } else { pings }
    }

    pub(super) fn watch_silence(&mut self, link: LinkKey) {
        let idle = u64::from(self.config.limits.ping_ms);
        if idle > 0 {
            self.timers.set(self.timers.now().after(idle), Timer::Silence(link));
        }
    }
}

/// Who is lost by a step: here, or only by what is told to others.
fn lost_by(step: &Step) -> &[ContextId] {
    match step {
        Step::Lost(del) | Step::Up(RouteFrame::Del(del)) | Step::Down(_, RouteFrame::Del(del)) => &del.ids,
        _ => &[],
    }
}
