//! A running context as the typed face sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Direction, End, Handle};

use super::{Effects, Shared, State, sinks::Sink};
use crate::{
    machine::{BadEnd, CallKey, Outgoing, Owner, Progress, Routes, Standing, StreamUnsent, Tick, Unsent},
    node::{CallSink, Node, StreamSink},
    sync::{lock, rest},
    wake::Run,
};

impl<R: Routes + Send + 'static> Shared<R> {
    pub(super) fn name_in(&self, state: &State<R>, id: ContextId) -> String {
        match state.machine.routes().name(id) {
            _ if id == self.me => self.name.clone(),
            Some(name) => name.to_owned(),
            None if id == ContextId::ROOT => "root".to_owned(),
            None => id.to_string(),
        }
    }

    /// Takes the sink of a handle away; it is dropped outside the lock.
    fn forget<T>(&self, handle: Handle, run: impl FnOnce(&mut State<R>, Tick) -> T) -> T {
        let (value, sink) = self.with(|state, now| {
            let sink = state.sinks.remove(handle);
            (run(state, now), sink)
        });
        drop(sink);
        value
    }
}

impl<R: Routes + Send + 'static> Node for Shared<R> {
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

    fn is_alive(&self, id: ContextId) -> bool {
        self.look(|state| state.lives(id))
    }

    /// Rounded up, so that no deadline is met early.
    fn tick(&self, at: Instant) -> Tick {
        let micros = at.saturating_duration_since(self.start).as_micros();
        Tick(u64::try_from(micros.div_ceil(1000)).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Tick) -> Instant {
        self.start.checked_add(Duration::from_millis(at.0)).unwrap_or(self.start)
    }

    fn call(&self, call: Outgoing, sink: Arc<dyn CallSink>) -> Result<Handle, Unsent> {
        self.with(|state, now| {
            let handle = state.machine.call(now, call, &mut state.out)?;
            state.sinks.insert(handle, Sink::Call(sink));
            Ok(handle)
        })
    }

    fn cancel(&self, handle: Handle) -> Progress {
        self.forget(handle, |state, now| state.machine.cancel(now, handle, &mut state.out))
    }

    fn send_one_way(
        &self,
        dst: ContextId,
        handle: Handle,
        mut body: Body,
        _ends: Vec<End>,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent> {
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

    fn unwatch(&self, handle: Handle) {
        self.forget(handle, |state, _| state.machine.unwatch(handle));
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

    fn answer(&self, key: CallKey, body: Body, ends: Vec<End>, failed: bool) {
        let answered = self.with(|state, now| {
            state.machine.answer(now, key, body, &ends, failed, &mut state.out);
            state.on_cancel.remove(&key)
        });
        drop(answered);
    }

    fn is_cancelled(&self, key: CallKey) -> bool {
        self.look(|state| state.machine.is_cancelled(key))
    }

    fn on_cancel(&self, key: CallKey, work: Arc<dyn Run>) {
        self.with(|state, _| state.on_cancel.insert(key, work));
    }

    fn export(&self, to: ContextId, ours: Direction, sink: Arc<dyn StreamSink>) -> Handle {
        self.with(|state, _| {
            let handle = state.machine.export(to, ours);
            state.sinks.insert(handle, Sink::Stream(sink));
            handle
        })
    }

    fn unexport(&self, handle: Handle) {
        self.forget(handle, |state, _| state.machine.unexport(handle));
    }

    fn import(&self, from: ContextId, end: End, sink: Arc<dyn StreamSink>) -> Result<Handle, BadEnd> {
        self.with(|state, _| {
            let handle = state.machine.import(from, end)?;
            state.sinks.insert(handle, Sink::Stream(sink));
            Ok(handle)
        })
    }

    fn hand_on(&self, handle: Handle, to: ContextId) -> Result<End, BadEnd> {
        let (end, sink) = self.with(|state, _| {
            let end = state.machine.hand_on(handle, to, &mut state.out);
            let sink = end.is_ok().then(|| state.sinks.remove(handle)).flatten();
            (end, sink)
        });
        drop(sink);
        end
    }

    fn stream_open(&self, handle: Handle) {
        self.with(|state, _| state.machine.stream_open(handle, &mut state.out));
    }

    fn stream_send(&self, handle: Handle, body: Body, _ends: Vec<End>) -> Result<(), StreamUnsent> {
        self.with(|state, now| state.machine.stream_send(now, handle, body, &mut state.out))
    }

    fn stream_close(&self, handle: Handle, fail: Option<String>) {
        self.forget(handle, |state, _| state.machine.stream_close(handle, fail, &mut state.out));
    }

    fn taken(&self, handle: Handle, cost: u32) {
        self.with(|state, _| state.machine.taken(handle, cost, &mut state.out));
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
