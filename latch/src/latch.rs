//! The latch: put, the family of gets, close.

use std::fmt;
#[cfg(not(loom))]
use std::time::Duration;

use crate::{
    Closed, Get, GetError, Sleeper, Wake,
    flaw::{Flaw, has},
    get::Place,
    queue::{Look, Queue},
    sync::{Instant, Mutex, MutexGuard, is_past, lock},
    wake::Waker,
};

/// A first-in first-out queue that any number of threads put to and sleep on; share it by `&` or `Arc`.
///
/// Items leave in the order they came, and waiters (threads, tasks and selects alike) are served in the order they
/// came to wait: a late caller never overtakes one. It is unbounded; [`put`](Self::put) never blocks.
pub struct Latch<T> {
    queue: Mutex<Queue<T>>,
}

impl<T> Latch<T> {
    /// Makes an open, empty latch. It allocates nothing and opens no descriptor.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: Mutex::new(Queue::new()) }
    }

    /// Makes an open, empty latch.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { queue: Mutex::new(Queue::new()) }
    }

    /// Gives the item to the first waiter and wakes it, or keeps it for the next get.
    ///
    /// # Errors
    /// [`Closed`] gives the item back.
    pub fn put(&self, item: T) -> Result<(), Closed<T>> {
        if let Some(waker) = self.serve(item)? {
            waker.wake();
        }
        Ok(())
    }

    /// As [`put`](Self::put), but leaves the waking to the caller, who may hold a lock that the woken would want.
    ///
    /// # Errors
    /// [`Closed`] gives the item back.
    pub fn put_deferred(&self, item: T) -> Result<Wake, Closed<T>> {
        self.serve(item).map(Wake::one)
    }

    /// Puts, and says whom to wake once the lock is gone.
    fn serve(&self, item: T) -> Result<Option<Waker>, Closed<T>> {
        self.queue().put(item).map_err(Closed)
    }

    /// Takes the first item, and sleeps until there is one.
    ///
    /// # Errors
    /// [`GetError::Closed`] once the latch is closed and empty.
    pub fn get(&self) -> Result<T, GetError> {
        self.wait(None, Sleeper::sleep)
    }

    /// Takes the first item if it is there now.
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if there is none, [`GetError::Closed`] if there never will be.
    pub fn try_get(&self) -> Result<T, GetError> {
        let look = self.queue().first();
        look.answer().unwrap_or(Err(GetError::TimedOut))
    }

    /// Takes the first item, and sleeps for at most `timeout` until there is one. Zero is [`try_get`](Self::try_get).
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if none came, [`GetError::Closed`] once the latch is closed and empty.
    #[cfg(not(loom))]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        // A deadline beyond what the clock can say is none.
        self.wait(Instant::now().checked_add(timeout), Sleeper::sleep)
    }

    /// Takes the first item, and sleeps until `deadline` at most until there is one.
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if none came, [`GetError::Closed`] once the latch is closed and empty.
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.wait(Some(deadline), Sleeper::sleep)
    }

    /// As [`get_deadline`](Self::get_deadline), with the sleeping left to the caller, who may wait for more at once.
    ///
    /// `wait` is called, with no lock held, until an item has come. It returns when the [descriptor](Sleeper::fd) of
    /// the sleeper is readable, when the deadline has passed, or whenever it likes: it decides nothing, as the slot is
    /// looked at after each return. It may put to this very latch, and must then return, since a thread that serves
    /// itself is not woken. It should not get from a latch in its turn. If it panics, the place in line is given up.
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if none came, [`GetError::Closed`] once the latch is closed and empty.
    ///
    /// # Examples
    /// ```
    /// use offshoot_latch::Latch;
    ///
    /// let latch = Latch::new();
    /// let mut naps = 0;
    /// let item = latch.get_with(None, |_sleeper| {
    ///     naps += 1; // here one polls the sleeper's descriptor together with a socket, and reads a reply
    ///     latch.put("reply").expect("open");
    /// });
    /// assert_eq!((item, naps), (Ok("reply"), 1));
    /// ```
    pub fn get_with(&self, deadline: Option<Instant>, mut wait: impl FnMut(&Sleeper)) -> Result<T, GetError> {
        self.wait(deadline, |sleeper, _| wait(sleeper))
    }

    fn wait(
        &self,
        deadline: Option<Instant>,
        mut sleep: impl FnMut(&Sleeper, Option<&Instant>),
    ) -> Result<T, GetError> {
        let look = self.queue().first();
        if let Some(answer) = look.answer() {
            return answer;
        }
        if is_past(deadline.as_ref()) {
            return Err(GetError::TimedOut);
        }
        Sleeper::lend(|sleeper| {
            let mut place = Place::new(self);
            let mut look = place.enlist(Waker::Thread(sleeper.bell()), None);
            loop {
                if let Some(answer) = look.answer() {
                    return answer;
                }
                // Woken by a put that serves this place, by close, or by the deadline; which it was, the slot says.
                sleeper.rest(|sleeper| sleep(sleeper, deadline.as_ref()));
                let late = is_past(deadline.as_ref());
                if late && has(Flaw::LeaveWithoutLook) {
                    return Err(GetError::TimedOut);
                }
                if late {
                    return place.look_and_leave().answer().unwrap_or(Err(GetError::TimedOut));
                }
                look = place.look();
                if has(Flaw::WakeOverSlot) && matches!(look, Look::Nothing) {
                    return Err(GetError::TimedOut);
                }
            }
        })
    }

    /// Takes the first item without a thread that sleeps. Use [`Get::new`] for a future that owns its latch.
    ///
    /// # Errors
    /// Resolves to [`GetError::Closed`] once the latch is closed and empty, never to [`GetError::TimedOut`].
    pub fn get_async(&self) -> Get<T, &Self> {
        Get::new(self)
    }

    /// Refuses items from now on and wakes everyone who waits. Items put before are still handed out.
    pub fn close(&self) {
        self.close_deferred().fire();
    }

    /// As [`close`](Self::close), but leaves the waking to the caller.
    pub fn close_deferred(&self) -> Wake {
        let gone = self.queue().close();
        Wake::many(gone)
    }

    /// How many items are there that no waiter has been given.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// Whether there is no item that no waiter has been given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the latch refuses items. There may still be some to get.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue().is_closed()
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        lock(&self.queue)
    }
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Latch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("Latch")
            .field("len", &queue.len())
            .field("closed", &queue.is_closed())
            .finish_non_exhaustive()
    }
}
