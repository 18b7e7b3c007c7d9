//! The end of a channel that items come out of.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use offshoot_wire::Direction;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{ambient, carry::MOVED, freight::Brought, half::Half, pipe::Pipe, state::Parcel};
use crate::{
    Message, RecvError,
    lease::{self, Lease, wait_with},
    sync::{later, lock},
    wake::{Listener, Ticket},
};

/// Receives what the [`Sender`](crate::Sender)s of its channel send, in this context or in others.
///
/// A clean end, `Ok(None)`, comes when all senders have been dropped and all items were received; a sender whose
/// context is lost, or that failed, gives an error instead. The items of one sender come in their order.
///
/// It can travel itself, as part of an argument, a result or an item, and takes along what waits in it. A function
/// that returns one is the best way to make a stream.
///
/// ```no_run
/// # fn f(web: &offshoot_core::Context) -> Result<(), Box<dyn std::error::Error>> {
/// use offshoot_core::{Function, Receiver};
///
/// const TAIL: Function<String, Receiver<String>> = Function::new("tail");
///
/// for line in web.call(TAIL, "/var/log/syslog".into())? {
///     println!("{}", line?); // a slow loop stops the writer
/// }
/// # Ok(()) }
/// ```
pub struct Receiver<T> {
    half: Half,
    /// It has been written into a message.
    moved: AtomicBool,
    habit: Habit,
    items: PhantomData<fn() -> T>,
}

impl<T: Message> Receiver<T> {
    /// Receives the next item; waits until there is one. `None` is the clean end.
    ///
    /// # Errors
    /// [`RecvError`]: a sender was lost or failed, or the item does not decode.
    pub fn recv(&self) -> Result<Option<T>, RecvError> {
        self.recv_until(None)
    }

    /// Receives the next item if it is there now.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); [`RecvError::TimedOut`] if there is none.
    pub fn try_recv(&self) -> Result<Option<T>, RecvError> {
        self.poll_with(&mut None, None).unwrap_or(Err(RecvError::TimedOut))
    }

    /// Receives the next item; waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); [`RecvError::TimedOut`] if none came in time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<T>, RecvError> {
        self.recv_until(Some(later(timeout)))
    }

    /// Receives the next item; waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Option<T>, RecvError> {
        self.recv_until(Some(deadline))
    }

    /// Receives the next item; no item is lost when the future is dropped.
    pub fn recv_async(&self) -> Receiving<'_, T> {
        Receiving { from: self, ticket: None }
    }

    /// Receives the next item if there is one; else the task is woken when it is worth to look again.
    pub fn poll_recv(&self, task: &mut TaskContext<'_>) -> Poll<Result<Option<T>, RecvError>> {
        // A fixed place: a task that polls again replaces its waker and does not pile them up.
        let mut ticket = Some(POLLED);
        match self.poll_with(&mut ticket, Some(&Listener::task(task))) {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }

    /// Iterates over what comes, waiting for each; ends at the clean end, and after an error.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { from: self, over: false }
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<Option<T>, RecvError> {
        let pipe = self.pipe();
        pipe.open();
        let mut ticket = None;
        let mut lease = None;
        let take = || {
            self.habit.comes_back();
            pipe.only_source().and_then(|peer| lease::of(pipe.node(), peer))
        };
        let pull = |listener: &Listener| pipe.poll_pull(&mut ticket, Some(listener));
        let pulled = wait_with(&mut lease, take, deadline, pull);
        if let Some(lease) = lease {
            self.habit.goes(lease);
        }
        if ticket.is_some() {
            pipe.stop_waiting(Direction::Receives, ticket);
        }
        pulled.map_or(Err(RecvError::TimedOut), |pulled| self.unpack(pulled))
    }

    fn poll_with(
        &self,
        ticket: &mut Ticket,
        listener: Option<&Listener>,
    ) -> Option<Result<Option<T>, RecvError>> {
        self.pipe().open();
        self.pipe().poll_pull(ticket, listener).map(|pulled| self.unpack(pulled))
    }

    fn unpack(&self, pulled: Result<Option<Parcel>, RecvError>) -> Result<Option<T>, RecvError> {
        let Some(parcel) = pulled? else { return Ok(None) };
        let node = self.pipe().node();
        let item = parcel
            .open(node)
            .and_then(|(value, halves)| ambient::decode(&value, Brought::here(node, halves)));
        item.map(Some).map_err(|message| RecvError::Decode { message })
    }
}

/// How soon who receives comes back for more.
#[derive(Default)]
struct Habit(Mutex<Pace>);

#[derive(Default)]
struct Pace {
    /// When the turn of the link was last let go.
    gone_at: Option<Instant>,
    /// It was taken again at once.
    is_prompt: bool,
}

/// Who is away for longer had better leave the link to the broker.
const PROMPT: Duration = Duration::from_micros(100);

impl Habit {
    fn comes_back(&self) {
        let mut pace = lock(&self.0);
        pace.is_prompt = pace.gone_at.is_some_and(|at| at.elapsed() < PROMPT);
    }

    /// Lets the turn of the link go, or keeps it for the next item.
    fn goes(&self, lease: Lease) {
        let is_prompt = {
            let mut pace = lock(&self.0);
            pace.gone_at = Some(Instant::now());
            pace.is_prompt
        };
        if is_prompt {
            lease.keep();
        }
    }
}

/// The place of a task that polls by hand; tickets that are given out count from 1.
const POLLED: u64 = 0;

impl<T> Receiver<T> {
    pub(super) fn new(half: Half) -> Self {
        Self { half, moved: AtomicBool::new(false), habit: Habit::default(), items: PhantomData }
    }

    fn pipe(&self) -> &std::sync::Arc<Pipe> {
        self.half.pipe()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

// Nothing of `T` is inside, and every lock inside is left whole.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let give =
            || if self.moved.swap(true, Ordering::Relaxed) { Err(MOVED) } else { Ok(self.half.clone()) };
        ambient::give(self.half.pipe().node(), give).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = u32::deserialize(deserializer)?;
        ambient::take(place, Direction::Receives).map(Self::new).map_err(de::Error::custom)
    }
}

/// The next item of a channel, once it comes; see [`Receiver::recv_async`].
#[must_use = "a future receives nothing unless it is awaited"]
pub struct Receiving<'a, T> {
    from: &'a Receiver<T>,
    ticket: Ticket,
}

impl<T: Message> Future for Receiving<'_, T> {
    type Output = Result<Option<T>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let listener = Listener::task(task);
        let this = &mut *self;
        match this.from.poll_with(&mut this.ticket, Some(&listener)) {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.from.pipe().stop_waiting(Direction::Receives, self.ticket);
        }
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").finish_non_exhaustive()
    }
}

/// Iterates over what a [`Receiver`] receives; see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    from: &'a Receiver<T>,
    over: bool,
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(self.from, &mut self.over)
    }
}

/// Iterates over what a [`Receiver`] receives, and owns it.
#[derive(Debug)]
pub struct IntoIter<T> {
    from: Receiver<T>,
    over: bool,
}

impl<T: Message> Iterator for IntoIter<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&self.from, &mut self.over)
    }
}

fn next<T: Message>(from: &Receiver<T>, over: &mut bool) -> Option<Result<T, RecvError>> {
    if *over {
        return None;
    }
    let item = from.recv().transpose();
    *over = !matches!(item, Some(Ok(_)));
    item
}

impl<T: Message> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { from: self, over: false }
    }
}

impl<'a, T: Message> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
