//! Who gets which item: tickets and slots as plain data, for one lock around it.

use std::collections::VecDeque;

use crate::{
    GetError,
    flaw::{Flaw, has},
    sync::{Arc, AtomicUsize, Ordering},
    wake::Waker,
};

/// A waiter's place, in the order of coming; never used twice in the life of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Items and waiters. No item is in `items` while somebody could have been given it.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: VecDeque<T>,
    /// In the order of tickets, as they come.
    waiting: VecDeque<Waiter>,
    /// The filled slots that their owners have not looked at yet. In the order of tickets too, since the first
    /// waiter is always the one that is served.
    served: VecDeque<(Ticket, T)>,
    next: Ticket,
    closed: bool,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    share: Option<Share>,
    waker: Waker,
}

/// What a look finds.
#[derive(Debug)]
pub(crate) enum Look<T> {
    Item(T),
    Nothing,
    Closed,
}

impl<T> Look<T> {
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Look<U> {
        match self {
            Self::Item(item) => Look::Item(map(item)),
            Self::Nothing => Look::Nothing,
            Self::Closed => Look::Closed,
        }
    }

    /// What to tell who gets, unless he has to wait.
    pub(crate) fn answer(self) -> Option<Result<T, GetError>> {
        match self {
            Self::Item(item) => Some(Ok(item)),
            Self::Nothing => None,
            Self::Closed => Some(Err(GetError::Closed)),
        }
    }
}

/// What is left of a waiter that gives up, to be dropped or woken when the lock is released.
#[derive(Debug)]
#[must_use]
pub(crate) struct Left {
    /// Its own waker, whose drop may be foreign code.
    pub(crate) gone: Option<Waker>,
    /// Who got the item that it had been given and did not take.
    pub(crate) heir: Option<Waker>,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            waiting: VecDeque::new(),
            served: VecDeque::new(),
            next: Ticket(0),
            closed: false,
        }
    }

    /// Gives the item to the first waiter, whose waker is returned, or keeps it for the next look.
    pub(crate) fn put(&mut self, item: T) -> Result<Option<Waker>, T> {
        if self.closed {
            return Err(item);
        }
        match self.serve_first(item) {
            Ok(waker) => Ok(Some(waker)),
            Err(item) => {
                self.items.push_back(item);
                Ok(None)
            }
        }
    }

    /// Takes the first item that belongs to nobody.
    pub(crate) fn first(&mut self) -> Look<T> {
        match self.items.pop_front() {
            Some(item) => Look::Item(item),
            None if self.closed => Look::Closed,
            None => Look::Nothing,
        }
    }

    /// Takes the first item as the share's select, unless that was already served elsewhere.
    pub(crate) fn first_for(&mut self, share: &Share) -> Look<T> {
        if self.items.is_empty() || share.claim() { self.first() } else { Look::Nothing }
    }

    /// Joins the end of the line. The caller has just found nothing, under the same lock.
    pub(crate) fn enlist(&mut self, waker: Waker, share: Option<Share>) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        self.waiting.push_back(Waiter { ticket, share, waker });
        ticket
    }

    /// Looks at the ticket's slot, and takes what is there: the only answer to whether it was served.
    pub(crate) fn look(&mut self, ticket: Ticket) -> Look<T> {
        if has(Flaw::NextOverSlot) && !self.items.is_empty() {
            return self.first();
        }
        match self.take_served(ticket) {
            Some(item) => Look::Item(item),
            // Closing sent everyone away; what was given back since then is for whoever comes first.
            None if self.closed => self.first(),
            None => Look::Nothing,
        }
    }

    /// Puts a new waker in the place of the ticket's old one, which is returned.
    pub(crate) fn renew(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        let at = self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()?;
        self.waiting.get_mut(at).map(|waiter| std::mem::replace(&mut waiter.waker, waker))
    }

    /// Gives up a ticket. An item that it was given and did not take goes to the next in line, or to the front.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left {
        if let Some(item) = self.take_served(ticket)
            && !has(Flaw::LeaveWithoutLook)
        {
            let heir = self.serve_first(item).map_err(|item| self.items.push_front(item)).ok();
            return Left { gone: None, heir };
        }
        let at = self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        let gone = at.ok().and_then(|at| take_at(&mut self.waiting, at)).map(|waiter| waiter.waker);
        Left { gone, heir: None }
    }

    /// Ends putting, and sends away everyone who waits.
    pub(crate) fn close(&mut self) -> impl Iterator<Item = Waker> + use<T> {
        self.closed = true;
        let limit = if has(Flaw::CloseWakesOne) { 1 } else { usize::MAX };
        std::mem::take(&mut self.waiting).into_iter().map(|waiter| waiter.waker).take(limit)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Fills the slot of the first waiter that was not served by another latch.
    fn serve_first(&mut self, item: T) -> Result<Waker, T> {
        while let Some(Waiter { ticket, share, waker }) = self.waiting.pop_front() {
            if share.is_none_or(|share| share.claim() || has(Flaw::PutIgnoresClaim)) {
                self.served.push_back((ticket, item));
                return Ok(waker);
            }
        }
        Err(item)
    }

    fn take_served(&mut self, ticket: Ticket) -> Option<T> {
        let at = self.served.binary_search_by_key(&ticket, |(served, _)| *served).ok()?;
        take_at(&mut self.served, at).map(|(_, item)| item)
    }
}

/// Takes out what stands at `at`, which is mostly the first: `VecDeque::remove` is ten times the code.
fn take_at<T>(queue: &mut VecDeque<T>, at: usize) -> Option<T> {
    for at in (0..at).rev() {
        queue.swap(at, at.saturating_add(1));
    }
    queue.pop_front()
}

/// The word that all tickets of one waiting select share: who sets it first has served the select, or ended it.
#[derive(Debug)]
pub(crate) struct Claim(AtomicUsize);

/// One ticket's right to the claim: the word, and what stands in it once this ticket was served.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    claim: Arc<Claim>,
    index: usize,
}

impl Claim {
    const OPEN: usize = usize::MAX;
    const ENDED: usize = usize::MAX - 1;

    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(Self::OPEN))
    }

    /// Which share was served, if any.
    pub(crate) fn served(&self) -> Option<usize> {
        let word = self.0.load(Ordering::Acquire);
        (word < Self::ENDED).then_some(word)
    }

    /// Ends the claim for everybody; false where a latch was faster.
    pub(crate) fn end(&self) -> bool {
        self.set(Self::ENDED)
    }

    fn set(&self, to: usize) -> bool {
        self.0.compare_exchange(Self::OPEN, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Share {
    pub(crate) fn new(claim: &Arc<Claim>, index: usize) -> Self {
        Self { claim: Arc::clone(claim), index }
    }

    fn claim(&self) -> bool {
        self.claim.set(self.index)
    }
}
