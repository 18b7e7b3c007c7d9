//! Credit (rule 9): what we may still send to others, and what they may still send to us.
//!
//! A window is an account between a source and a destination: one for calls, one for replies, one for each stream. It
//! starts small and is raised by the destination while it is used, out of one budget, of which no link that others than
//! ancestors use gets more than is left for all others.

use offshoot_wire::{ContextId, Handle, Window};

use super::{Received, limits::Limits, load::Load, map::Map};

/// Both sides of every account of this context.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Credits {
    /// What is left of windows that we use; one that is not here is untouched.
    sending: Map<(ContextId, Window), Sending>,
    receiving: Map<(ContextId, Window), Receiving>,
    start: u32,
    max: u32,
    smallest_chunk: usize,
    /// By how much all windows together may still grow.
    budget: u64,
    /// By how much those of each party have grown.
    grown: Load,
}

/// Whose windows share what they may grow by, all who come by one link: who is there at its other end. Ancestors have no
/// bound of their own.
pub(super) type Party = Option<ContextId>;

/// What we may send to one window elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sending {
    left: u32,
    /// The most that was ever left: the window is no smaller.
    most: u32,
    /// Our end of the stream whose window it is: the next stream there may bear the handle of one that is not quite over
    /// here.
    by: Option<Handle>,
}

/// What one source may send to one window here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Receiving {
    party: Party,
    size: u32,
    /// Bytes that came and were not given back.
    used: u32,
    /// Of these, what can be given back and was not yet worth a frame.
    owed: u32,
    /// Bytes of whole bodies that wait to be taken.
    held: u64,
    /// What fragments would have given back, had not so much waited.
    deferred: u32,
}

impl Credits {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            sending: Map::new(),
            receiving: Map::new(),
            start: limits.window_start,
            max: limits.window_max.max(limits.window_start),
            smallest_chunk: (limits.window_start as usize / 16).max(1),
            budget: limits.receive_budget,
            grown: Load::default(),
        }
    }

    /// The shortest piece of a longer body that is worth a frame.
    pub(super) const fn smallest_chunk(&self) -> usize {
        self.smallest_chunk
    }

    /// The bytes that may go to this window now.
    pub(super) fn left(&self, dst: ContextId, window: Window, by: Option<Handle>) -> usize {
        let account = self.sending.get(&(dst, window)).filter(|account| account.by == by);
        account.map_or(self.start, |account| account.left) as usize
    }

    /// Whether `bytes` may go at once as soon as all that is under way has been taken, whatever is left now: credit comes
    /// back by half a window.
    pub(super) fn will_have(&self, dst: ContextId, window: Window, by: Option<Handle>, bytes: usize) -> bool {
        let account = self.sending.get(&(dst, window)).filter(|account| account.by == by);
        bytes <= (account.map_or(self.start, |account| account.most) / 2) as usize
    }

    /// Bytes have left.
    pub(super) fn spend(&mut self, dst: ContextId, window: Window, by: Option<Handle>, bytes: usize) {
        let new = Sending { left: self.start, most: self.start, by };
        let account = self.sending.or_insert_with((dst, window), || new.clone());
        if account.by != by {
            *account = new;
        }
        account.left = account.left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Credit has come. A window that is as if it had never been used is forgotten: what went to somebody who was gone
    /// comes back too, and nothing else ever tells of him.
    pub(super) fn earn(&mut self, dst: ContextId, window: Window, bytes: u32) -> Earned {
        let Some(account) = self.sending.get_mut(&(dst, window)) else { return Earned::Nothing };
        let Some(sum) = account.left.checked_add(bytes).filter(|sum| *sum <= i32::MAX as u32) else {
            return Earned::TooMuch(account.by);
        };
        account.left = sum;
        account.most = account.most.max(sum);
        if sum == self.start {
            self.sending.remove(&(dst, window));
        }
        Earned::More
    }

    /// Bytes have come; `false` if their source had no credit for them.
    pub(super) fn charge(
        &mut self,
        party: impl Fn() -> Party,
        src: ContextId,
        window: Window,
        cost: usize,
    ) -> bool {
        let start = self.start;
        let account = self.receiving.or_insert_with((src, window), || Receiving::new(party(), start));
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        match account.used.checked_add(cost).filter(|used| *used <= account.size) {
            Some(used) => {
                account.used = used;
                true
            }
            None => false,
        }
    }

    /// A fragment was put into its body; tells what to give back now, if anything.
    ///
    /// While more than a window of whole bodies waits to be taken, fragments of further bodies give nothing back.
    pub(super) fn assembled(&mut self, src: ContextId, window: Window, cost: usize) -> Option<u32> {
        let account = self.receiving.get_mut(&(src, window))?;
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        if account.held > u64::from(account.size) {
            account.deferred = account.deferred.saturating_add(cost);
            return None;
        }
        self.release(src, window, cost)
    }

    /// A whole body of `bytes` waits to be taken.
    pub(super) fn hold(&mut self, src: ContextId, window: Window, bytes: usize) {
        if let Some(account) = self.receiving.get_mut(&(src, window)) {
            account.held = account.held.saturating_add(bytes as u64);
        }
    }

    /// A body of `bytes` was taken, whose last frame had cost `cost`; tells what to give back now, if anything.
    pub(super) fn taken(&mut self, src: ContextId, window: Window, bytes: usize, cost: u32) -> Option<u32> {
        let account = self.receiving.get_mut(&(src, window))?;
        account.held = account.held.saturating_sub(bytes as u64);
        let mut cost = cost;
        if account.held <= u64::from(account.size) {
            cost = cost.saturating_add(std::mem::take(&mut account.deferred));
        }
        self.release(src, window, cost)
    }

    /// `cost` bytes are free again. Given back once it is half a window, and the window grows while it is used.
    fn release(&mut self, src: ContextId, window: Window, cost: u32) -> Option<u32> {
        let account = self.receiving.get_mut(&(src, window))?;
        account.owed = account.owed.saturating_add(cost).min(account.used);
        if account.owed < account.size / 2 {
            return None;
        }
        let growth = account.size.min(self.max.saturating_sub(account.size));
        let free = match account.party {
            None => self.budget,
            Some(peer) => self.budget.saturating_sub(self.grown.of(peer)) / 2,
        };
        let growth = growth.min(u32::try_from(free).unwrap_or(u32::MAX));
        self.budget -= u64::from(growth);
        if let Some(peer) = account.party.filter(|_| growth > 0) {
            self.grown.add(peer, growth.into());
        }
        account.size += growth;
        let back = std::mem::take(&mut account.owed);
        account.used -= back;
        Some(back.saturating_add(growth))
    }

    /// A stream has ended that had the handle `ours` here and `theirs` at `peer`: both its windows go.
    pub(super) fn forget_stream(&mut self, peer: ContextId, ours: Handle, theirs: Option<Handle>) {
        let sending = theirs.map(|theirs| (peer, Window::Stream(theirs)));
        if let Some(key) = sending.filter(|key| self.sending.get(key).is_some_and(|a| a.by == Some(ours))) {
            self.sending.remove(&key);
        }
        self.close(&(peer, Window::Stream(ours)));
    }

    /// A window here goes, and what it had grown by is free for others.
    fn close(&mut self, key: &(ContextId, Window)) {
        if let Some(account) = self.receiving.remove(key) {
            let growth = u64::from(account.size.saturating_sub(self.start));
            self.budget += growth;
            if let Some(peer) = account.party {
                self.grown.remove(peer, growth);
            }
        }
    }

    /// A context is gone: its windows go.
    pub(super) fn forget(&mut self, gone: ContextId) {
        for key in windows_of(&self.sending, gone) {
            self.sending.remove(&key);
        }
        windows_of(&self.receiving, gone).for_each(|key| self.close(&key));
    }

    /// Nobody seems to be `dst`. What is on its way to it is still given back where it ends, and if it comes to be after
    /// all, that must not be counted twice: the windows that miss something go once they have all of it.
    ///
    /// What it may send here goes if it never was, and nothing that it sent waits: who says so may be a liar who has sent that.
    /// If it is gone, some of that may be on its way, and the news of its loss are behind it.
    pub(super) fn dissolve(&mut self, dst: ContextId, is_gone: bool) {
        for key in windows_of(&self.sending, dst) {
            if self.sending.get(&key).is_some_and(|account| account.left >= self.start) {
                self.sending.remove(&key);
            }
        }
        if !is_gone {
            for key in windows_of(&self.receiving, dst) {
                if self.receiving.get(&key).is_some_and(|account| account.used == account.owed) {
                    self.close(&key);
                }
            }
        }
    }

    /// Everyone with whom there is an account.
    pub(super) fn correspondents(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.sending.keys().chain(self.receiving.keys()).map(|(id, _)| id)
    }

    /// Every account that we use: for invariants.
    pub(super) fn sending(&self) -> impl Iterator<Item = (ContextId, Window, u32)> + '_ {
        self.sending.iter().map(|((dst, window), account)| (dst, window, account.left))
    }

    /// Every account that others use here: for invariants.
    pub(super) fn receiving(&self) -> impl Iterator<Item = Received> + '_ {
        let received = |((src, window), account): ((ContextId, Window), &Receiving)| Received {
            src,
            window,
            size: account.size,
            used: account.used,
        };
        self.receiving.iter().map(received)
    }

    /// How many accounts there are: for invariants.
    pub(super) fn accounts(&self) -> usize {
        self.sending.len() + self.receiving.len()
    }
}

/// What became of credit that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earned {
    /// It can be spent.
    More,
    /// It is for a window that is not used, or not any more.
    Nothing,
    /// No window can hold so much. Our end of the stream, if it is the window of one.
    TooMuch(Option<Handle>),
}

/// The accounts of one context, whatever the number of others: many go one after the other.
fn windows_of<A>(
    accounts: &Map<(ContextId, Window), A>,
    context: ContextId,
) -> impl Iterator<Item = (ContextId, Window)> + use<A> {
    accounts.keys_between((context, Window::Calls), (context, Window::Stream(Handle::new(u32::MAX))))
}

impl Receiving {
    const fn new(party: Party, size: u32) -> Self {
        Self { party, size, used: 0, owed: 0, held: 0, deferred: 0 }
    }
}
