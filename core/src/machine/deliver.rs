//! A frame has reached its destination: which mailbox takes it, on which account, whole or in pieces.

use offshoot_wire::{ContextId, DeadCode, Frame, Handle, ReplyHead, ReplyTo, StreamHead, Window, codec};

use super::{
    Actions, DropKind, Ended, LinkKey, Machine, Outcome, Owner, Progress, Routes, Standing,
    handles::Entry,
    parts::{Assembled, CONTROL_BUDGET},
};

impl<R: Routes> Machine<R> {
    /// Hands a frame for this context to the mailbox it names; `from` is `None` for one of our own.
    pub(super) fn deliver(&mut self, from: Option<LinkKey>, frame: Frame, out: &mut Actions) {
        if frame.is_control() {
            return self.on_end_to_end(from, &frame, out);
        }
        if frame.is_dead() {
            return self.on_dead(from, &frame, out);
        }
        match frame.handle {
            Handle::CANCEL => self.on_cancel(from, &frame, out),
            Handle::CHAIN_END => self.on_chain_end(from, &frame, out),
            Handle::CALL_FUNCTION
            | Handle::CREATE_CHILD
            | Handle::PING
            | Handle::GRANT
            | Handle::FORWARD_LOG => {
                self.deliver_call(from, frame, out);
            }
            handle => match self.handles.get(handle) {
                Some(Entry::Call(_)) => self.deliver_reply(from, frame, out),
                Some(Entry::Stream(_)) => self.deliver_to_stream(from, frame, out),
                Some(Entry::Watch(_)) | None => self.refuse_no_handle(from, &frame, out),
            },
        }
    }

    pub(super) fn refuse_no_handle(&mut self, from: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        let text = format!("context {} has no handle {}", self.config.me, frame.handle);
        self.refuse_arrived(from, frame, DropKind::NoHandle, DeadCode::NoHandle, text, out);
    }

    /// Refuses a frame that is not taken in here: it is answered, and its credit given back.
    pub(super) fn refuse_arrived(
        &mut self,
        from: Option<LinkKey>,
        frame: &Frame,
        kind: DropKind,
        code: DeadCode,
        text: String,
        out: &mut Actions,
    ) {
        self.refuse(from, frame, kind, code, text, out);
        let Some(window) = window_of(frame).filter(|_| from.is_some()) else { return };
        if self.charge(from, frame, window) {
            let back = self.credits.taken(frame.src, window, 0, cost_of(frame));
            self.give_credit(frame.src, window, back, out);
        }
    }

    /// Whether a context was here below and is lost. Dead messages and credit still come in its name, all else only from who
    /// forges it, and what it left would stay.
    pub(super) fn is_lost(&self, id: ContextId) -> bool {
        R::HAS_CHILDREN
            && matches!(self.routes.owner(id), Owner::Child(_) | Owner::Nobody)
            && self.routes.standing(id) == Standing::Gone
    }

    /// Books a data frame on the window of its source; `false` if that had no credit for it. The lost have no windows.
    pub(super) fn charge(&mut self, from: Option<LinkKey>, frame: &Frame, window: Window) -> bool {
        let config = &self.config;
        let party = || from.filter(|_| !config.is_ancestor(frame.src)).map(|link| link.peer);
        !self.is_lost(frame.src) && self.credits.charge(party, frame.src, window, frame.cost())
    }

    /// A frame was too long to be read at all.
    pub(super) fn on_oversize(&mut self, link: LinkKey, frame: &Frame, out: &mut Actions) {
        if self.link(link).is_none_or(|l| l.cut || l.is_silent()) || frame.is_control() {
            return self.drop_frame(Some(link), DropKind::Oversize, frame, out);
        }
        match self.forged(link, frame) {
            Some(kind) => self.drop_frame(Some(link), kind, frame, out),
            None => {
                let text = "a frame is longer than any frame may be".to_owned();
                self.spoil(Some(link), frame, DropKind::Oversize, DeadCode::TooLarge, text, out);
            }
        }
    }

    /// Rule 9: books a data frame on its window, and puts it together with what came before it. Once it is whole: what its
    /// last piece costs until it is taken.
    pub(super) fn receive(
        &mut self,
        from: Option<LinkKey>,
        frame: &mut Frame,
        window: Window,
        asked_for: bool,
        out: &mut Actions,
    ) -> Option<u32> {
        let Some(link) = from else { return Some(0) };
        let (src, cost) = (frame.src, frame.cost());
        if !self.charge(from, frame, window) {
            self.break_window(from, frame, window, out);
            return None;
        }
        let last = cost_of(frame);
        match self.parts.add(link, frame, asked_for, self.config.limits.body) {
            Assembled::Whole => {
                self.credits.hold(src, window, frame.body.len());
                return Some(last);
            }
            Assembled::Partly => {
                let back = self.credits.assembled(src, window, cost);
                self.give_credit(src, window, back, out);
                return None;
            }
            Assembled::Stray => self.drop_frame(from, DropKind::Fragment, frame, out),
            // protocol 3.3
            Assembled::Broken => {
                let text = "a piece of the body does not continue it".to_owned();
                self.spoil(from, frame, DropKind::Fragment, DeadCode::Malformed, text, out);
            }
            Assembled::TooLarge => {
                let text = format!("the body is over the limit of {} bytes", self.config.limits.body);
                self.spoil(from, frame, DropKind::Oversize, DeadCode::TooLarge, text, out);
            }
        }
        let back = self.credits.taken(src, window, 0, last);
        self.give_credit(src, window, back, out);
        None
    }

    /// A source sent beyond its credit: what it broke ends, at both ends.
    pub(super) fn break_window(
        &mut self,
        from: Option<LinkKey>,
        frame: &Frame,
        window: Window,
        out: &mut Actions,
    ) {
        let text = "it was sent without credit".to_owned();
        self.parts.forget(frame.src, frame.handle);
        self.refuse(from, frame, DropKind::Credit, DeadCode::Congested, text.clone(), out);
        match window {
            Window::Calls => {}
            Window::Stream(handle) => self.break_stream(handle, &text, out),
            Window::Replies => {
                let dead = offshoot_wire::Dead { code: DeadCode::Malformed, text };
                let progress = Progress::Unknown;
                self.end_call(frame.handle, Outcome::Dead { dead, by: self.config.me, progress }, out);
            }
        }
    }

    /// An answer to a call of ours, whole or in pieces, from its respondent alone (rule 4).
    fn deliver_reply(&mut self, from: Option<LinkKey>, mut frame: Frame, out: &mut Actions) {
        let Some(call) = self.handles.call(frame.handle).filter(|call| call.is_answered_by(frame.src)) else {
            return self.drop_frame(from, DropKind::Respondent, &frame, out);
        };
        if call.given_up && frame.part.is_some() {
            return self.skim(from, &frame, Window::Replies, out);
        }
        let (src, handle) = (frame.src, frame.handle);
        let Some(cost) = self.receive(from, &mut frame, Window::Replies, true, out) else {
            return;
        };
        let back = self.credits.taken(src, Window::Replies, frame.body.len(), cost);
        self.give_credit(src, Window::Replies, back, out);
        if is_started(&frame) {
            if let Some(call) = self.handles.call_mut(frame.handle) {
                call.progress = Progress::Started;
            }
            return;
        }
        // A handler that sees its deadline pass fails a moment before ours is judged.
        let late = self
            .handles
            .call(frame.handle)
            .and_then(|call| call.deadline)
            .is_some_and(|at| at <= self.timers.now());
        let outcome = if late && is_failure(&frame) {
            Outcome::TimedOut { progress: self.progress(frame.handle) }
        } else {
            Outcome::Reply(frame.body)
        };
        self.end_call(handle, outcome, out);
    }

    /// A frame of a stream, from the context that holds its other end alone.
    fn deliver_to_stream(&mut self, from: Option<LinkKey>, frame: Frame, out: &mut Actions) {
        let (Some(stream), Some(reply_to)) = (self.handles.stream(frame.handle), frame.reply_to.handle())
        else {
            return self.drop_frame(from, DropKind::Malformed, &frame, out);
        };
        if stream.peer != Some(frame.src) || stream.peer_handle.is_some_and(|known| known != reply_to) {
            return self.refuse_no_handle(from, &frame, out);
        }
        if stream.peer_closed {
            return self.drop_frame(from, DropKind::Late, &frame, out);
        }
        let signal = if frame.part.is_none() {
            match codec::decode_prefix::<StreamHead>(&frame.body, CONTROL_BUDGET) {
                Ok((head, _)) => Some(head),
                Err(_) => {
                    self.drop_frame(from, DropKind::Malformed, &frame, out);
                    return self.break_stream(frame.handle, "a frame of it could not be read", out);
                }
            }
        } else {
            None
        };
        self.stream_met(frame.handle, reply_to, out);
        match signal {
            Some(StreamHead::Open) => {}
            Some(StreamHead::Close) => self.on_stream_closed(frame.handle, Ended::Closed, out),
            Some(StreamHead::Fail(text)) => self.on_stream_closed(frame.handle, Ended::Failed(text), out),
            Some(StreamHead::Item(_)) | None => self.on_item(from, frame, out),
        }
    }
}

/// What a frame costs in credit.
pub(super) fn cost_of(frame: &Frame) -> u32 {
    u32::try_from(frame.cost()).unwrap_or(u32::MAX)
}

/// The window in which a frame is sent; `None` for those outside credit, and for streams, whose windows end with them.
pub(super) fn window_of(frame: &Frame) -> Option<Window> {
    match frame.handle {
        _ if frame.is_dead() || frame.is_control() => None,
        Handle::CANCEL | Handle::CHAIN_END => None,
        handle if !handle.is_allocated() => Some(Window::Calls),
        _ if frame.reply_to == ReplyTo::Nobody => Some(Window::Replies),
        _ => None,
    }
}

/// Whether a reply tells that the call failed.
fn is_failure(frame: &Frame) -> bool {
    codec::decode_prefix::<ReplyHead>(&frame.body, CONTROL_BUDGET)
        .is_ok_and(|(head, _)| matches!(head, ReplyHead::Failed(..)))
}

/// Whether a reply only tells that the call began.
fn is_started(frame: &Frame) -> bool {
    frame.body.len() <= 4
        && codec::decode_prefix::<ReplyHead>(&frame.body, CONTROL_BUDGET)
            .is_ok_and(|(head, _)| head == ReplyHead::Started)
}
