//! A pipe where it leaves this context: what the machine knows one end of a stream by.

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicBool, Ordering},
};

use offshoot_wire::{Body, ContextId, Handle};

use super::pipe::Pipe;
use crate::{
    machine::Ended,
    node::{Held, Node as _, StreamSink},
    wake::{Run, Wake},
};

/// Joins a pipe to a stream of the machine.
pub(super) struct Leg {
    /// The machine knows a leg by reference; what it leaves behind holds it by count.
    me: Weak<Self>,
    pub(super) pipe: Arc<Pipe>,
    /// The context with the other end, as far as this one was told.
    pub(super) peer: ContextId,
    /// Set as soon as the machine has given it, which is after it knows this leg.
    handle: OnceLock<Handle>,
    /// The other side has ended, and the machine waits for us to let go.
    ended: AtomicBool,
}

impl Leg {
    pub(super) fn new(pipe: &Arc<Pipe>, peer: ContextId) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            pipe: Arc::clone(pipe),
            peer,
            handle: OnceLock::new(),
            ended: AtomicBool::new(false),
        })
    }

    pub(super) fn set_handle(&self, handle: Handle) {
        // Set once, by whoever made this leg.
        let _already = self.handle.set(handle);
    }

    pub(super) fn handle(&self) -> Option<Handle> {
        self.handle.get().copied()
    }

    /// The handle as the node wants to see it.
    pub(super) fn held(&self) -> Option<Held> {
        self.handle().map(|handle| Held::by(self, handle))
    }

    /// Our end is gone.
    pub(super) fn close(&self, fail: Option<String>) {
        if let Some(held) = self.held() {
            self.pipe.node().stream_close(held, fail);
        }
    }

    fn pump_later(&self) -> Option<Wake> {
        self.me.upgrade().map(|me| Wake::Run(me))
    }
}

impl StreamSink for Leg {
    fn item(&self, body: Body, cost: u32) -> Option<Wake> {
        self.pipe.on_item(self.me.upgrade()?, body, cost)
    }

    fn room(&self) -> Option<Wake> {
        if self.pipe.on_room() { self.pump_later() } else { None }
    }

    fn ended(&self, how: Ended) -> Option<Wake> {
        self.ended.store(true, Ordering::Release);
        let woken = self.pipe.on_ended(self, how);
        // What waits in the pipe may hold ends of other channels, and those are not dropped under the machine's lock.
        Some(Wake::All(woken.into_iter().chain(self.pump_later()).collect()))
    }
}

impl Run for Leg {
    fn run(self: Arc<Self>) {
        if self.ended.swap(false, Ordering::AcqRel) {
            self.close(None);
        }
        self.pipe.pump_on();
    }
}
