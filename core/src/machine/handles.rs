//! The mailboxes that this context has given out: who may write to them, and when they are free again (rule 4).

use std::hash::{Hash, Hasher};

use offshoot_wire::{ContextId, End, Frame, Handle};

use super::{
    CallKey, Progress, Tick,
    map::{Map, Set},
    slots::Slots,
    streams::Stream,
};
use crate::ever::Ever;

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

impl Waiting {
    /// Whether `src` can have something to say to it: whoever speaks before a byte of it has left has guessed its handle.
    pub(super) fn is_answered_by(&self, src: ContextId) -> bool {
        self.respondent == src && self.progress != Progress::NotSent
    }
}

/// What stands behind an allocated handle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Call(Waiting),
    Stream(Stream),
    Watch(ContextId),
}

impl Entry {
    /// The context that it is about.
    fn peer(&self) -> Option<ContextId> {
        match self {
            Self::Call(call) => Some(call.respondent),
            Self::Stream(stream) => stream.peer,
            Self::Watch(of) => Some(*of),
        }
    }
}

static ENTRIES: Ever = Ever::new();
static CALLS: Ever = Ever::new();
static STREAMS: Ever = Ever::new();
static WATCHES: Ever = Ever::new();

/// The allocated handles of a context.
#[derive(Clone, Debug, Default)]
pub(super) struct Handles {
    entries: Slots<Seat>,
    /// Where the row of each context begins: a loss concerns nobody else's entries, however many there are.
    rows: Map<ContextId, Row>,
}

/// An entry, and those beside it in the row of its context.
#[derive(Clone, Debug)]
struct Seat {
    entry: Entry,
    before: Option<usize>,
    behind: Option<usize>,
}

/// All entries about one context.
#[derive(Clone, Debug, Default)]
struct Row {
    first: Option<usize>,
    /// Calls in flight, those given up included.
    calls: u32,
}

impl Handles {
    pub(super) fn insert_call(&mut self, call: Waiting) -> Handle {
        CALLS.begin();
        self.insert(Entry::Call(call))
    }

    pub(super) fn insert_stream(&mut self, stream: Stream) -> Handle {
        STREAMS.begin();
        self.insert(Entry::Stream(stream))
    }

    pub(super) fn insert_watch(&mut self, of: ContextId) -> Handle {
        WATCHES.begin();
        self.insert(Entry::Watch(of))
    }

    fn insert(&mut self, entry: Entry) -> Handle {
        ENTRIES.begin();
        let slot = self.entries.insert(Seat { entry, before: None, behind: None });
        self.sit_down(slot);
        handle(slot)
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Entry> {
        if ENTRIES.began() { self.entry(handle) } else { None }
    }

    fn entry(&self, handle: Handle) -> Option<&Entry> {
        self.entries.get(slot(handle)?).map(|seat| &seat.entry)
    }

    fn entry_mut(&mut self, handle: Handle) -> Option<&mut Entry> {
        self.entries.get_mut(slot(handle)?).map(|seat| &mut seat.entry)
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<Entry> {
        let slot = slot(handle).filter(|_| ENTRIES.began())?;
        self.stand_up(slot);
        self.entries.try_remove(slot).map(|seat| seat.entry)
    }

    /// Another context has the other end of a stream.
    pub(super) fn rebind(&mut self, handle: Handle, peer: ContextId) {
        let Some(slot) = slot(handle) else { return };
        self.stand_up(slot);
        if let Some(stream) = self.stream_mut(handle) {
            stream.peer = Some(peer);
        }
        self.sit_down(slot);
    }

    /// An entry takes the first place in its row.
    fn sit_down(&mut self, slot: usize) {
        let Some(seat) = self.entries.get_mut(slot) else { return };
        let Some(peer) = seat.entry.peer() else { return };
        let row = self.rows.or_default(peer);
        row.calls += u32::from(matches!(seat.entry, Entry::Call(_)));
        let behind = row.first.replace(slot);
        (seat.before, seat.behind) = (None, behind);
        if let Some(neighbour) = behind.and_then(|slot| self.entries.get_mut(slot)) {
            neighbour.before = Some(slot);
        }
    }

    /// An entry leaves its row.
    fn stand_up(&mut self, slot: usize) {
        let Some(Seat { entry, before, behind }) = self.entries.get(slot) else { return };
        let Some(peer) = entry.peer() else { return };
        let (before, behind, is_call) = (*before, *behind, matches!(entry, Entry::Call(_)));
        if let Some(neighbour) = behind.and_then(|slot| self.entries.get_mut(slot)) {
            neighbour.before = before;
        }
        if let Some(neighbour) = before.and_then(|slot| self.entries.get_mut(slot)) {
            neighbour.behind = behind;
        }
        let Some(row) = self.rows.get_mut(&peer) else { return };
        row.calls -= u32::from(is_call);
        if before.is_none() {
            row.first = behind;
        }
        if row.first.is_none() {
            self.rows.remove(&peer);
        }
    }

    pub(super) fn call(&self, handle: Handle) -> Option<&Waiting> {
        match self.entry(handle).filter(|_| CALLS.began())? {
            Entry::Call(call) => Some(call),
            Entry::Stream(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn call_mut(&mut self, handle: Handle) -> Option<&mut Waiting> {
        match self.entry_mut(handle).filter(|_| CALLS.began())? {
            Entry::Call(call) => Some(call),
            Entry::Stream(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn stream(&self, handle: Handle) -> Option<&Stream> {
        match self.entry(handle).filter(|_| STREAMS.began())? {
            Entry::Stream(stream) => Some(stream),
            Entry::Call(_) | Entry::Watch(_) => None,
        }
    }

    pub(super) fn stream_mut(&mut self, handle: Handle) -> Option<&mut Stream> {
        match self.entry_mut(handle).filter(|_| STREAMS.began())? {
            Entry::Stream(stream) => Some(stream),
            Entry::Call(_) | Entry::Watch(_) => None,
        }
    }

    fn row(&self, of: ContextId) -> Option<&Row> {
        self.rows.get(&of).filter(|_| ENTRIES.began())
    }

    /// Calls in flight to a context, those given up included.
    pub(super) fn in_flight(&self, respondent: ContextId) -> u32 {
        self.row(respondent).map_or(0, |row| row.calls)
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

    /// Whether this program can have ends of streams to give.
    pub(super) fn has_ends() -> bool {
        STREAMS.began()
    }

    /// Who is watched by this handle.
    pub(super) fn watched(&self, handle: Handle) -> Option<ContextId> {
        match self.entry(handle).filter(|_| WATCHES.began())? {
            Entry::Watch(of) => Some(*of),
            Entry::Call(_) | Entry::Stream(_) => None,
        }
    }

    /// All handles, in their order.
    pub(super) fn all(&self) -> Vec<Handle> {
        if !ENTRIES.began() {
            return Vec::new();
        }
        self.entries.iter().map(|(slot, _)| handle(slot)).collect()
    }

    /// All that are about one of these contexts, in their order.
    pub(super) fn about(&self, contexts: impl Iterator<Item = ContextId>) -> Vec<Handle> {
        if !ENTRIES.began() {
            return Vec::new();
        }
        let mut found = Set::new();
        for context in contexts {
            let mut next = self.row(context).and_then(|row| row.first);
            while let Some(slot) = next {
                found.insert(handle(slot));
                next = self.entries.get(slot).and_then(|seat| seat.behind);
            }
        }
        found.iter().collect()
    }

    /// Whether a handle that is about a context is so.
    pub(super) fn any_about(&self, context: ContextId, is_so: impl Fn(Handle) -> bool) -> bool {
        let mut next = self.row(context).and_then(|row| row.first);
        while let Some(slot) = next {
            if is_so(handle(slot)) {
                return true;
            }
            next = self.entries.get(slot).and_then(|seat| seat.behind);
        }
        false
    }

    /// Everyone that an entry is about.
    pub(super) fn peers(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.rows.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The rows follow from the entries, but for an order in them that nothing depends on.
impl PartialEq for Handles {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Handles {}

impl Hash for Handles {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        self.entry == other.entry
    }
}

impl Eq for Seat {}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.hash(state);
    }
}

fn slot(handle: Handle) -> Option<usize> {
    handle.number().checked_sub(Handle::FIRST_ALLOCATED).map(|slot| slot as usize)
}

/// There are never so many that the number of a slot would not fit.
fn handle(slot: usize) -> Handle {
    let slot = u32::try_from(slot).unwrap_or(u32::MAX);
    Handle::new(Handle::FIRST_ALLOCATED.saturating_add(slot))
}

impl CallKey {
    /// The key of the call in `slot`.
    pub(super) const fn new(slot: usize, serial: u32) -> Self {
        Self { slot, serial }
    }
}
