//! Programs that a context keeps for plans that name them by their hash, and those that it has sent to its children: each
//! passes a link once.
//!
//! Programs come from above alone, from whoever asks for children with them. Both ends of a link forget the same of them
//! in the same order, so that the upper end knows what the lower one has; where it is mistaken it is told, and sends the
//! program. Whoever sends one hears when it is where it was to go, or why it is not.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

use offshoot_bootstrap::Payload;
use offshoot_core::{
    CallError,
    internal::{self, Shared, later},
    machine::CallKey,
    wire::{ContextId, Handle},
};

use crate::{
    create::{Ask, Keep, Kept, Lack},
    nest::{Asked, Request},
    spawner::Job,
    table::Table,
    then::then,
    word::Word,
};

/// What is kept of programs, in bytes; the newest is kept whatever its size.
const ROOM: usize = 64 << 20;
/// How long a child that could not take a program is left alone; each time twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is tried once more: for 25 s in all.
const TRIES: u32 = 8;

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

/// A program on its way to a context below.
#[derive(Debug)]
pub(crate) struct Parcel {
    payload: Payload,
    /// Where it is to go: a child, a child of that, and so on.
    on: Vec<ContextId>,
    waiter: Waiter,
    /// Until when somebody waits.
    until: Option<Instant>,
    /// How often it was tried in vain.
    tries: u32,
}

/// Who wants to know what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// Who has sent it here, by this call.
    Sender(CallKey),
    /// A connect of this context by that one.
    Connect { maker: ContextId, ticket: u64, until: Instant },
}

/// What a child says of a program that it was sent.
#[derive(Debug)]
pub(crate) struct Passed {
    parcel: Parcel,
    /// Whether the program itself was sent, and not its name alone.
    carried: bool,
    answer: Result<Kept, CallError>,
}

impl Parcel {
    pub(crate) const fn new(
        payload: Payload,
        on: Vec<ContextId>,
        waiter: Waiter,
        until: Option<Instant>,
    ) -> Self {
        Self { payload, on, waiter, until, tries: 0 }
    }

    /// Tells who waits what has come of it. A connect is told by who makes it, behind its plan: then it waits there.
    fn end(self, shared: &Arc<Shared<Table>>, outcome: Result<(), String>) {
        match (self.waiter, outcome) {
            (Waiter::Sender(call), outcome) => shared.answer_value(call, &outcome.map_err(Lack::Beyond)),
            (Waiter::Connect { .. }, Ok(())) => {}
            (Waiter::Connect { maker, ticket, until }, Err(reason)) => {
                Word { maker: shared.context(maker), ask: Ask::Missed { ticket, reason }, until }.say();
            }
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Larder {
    kept: Shelf<Payload>,
    sent: BTreeMap<ContextId, Shelf<()>>,
    /// What is to be tried again, and when.
    again: Vec<(Instant, Parcel)>,
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

    /// Takes a program from above, or the word that it has come before: who can go on with it now, and its way to the
    /// others. `None`: it is not here.
    pub(crate) fn keep(
        &mut self,
        keep: Keep,
        sender: CallKey,
        until: Option<Instant>,
    ) -> Option<(Vec<Request>, Parcel)> {
        let Keep { hash, payload, on } = keep;
        // What it is is seen from the program, and not believed.
        if let Some(payload) = payload
            && let Some(hash) = payload.hash().map(str::to_owned)
        {
            self.kept.put(hash, payload.size(), payload);
        }
        let payload = self.kept.get(&hash)?.clone();
        let mut fed = self.take_waiting(|request| request.plan.payload.hash() == Some(&*hash));
        for request in &mut fed {
            request.plan.payload = payload.clone();
        }
        Some((fed, Parcel::new(payload, on, Waiter::Sender(sender), until)))
    }

    /// Sends a program to the first of those to whom it is to go, to be sent on to the others; its name alone, if that
    /// one has it. What comes of it is a [`Job::Passed`].
    pub(crate) fn pass_on(&mut self, shared: &Arc<Shared<Table>>, jobs: &Sender<Job>, parcel: Parcel) {
        let Some((first, others)) = parcel.on.split_first() else { return parcel.end(shared, Ok(())) };
        let child = shared.context(*first);
        let Some((sent, hash)) = self.sent.get_mut(first).zip(parcel.payload.hash()) else {
            return parcel.end(shared, Err(format!("{} is gone", child.name())));
        };
        let is_new = sent.get(hash).is_none();
        if is_new {
            sent.put(hash.to_owned(), parcel.payload.size(), ());
        }
        let payload = is_new.then(|| parcel.payload.clone());
        let keep = Keep { hash: hash.to_owned(), payload, on: others.to_vec() };
        // A program that comes late is there for the next; for one that has come nobody waits in vain.
        let caller = child.with_deadline(parcel.until.filter(|_| !is_new));
        let asked = internal::ask::<_, Kept>(&caller, Handle::CREATE_CHILD, "payload", &Ask::Keep(keep));
        let jobs = jobs.clone();
        // It fails only once the thread that makes children has ended.
        then(asked, move |answer| {
            drop(jobs.send(Job::Passed(Box::new(Passed { parcel, carried: is_new, answer }))));
        });
    }

    /// A child has said what has become of a program. Where it only could not take it now it is tried again.
    pub(crate) fn passed(&mut self, shared: &Arc<Shared<Table>>, passed: Passed) {
        let Passed { mut parcel, carried, answer } = passed;
        let Some(child) = parcel.on.first().copied() else { return };
        let has_it = !carried && !matches!(answer, Ok(Err(Lack::Program)));
        let (reason, may_help) = match answer {
            Ok(Ok(())) => return parcel.end(shared, Ok(())),
            Ok(Err(Lack::Beyond(reason))) => return parcel.end(shared, Err(reason)),
            Ok(Err(Lack::Program)) => ("it has lost it".to_owned(), true),
            Err(error) => (error.to_string(), matches!(error, CallError::Busy { .. })),
        };
        // Of what a name has met nothing follows for the program, which may still be on its way.
        if let Some((sent, hash)) = self.sent.get_mut(&child).zip(parcel.payload.hash()).filter(|_| !has_it) {
            sent.remove(hash);
        }
        let at = later(PAUSE.saturating_mul(1 << parcel.tries));
        if !may_help || parcel.tries >= TRIES || parcel.until.is_some_and(|until| until < at) {
            let name = shared.context(child).name().to_owned();
            return parcel.end(shared, Err(format!("{name} does not keep its program: {reason}")));
        }
        parcel.tries += 1;
        self.again.push((at, parcel));
    }

    /// When something is to be tried again.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.again.iter().map(|(at, _)| *at).min()
    }

    /// Tries again what is due.
    pub(crate) fn try_again(&mut self, shared: &Arc<Shared<Table>>, jobs: &Sender<Job>, now: Instant) {
        let due: Vec<_> = self.again.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, parcel) in due {
            self.pass_on(shared, jobs, parcel);
        }
    }

    /// There is a new child.
    pub(crate) fn add(&mut self, child: ContextId) {
        self.sent.insert(child, Shelf::default());
    }

    pub(crate) fn forget(&mut self, child: ContextId) {
        self.sent.remove(&child);
    }

    /// Those among who waits for a program that `which` names; they do so no more.
    pub(crate) fn take_waiting(&mut self, which: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.waiting.extract_if(.., |request| which(request)).collect()
    }

    /// Who waits for a program, and waits no more.
    pub(crate) fn take_asked(&mut self, which: impl Fn(&Asked) -> bool) -> Option<Request> {
        let at = self.waiting.iter().position(|request| which(&request.asked))?;
        Some(self.waiting.swap_remove(at))
    }

    /// Until when somebody waits for a program.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Instant> + '_ {
        self.waiting.iter().map(|request| request.deadline)
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
