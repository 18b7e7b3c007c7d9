//! One of the two contexts, as the typed face sees it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Direction, End, Failed, Handle};

use super::{
    CHILD, ROOT,
    world::{Party, Sink, World},
};
use crate::{
    forward::Record,
    lease::Loan,
    link::Link,
    machine::{BadEnd, CallKey, Outgoing, Progress, StreamUnsent, Tick, Unsent},
    node::{CallSink, Called, Held, Node, Pace, StreamSink, Then},
    sync::whole_millis,
    wake::{Run, Wake},
};

/// One of the two contexts.
pub(super) struct Place {
    world: Arc<World>,
    at: usize,
    me: ContextId,
    ancestors: Vec<ContextId>,
}

impl Place {
    pub(super) fn root(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), at: 0, me: ROOT, ancestors: vec![] }
    }

    pub(super) fn child(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), at: 1, me: CHILD, ancestors: vec![ROOT] }
    }

    fn with<T>(&self, run: impl FnOnce(&mut Party, Tick) -> T) -> T {
        self.world.with(self.at, run)
    }
}

impl Node for Place {
    fn me(&self) -> ContextId {
        self.me
    }

    fn ancestors(&self) -> &[ContextId] {
        &self.ancestors
    }

    fn name_of(&self, id: ContextId) -> String {
        match id {
            ROOT => "root".to_owned(),
            CHILD => "child".to_owned(),
            id => id.to_string(),
        }
    }

    fn build_of(&self, id: ContextId) -> Option<u64> {
        self.with(|party, _| party.machine.build_of(id))
    }

    fn is_alive(&self, id: ContextId) -> bool {
        self.with(|party, _| id == self.me || (id.number() < 2 && party.link.is_some()))
    }

    fn tick(&self, at: Instant) -> Tick {
        Tick(whole_millis(at.saturating_duration_since(self.world.start)))
    }

    fn instant(&self, at: Tick) -> Instant {
        self.world.start + Duration::from_millis(at.0)
    }

    fn body_limit(&self) -> usize {
        self.with(|party, _| party.machine.config().limits.body as usize)
    }

    fn call(&self, call: Outgoing, sink: Arc<dyn CallSink>, _then: Then) -> Result<Called, Unsent> {
        self.with(|party, now| {
            let handle = party.machine.call(now, call, &mut party.out)?;
            party.sinks.insert(handle, Sink::Call(sink));
            Ok(Called { handle, loan: None, sent_at: Instant::now() })
        })
    }

    fn take_turn(&self, _peer: ContextId) -> Option<Loan> {
        None
    }

    fn read(&self, _loan: &Loan) -> bool {
        false
    }

    fn keep(&self, _loan: &Loan) {}

    fn wake(&self, wake: Wake) {
        wake.fire();
    }

    fn give_back(&self, _loan: &Loan) {}

    fn cancel(&self, call: Held) -> Progress {
        let handle = call.handle;
        self.with(|party, now| {
            party.sinks.remove(&handle);
            party.machine.cancel(now, handle, &mut party.out)
        })
    }

    fn send_one_way(
        &self,
        dst: ContextId,
        handle: Handle,
        body: Body,
        _: Vec<End>,
        _: Option<Instant>,
    ) -> Result<(), Unsent> {
        self.with(|party, now| party.machine.send_one_way(now, dst, handle, body, &mut party.out))
    }

    fn watch(&self, dst: ContextId, sink: Arc<dyn CallSink>) -> Option<Handle> {
        self.with(|party, _| {
            if dst != self.me && (dst.number() >= 2 || party.link.is_none()) {
                return None;
            }
            let handle = party.machine.watch(dst);
            party.sinks.insert(handle, Sink::Call(sink));
            Some(handle)
        })
    }

    fn unwatch(&self, watch: Held) {
        let handle = watch.handle;
        self.with(|party, _| {
            party.sinks.remove(&handle);
            party.machine.unwatch(handle);
        });
    }

    fn shutdown_context(&self, dst: ContextId, left_ms: u32) -> Result<(), Unsent> {
        self.with(|party, now| party.machine.shutdown_context(now, dst, left_ms, &mut party.out))
    }

    fn new_chain(&self) -> u32 {
        self.with(|party, _| party.machine.new_chain())
    }

    fn end_chain(&self, dst: ContextId, chain: u32) {
        self.with(|party, _| party.machine.end_chain(dst, chain, &mut party.out));
    }

    fn answer(&self, key: CallKey, body: Body, ends: Vec<End>, _: Pace) -> Option<Loan> {
        let answered = self.with(|party, now| {
            party.machine.answer(now, key, body, &ends, &mut party.out);
            party.on_cancel.remove(&key)
        });
        drop(answered);
        None
    }

    fn fail(&self, key: CallKey, how: Failed, text: String) {
        drop(self.with(|party, now| {
            party.machine.fail(now, key, how, text, &mut party.out);
            party.on_cancel.remove(&key)
        }));
    }

    fn is_cancelled(&self, key: CallKey) -> bool {
        self.with(|party, _| party.machine.is_cancelled(key))
    }

    fn on_cancel(&self, key: CallKey, work: Arc<dyn Run>) {
        self.with(|party, _| party.on_cancel.insert(key, work));
    }

    fn export(&self, to: ContextId, ours: Direction, sink: Arc<dyn StreamSink>) -> Handle {
        self.with(|party, _| {
            let handle = party.machine.export(to, ours);
            party.sinks.insert(handle, Sink::Stream(sink));
            handle
        })
    }

    fn unexport(&self, stream: Held) {
        let handle = stream.handle;
        let _sink = self.with(|party, _| {
            party.machine.unexport(handle);
            party.sinks.remove(&handle)
        });
    }

    fn import(&self, from: ContextId, end: End, sink: Arc<dyn StreamSink>) -> Result<Handle, BadEnd> {
        self.with(|party, _| {
            let handle = party.machine.import(from, end)?;
            party.sinks.insert(handle, Sink::Stream(sink));
            Ok(handle)
        })
    }

    fn decline(&self, from: ContextId, ends: Vec<End>) {
        self.with(|party, _| party.machine.refuse_ends(from, &ends, &mut party.out));
    }

    fn hand_on(&self, stream: Held, to: ContextId) -> Result<End, BadEnd> {
        let handle = stream.handle;
        let (end, _sink) = self.with(|party, _| {
            let end = party.machine.hand_on(handle, to, &mut party.out);
            (end, party.sinks.remove(&handle))
        });
        end
    }

    fn stream_open(&self, stream: Held) {
        let handle = stream.handle;
        self.with(|party, _| party.machine.stream_open(handle, &mut party.out));
    }

    fn stream_send(
        &self,
        stream: Held,
        body: Body,
        _: Vec<End>,
        _: Then,
    ) -> Result<Option<Arc<Link>>, StreamUnsent> {
        let handle = stream.handle;
        self.with(|party, now| party.machine.stream_send(now, handle, body, &mut party.out)).map(|()| None)
    }

    fn take_write(&self, _: ContextId) -> Option<Arc<Link>> {
        None
    }

    fn write(&self, _: &Arc<Link>) -> bool {
        false
    }

    fn leave_write(&self, _: &Arc<Link>) {}

    fn tell(&self, record: Record) {
        record.log("pair");
    }

    fn stream_close(&self, stream: Held, fail: Option<String>) {
        let handle = stream.handle;
        let _sink = self.with(|party, _| {
            party.machine.stream_close(handle, fail, &mut party.out);
            party.sinks.remove(&handle)
        });
    }

    fn taken(&self, stream: Held, cost: u32) {
        let handle = stream.handle;
        self.with(|party, _| party.machine.taken(handle, cost, &mut party.out));
    }
}
