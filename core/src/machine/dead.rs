//! Who gets a dead reply and who does not (rule 3).

use offshoot_wire::{ContextId, Dead, DeadCode, Frame, Handle, ReplyTo, codec};

use super::{
    Action, Actions, DropKind, Ended, LinkKey, Machine, Outcome, Owner, Progress, Queued, Routes,
    handles::Entry, parts::CONTROL_BUDGET, skim::ends_of_reply,
};
use crate::plain::{front, plain};

/// The longest text of a dead reply, in bytes.
const MAX_TEXT: usize = 4096;

impl<R: Routes> Machine<R> {
    /// Counts a frame that cannot be delivered, and answers it if somebody waits for an answer.
    pub(super) fn refuse(
        &mut self,
        link: Option<LinkKey>,
        frame: &Frame,
        kind: DropKind,
        code: DeadCode,
        text: String,
        out: &mut Actions,
    ) {
        self.drop_frame(link, kind, frame, out);
        self.answer_dead(frame, code, text, out);
    }

    /// The dead reply to a frame: it speaks as the destination, on the authority of this context.
    ///
    /// A fragment behind the first is not answered: the first was (protocol: one dead reply for a message).
    pub(super) fn answer_dead(&mut self, frame: &Frame, code: DeadCode, text: String, out: &mut Actions) {
        let ReplyTo::Handle(handle) = frame.reply_to else { return };
        if frame.part.is_some_and(|part| part.offset > 0) {
            return;
        }
        self.send_dead(frame.src, frame.dst, handle, code, text, out);
    }

    /// Counts a message that is too long or broken. Its source learns it if he waits for an answer; if it is an answer
    /// itself, whoever waits for that one does, since no other will come.
    pub(super) fn spoil(
        &mut self,
        link: Option<LinkKey>,
        frame: &Frame,
        kind: DropKind,
        code: DeadCode,
        text: String,
        out: &mut Actions,
    ) {
        self.drop_frame(link, kind, frame, out);
        match frame.reply_to {
            ReplyTo::Handle(handle) => self.send_dead(frame.src, frame.dst, handle, code, text, out),
            ReplyTo::Nobody if frame.handle.number() >= Handle::FIRST_ALLOCATED => {
                self.send_dead(frame.dst, frame.src, frame.handle, code, text, out);
            }
            ReplyTo::Nobody | ReplyTo::Dead => {}
        }
    }

    /// Sends a dead message to `handle` of `dst`, in the name of `speaker`.
    pub(super) fn send_dead(
        &mut self,
        dst: ContextId,
        speaker: ContextId,
        handle: Handle,
        code: DeadCode,
        mut text: String,
        out: &mut Actions,
    ) {
        text.truncate(front(&text, MAX_TEXT).len());
        let Ok(body) = codec::encode(&Dead { code, text }) else { return };
        let frame = Frame {
            dst,
            src: speaker,
            auth: self.config.me,
            handle,
            reply_to: ReplyTo::Dead,
            part: None,
            body: body.into(),
        };
        match self.routes.owner(dst) {
            Owner::Me => self.on_dead(None, &frame, out),
            _ => {
                let Some(link) = self.way_to(dst) else { return };
                self.queue(link, Queued::free(frame, None), out);
                if !R::HAS_CHILDREN {
                    return;
                }
                // A child that asks and does not take its answers, when as much of them as of all else waits for it.
                let waiting = self.link(link).filter(|l| !l.is_up()).map_or(0, |l| l.outbox.bytes());
                if waiting > self.config.limits.downlink.saturating_mul(2) {
                    self.cut(link, format!("{waiting} bytes wait for it, and it takes none"), out);
                }
            }
        }
    }

    /// A dead message has come for this context: it ends the call or the stream behind its handle, if it may.
    pub(super) fn on_dead(&mut self, link: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        let Ok(Dead { code, mut text }) = codec::decode(&frame.body, CONTROL_BUDGET) else {
            return self.drop_frame(link, DropKind::Malformed, frame, out);
        };
        let peer = match self.handles.get(frame.handle) {
            // What is said of one that has not left is about another, or a guess: nobody on the way has met it.
            Some(Entry::Call(call)) if call.progress == Progress::NotSent => None,
            Some(Entry::Call(call)) => Some(call.respondent),
            Some(Entry::Stream(stream)) => stream.peer,
            Some(Entry::Watch(_)) | None => None,
        };
        let Some(peer) = peer else {
            // News of a loss can be faster than the dead reply that it makes superfluous. What the call had cost is back; what
            // its source may send here is not for it to say.
            let is_late = frame.handle.is_allocated();
            if is_late && is_of_nobody(frame.src, frame.auth, code) {
                self.credits.dissolve(frame.src, true);
            }
            let kind = if is_late { DropKind::Late } else { DropKind::Dead };
            return self.drop_frame(link, kind, frame, out);
        };
        if peer != frame.src {
            return self.drop_frame(link, DropKind::Respondent, frame, out);
        }
        // It will be part of what people read, and may be anybody's.
        text.truncate(front(&text, MAX_TEXT).len());
        let dead = Dead { code, text: plain(text) };
        let Some(stream) = self.handles.stream(frame.handle) else {
            return self.end_call_dead(frame.handle, dead, frame.auth, out);
        };
        if frame.auth == peer && code == DeadCode::Gone {
            // The one it was given to has not taken our other end; who has opened it cannot say so any more.
            if stream.was_taken() {
                self.drop_frame(link, DropKind::Late, frame, out);
            } else {
                self.on_end_refused(frame.handle, dead.text, out);
            }
            return;
        }
        self.break_stream(frame.handle, &dead.text, out);
        if frame.auth == peer || matches!(code, DeadCode::NoRoute | DeadCode::Gone | DeadCode::OneWay) {
            // Nobody is there who would answer with a CLOSE of his own.
            self.finish_stream(frame.handle, Ended::Lost(dead.text), out);
        }
    }

    fn end_call_dead(&mut self, handle: Handle, dead: Dead, by: ContextId, out: &mut Actions) {
        let Some(call) = self.handles.call(handle) else { return };
        let progress = match dead.code {
            DeadCode::TooLarge | DeadCode::Malformed | DeadCode::Unanswered => call.progress,
            DeadCode::Cancelled if call.progress == Progress::Started => Progress::Started,
            _ => Progress::Undelivered,
        };
        let (respondent, code, text) = (call.respondent, dead.code, dead.text.clone());
        if by != respondent {
            // It was refused on its way: nobody over there will close what it carried.
            let ends = call.ends.clone();
            self.take_back(&ends, out);
        }
        self.end_call(handle, Outcome::Dead { dead, by, progress }, out);
        if !is_of_nobody(respondent, by, code) {
            return;
        }
        // What is under way to it still comes back, and others may wait for that.
        self.credits.dissolve(respondent, code == DeadCode::Gone);
        if self.handles.in_flight(respondent) == 0 {
            // There is nobody whose loss will be told: nobody waits for it.
            let handles = self.handles.about([respondent].into_iter());
            self.end_watches(&handles, &text, out);
        }
    }

    /// Ends a call of ours, tells its sink unless the caller gave up, and frees its handle.
    pub(super) fn end_call(&mut self, handle: Handle, outcome: Outcome, out: &mut Actions) {
        let Some(Entry::Call(call)) = self.handles.remove(handle) else { return };
        if let Some(at) = call.deadline {
            self.timers.clear(at, super::Timer::Deadline(handle));
        }
        self.parts.forget(call.respondent, handle);
        self.stop_sending(&call, handle, out);
        match &outcome {
            // Nobody will read what it brings.
            Outcome::Reply(body) if call.given_up => {
                self.refuse_ends(call.respondent, &ends_of_reply(body).unwrap_or_default(), out);
            }
            _ if is_untaken(&outcome) => self.close_untaken(&call.ends, out),
            _ => {}
        }
        if !call.given_up {
            out.push(Action::Answer { handle, outcome });
        }
    }
}

/// Whether a dead message by `by` says that there is no `respondent`.
fn is_of_nobody(respondent: ContextId, by: ContextId, code: DeadCode) -> bool {
    by != respondent && matches!(code, DeadCode::NoRoute | DeadCode::Gone)
}

/// Whether the ends that a call carried can have reached nobody.
const fn is_untaken(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Reply(_) | Outcome::TimedOut { .. } => false,
        Outcome::Dead { progress, .. } => matches!(progress, Progress::NotSent | Progress::Undelivered),
        Outcome::Lost { .. } | Outcome::Stopped => true,
    }
}
