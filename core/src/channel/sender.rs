//! The end of a channel that items go into.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as TaskContext, Poll},
    thread,
    time::{Duration, Instant},
};

use offshoot_wire::Direction;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{
    ambient,
    carry::{Draft, MOVED, item_head},
    half::Half,
    state::Parcel,
};
use crate::{
    Message, SendError,
    node::Node as _,
    stay::Stalled,
    sync::later,
    wake::{Listener, Ticket, sleep, wait_by},
};

/// Sends items to the [`Receiver`](crate::Receiver) of its channel, in this context or in another.
///
/// It can travel itself, as part of an argument, a result or an item: it moves, and what it sends there arrives
/// here. A clone that is sent is an end of its own; the receiver ends when all senders have been dropped. One that is
/// dropped by a panic fails the stream, so that the receiver does not take what it has for the whole.
///
/// A slow receiver stops its senders: a call of the `send` family waits while about 64 KiB wait to be received.
///
/// ```no_run
/// # fn f(context: &offshoot_core::Context) -> Result<(), Box<dyn std::error::Error>> {
/// use offshoot_core::{Function, Sender};
///
/// const COUNT: Function<(u32, Sender<u32>), ()> = Function::new("count");
///
/// let (numbers, received) = context.channel();
/// let counting = context.call_async(COUNT, (3, numbers));
/// for number in &received {
///     println!("{}", number?);
/// }
/// counting.wait()?;
/// # Ok(()) }
/// ```
pub struct Sender<T> {
    half: Half,
    /// It has been written into a message.
    moved: AtomicBool,
    items: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    /// Sends an item; waits while there is no room.
    ///
    /// # Errors
    /// [`SendError`]: nobody receives any more, or the item cannot travel.
    pub fn send(&self, item: T) -> Result<(), SendError> {
        self.prepare(item).wait(None)
    }

    /// Sends an item if there is room now.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::TimedOut`] if there is no room.
    pub fn try_send(&self, item: T) -> Result<(), SendError> {
        self.prepare(item).poll_with(None).unwrap_or(Err(SendError::TimedOut)).map(drop)
    }

    /// Sends an item; waits while there is no room, for at most `timeout`.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::TimedOut`] if there was no room in time. The item is lost then.
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), SendError> {
        self.send_deadline(item, later(timeout))
    }

    /// Sends an item; waits while there is no room, until `deadline` at most.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, item: T, deadline: Instant) -> Result<(), SendError> {
        self.prepare(item).wait(Some(deadline))
    }

    /// Sends an item; the future waits while there is no room. Dropped before its end, it sends nothing.
    ///
    /// The item is written at once, whenever the future is polled.
    pub fn send_async(&self, item: T) -> Sending<'_> {
        self.prepare(item)
    }

    fn prepare(&self, item: T) -> Sending<'_> {
        let drafted = if self.moved.load(Ordering::Relaxed) {
            Err(SendError::Closed)
        } else {
            let pipe = self.half.pipe();
            let written = Draft::new(pipe.node(), &item, &item_head);
            // What the item hands over is counted, and the item counts.
            drop(item);
            self.address(written)
        };
        match drafted {
            Ok(parcel) => Sending { half: &self.half, parcel: Some(parcel), refused: None, ticket: None },
            Err(error) => Sending { half: &self.half, parcel: None, refused: Some(error), ticket: None },
        }
    }
}

impl<T> Sender<T> {
    pub(super) fn new(half: Half) -> Self {
        Self { half, moved: AtomicBool::new(false), items: PhantomData }
    }

    /// Whether nobody receives any more, as far as is known here.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.moved.load(Ordering::Relaxed) || self.half.pipe().is_closed()
    }

    /// Ends the stream badly: behind the items that were sent, the receiver gets `reason` as an error.
    ///
    /// It ends for all clones in this context. Dropping a sender ends its part cleanly.
    pub fn fail(self, reason: impl fmt::Display) {
        self.fail_with(&reason.to_string());
    }

    fn fail_with(&self, reason: &str) {
        self.half.pipe().open();
        self.half.pipe().fail(crate::answer::cut(reason));
    }

    fn address(&self, written: Result<Draft, String>) -> Result<Parcel, SendError> {
        let pipe = self.half.pipe();
        let refused = |message| SendError::Encode { message };
        let draft = written.map_err(refused)?;
        let limit = pipe.node().body_limit();
        if draft.len() > limit {
            return Err(refused(format!("it is over the limit of {limit} bytes; send it in pieces")));
        }
        let parcel = Parcel::Draft(draft);
        let cost = parcel.held();
        match (pipe.destination(), parcel) {
            (Some(to), Parcel::Draft(draft)) => {
                let sealed = draft.seal(pipe.node(), to, &item_head).map_err(refused)?;
                Ok(Parcel::Sealed { sealed, cost })
            }
            (_, parcel) => Ok(parcel),
        }
    }
}

impl<T> Clone for Sender<T> {
    /// One more sender of the same channel; the receiver ends when all are gone.
    fn clone(&self) -> Self {
        Self {
            half: self.half.clone(),
            moved: AtomicBool::new(self.moved.load(Ordering::Relaxed)),
            items: PhantomData,
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if thread::panicking() && !self.moved.load(Ordering::Relaxed) {
            self.fail_with("it was dropped by a panic");
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

// Nothing of `T` is inside, and every lock inside is left whole.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let give =
            || if self.moved.swap(true, Ordering::Relaxed) { Err(MOVED) } else { Ok(self.half.clone()) };
        ambient::give(self.half.pipe().node(), give).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = u32::deserialize(deserializer)?;
        ambient::take(place, Direction::Sends).map(Self::new).map_err(de::Error::custom)
    }
}

/// An item on its way into a channel; see [`Sender::send_async`].
#[must_use = "a future sends nothing unless it is awaited"]
pub struct Sending<'a> {
    half: &'a Half,
    parcel: Option<Parcel>,
    refused: Option<SendError>,
    ticket: Ticket,
}

impl Sending<'_> {
    fn poll_with(&mut self, listener: Option<&Listener>) -> Option<Result<Option<Stalled>, SendError>> {
        if let Some(error) = self.refused.take() {
            return Some(Err(error));
        }
        self.half.pipe().open();
        self.half.pipe().poll_push(&mut self.parcel, &mut self.ticket, listener)
    }

    fn wait(mut self, deadline: Option<Instant>) -> Result<(), SendError> {
        let pipe = Arc::clone(self.half.pipe());
        let mut stalled = None;
        let sent = wait_by(
            deadline,
            |listener| self.poll_with(Some(listener)),
            |sleeper| match stalled.take().or_else(|| pipe.stalled()) {
                Some(own) => stalled = own.rest(sleeper, deadline),
                None => sleep(sleeper, deadline),
            },
        );
        let own = sent.unwrap_or(Err(SendError::TimedOut))?;
        if let Some(stalled) = stalled.or(own) {
            stalled.see_off(deadline);
        }
        Ok(())
    }
}

impl Future for Sending<'_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match self.poll_with(Some(&Listener::task(task))) {
            Some(done) => Poll::Ready(done.map(drop)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.half.pipe().stop_waiting(Direction::Sends, self.ticket);
        }
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}
