//! Who takes what comes for the handles that the machine gave out, under the same index.

use std::sync::Arc;

use offshoot_wire::{ContextId, Handle};

use crate::{
    ever::Ever,
    machine::CallKey,
    node::{CallSink, Held, StreamSink},
    wake::Run,
};

/// Who waits behind a handle.
pub(crate) enum Sink {
    Call(Arc<dyn CallSink>),
    /// With the id and the name of who is watched.
    Watch(ContextId, String, Arc<dyn CallSink>),
    Stream(Arc<dyn StreamSink>),
}

static SINKS: Ever = Ever::new();
static STREAMS: Ever = Ever::new();
static CANCELS: Ever = Ever::new();

/// All of them.
#[derive(Default)]
pub(crate) struct Sinks(Vec<Option<Sink>>);

impl Sinks {
    /// The handle is new, so nobody stands there.
    pub(crate) fn insert(&mut self, handle: Handle, sink: Sink) {
        SINKS.begin();
        if matches!(sink, Sink::Stream(_)) {
            STREAMS.begin();
        }
        let Some(slot) = slot(handle) else { return };
        if self.0.len() <= slot {
            self.0.resize_with(slot.saturating_add(1), || None);
        }
        if let Some(place) = self.0.get_mut(slot) {
            *place = Some(sink);
        }
    }

    /// What is returned may own values of the user: drop it after the lock is released.
    #[must_use]
    pub(crate) fn remove(&mut self, handle: Handle) -> Option<Sink> {
        self.0.get_mut(slot(handle)?).filter(|_| SINKS.began())?.take()
    }

    /// Whether the handle is still that of who got it.
    pub(crate) fn is(&self, held: Held) -> bool {
        let sink = slot(held.handle).and_then(|slot| self.0.get(slot)?.as_ref());
        sink.is_some_and(|sink| match sink {
            Sink::Call(sink) | Sink::Watch(_, _, sink) => Held::by(&**sink, held.handle) == held,
            Sink::Stream(sink) => Held::by(&**sink, held.handle) == held,
        })
    }

    pub(crate) fn stream(&self, handle: Handle) -> Option<&Arc<dyn StreamSink>> {
        match self.0.get(slot(handle)?)?.as_ref().filter(|_| STREAMS.began())? {
            Sink::Stream(sink) => Some(sink),
            Sink::Call(_) | Sink::Watch(..) => None,
        }
    }
}

/// What is run when a call to us is cancelled, under the slot of the call.
#[derive(Default)]
pub(crate) struct Cancels(Vec<Option<(CallKey, Arc<dyn Run>)>>);

impl Cancels {
    /// What is returned stood there before: drop it after the lock is released.
    #[must_use]
    pub(crate) fn insert(&mut self, key: CallKey, work: Arc<dyn Run>) -> Option<(CallKey, Arc<dyn Run>)> {
        CANCELS.begin();
        if self.0.len() <= key.slot {
            self.0.resize_with(key.slot.saturating_add(1), || None);
        }
        self.0.get_mut(key.slot)?.replace((key, work))
    }

    #[must_use]
    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Arc<dyn Run>> {
        let place = self.0.get_mut(key.slot).filter(|_| CANCELS.began())?;
        place.take_if(|(held, _)| *held == key).map(|(_, work)| work)
    }
}

fn slot(handle: Handle) -> Option<usize> {
    usize::try_from(handle.number().checked_sub(Handle::FIRST_ALLOCATED)?).ok()
}
