//! Calls of ours: sent, given up, timed out; each ends exactly once (rule 4).

use offshoot_wire::{
    Body, CallHead, CallId, ContextId, Dead, DeadCode, FRAME_COST, Frame, Handle, ReplyTo, Window, codec,
};

use super::{
    Action, Actions, FlowKey, Machine, NoWay, Outcome, Outgoing, Progress, Queued, Routes, Tick, Timer,
    Unsent,
    handles::{Entry, Waiting},
    parts::CONTROL_BUDGET,
};

impl<R: Routes> Machine<R> {
    /// Sends a call. [`Action::Answer`] comes once for the handle, unless the call is cancelled.
    ///
    /// # Errors
    /// [`Unsent`] if it cannot leave: no such context, over a bound, or this context is ending.
    pub fn call(&mut self, now: Tick, call: Outgoing, out: &mut Actions) -> Result<Handle, Unsent> {
        self.timers.advance(now);
        if let Err(unsent) = self.check_call(&call) {
            self.take_back(&call.ends, out);
            return Err(unsent);
        }
        let handle = self.handles.insert_call(Waiting {
            respondent: call.dst,
            given_up: false,
            progress: Progress::NotSent,
            deadline: call.deadline,
            to: call.handle,
            ends: call.ends,
        });
        let frame = self.own_frame(call.dst, call.handle, ReplyTo::Handle(handle), call.body);
        if let Err(NoWay { code, text }) = self.send_own(Queued::charged(frame, Window::Calls), out) {
            if let Some(Entry::Call(call)) = self.handles.remove(handle) {
                self.take_back(&call.ends, out);
            }
            return Err(Unsent::Dead(Dead { code, text }));
        }
        if let Some(at) = call.deadline
            && self.handles.call(handle).is_some()
        {
            self.timers.set(at, Timer::Deadline(handle));
        }
        Ok(handle)
    }

    /// How many calls of ours to one context have not ended.
    #[must_use]
    pub fn calls_to(&self, dst: ContextId) -> u32 {
        self.handles.in_flight(dst)
    }

    /// The caller gives up. No [`Action::Answer`] follows; the slot stays until the answer has come.
    pub fn cancel(&mut self, now: Tick, handle: Handle, out: &mut Actions) -> Progress {
        self.timers.advance(now);
        let Some(call) = self.handles.call_mut(handle).filter(|call| !call.given_up) else {
            return Progress::Unknown;
        };
        call.given_up = true;
        if let Some(at) = call.deadline.take() {
            self.timers.clear(at, Timer::Deadline(handle));
        }
        self.withdraw(handle, out)
    }

    /// How far a call has got.
    #[must_use]
    pub fn progress(&self, handle: Handle) -> Progress {
        self.handles.call(handle).map_or(Progress::Unknown, |call| call.progress)
    }

    /// The deadline of a call has passed: its caller learns it now, and the callee is told.
    pub(super) fn on_deadline(&mut self, handle: Handle, out: &mut Actions) {
        let Some(call) = self.handles.call_mut(handle).filter(|call| !call.given_up) else { return };
        call.given_up = true;
        call.deadline = None;
        let progress = self.withdraw(handle, out);
        out.push(Action::Answer { handle, outcome: Outcome::TimedOut { progress } });
    }

    /// Takes back what of a call has not left, and cancels what has. Those behind it in its chain are not to run: in its
    /// place leaves one that fails over there.
    fn withdraw(&mut self, handle: Handle, out: &mut Actions) -> Progress {
        let Some(call) = self.handles.call(handle).cloned() else { return Progress::Unknown };
        let me = self.config.me;
        let link = self.way_to(call.respondent);
        if let Some(link) = link {
            let flow = FlowKey::new(me, call.respondent, call.to);
            let waits = ReplyTo::Handle(handle);
            // While this context ends nothing more comes behind the last one.
            let (is_function, closing) = (call.to == Handle::CALL_FUNCTION, self.closing);
            let mark = |call: &Body, is_last: bool| {
                if is_function && !(closing && is_last) { lapsed(call) } else { None }
            };
            self.take_out(link, &mut |outbox| outbox.replace_unsent(flow, waits, &mark), out);
        }
        if call.progress == Progress::NotSent {
            self.handles.remove(handle);
            self.close_untaken(&call.ends, out);
            self.take_back(&call.ends, out);
            return Progress::NotSent;
        }
        self.unwant(call.respondent, handle, Window::Replies, out);
        if let Ok(body) = codec::encode(&CallId { context: me, handle }) {
            let frame = self.own_frame(call.respondent, Handle::CANCEL, ReplyTo::Nobody, body.into());
            // Nothing of the call waits any more; the calls behind it may wait for just this to free a worker.
            if let Some(link) = link {
                self.queue_first(link, Queued::free(frame, None), out);
            } else {
                self.post(Queued::free(frame, None), out);
            }
        }
        call.progress
    }

    /// A call has ended while a part of it has not left: nobody would read that.
    pub(super) fn stop_sending(&mut self, call: &Waiting, handle: Handle, out: &mut Actions) {
        let flow = FlowKey::new(self.config.me, call.respondent, call.to);
        if let Some(link) = self.way_to(call.respondent) {
            self.take_out(link, &mut |outbox| outbox.take_rest(flow, ReplyTo::Handle(handle)), out);
        }
    }

    /// Sends without waiting for an answer.
    ///
    /// # Errors
    /// [`Unsent::Full`] gives the body back while the window is full; try again at [`Action::Room`].
    pub fn send_one_way(
        &mut self,
        now: Tick,
        dst: ContextId,
        handle: Handle,
        body: Body,
        out: &mut Actions,
    ) -> Result<(), Unsent> {
        self.timers.advance(now);
        if self.closing && handle != Handle::FORWARD_LOG {
            return Err(Unsent::Stopped);
        }
        self.check_size(&body)?;
        // No more waits here than the destination would take, whether the link moves or not.
        let flow = FlowKey::new(self.config.me, dst, handle);
        let waits = self.way_to(dst).and_then(|link| self.link(link)).map_or(0, |l| l.outbox.cost_of(&flow));
        let cost = body.len().saturating_add(FRAME_COST);
        if waits > 0 && waits.saturating_add(cost) > self.credits.left(dst, Window::Calls, None) {
            self.waiting_room.insert(dst);
            return Err(Unsent::Full(body));
        }
        let frame = self.own_frame(dst, handle, ReplyTo::Nobody, body);
        self.send_own(Queued::charged(frame, Window::Calls), out)
            .map_err(|NoWay { code, text }| Unsent::Dead(Dead { code, text }))
    }

    /// [`Action::Watched`] comes when `dst` goes.
    pub fn watch(&mut self, dst: ContextId) -> Handle {
        self.handles.insert_watch(dst)
    }

    /// Nobody asks any more whether that context goes.
    pub fn unwatch(&mut self, handle: Handle) {
        if self.handles.watched(handle).is_some() {
            self.handles.remove(handle);
        }
    }

    /// A number for a new chain of calls.
    pub fn new_chain(&mut self) -> u32 {
        self.next_chain = self.next_chain.wrapping_add(1);
        self.next_chain
    }

    /// Nothing will be added to a chain that failed: `dst` may forget it.
    pub fn end_chain(&mut self, dst: ContextId, chain: u32, out: &mut Actions) {
        if let Ok(body) = codec::encode(&chain) {
            let frame = self.own_frame(dst, Handle::CHAIN_END, ReplyTo::Nobody, body.into());
            self.post(Queued::free(frame, None), out);
        }
    }

    pub(super) const fn own_frame(
        &self,
        dst: ContextId,
        handle: Handle,
        reply_to: ReplyTo,
        body: Body,
    ) -> Frame {
        let me = self.config.me;
        Frame { dst, src: me, auth: me, handle, reply_to, part: None, body }
    }

    /// Why a call may not even be queued.
    fn check_call(&self, call: &Outgoing) -> Result<(), Unsent> {
        if self.closing {
            return Err(Unsent::Stopped);
        }
        self.check_size(&call.body)?;
        let limit = self.config.limits.calls_in_flight;
        if self.calls_to(call.dst) < limit {
            return Ok(());
        }
        let text = format!("{limit} calls to context {} are in flight", call.dst);
        Err(Unsent::Dead(Dead { code: DeadCode::Busy, text }))
    }

    fn check_size(&self, body: &Body) -> Result<(), Unsent> {
        let limit = self.config.limits.body;
        if body.len() <= limit as usize {
            return Ok(());
        }
        let text = format!("the body of {} bytes is over the limit of {limit} bytes", body.len());
        Err(Unsent::Dead(Dead { code: DeadCode::TooLarge, text }))
    }
}

/// A call of no function for nobody, in the chain of `call`, whose time is over; `None` for one of no chain.
fn lapsed(call: &Body) -> Option<Body> {
    // A long argument is not put together for its head.
    let (before, whole, _) = call.pieces();
    let front = if before.is_empty() { &whole } else { before };
    let (CallHead { chain, .. }, _) = codec::decode_prefix(front, CONTROL_BUDGET).ok()?;
    let (function, chain) = ("".into(), Some(chain?));
    let head = CallHead { function, left_ms: Some(0), above: Vec::new(), chain, ends: Vec::new() };
    let mut body = codec::encode(&head).ok()?;
    codec::encode_into(&(), &mut body).ok()?;
    Some(body.into())
}
