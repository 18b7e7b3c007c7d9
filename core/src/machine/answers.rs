//! How calls to us end: answered once, or called off, or with nobody left who waits.

use offshoot_wire::{
    Body, CallId, ContextId, DeadCode, End, Failed, Frame, Handle, ReplyHead, ReplyTo, codec,
};

use super::{
    Action, Actions, CallKey, DropKind, LinkKey, Machine, Queued, Routes, Tick, Timer, desk::Call,
    incoming::head_of, parts::CONTROL_BUDGET,
};
use crate::plain::front;

/// Failed chains of how many callers are remembered if each has as many as one may have.
const ALL_CHAINS: usize = 64;
/// The longest text that is kept of a failed chain, in bytes.
const MAX_FAILURE: usize = 1024;

impl<R: Routes> Machine<R> {
    /// Ends a call to us with a value: `body` is its [`ReplyHead`] and that. This or [`fail`](Self::fail) must come once
    /// for each call that was taken, also where nobody waits.
    pub fn answer(&mut self, now: Tick, key: CallKey, body: Body, ends: &[End], out: &mut Actions) {
        self.timers.advance(now);
        if let Some(call) = self.finish(key) {
            self.reply(&call, body, ends, out);
        }
    }

    /// Ends a call to us that has failed; later calls of its chain fail too.
    pub fn fail(&mut self, now: Tick, key: CallKey, how: Failed, text: String, out: &mut Actions) {
        self.timers.advance(now);
        let Some(call) = self.desk.get(key) else { return };
        // Before it goes: with the last of a chain that is over what became of it is forgotten.
        let (src, chain, why) = (call.src, call.head.chain, failure(call, &text));
        self.fail_chain(src, chain, &why);
        if let Some(call) = self.finish(key) {
            self.reply_failed(&call, how, text, out);
        }
    }

    pub(super) fn reply_failed(&mut self, call: &Call, how: Failed, text: String, out: &mut Actions) {
        self.reply(call, encode_reply(&ReplyHead::Failed(how, text)), &[], out);
    }

    fn reply(&mut self, call: &Call, body: Body, ends: &[End], out: &mut Actions) {
        let Some(reply_to) = call.reply_to else { return self.keep_ends(ends, out) };
        if body.len() > self.config.limits.body as usize {
            let limit = self.config.limits.body;
            let text = format!("the answer of {} bytes is over the limit of {limit} bytes", body.len());
            self.keep_ends(ends, out);
            return self.send_dead(call.src, self.config.me, reply_to, DeadCode::TooLarge, text, out);
        }
        if self.send_own(self.answer_to(call.src, reply_to, body), out).is_err() {
            self.keep_ends(ends, out);
        }
    }

    /// Whether the caller of a call has stopped waiting.
    #[must_use]
    pub fn is_cancelled(&self, key: CallKey) -> bool {
        self.desk.get(key).is_none_or(|call| call.cancelled)
    }

    /// Frees the slot of a call and its timers.
    pub(super) fn finish(&mut self, key: CallKey) -> Option<Call> {
        self.desk.get(key)?;
        let call = self.desk.remove(key.slot)?;
        self.timers.step_up(|call| self.desk.has(call));
        if let Some(at) = call.deadline {
            self.timers.clear(at, Timer::CallerGone(key));
        }
        if let Some(link) = call.from.and_then(|from| self.link_mut(from)) {
            link.calls -= 1;
        }
        Some(call)
    }

    /// CANCEL: a call that waits is answered as cancelled, one that runs is told.
    pub(super) fn on_cancel(&mut self, from: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        let Ok(id) = codec::decode::<CallId>(&frame.body, CONTROL_BUDGET) else {
            return self.drop_frame(from, DropKind::Malformed, frame, out);
        };
        if id.context != frame.src {
            return self.drop_frame(from, DropKind::Source, frame, out);
        }
        let reply_to = Some(ReplyTo::Handle(id.handle));
        let called = [Handle::CALL_FUNCTION, Handle::CREATE_CHILD];
        if let Some(handle) = called.into_iter().find(|to| self.parts.reply_to(id.context, *to) == reply_to) {
            let head = self.parts.begun(id.context, handle).and_then(|begun| head_of(handle, begun));
            self.parts.forget(id.context, handle);
            let text = "it was cancelled before it had arrived".to_owned();
            self.turn_back(id.context, Some(id.handle), head, &text, out);
            return self.send_dead(id.context, self.config.me, id.handle, DeadCode::Cancelled, text, out);
        }
        match self.desk.waited_for(id) {
            Some(key) => self.call_off(key, out),
            None => self.drop_frame(from, DropKind::Late, frame, out),
        }
    }

    /// Nobody waits for a call any more.
    pub(super) fn call_off(&mut self, key: CallKey, out: &mut Actions) {
        let Some(call) = self.desk.get_mut(key).filter(|call| !call.cancelled) else { return };
        call.cancelled = true;
        if call.taken {
            out.push(Action::Cancelled(key));
        } else {
            self.pay_for_call(key, out);
            let text = "it was cancelled before it ran".to_owned();
            self.turn_away(key, DropKind::Late, DeadCode::Cancelled, text, out);
        }
    }

    /// The deadline that a call came with has passed: a handler that runs can see it.
    pub(super) fn on_caller_gone(&mut self, key: CallKey, out: &mut Actions) {
        if let Some(call) = self.desk.get_mut(key)
            && call.taken
            && !call.cancelled
        {
            call.cancelled = true;
            out.push(Action::Cancelled(key));
        }
    }

    /// A call is here for so long that its caller is told that it runs, now or as soon as it does.
    pub(super) fn on_started_due(&mut self, key: CallKey, out: &mut Actions) {
        let Some(call) = self.desk.get_mut(key) else { return };
        if call.taken {
            self.tell_started(key, out);
        } else {
            call.overdue = true;
        }
    }

    pub(super) fn tell_started(&mut self, key: CallKey, out: &mut Actions) {
        let Some((src, Some(reply_to))) = self.desk.get(key).map(|call| (call.src, call.reply_to)) else {
            return;
        };
        self.post(self.answer_to(src, reply_to, encode_reply(&ReplyHead::Started)), out);
    }

    /// A caller is lost: its calls are called off, and nobody is answered.
    pub(super) fn lose_caller(&mut self, gone: ContextId, out: &mut Actions) {
        for slot in self.desk.slots_of(gone) {
            if let Some(key) = self.desk.key(slot) {
                self.desk.unwait(slot);
                self.call_off(key, out);
            }
        }
        self.desk.forget_chains(gone);
    }

    /// Why a call is not run that follows one which has failed.
    pub(super) fn failed_chain(&self, key: CallKey) -> Option<String> {
        let call = self.desk.get(key)?;
        self.desk.failed_chain((call.src, call.head.chain?))
    }

    /// Remembers the first error of a chain; later calls of it fail with that.
    pub(super) fn fail_chain(&mut self, src: ContextId, chain: Option<u32>, text: &str) {
        // Nobody calls in the name of the lost, or takes their chains out again.
        let Some(chain) = chain.filter(|_| !self.is_lost(src)) else { return };
        let most = self.config.limits.failed_chains as usize;
        // One link can speak for very many.
        let of_all = if self.is_ancestor(src) { usize::MAX } else { most.saturating_mul(ALL_CHAINS) };
        self.desk.fail_chain((src, chain), front(text, MAX_FAILURE), most, of_all);
    }

    /// The end of a chain.
    pub(super) fn on_chain_end(&mut self, from: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        match codec::decode::<u32>(&frame.body, CONTROL_BUDGET) {
            Ok(chain) => self.desk.end_chain((frame.src, chain)),
            Err(_) => self.drop_frame(from, DropKind::Malformed, frame, out),
        }
    }

    /// Answers a call with nothing but the news that it was done.
    pub(super) fn reply_value(&mut self, frame: &Frame, out: &mut Actions) {
        let ReplyTo::Handle(reply_to) = frame.reply_to else { return };
        let mut body = encode_reply(&ReplyHead::Value(Vec::new())).into_vec();
        if codec::encode_into(&(), &mut body).is_err() {
            return;
        }
        self.post(self.answer_to(frame.src, reply_to, body.into()), out);
    }

    fn answer_to(&self, src: ContextId, reply_to: Handle, body: Body) -> Queued {
        Queued::answer(self.own_frame(src, reply_to, ReplyTo::Nobody, body), !self.is_ancestor(src))
    }
}

/// What a failed call leaves to those behind it in its chain. A caller that waited knows the reason already.
fn failure(call: &Call, text: &str) -> String {
    let told = if call.reply_to.is_none() { text } else { "" };
    format!("{}: {told}", call.head.function)
}

fn encode_reply(head: &ReplyHead) -> Body {
    codec::encode(head).unwrap_or_default().into()
}
