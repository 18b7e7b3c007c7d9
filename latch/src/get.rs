//! A place in a latch's line, and the future that waits in it.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    task::{self, Context, Poll},
};

use crate::{
    GetError, Latch,
    flaw::{Flaw, has},
    queue::{Look, Share, Ticket},
    wake::{Wake, Waker},
};

/// A ticket that is given up when it is dropped: no stale waiter stays behind a panic, and no item is lost with it.
pub(crate) struct Place<T, L: Deref<Target = Latch<T>>> {
    latch: L,
    ticket: Option<Ticket>,
    item: PhantomData<fn() -> T>,
}

impl<T, L: Deref<Target = Latch<T>>> Place<T, L> {
    pub(crate) const fn new(latch: L) -> Self {
        Self { latch, ticket: None, item: PhantomData }
    }

    /// Takes the first item that belongs to nobody.
    pub(crate) fn first(&self) -> Look<T> {
        self.latch.queue().first()
    }

    /// Takes the first item, or joins the line; with a share it does either as one of a select's places.
    pub(crate) fn enlist(&mut self, waker: Waker, share: Option<Share>) -> Look<T> {
        let mut queue = self.latch.queue();
        let look = match &share {
            _ if has(Flaw::EnlistBlindly) => Look::Nothing,
            Some(share) => queue.first_for(share),
            None => queue.first(),
        };
        if matches!(look, Look::Nothing) {
            self.ticket = Some(queue.enlist(waker, share));
        }
        // Parameters go after locals: a waker that was not needed is dropped without the lock.
        look
    }

    /// Looks at the slot. Who came to a closed latch has none.
    pub(crate) fn look(&mut self) -> Look<T> {
        let Some(ticket) = self.ticket else { return Look::Closed };
        let look = self.latch.queue().look(ticket);
        self.settle(look)
    }

    /// Looks at the slot a last time, and gives the ticket up if there is nothing.
    pub(crate) fn look_and_leave(&mut self) -> Look<T> {
        let Some(ticket) = self.ticket.take() else { return Look::Closed };
        let mut queue = self.latch.queue();
        let look = queue.look(ticket);
        let left = queue.leave(ticket);
        drop(queue);
        drop(left);
        look
    }

    /// Gives the ticket up; an item that came with it goes to the next in line.
    pub(crate) fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        // Bound to a name, so that the lock is gone when wakers are woken and dropped.
        let left = self.latch.queue().leave(ticket);
        Wake::one(left.heir).fire();
        drop(left.gone);
    }

    /// Looks at the slot, and leaves another waker there if there is nothing.
    fn look_or_renew(&mut self, waker: &task::Waker) -> Look<T> {
        let Some(ticket) = self.ticket else { return self.first_or_enlist(waker) };
        let waker = Waker::Task(waker.clone());
        let mut queue = self.latch.queue();
        let look = queue.look(ticket);
        // Under the same lock: who is served in between would wake a task that has moved on.
        let old = if matches!(look, Look::Nothing) { queue.renew(ticket, waker) } else { Some(waker) };
        drop(queue);
        drop(old);
        self.settle(look)
    }

    /// A slot gives one item.
    fn settle(&mut self, look: Look<T>) -> Look<T> {
        if matches!(look, Look::Item(_)) {
            self.ticket = None;
        }
        look
    }

    fn first_or_enlist(&mut self, waker: &task::Waker) -> Look<T> {
        match self.first() {
            Look::Nothing => {}
            found => return found,
        }
        self.enlist(Waker::Task(waker.clone()), None)
    }
}

impl<T, L: Deref<Target = Latch<T>>> Drop for Place<T, L> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Waits for an item without a thread, in the same line as the sleepers; made by [`Latch::get_async`] or [`Get::new`].
///
/// It takes its place at the first poll. Dropped before, it leaves the line; dropped when it was served and not polled
/// again, its item goes to the next in line, or back to the front. Polled again after it was ready, it waits for
/// another item.
#[must_use = "futures do nothing unless polled"]
pub struct Get<T, L: Deref<Target = Latch<T>>>(Place<T, L>);

impl<T, L: Deref<Target = Latch<T>>> Get<T, L> {
    /// Waits on a latch that the future itself may keep alive, as an `Arc<Latch<T>>` does.
    pub const fn new(latch: L) -> Self {
        Self(Place::new(latch))
    }
}

impl<T, L: Deref<Target = Latch<T>> + Unpin> Future for Get<T, L> {
    type Output = Result<T, GetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.look_or_renew(cx.waker()) {
            Look::Item(item) => Poll::Ready(Ok(item)),
            Look::Closed => Poll::Ready(Err(GetError::Closed)),
            Look::Nothing => Poll::Pending,
        }
    }
}

impl<T, L: Deref<Target = Latch<T>>> fmt::Debug for Get<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("waiting", &self.0.ticket.is_some()).finish_non_exhaustive()
    }
}
