//! Programs that a context keeps for plans that name them by their hash, and those that it has sent to its children: each
//! passes a link once.
//!
//! Programs come from above alone, from whoever asks for children with them. Both ends of a link forget the same of them
//! in the same order, so that the upper end knows what the lower one has.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc::Sender},
};

use offshoot_bootstrap::Payload;
use offshoot_core::{
    internal::{self, Shared},
    wire::{ContextId, Handle},
};

use crate::{
    create::{Ask, Keep},
    nest::Request,
    spawner::Job,
    table::Table,
    then::then,
};

/// What is kept of programs, in bytes; the newest is kept whatever its size.
const ROOM: usize = 64 << 20;
/// How many programs may be waited for, to be passed on.
const MAX_DUE: usize = 1024;

/// The programs at one end of a link, in the order in which they passed it.
#[derive(Debug)]
struct Shelf<T> {
    items: VecDeque<Item<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Item<T> {
    hash: String,
    size: usize,
    thing: T,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Shelf<T> {
    /// What is there already becomes the newest.
    fn put(&mut self, hash: String, size: usize, thing: T) {
        self.remove(&hash);
        self.items.push_back(Item { hash, size, thing });
        self.bytes = self.bytes.saturating_add(size);
        while self.bytes > ROOM && self.items.len() > 1 {
            let size = self.items.pop_front().map_or(0, |item| item.size);
            self.bytes = self.bytes.saturating_sub(size);
        }
    }

    fn remove(&mut self, hash: &str) {
        let at = self.items.iter().position(|item| item.hash == hash);
        let size = at.and_then(|at| self.items.remove(at)).map_or(0, |item| item.size);
        self.bytes = self.bytes.saturating_sub(size);
    }

    fn get(&self, hash: &str) -> Option<&T> {
        self.items.iter().find(|item| item.hash == hash).map(|item| &item.thing)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Larder {
    kept: Shelf<Payload>,
    sent: BTreeMap<ContextId, Shelf<()>>,
    /// Programs that have yet to come, and where they are to be passed on to.
    due: VecDeque<(String, Vec<ContextId>)>,
    /// Who waits for a program.
    waiting: Vec<Request>,
}

impl Larder {
    /// Puts the program in its place in a plan; `None` if that has not come yet: the request waits for it here.
    pub(crate) fn fill(&mut self, mut request: Request) -> Option<Request> {
        if request.plan.payload.is_stand_in() {
            let Some(payload) = request.plan.payload.hash().and_then(|hash| self.kept.get(hash)) else {
                self.waiting.push(request);
                return None;
            };
            request.plan.payload = payload.clone();
        }
        Some(request)
    }

    /// Takes a program from above, or the word that it has come before, and passes it on; who can go on with it now.
    /// `None`: it is not kept, since too many are waited for.
    pub(crate) fn keep(
        &mut self,
        shared: &Arc<Shared<Table>>,
        jobs: &Sender<Job>,
        keep: Keep,
    ) -> Option<Vec<Request>> {
        let Keep { hash, payload, on } = keep;
        if !on.is_empty() {
            if self.due.len() >= MAX_DUE {
                return None;
            }
            self.due.push_back((hash, on));
        }
        // What it is is seen from the program, and not believed.
        let new = payload.and_then(|payload| Some((payload.hash()?.to_owned(), payload)));
        if let Some((hash, payload)) = new {
            self.kept.put(hash, payload.size(), payload);
        }
        for (hash, on) in std::mem::take(&mut self.due) {
            match self.kept.get(&hash).cloned() {
                Some(payload) => self.pass_on(shared, jobs, &payload, on),
                None => self.due.push_back((hash, on)),
            }
        }
        let waiting = std::mem::take(&mut self.waiting);
        Some(waiting.into_iter().filter_map(|request| self.fill(request)).collect())
    }

    /// Sends a program to the first of `on`, unless it was before, to be sent on to the others. If that one does not keep
    /// it, that is a [`Job::NotKept`].
    pub(crate) fn pass_on(
        &mut self,
        shared: &Arc<Shared<Table>>,
        jobs: &Sender<Job>,
        payload: &Payload,
        mut on: Vec<ContextId>,
    ) {
        let Some(hash) = payload.hash().filter(|_| !on.is_empty()) else { return };
        let id = on.remove(0);
        let Some(sent) = self.sent.get_mut(&id) else { return };
        let is_new = sent.get(hash).is_none();
        if is_new {
            sent.put(hash.to_owned(), payload.size(), ());
        }
        if is_new || !on.is_empty() {
            let (hash, jobs) = (hash.to_owned(), jobs.clone());
            let keep = Keep { hash: hash.clone(), payload: is_new.then(|| payload.clone()), on };
            let child = shared.context(id).with_deadline(None);
            let asked = internal::ask::<_, ()>(&child, Handle::CREATE_CHILD, "payload", &Ask::Keep(keep));
            then(asked, move |answer| {
                if answer.is_err() {
                    // It fails only once the thread that makes children has ended.
                    drop(jobs.send(Job::NotKept(id, hash)));
                }
            });
        }
    }

    /// A child has not kept a program that it was sent: it is sent again when it is needed.
    pub(crate) fn not_kept(&mut self, child: ContextId, hash: &str) {
        if let Some(sent) = self.sent.get_mut(&child) {
            sent.remove(hash);
        }
    }

    /// There is a new child.
    pub(crate) fn add(&mut self, child: ContextId) {
        self.sent.insert(child, Shelf::default());
    }

    pub(crate) fn forget(&mut self, child: ContextId) {
        self.sent.remove(&child);
    }

    /// Who waits for a program.
    pub(crate) const fn waiting(&mut self) -> &mut Vec<Request> {
        &mut self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_is_no_room_and_the_newest_stays_whatever_its_size() {
        let mut shelf = Shelf::default();
        for (n, size) in [(1, ROOM / 2), (2, ROOM / 2), (3, 1)] {
            shelf.put(format!("{n}"), size, n);
        }
        assert_eq!((shelf.get("1"), shelf.get("2"), shelf.get("3")), (None, Some(&2), Some(&3)));
        shelf.put("4".into(), 2 * ROOM, 4);
        assert_eq!((shelf.get("3"), shelf.get("4"), shelf.bytes), (None, Some(&4), 2 * ROOM));
    }
}
