//! Waiting for whichever comes first of calls, items, losses and other futures.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    iter,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch};

use crate::{Message, Receiver, RecvError, TimedOut, sync::later};

/// Waits for many at once, and gives what comes as one type.
///
/// It owns what it waits for, each with a function that makes an `E` of what comes: the variant of an enum is one.
/// A future (a [`Pending`](crate::Pending), a [`Lost`](crate::Lost), one of your own) leaves when it has ended, a
/// [`Receiver`] after its end or an error. What became ready first is served first, and a channel that is always
/// ready takes turns with the others.
///
/// ```
/// use std::time::Duration;
/// use offshoot_core::Select;
///
/// #[derive(Debug, PartialEq)]
/// enum Event {
///     Number(u32),
///     Name(&'static str),
/// }
///
/// let mut select = Select::new();
/// select.add(std::future::ready(7), Event::Number);
/// select.add(std::future::ready("leaf"), Event::Name);
/// let never = select.add(std::future::pending::<u32>(), Event::Number);
///
/// assert_eq!(select.wait(), Some(Event::Number(7)));
/// assert_eq!(select.wait(), Some(Event::Name("leaf")));
/// assert!(select.wait_timeout(Duration::ZERO).is_err());
/// assert!(select.remove(never));
/// assert_eq!(select.wait(), None);
/// ```
pub struct Select<E> {
    sources: BTreeMap<Key, Watched<E>>,
    /// Whom to poll, in the order in which they became ready.
    ready: Arc<Latch<Key>>,
    /// How many places in that line may be those of sources that are gone.
    stale: usize,
    last: u64,
}

/// Names one thing that a [`Select`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

/// What a [`Select`] can wait for: every future that is `Unpin`, and a [`Receiver`].
#[diagnostic::on_unimplemented(
    message = "a `Select` cannot wait for `{Self}`",
    note = "it takes futures that are `Send` and `Unpin` (put an async block into `Box::pin`), and receivers"
)]
#[expect(private_bounds, reason = "sealed: how a source is polled is not for others to say")]
pub trait Source: Sealed + Send + 'static {
    /// What comes: the output of a future; of a receiver what `recv` returns.
    type Item;

    /// What comes next, and whether more can come.
    #[doc(hidden)]
    fn poll_next(&mut self, task: &mut TaskContext<'_>) -> Poll<(Self::Item, bool)>;
}

trait Sealed {}

impl<F: Future + Unpin> Sealed for F {}

impl<F: Future + Unpin + Send + 'static> Source for F {
    type Item = F::Output;

    fn poll_next(&mut self, task: &mut TaskContext<'_>) -> Poll<(F::Output, bool)> {
        Pin::new(self).poll(task).map(|output| (output, false))
    }
}

impl<T> Sealed for Receiver<T> {}

impl<T: Message> Source for Receiver<T> {
    type Item = Result<Option<T>, RecvError>;

    fn poll_next(&mut self, task: &mut TaskContext<'_>) -> Poll<(Self::Item, bool)> {
        self.poll_recv(task).map(|item| {
            let more = matches!(item, Ok(Some(_)));
            (item, more)
        })
    }
}

/// Polls a source: its next event, and whether more can come.
type Poller<E> = dyn FnMut(&mut TaskContext<'_>) -> Poll<(E, bool)> + Send;

/// One source, with what is made of its items.
struct Watched<E> {
    poll: Box<Poller<E>>,
    knock: Arc<Knock>,
}

/// The waker of one source: puts its key into the line, once until it is polled.
struct Knock {
    key: Key,
    queued: AtomicBool,
    ready: Arc<Latch<Key>>,
}

impl Wake for Knock {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            stand(&self.ready, self.key);
        }
    }
}

/// Puts a key at the end of the line.
fn stand(line: &Latch<Key>, key: Key) {
    let put = line.put(key);
    debug_assert!(put.is_ok(), "nobody closes this latch");
}

impl<E> Select<E> {
    /// Waits for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sources: BTreeMap::new(), ready: Arc::new(Latch::new()), stale: 0, last: 0 }
    }

    /// Waits for `source` too; `map` makes an event of what comes from it.
    pub fn add<S: Source>(
        &mut self,
        mut source: S,
        mut map: impl FnMut(S::Item) -> E + Send + 'static,
    ) -> Key {
        self.last = self.last.saturating_add(1);
        let key = Key(self.last);
        let poll =
            move |task: &mut TaskContext<'_>| source.poll_next(task).map(|(item, more)| (map(item), more));
        let knock = Arc::new(Knock { key, queued: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
        // The first poll is what makes it tell of itself later.
        knock.wake_by_ref();
        self.sources.insert(key, Watched { poll: Box::new(poll), knock });
        key
    }

    /// Waits for one thing no more, and drops it: a call is cancelled, a channel closed. Whether it was still there.
    pub fn remove(&mut self, key: Key) -> bool {
        let Some(watched) = self.sources.remove(&key) else { return false };
        // Its waker may outlive it, and puts it into the line no more.
        if watched.knock.queued.swap(true, Ordering::AcqRel) {
            self.stale = self.stale.saturating_add(1);
            if self.stale > self.sources.len() {
                self.tidy();
            }
        }
        true
    }

    /// Takes those who are gone out of the line. Everybody stands there once, so it ends.
    fn tidy(&mut self) {
        let line: Vec<Key> = iter::from_fn(|| self.ready.try_get().ok()).collect();
        for key in line.into_iter().filter(|key| self.sources.contains_key(key)) {
            stand(&self.ready, key);
        }
        self.stale = 0;
    }

    /// How many things it waits for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Waits for the next event; `None` when there is nothing left to wait for.
    pub fn wait(&mut self) -> Option<E> {
        self.next_with(|ready| ready.get()).unwrap_or_default()
    }

    /// Waits for the next event for at most `timeout`; `None` when there is nothing left to wait for.
    ///
    /// # Errors
    /// [`TimedOut`] if nothing came in time.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<E>, TimedOut> {
        self.wait_deadline(later(timeout))
    }

    /// Waits for the next event until `deadline` at most; `None` when there is nothing left to wait for.
    ///
    /// # Errors
    /// [`TimedOut`] if nothing came in time.
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<Option<E>, TimedOut> {
        self.next_with(|ready| ready.get_deadline(deadline))
    }

    fn next_with(
        &mut self,
        get: impl Fn(&Latch<Key>) -> Result<Key, GetError>,
    ) -> Result<Option<E>, TimedOut> {
        while !self.sources.is_empty() {
            // Woken by the `Knock` of a source.
            let key = get(&self.ready).map_err(|_| TimedOut)?;
            let Some(watched) = self.sources.get_mut(&key) else {
                self.stale = self.stale.saturating_sub(1);
                continue;
            };
            // Before the poll, so that what comes during it knocks again.
            watched.knock.queued.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(&watched.knock));
            let Poll::Ready((event, more)) = (watched.poll)(&mut TaskContext::from_waker(&waker)) else {
                continue;
            };
            if more {
                watched.knock.wake_by_ref();
            } else {
                self.remove(key);
            }
            return Ok(Some(event));
        }
        Ok(None)
    }
}

impl<E> Default for Select<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for each event; ends when there is nothing left to wait for.
impl<E> Iterator for Select<E> {
    type Item = E;

    fn next(&mut self) -> Option<E> {
        self.wait()
    }
}

impl<E> fmt::Debug for Select<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[test]
    fn what_was_removed_has_no_place_in_the_line() {
        let mut select = Select::new();
        select.add(pending::<u32>(), |n| n);
        for n in 0..10 {
            select.add(ready(n), |n| n);
        }
        for _ in 0..1000 {
            let key = select.add(ready(99), |n| n);
            assert!(select.remove(key));
        }
        assert!(select.ready.len() <= 2 * select.len() + 1, "{} wait in line", select.ready.len());
        assert_eq!(select.by_ref().take(10).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!((select.len(), select.wait_timeout(Duration::ZERO)), (1, Err(TimedOut)));
    }

    #[test]
    fn what_was_removed_joins_the_line_no_more() {
        let mut select = Select::new();
        let (tell, told) = std::sync::mpsc::channel();
        let key = select.add(
            std::future::poll_fn(move |task| {
                tell.send(task.waker().clone()).ok();
                Poll::<()>::Pending
            }),
            |()| (),
        );
        assert_eq!(select.wait_timeout(Duration::ZERO), Err(TimedOut));
        assert!(select.remove(key));
        told.recv().expect("it was polled").wake();
        assert!(select.ready.is_empty());
    }
}
