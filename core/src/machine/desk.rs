//! Where calls to this context wait, and who works on them: what [`incoming`](super::incoming) decides about.

use std::collections::VecDeque;

use offshoot_wire::{Body, CallHead, CallId, ContextId, Handle};

use super::{
    CallKey, LinkKey, Tick,
    map::{Key, Map, Set, pair, part},
    queue::retain,
    slots::Slots,
};

/// Where calls to this context wait, and who works on them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Desk {
    pub(super) calls: Slots<Call>,
    /// Those that wait for a worker, in the order in which they came, and some that do so no more.
    queue: VecDeque<CallKey>,
    /// How many of these: they are cleared away once they are the most.
    stale: usize,
    /// What each worker holds.
    pub(super) workers: Vec<Option<CallKey>>,
    /// The slots of all calls, each under one name.
    named: Map<(ContextId, Name), usize>,
    /// Chains of which calls are here.
    open: Map<(ContextId, u32), Open>,
    /// Chains that have failed, and with what.
    pub(super) chains: Map<(ContextId, u32), String>,
    /// Of whom more have failed than there was room for: all that have numbers up to this count as failed.
    spilled: Map<ContextId, u32>,
    serial: u32,
}

/// A chain of which calls are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Open {
    calls: u32,
    /// No more follow.
    is_over: bool,
}

/// What a call is called among those of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// By its reply handle: the last one of those that have the same.
    Handle(Handle),
    /// By its slot: nobody waits for it, or a later call has its handle.
    Slot(u32),
}

impl Key for (ContextId, Name) {
    fn pack(self) -> u128 {
        let (kind, number) = match self.1 {
            Name::Handle(handle) => (0, handle.number()),
            Name::Slot(slot) => (1, slot),
        };
        u128::from(self.0.number()) << 64 | pair(kind, number)
    }

    fn unpack(bits: u128) -> Self {
        let name = match part(bits, 32) {
            0 => Name::Handle(Handle::new(part(bits, 0))),
            _ => Name::Slot(part(bits, 0)),
        };
        (ContextId::new(part(bits, 64)), name)
    }
}

/// One call to us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Given by the desk.
    pub(super) serial: u32,
    pub(super) src: ContextId,
    pub(super) auth: ContextId,
    /// The link by which it came, unless an ancestor called.
    pub(super) from: Option<LinkKey>,
    /// Who waits for the answer; `None` if nobody does, or nobody any more.
    pub(super) reply_to: Option<Handle>,
    pub(super) head: CallHead,
    pub(super) body: Body,
    pub(super) args_at: usize,
    /// What its last frame costs until it is taken.
    pub(super) cost: u32,
    pub(super) deadline: Option<Tick>,
    /// It waits in the queue no more.
    pub(super) taken: bool,
    /// It has waited so long that its caller is told as soon as it runs.
    pub(super) overdue: bool,
    pub(super) cancelled: bool,
}

impl Call {
    /// The memory that it holds while it waits for a worker.
    pub(super) fn weight(&self) -> u64 {
        /// Of the call itself, and its places in queue and maps.
        const PLACE: u64 = 512;
        self.body.capacity() as u64 + PLACE
    }

    pub(super) fn id(&self) -> Option<CallId> {
        self.reply_to.map(|handle| CallId { context: self.src, handle })
    }
}

impl Desk {
    pub(super) fn get(&self, key: CallKey) -> Option<&Call> {
        self.calls.get(key.slot).filter(|call| call.serial == key.serial)
    }

    pub(super) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.calls.get_mut(key.slot).filter(|call| call.serial == key.serial)
    }

    /// Whether a call has not been answered.
    pub(super) fn has(&self, key: CallKey) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn insert(&mut self, mut call: Call) -> CallKey {
        self.serial = self.serial.wrapping_add(1);
        call.serial = self.serial;
        let (src, reply_to) = (call.src, call.reply_to);
        if let Some(chain) = call.head.chain {
            self.open.or_default((src, chain)).calls += 1;
        }
        let key = CallKey::new(self.calls.insert(call), self.serial);
        let name = reply_to.map_or_else(|| by_slot(key.slot), Name::Handle);
        if let Some(earlier) = self.named.insert((src, name), key.slot) {
            self.named.insert((src, by_slot(earlier)), earlier);
        }
        key
    }

    /// The call that somebody waits for.
    pub(super) fn waited_for(&self, CallId { context, handle }: CallId) -> Option<CallKey> {
        self.key(*self.named.get(&(context, Name::Handle(handle)))?)
    }

    /// The caller of a call is gone: nobody waits for it any more, nor calls behind it.
    pub(super) fn unwait(&mut self, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let (src, reply_to, chain) = (call.src, call.reply_to.take(), call.head.chain.take());
        self.leave_chain(src, chain);
        self.unname(src, reply_to, slot);
        self.named.insert((src, by_slot(slot)), slot);
    }

    fn unname(&mut self, src: ContextId, reply_to: Option<Handle>, slot: usize) {
        if let Some(handle) = reply_to {
            let name = (src, Name::Handle(handle));
            match self.named.remove(&name) {
                Some(named) if named == slot => return,
                // Of a caller that has used a handle twice.
                Some(later) => drop(self.named.insert(name, later)),
                None => {}
            }
        }
        self.named.remove(&(src, by_slot(slot)));
    }

    /// A call waits for a worker.
    pub(super) fn line_up(&mut self, key: CallKey) {
        self.queue.push_back(key);
    }

    /// Whether one does.
    pub(super) fn has_waiting(&self) -> bool {
        self.queue.len() > self.stale
    }

    /// A worker takes the call that has waited longest.
    pub(super) fn take(&mut self) -> Option<CallKey> {
        while let Some(key) = self.queue.pop_front() {
            if let Some(call) = self.get_mut(key) {
                call.taken = true;
                return Some(key);
            }
            self.stale = self.stale.saturating_sub(1);
        }
        None
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<Call> {
        let call = self.calls.try_remove(slot)?;
        self.unname(call.src, call.reply_to, slot);
        self.leave_chain(call.src, call.head.chain);
        if !call.taken {
            self.leave_line();
        }
        Some(call)
    }

    /// A call that waited is there no more. Where it stood is not looked for: who takes back many has many to look through.
    fn leave_line(&mut self) {
        self.stale = self.stale.saturating_add(1);
        if self.stale > self.queue.len() / 2 {
            let calls = &self.calls;
            let is_there = |key: &CallKey| calls.get(key.slot).is_some_and(|call| call.serial == key.serial);
            retain(&mut self.queue, &is_there);
            self.stale = 0;
        }
    }

    pub(super) fn key(&self, slot: usize) -> Option<CallKey> {
        self.calls.get(slot).map(|call| CallKey::new(slot, call.serial))
    }

    /// Rule 14: no worker is free or about to be, and one of them holds a call that waits for this one.
    pub(super) fn waits_for_itself(&self, above: &[CallId], me: ContextId) -> bool {
        // A worker whose call has been answered is free in a moment.
        let mut held = self.workers.iter().map(|worker| worker.and_then(|key| self.waits_as(key, me)));
        let waits = |id: CallId| above.contains(&id);
        !self.workers.is_empty()
            && held.clone().all(|call| call.is_some())
            && held.any(|call| call.is_some_and(waits))
    }

    /// The name of a call in the heads of those that it waits for. One that nobody waits for has no reply handle, and
    /// gets a name of this context that no reply handle has.
    pub(super) fn waits_as(&self, key: CallKey, me: ContextId) -> Option<CallId> {
        let call = self.get(key)?;
        let own = CallId { context: me, handle: Handle::new(u32::MAX.saturating_sub(number(key.slot))) };
        Some(call.id().unwrap_or(own))
    }

    /// Remembers why a chain has failed; where there is no room, that it has.
    pub(super) fn fail_chain(&mut self, key: (ContextId, u32), text: &str, most: usize, most_of_all: usize) {
        let (src, chain) = key;
        if self.chains.get(&key).is_some() {
            return;
        }
        let is_full =
            self.chains.len() >= most_of_all || self.chains.has_between((src, 0), (src, u32::MAX), most);
        if is_full {
            let last = self.spilled.or_default(src);
            *last = chain.max(*last);
        } else {
            self.chains.insert(key, text.to_owned());
        }
    }

    /// Why a chain has failed, if it has.
    pub(super) fn failed_chain(&self, key: (ContextId, u32)) -> Option<String> {
        let is_spilled = || self.spilled.get(&key.0).is_some_and(|last| key.1 <= *last);
        let text = || "more chains of its caller have failed than are remembered".to_owned();
        self.chains.get(&key).cloned().or_else(|| is_spilled().then(text))
    }

    /// A call of a chain is here no more.
    fn leave_chain(&mut self, src: ContextId, chain: Option<u32>) {
        let Some(key) = chain.map(|chain| (src, chain)) else { return };
        let Some(open) = self.open.get_mut(&key) else { return };
        open.calls -= 1;
        if open.calls == 0 && self.open.remove(&key).is_some_and(|open| open.is_over) {
            self.chains.remove(&key);
        }
    }

    /// No more calls of a chain follow: its error is forgotten with the last of those that are here.
    pub(super) fn end_chain(&mut self, key: (ContextId, u32)) {
        match self.open.get_mut(&key) {
            Some(open) => open.is_over = true,
            None => drop(self.chains.remove(&key)),
        }
    }

    /// Forgets the chains of a context that is gone.
    pub(super) fn forget_chains(&mut self, gone: ContextId) {
        for key in self.chains.keys_between((gone, 0), (gone, u32::MAX)) {
            self.chains.remove(&key);
        }
        self.spilled.remove(&gone);
    }

    /// The slots of the calls of one context.
    pub(super) fn slots_of(&self, caller: ContextId) -> Vec<usize> {
        let [first, last] = names_of(caller);
        self.named.keys_between(first, last).filter_map(|name| self.named.get(&name).copied()).collect()
    }

    /// Whether a context has called and is not answered yet.
    pub(super) fn has_calls_of(&self, caller: ContextId) -> bool {
        let [first, last] = names_of(caller);
        self.named.has_between(first, last, 1)
    }

    /// Who has called and is not answered yet, or has a failed chain here.
    pub(super) fn callers(&self) -> Set<ContextId> {
        let mut callers: Set<ContextId> = self.chains.keys().map(|(src, _)| src).collect();
        callers.extend(self.spilled.keys());
        callers.extend(self.calls.iter().map(|(_, call)| call.src));
        callers
    }

    /// Calls, failed chains: for invariants.
    pub(super) fn sizes(&self) -> (usize, usize) {
        debug_assert_eq!(self.named.len(), self.calls.len(), "each call has one name");
        let chained = self.calls.iter().filter(|(_, call)| call.head.chain.is_some()).count();
        let open = self.open.values().map(|open| open.calls as usize).sum::<usize>();
        debug_assert_eq!(open, chained, "each call counts for its chain");
        (self.calls.len(), self.chains.len() + self.spilled.len())
    }
}

/// The first and the last name that a call of a context can have.
fn names_of(caller: ContextId) -> [(ContextId, Name); 2] {
    [Name::Handle(Handle::new(0)), Name::Slot(u32::MAX)].map(|name| (caller, name))
}

fn by_slot(slot: usize) -> Name {
    Name::Slot(number(slot))
}

/// The number of a slot: there is no memory for more.
fn number(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}
