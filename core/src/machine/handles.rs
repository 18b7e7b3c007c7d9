//! The mailboxes that this context has given out: who may write to them, and when they are free again (rule 4).

use offshoot_wire::{ContextId, End, Frame, Handle};

use super::{CallKey, Progress, Tick, map::Map, slots::Slots, streams::Stream};

/// A call of ours that awaits its answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) respondent: ContextId,
    /// The caller gave up; the slot stays until the answer, so that a late one meets nobody else.
    pub(super) given_up: bool,
    pub(super) progress: Progress,
    pub(super) deadline: Option<Tick>,
    /// The mailbox it was sent to.
    pub(super) to: Handle,
    /// The ends of streams that it handed over.
    pub(super) ends: Vec<End>,
}

/// What stands behind an allocated handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Call(Waiting),
    Stream(Stream),
    Watch(ContextId),
}

/// The allocated handles of a context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Handles {
    entries: Slots<Entry>,
    /// Calls in flight to each context, those given up included.
    in_flight: Map<ContextId, u32>,
}

impl Handles {
    pub(super) fn insert(&mut self, entry: Entry) -> Handle {
        if let Entry::Call(call) = &entry {
            *self.in_flight.or_default(call.respondent) += 1;
        }
        let slot = u32::try_from(self.entries.insert(entry)).unwrap_or(u32::MAX);
        Handle::new(Handle::FIRST_ALLOCATED.saturating_add(slot))
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Entry> {
        self.entries.get(slot(handle)?)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Entry> {
        self.entries.get_mut(slot(handle)?)
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Entry> {
        let entry = self.entries.try_remove(slot(handle)?)?;
        if let Entry::Call(call) = &entry
            && let Some(count) = self.in_flight.get_mut(&call.respondent)
        {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&call.respondent);
            }
        }
        Some(entry)
    }

    pub(super) fn call(&self, handle: Handle) -> Option<&Waiting> {
        match self.get(handle)? {
            Entry::Call(call) => Some(call),
            Entry::Stream(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn call_mut(&mut self, handle: Handle) -> Option<&mut Waiting> {
        match self.get_mut(handle)? {
            Entry::Call(call) => Some(call),
            Entry::Stream(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn stream(&self, handle: Handle) -> Option<&Stream> {
        match self.get(handle)? {
            Entry::Stream(stream) => Some(stream),
            Entry::Call(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn stream_mut(&mut self, handle: Handle) -> Option<&mut Stream> {
        match self.get_mut(handle)? {
            Entry::Stream(stream) => Some(stream),
            Entry::Call(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn in_flight(&self, respondent: ContextId) -> u32 {
        self.in_flight.get(&respondent).copied().unwrap_or(0)
    }

    /// A byte of the call behind this handle has left.
    pub(super) fn mark_sent(&mut self, handle: Handle) {
        if let Some(call) = self.call_mut(handle)
            && call.progress == Progress::NotSent
        {
            call.progress = Progress::Unknown;
        }
    }

    /// As [`mark_sent`](Self::mark_sent), for a frame that stays in this context.
    pub(super) fn mark_sent_by(&mut self, frame: &Frame) {
        if let Some(handle) = frame.reply_to.handle() {
            self.mark_sent(handle);
        }
    }

    /// All handles that `pick` wants.
    pub(super) fn all(&self, pick: &dyn Fn(&Entry) -> bool) -> Vec<Handle> {
        self.entries
            .iter()
            .filter(|(_, entry)| pick(entry))
            .filter_map(|(slot, _)| u32::try_from(slot).ok())
            .map(|slot| Handle::new(Handle::FIRST_ALLOCATED.saturating_add(slot)))
            .collect()
    }

    /// Everyone that an entry is about.
    pub(super) fn peers(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.entries.iter().filter_map(|(_, entry)| match entry {
            Entry::Call(call) => Some(call.respondent),
            Entry::Stream(stream) => stream.peer,
            Entry::Watch(of) => Some(*of),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn slot(handle: Handle) -> Option<usize> {
    handle.number().checked_sub(Handle::FIRST_ALLOCATED).map(|slot| slot as usize)
}

impl CallKey {
    /// The key of the call in `slot`.
    pub(super) const fn new(slot: usize, serial: u32) -> Self {
        Self { slot, serial }
    }
}
