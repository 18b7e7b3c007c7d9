//! A running context as the typed face sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Direction, End, Failed, Handle};

use super::{Effects, Shared, State, sinks::Sink};
use crate::{
    broker::WRITE_QUANTUM,
    forward::Record,
    here::Here,
    lease::{self, Loan},
    link::Link,
    machine::{BadEnd, CallKey, Outgoing, Owner, Progress, Routes, Standing, StreamUnsent, Tick, Unsent},
    node::{CallSink, Called, Held, Node, Pace, StreamSink, Then},
    sync::{lock, rest, whole_millis},
    wake::{Run, Wake},
};

/// Calls in flight to one context from which on a further one may rest: its callee has enough to do until it comes.
const MANY: u32 = 16;

impl<R: Here> Shared<R> {
    pub(crate) fn name_in(&self, state: &State<R>, id: ContextId) -> String {
        match state.machine.routes().name(id) {
            _ if id == self.me => self.name.clone(),
            Some(name) => name.to_owned(),
            None if id == ContextId::ROOT => "root".to_owned(),
            None => id.to_string(),
        }
    }

    /// Runs the machine for who holds a handle; `None` if it is his no more.
    fn with_held<T>(&self, held: Held, run: impl FnOnce(&mut State<R>, Tick) -> T) -> Option<T> {
        self.with(|state, now| state.sinks.is(held).then(|| run(state, now)))
    }

    /// The same, and takes the sink of the handle away; it is dropped outside the lock.
    fn forget<T>(&self, held: Held, run: impl FnOnce(&mut State<R>, Tick) -> T) -> Option<T> {
        let (value, sink) = self.with_held(held, |state, now| {
            let sink = state.sinks.remove(held.handle);
            (run(state, now), sink)
        })?;
        drop(sink);
        Some(value)
    }
}

impl<R: Here> Node for Shared<R> {
    fn me(&self) -> ContextId {
        self.me
    }

    fn ancestors(&self) -> &[ContextId] {
        &self.ancestors
    }

    fn body_limit(&self) -> usize {
        self.body_limit
    }

    fn name_of(&self, id: ContextId) -> String {
        self.look(|state| self.name_in(state, id))
    }

    fn build_of(&self, id: ContextId) -> Option<u64> {
        self.look(|state| state.machine.build_of(id))
    }

    fn is_alive(&self, id: ContextId) -> bool {
        self.look(|state| state.lives(id))
    }

    /// Rounded up, so that no deadline is met early.
    fn tick(&self, at: Instant) -> Tick {
        Tick(whole_millis(at.saturating_duration_since(self.start)))
    }

    fn instant(&self, at: Tick) -> Instant {
        self.start.checked_add(Duration::from_millis(at.0)).unwrap_or(self.start)
    }

    fn call(&self, call: Outgoing, sink: Arc<dyn CallSink>, then: Then) -> Result<Called, Unsent> {
        let mut effects = Effects::default();
        let mut may_rest = false;
        let (called, link) = self.decide(None, &mut effects, |state, at| {
            let to = call.dst;
            let called = state.machine.call(self.since_start(at), call, &mut state.out);
            let mut link = None;
            if let Ok(handle) = &called {
                state.sinks.insert(*handle, Sink::Call(sink));
                link = if then == Then::Wait { state.link_from(to) } else { None };
            }
            match then {
                Then::Wait => state.write_rested(),
                Then::GoOn => may_rest = state.machine.calls_to(to) > MANY,
            }
            (called.map(|handle| (handle, at)), link)
        });
        effects.may_rest = may_rest;
        let lent = Lent { shared: self, loan: link.and_then(|link| self.hold(link)) };
        self.act(effects);
        let loan = lent.whole();
        called.map(|(handle, sent_at)| Called { handle, loan, sent_at })
    }

    fn take_turn(&self, peer: ContextId) -> Option<Loan> {
        let link = self.with(|state, _| {
            state.write_rested();
            state.link_from(peer)
        });
        link.and_then(|link| self.hold(link))
    }

    fn read(&self, loan: &Loan) -> bool {
        self.read_lent(loan)
    }

    fn give_back(&self, loan: &Loan) {
        self.watch_link(&loan.link, loan.link.turn.give(loan.generation));
    }

    fn keep(&self, loan: &Loan) {
        if loan.link.turn.keep(loan.generation) {
            self.with(|state, now| state.links.mind(loan.link.key, now));
        }
    }

    fn cancel(&self, call: Held) -> Progress {
        let cancelled =
            self.forget(call, |state, now| state.machine.cancel(now, call.handle, &mut state.out));
        // It has just ended, and its sink knows how.
        cancelled.unwrap_or(Progress::Unknown)
    }

    fn send_one_way(
        &self,
        dst: ContextId,
        handle: Handle,
        mut body: Body,
        _ends: Vec<End>,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent> {
        // It may wait for room that is told of by a link whose turn this thread keeps.
        lease::let_go();
        let mut effects = Effects::default();
        let mut guard = lock(&self.state);
        let sent = loop {
            let now = self.now();
            let state = &mut *guard;
            let sent = state.machine.send_one_way(now, dst, handle, body, &mut state.out);
            self.settle(state, None, &mut effects);
            body = match sent {
                Err(Unsent::Full(body)) if deadline.is_none_or(|at| at > Instant::now()) => body,
                sent => break sent,
            };
            if effects.is_empty() {
                // Notified when a window has room, and at the end. The look and the sleep are under one lock, so that
                // no room is missed.
                guard = rest(&self.changed, guard, deadline);
            } else {
                drop(guard);
                self.act(std::mem::take(&mut effects));
                guard = lock(&self.state);
            }
        };
        drop(guard);
        self.act(effects);
        sent
    }

    fn watch(&self, dst: ContextId, sink: Arc<dyn CallSink>) -> Option<Handle> {
        self.with(|state, _| {
            if !state.lives(dst) {
                return None;
            }
            let name = self.name_in(state, dst);
            let handle = state.machine.watch(dst);
            state.sinks.insert(handle, Sink::Watch(dst, name, sink));
            Some(handle)
        })
    }

    fn unwatch(&self, watch: Held) {
        self.forget(watch, |state, _| state.machine.unwatch(watch.handle));
    }

    fn shutdown_context(&self, dst: ContextId, left_ms: u32) -> Result<(), Unsent> {
        self.with(|state, now| state.machine.shutdown_context(now, dst, left_ms, &mut state.out))
    }

    fn new_chain(&self) -> u32 {
        self.with(|state, _| state.machine.new_chain())
    }

    fn end_chain(&self, dst: ContextId, chain: u32) {
        self.with(|state, _| state.machine.end_chain(dst, chain, &mut state.out));
    }

    fn answer(&self, key: CallKey, body: Body, ends: Vec<End>, pace: Pace) -> Option<Loan> {
        let mut effects = Effects::default();
        let (mut may_rest, mut link) = (false, None);
        let answered = self.decide(None, &mut effects, |state, at| {
            let now = self.since_start(at);
            state.machine.answer(now, key, body, &ends, &mut state.out);
            self.put_off_alarm(state, now);
            // Whoever takes the last call, and finds no more, writes.
            match pace {
                Pace::Since(_) if !state.machine.has_calls() => link = state.link_for_calls(),
                _ => may_rest = pace.may_rest(at),
            }
            state.on_cancel.remove(key)
        });
        effects.may_rest = may_rest;
        drop(answered);
        let lent = Lent { shared: self, loan: link.and_then(|link| self.hold(link)) };
        self.act(effects);
        lent.whole()
    }

    fn fail(&self, key: CallKey, how: Failed, text: String) {
        drop(self.with(|state, now| {
            state.machine.fail(now, key, how, text, &mut state.out);
            self.put_off_alarm(state, now);
            state.on_cancel.remove(key)
        }));
    }

    fn is_cancelled(&self, key: CallKey) -> bool {
        self.look(|state| state.machine.is_cancelled(key))
    }

    fn on_cancel(&self, key: CallKey, work: Arc<dyn Run>) {
        drop(self.with(|state, _| state.on_cancel.insert(key, work)));
    }

    fn export(&self, to: ContextId, ours: Direction, sink: Arc<dyn StreamSink>) -> Handle {
        self.with(|state, _| {
            let handle = state.machine.export(to, ours);
            state.sinks.insert(handle, Sink::Stream(sink));
            handle
        })
    }

    fn unexport(&self, stream: Held) {
        self.forget(stream, |state, _| state.machine.unexport(stream.handle));
    }

    fn import(&self, from: ContextId, end: End, sink: Arc<dyn StreamSink>) -> Result<Handle, BadEnd> {
        self.with(|state, _| {
            let handle = state.machine.import(from, end)?;
            state.sinks.insert(handle, Sink::Stream(sink));
            Ok(handle)
        })
    }

    fn decline(&self, from: ContextId, ends: Vec<End>) {
        self.with(|state, _| state.machine.refuse_ends(from, &ends, &mut state.out));
    }

    fn hand_on(&self, stream: Held, to: ContextId) -> Result<End, BadEnd> {
        let handed = self.with_held(stream, |state, _| {
            let end = state.machine.hand_on(stream.handle, to, &mut state.out)?;
            Ok((end, state.sinks.remove(stream.handle)))
        });
        let (end, sink) = handed.unwrap_or(Err(BadEnd::Ended))?;
        drop(sink);
        Ok(end)
    }

    fn stream_open(&self, stream: Held) {
        self.with_held(stream, |state, _| state.machine.stream_open(stream.handle, &mut state.out));
    }

    fn stream_send(
        &self,
        stream: Held,
        body: Body,
        _ends: Vec<End>,
        then: Then,
    ) -> Result<Option<Arc<Link>>, StreamUnsent> {
        let mut effects = Effects::default();
        let sent = self.decide(None, &mut effects, |state, at| {
            let (is_held, now) = (state.sinks.is(stream), self.since_start(at));
            is_held.then(|| state.machine.stream_send(now, stream.handle, body, &mut state.out))
        });
        let sent = sent.unwrap_or(Err(StreamUnsent::Closed));
        effects.stays = then == Then::Wait && sent.is_ok();
        self.carry_out(&mut effects);
        sent.map(|()| effects.stalled.take())
    }

    fn take_write(&self, peer: ContextId) -> Option<Arc<Link>> {
        let link = self.look(|state| state.link_from(peer))?;
        match link.turn.take_write() {
            Ok(is_taken) => is_taken.then_some(link),
            Err(error) => {
                self.watch_link(&link, Err(error));
                None
            }
        }
    }

    fn write(&self, link: &Arc<Link>) -> bool {
        let mut effects = Effects::default();
        effects.stays = true;
        self.flush(link, WRITE_QUANTUM, &mut effects);
        effects.stays = false;
        self.carry_out(&mut effects);
        effects.stalled.is_some()
    }

    fn leave_write(&self, link: &Arc<Link>) {
        self.watch_link(link, link.turn.want_write());
    }

    fn stream_close(&self, stream: Held, fail: Option<String>) {
        self.forget(stream, |state, _| state.machine.stream_close(stream.handle, fail, &mut state.out));
    }

    fn taken(&self, stream: Held, cost: u32) {
        self.with_held(stream, |state, _| state.machine.taken(stream.handle, cost, &mut state.out));
    }

    fn wake(&self, wake: Wake) {
        if wake.is_foreign() { self.sink.wake(wake) } else { wake.fire() }
    }

    fn tell(&self, record: Record) {
        self.sink.record(record);
    }
}

impl<R: Routes> State<R> {
    /// Whether nothing was heard of the end of `id`.
    fn lives(&self, id: ContextId) -> bool {
        match self.machine.routes().owner(id) {
            Owner::Me => !self.is_stopped,
            Owner::Child(_) => self.machine.routes().standing(id) == Standing::Live,
            Owner::Nobody => false,
            Owner::Up => !self.is_stopped && !self.machine.is_closing(),
        }
    }
}

/// A turn on its way to who waits: given back if what is done meanwhile panics.
struct Lent<'a, R: Here> {
    shared: &'a Shared<R>,
    loan: Option<Loan>,
}

impl<R: Here> Lent<'_, R> {
    fn whole(mut self) -> Option<Loan> {
        self.loan.take()
    }
}

impl<R: Here> Drop for Lent<'_, R> {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            self.shared.give_back(&loan);
        }
    }
}
