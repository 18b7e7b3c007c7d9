//! The links of a context: made, written, condemned, ended.

use std::{
    io, mem,
    sync::{Arc, atomic::Ordering},
};

use offshoot_wire::{ContextId, Decoder, Hello};
use rustix::io::Errno;

use super::{Effects, Shared, State, Way};
use crate::{
    fault::Fault,
    here::Here,
    lease::{self, Loan},
    link::{Ends, Link, LinkEnd, LinkParts, Outflow, Source, Taken, Token, Writer, take_or_give, write_out},
    machine::{Action, LinkKey, NewChild, Routes, Tick},
    sync::{MutexGuard, lock},
};

/// Bytes that a sending thread writes of others' frames beside its own, in bytes.
pub(crate) const SENDER_QUANTUM: usize = 64 * 1024;
/// When the broker looks after a turn that was kept, in milliseconds.
const LOOK_AFTER: u64 = 1;
/// How long a few frames rest at most, in milliseconds: what they wait for comes in some microseconds, or not at all.
const REST: u64 = 1;

/// Every link, under its slot.
#[derive(Default)]
pub(crate) struct Links {
    slots: Vec<Option<Entry>>,
    /// Links that the broker must end, and why.
    condemned: Vec<(Arc<Link>, LinkEnd)>,
    /// Links with something that rests, and some where that has been written meanwhile.
    resting: Vec<LinkKey>,
    /// Until when.
    rest_until: Option<Tick>,
    /// Links whose turn may be lent; most never are.
    lent: Vec<LinkKey>,
    /// Links whose turn was kept, for the broker to look after.
    kept: Vec<LinkKey>,
    /// When it looks.
    mind_at: Option<Tick>,
}

struct Entry {
    link: Arc<Link>,
    /// With a thread that writes, or the broker that waits for room.
    token: Token,
    records: Rate,
}

/// How many records came in the present second.
#[derive(Default)]
struct Rate {
    second: u64,
    taken: u32,
    skipped: u32,
}

/// Whether a record is taken.
pub(super) enum Verdict {
    Taken,
    /// The first after a second in which so many were not.
    TakenAfter(u32),
    Skipped,
}

impl Links {
    pub(super) fn insert(&mut self, link: Arc<Link>) {
        let slot = link.key.slot;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot.saturating_add(1), || None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Entry { link, token: Token::default(), records: Rate::default() });
        }
    }

    pub(super) fn get(&self, key: LinkKey) -> Option<&Arc<Link>> {
        self.slots.get(key.slot)?.as_ref().map(|entry| &entry.link).filter(|link| link.key == key)
    }

    /// The turn of a link may be lent from now on. Those of links that have ended go with the next look, or once they are many.
    fn lend(&mut self, key: LinkKey) {
        self.lent.push(key);
        if self.lent.len() > self.slots.len().saturating_mul(2) {
            let mut lent = mem::take(&mut self.lent);
            lent.retain(|key| self.get(*key).is_some());
            self.lent = lent;
        }
    }

    fn at(&self, slot: usize) -> Option<Arc<Link>> {
        self.slots.get(slot)?.as_ref().map(|entry| Arc::clone(&entry.link))
    }

    /// The link is no more; what was being written to it is forgotten.
    pub(crate) fn remove(&mut self, key: LinkKey) -> Option<Arc<Link>> {
        let place = self.slots.get_mut(key.slot)?;
        if place.as_ref().is_some_and(|entry| entry.link.key == key) {
            place.take().map(|entry| entry.link)
        } else {
            None
        }
    }

    /// What was taken to be written to a link rests.
    fn rest(&mut self, key: LinkKey, now: impl FnOnce() -> Tick) {
        self.resting.push(key);
        self.rest_until.get_or_insert_with(|| now().after(REST));
    }

    /// When what rests must be written at the latest.
    pub(super) const fn rest_until(&self) -> Option<Tick> {
        self.rest_until
    }

    /// The turn of a link was kept.
    pub(super) fn mind(&mut self, key: LinkKey, now: Tick) {
        self.kept.push(key);
        self.mind_at.get_or_insert_with(|| now.after(LOOK_AFTER));
    }

    fn take_kept(&mut self) -> Vec<Arc<Link>> {
        self.mind_at = None;
        let kept = mem::take(&mut self.kept);
        self.those(&kept)
    }

    fn take_lent(&mut self) -> Vec<Arc<Link>> {
        let lent = mem::take(&mut self.lent);
        self.those(&lent)
    }

    /// The links of that name, as far as they are there.
    fn those(&self, keys: &[LinkKey]) -> Vec<Arc<Link>> {
        keys.iter().filter_map(|key| self.get(*key).cloned()).collect()
    }

    /// When the broker must look after turns that were kept.
    pub(super) fn mind_at(&self) -> Option<Tick> {
        self.mind_at.filter(|_| lease::has_kept())
    }

    /// Takes the writer token of a link, if it is free.
    pub(super) fn take_token(&mut self, key: LinkKey) -> Option<Arc<Link>> {
        let entry = self.entry(key)?;
        entry.token.take().then(|| Arc::clone(&entry.link))
    }

    fn token(&mut self, key: LinkKey) -> Option<&mut Token> {
        self.entry(key).map(|entry| &mut entry.token)
    }

    /// Whether one more record of a link is taken, of which `limit` are in a second.
    pub(super) fn count_record(&mut self, key: LinkKey, limit: u32, now: Tick) -> Verdict {
        let Some(entry) = self.entry(key) else { return Verdict::Taken };
        entry.records.count(limit, now)
    }

    pub(super) fn are_written(&self) -> bool {
        self.slots.iter().flatten().all(|entry| entry.token.is_idle())
    }

    fn entry(&mut self, key: LinkKey) -> Option<&mut Entry> {
        self.slots.get_mut(key.slot)?.as_mut().filter(|entry| entry.link.key == key)
    }
}

impl Rate {
    fn count(&mut self, limit: u32, now: Tick) -> Verdict {
        let second = now.0 / 1000;
        let skipped = if second == self.second {
            0
        } else {
            (self.second, self.taken) = (second, 0);
            mem::take(&mut self.skipped)
        };
        if self.taken >= limit {
            self.skipped = self.skipped.saturating_add(1);
            return Verdict::Skipped;
        }
        self.taken += 1;
        if skipped > 0 { Verdict::TakenAfter(skipped) } else { Verdict::Taken }
    }
}

impl<R: Routes> State<R> {
    /// Nothing comes soon with which what rests could go.
    pub(crate) fn write_rested(&mut self) {
        self.links.rest_until = None;
        for key in mem::take(&mut self.links.resting) {
            if self.links.token(key).is_some_and(|token| token.has_rest()) {
                self.out.push(Action::Write(key));
            }
        }
    }

    /// The link by which comes what `peer` sends, if it can be read.
    pub(super) fn link_from(&self, peer: ContextId) -> Option<Arc<Link>> {
        self.links.get(self.machine.link_from(peer)?).cloned()
    }
}

impl<R: Here> Shared<R> {
    /// Links a child that has just been started: its id is announced, SETUP is on its way, and calls may follow.
    /// What becomes of it the watcher is told.
    ///
    /// # Errors
    /// A descriptor that cannot be used; nothing has happened then.
    pub fn attach_child(&self, child: NewChild, parts: LinkParts) -> io::Result<LinkKey> {
        let (ends, stderr, parts) = parts.split(&self.poller)?;
        let link = self.with(|state, now| {
            let key = state.machine.add_child(now, child, &mut state.out);
            let link = Arc::new(Link::to_child(key, ends, stderr, parts));
            state.links.insert(Arc::clone(&link));
            link
        });
        self.overhear(&link);
        self.watch_link(&link, link.turn.pause(false));
        Ok(link.key)
    }

    /// Links the parent, from which `decoder` has taken SETUP and perhaps more.
    pub(crate) fn attach_parent(
        &self,
        hello: &Hello,
        ends: Ends<Source>,
        decoder: Decoder,
    ) -> Option<Arc<Link>> {
        self.with(|state, now| {
            let key = state.machine.add_parent(now, hello, &mut state.out)?;
            let link = Arc::new(Link::to_parent(key, ends, decoder));
            state.links.insert(Arc::clone(&link));
            Some(link)
        })
    }

    /// Ends a link at once, whatever it still has to say: for a connect that was given up.
    pub fn cut_child(&self, link: LinkKey, reason: &str) {
        if let Some(link) = self.look(|state| state.links.get(link).cloned()) {
            self.cut(&link, reason.to_owned());
        }
    }

    /// The process behind a link has ended, though another may hold its socket: what it said is read, then the link
    /// is down.
    pub fn child_exited(&self, link: LinkKey, reason: &str) {
        if let Some(link) = self.look(|state| state.links.get(link).cloned()) {
            self.condemn(&link, LinkEnd::closed(reason));
        }
    }

    /// The contexts behind the links to children.
    pub fn children(&self) -> Vec<ContextId> {
        self.look(|state| {
            let entries = state.links.slots.iter().flatten();
            entries.filter(|entry| entry.link.watcher.is_some()).map(|entry| entry.link.key.peer).collect()
        })
    }

    pub(super) fn cut(&self, link: &Arc<Link>, reason: String) {
        // First, so that whoever sees the hang-up finds out why.
        self.condemn(link, LinkEnd::cut(reason));
        link.input().shut();
    }

    /// Leaves it to the broker to drain the link and to declare it down.
    pub(crate) fn condemn(&self, link: &Arc<Link>, end: LinkEnd) {
        lock(&self.state).links.condemned.push((Arc::clone(link), end));
        self.wake_broker();
    }

    pub(crate) fn take_condemned(&self) -> Vec<(Arc<Link>, LinkEnd)> {
        mem::take(&mut lock(&self.state).links.condemned)
    }

    /// Why the broker was to end a link, if it was.
    pub(crate) fn take_verdict(&self, link: &Arc<Link>) -> Option<LinkEnd> {
        let condemned = &mut lock(&self.state).links.condemned;
        let at = condemned.iter().position(|(other, _)| Arc::ptr_eq(other, link))?;
        Some(condemned.swap_remove(at).1)
    }

    pub(crate) fn link_at(&self, slot: usize) -> Option<Arc<Link>> {
        self.look(|state| state.links.at(slot))
    }

    /// Reads a link, or does not, as the machine wants it. Two threads may be about to do what it wanted one after the
    /// other, in the wrong order: whoever has done it looks whether it is still wanted.
    pub(super) fn pause(&self, link: &Arc<Link>) {
        let is_wanted = || self.look(|state| state.machine.is_paused(link.key));
        let mut is_paused = is_wanted();
        loop {
            self.watch_link(link, link.turn.pause(is_paused));
            let now = is_wanted();
            if now == is_paused {
                return;
            }
            is_paused = now;
        }
    }

    /// Takes the turn of a link, if it is free.
    pub(crate) fn hold(&self, link: Arc<Link>) -> Option<Loan> {
        match link.turn.take() {
            Ok(generation) => {
                let generation = generation?;
                self.list(&link);
                Some(Loan { link, generation })
            }
            Err(error) => {
                self.watch_link(&link, Err(error));
                None
            }
        }
    }

    /// The turn of a link is lent. A look that comes before this does not see it; but who has taken the turn reads at once.
    fn list(&self, link: &Arc<Link>) {
        if !link.is_listed.swap(true, Ordering::AcqRel) {
            lock(&self.state).links.lend(link.key);
        }
    }

    /// The links that others than the broker read.
    pub(crate) fn lent_links(&self) -> Vec<Arc<Link>> {
        let mut lent = lock(&self.state).links.take_lent();
        lent.retain(|link| {
            // First, so that whoever takes the turn behind this look lists it himself.
            link.is_listed.store(false, Ordering::Release);
            let is_lent = link.turn.is_lent();
            if is_lent {
                self.list(link);
            }
            is_lent
        });
        lent
    }

    /// Takes those turns back for the broker whose holders are away.
    pub(crate) fn mind_kept(&self) {
        let kept = lock(&self.state).links.take_kept();
        for link in kept {
            match link.turn.mind() {
                Ok(true) => self.with(|state, now| state.links.mind(link.key, now)),
                minded => self.watch_link(&link, minded.map(drop)),
            }
        }
    }

    /// Whoever waits for the links to end looks again.
    pub(crate) fn link_gone(&self) {
        self.changed.notify_all();
    }

    /// A link that the poller cannot watch is of no use.
    pub(crate) fn watch_link(&self, link: &Arc<Link>, armed: rustix::io::Result<()>) {
        if let Err(error) = armed {
            self.condemn(link, LinkEnd::cut(format!("the link cannot be watched: {}", Fault(error))));
        }
    }

    /// Writes what there is for a link. The caller holds its writer token, and has given it on or back afterwards.
    pub(crate) fn flush(&self, link: &Arc<Link>, quantum: usize, effects: &mut Effects) {
        let writer = lock(&link.writer);
        write_out(&mut Flow { shared: self, link, writer, effects }, quantum);
    }
}

/// One link being written.
struct Flow<'a, R: Routes> {
    shared: &'a Shared<R>,
    link: &'a Arc<Link>,
    writer: MutexGuard<'a, Writer>,
    effects: &'a mut Effects,
}

impl<R: Here> Outflow for Flow<'_, R> {
    fn is_begun(&self) -> bool {
        self.writer.is_begun()
    }

    fn refill(&mut self) -> bool {
        let (shared, key, writer) = (self.shared, self.link.key, &mut *self.writer);
        let (rested, may_rest) = (writer.frames().len(), self.effects.may_rest);
        let take = |state: &mut State<R>| {
            while writer.has_room() {
                let Some(frame) = state.machine.pull(key, &mut state.out) else { break };
                writer.push(frame);
            }
            match writer.is_empty() {
                true => Taken::Nothing,
                false if may_rest && writer.has_room() => Taken::ToRest,
                false => Taken::ToWrite,
            }
        };
        let (taken, mut state) = take_or_give(&shared.state, take, |state| state.links.token(key));
        if taken == Taken::ToRest {
            state.links.rest(key, || shared.now());
        }
        shared.settle(&mut state, None, self.effects);
        let is_ending = state.machine.is_closing();
        let is_mixed = self.writer.is_long().then(|| state.machine.is_mixed(key));
        drop(state);
        if let Some(is_mixed) = is_mixed {
            self.writer.keep_short(self.link.output(), is_mixed);
        }
        if let Some(hooks) = shared.hooks() {
            let taken = self.writer.frames().iter().skip(rested);
            taken.for_each(|frame| hooks.frame(key, Way::Out, frame));
        }
        if is_ending && taken == Taken::Nothing {
            shared.changed.notify_all();
        }
        taken == Taken::ToWrite
    }

    fn write(&mut self) -> rustix::io::Result<usize> {
        self.writer.write(self.link.output())
    }

    fn leave_to_broker(&mut self) {
        if self.effects.stays && self.effects.stalled.is_none() {
            self.effects.stalled = Some(Arc::clone(self.link));
            return;
        }
        self.shared.watch_link(self.link, self.link.turn.want_write());
    }

    /// The peer's last words may still be there to read: the reader declares the end.
    fn broke(&mut self, error: Errno) {
        self.writer.clear();
        self.shared.condemn(self.link, LinkEnd::closed(format!("the link broke: {}", Fault(error))));
    }
}
