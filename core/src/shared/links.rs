//! The links of a context: made, written, condemned, ended.

use std::{io, mem, sync::Arc};

use offshoot_wire::{ContextId, Decoder, Hello};

use super::{Effects, Shared, Way};
use crate::{
    link::{Link, LinkEnd, LinkParts, Source, Writer},
    machine::{LinkKey, NewChild, Routes, Tick},
    sync::lock,
};

/// Log records of one link that are taken in one second; the rest is counted.
const MAX_RECORDS: u32 = 1000;
/// Bytes that a sending thread writes of others' frames beside its own, in bytes.
pub(crate) const SENDER_QUANTUM: usize = 64 * 1024;

/// Every link, under its slot.
#[derive(Default)]
pub(crate) struct Links {
    slots: Vec<Option<Entry>>,
    /// Links that the broker must end, and why.
    condemned: Vec<(Arc<Link>, LinkEnd)>,
}

struct Entry {
    link: Arc<Link>,
    /// Somebody holds the writer token: a thread that writes, or the broker that waits for room.
    is_writing: bool,
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
            *place = Some(Entry { link, is_writing: false, records: Rate::default() });
        }
    }

    pub(super) fn get(&self, key: LinkKey) -> Option<&Arc<Link>> {
        self.slots.get(key.slot)?.as_ref().map(|entry| &entry.link).filter(|link| link.key == key)
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

    /// Takes the writer token of a link, if it is free.
    pub(super) fn take_token(&mut self, key: LinkKey) -> Option<Arc<Link>> {
        let entry = self.entry(key).filter(|entry| !entry.is_writing)?;
        entry.is_writing = true;
        Some(Arc::clone(&entry.link))
    }

    fn give_token(&mut self, key: LinkKey) {
        if let Some(entry) = self.entry(key) {
            entry.is_writing = false;
        }
    }

    pub(super) fn count_record(&mut self, key: LinkKey, now: Tick) -> Verdict {
        let Some(entry) = self.entry(key) else { return Verdict::Taken };
        entry.records.count(now)
    }

    pub(super) fn are_written(&self) -> bool {
        self.slots.iter().flatten().all(|entry| !entry.is_writing)
    }

    fn entry(&mut self, key: LinkKey) -> Option<&mut Entry> {
        self.slots.get_mut(key.slot)?.as_mut().filter(|entry| entry.link.key == key)
    }
}

impl Rate {
    fn count(&mut self, now: Tick) -> Verdict {
        let second = now.0 / 1000;
        let skipped = if second == self.second {
            0
        } else {
            (self.second, self.taken) = (second, 0);
            mem::take(&mut self.skipped)
        };
        if self.taken >= MAX_RECORDS {
            self.skipped = self.skipped.saturating_add(1);
            return Verdict::Skipped;
        }
        self.taken += 1;
        if skipped > 0 { Verdict::TakenAfter(skipped) } else { Verdict::Taken }
    }
}

impl<R: Routes + Send + 'static> Shared<R> {
    /// Links a child that has just been started: its id is announced, SETUP is on its way, and calls may follow.
    /// What becomes of it the watcher is told.
    ///
    /// # Errors
    /// A descriptor that cannot be used; nothing has happened then.
    pub fn attach_child(&self, child: NewChild, parts: LinkParts) -> io::Result<LinkKey> {
        let (socket, stderr, parts) = parts.split(&self.poller)?;
        let link = self.with(|state, now| {
            let key = state.machine.add_child(now, child, &mut state.out);
            let link = Arc::new(Link::to_child(key, socket, stderr, parts));
            state.links.insert(Arc::clone(&link));
            link
        });
        if let Some(prelude) = lock(&link.reader).prelude() {
            prelude.read_stderr(link.key.slot);
        }
        self.watch_link(&link, link.pause(false));
        Ok(link.key)
    }

    /// Links the parent, from which `decoder` has taken SETUP and perhaps more.
    pub(crate) fn attach_parent(
        &self,
        hello: &Hello,
        input: Source,
        output: Option<Source>,
        decoder: Decoder,
    ) -> Option<Arc<Link>> {
        self.with(|state, now| {
            let key = state.machine.add_parent(now, hello, &mut state.out)?;
            let link = Arc::new(Link::to_parent(key, input, output, decoder));
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

    /// Whoever waits for the links to end looks again.
    pub(crate) fn link_gone(&self) {
        self.changed.notify_all();
    }

    /// A link that the poller cannot watch is of no use.
    pub(crate) fn watch_link(&self, link: &Arc<Link>, armed: io::Result<()>) {
        if let Err(error) = armed {
            self.condemn(link, LinkEnd::cut(format!("the link cannot be watched: {error}")));
        }
    }

    /// Writes what there is for a link. The caller holds its writer token, and has given it on or back afterwards.
    pub(crate) fn flush(&self, link: &Arc<Link>, quantum: usize, effects: &mut Effects) {
        let mut writer = lock(&link.writer);
        let mut written = 0;
        loop {
            if writer.is_empty() && !self.refill(link, &mut writer, effects) {
                return;
            }
            if written >= quantum {
                break;
            }
            match writer.write(link.output()) {
                Ok(bytes) => written = written.saturating_add(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    // The peer's last words may still be there to read: the reader declares the end. The token is
                    // kept, so that nobody tries again.
                    writer.clear();
                    return self.condemn(link, LinkEnd::closed(format!("the link broke: {error}")));
                }
            }
        }
        self.watch_link(link, link.want_write());
    }

    /// Takes frames from the machine; without any, the token is free again. Both under one lock, so that a frame
    /// that is queued in between finds the token free or its frame taken.
    fn refill(&self, link: &Arc<Link>, writer: &mut Writer, effects: &mut Effects) -> bool {
        let is_ending = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            while writer.has_room() {
                let Some(frame) = state.machine.pull(link.key, &mut state.out) else { break };
                writer.push(frame);
            }
            if writer.is_empty() {
                state.links.give_token(link.key);
            }
            self.settle(state, None, effects);
            state.machine.is_closing()
        };
        for frame in writer.frames() {
            self.hooks().frame(link.key, Way::Out, frame);
        }
        if is_ending && writer.is_empty() {
            self.changed.notify_all();
        }
        !writer.is_empty()
    }
}
