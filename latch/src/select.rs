//! Waiting on several latches at once, whatever they carry.

use std::fmt;
#[cfg(not(loom))]
use std::time::Duration;

use crate::{
    GetError, Latch, Sleeper,
    flaw::{Flaw, has},
    get::Place,
    queue::{Claim, Look, Share},
    sync::{Arc, Instant, is_past},
    wake::Waker,
};

/// Several latches as one: each get takes one item of one of them, told as an `E`.
///
/// A latch that is closed and empty is passed over; when all are, the select itself is closed. The first latch that
/// has an item serves it, in the order of addition, and the next get begins behind that latch, so none is starved.
/// While it waits it stands in each latch's line once, and takes exactly one item from all of them.
///
/// # Examples
/// ```
/// use offshoot_latch::{Latch, Select};
///
/// enum Event { Line(String), Exit(i32) }
///
/// let (lines, exits) = (Latch::new(), Latch::new());
/// lines.put("hello".to_owned()).expect("open");
/// exits.put(0).expect("open");
/// let mut select = Select::new();
/// select.add(&lines, Event::Line).add(&exits, Event::Exit);
/// assert!(matches!(select.get(), Ok(Event::Line(line)) if line == "hello"));
/// assert!(matches!(select.get(), Ok(Event::Exit(0))));
/// ```
pub struct Select<'a, E> {
    sources: Vec<Box<dyn Source<E> + Send + 'a>>,
    /// Where the next get begins.
    first: usize,
}

impl<'a, E> Select<'a, E> {
    /// Makes a select over nothing, which counts as closed.
    #[must_use]
    pub const fn new() -> Self {
        Self { sources: Vec::new(), first: 0 }
    }

    /// Adds a latch, and how its items are told apart from the others'.
    pub fn add<T: Send>(&mut self, latch: &'a Latch<T>, map: impl FnMut(T) -> E + Send + 'a) -> &mut Self {
        self.sources.push(Box::new(Mapped { place: Place::new(latch), map }));
        self
    }

    /// Takes the next item, and sleeps until there is one.
    ///
    /// # Errors
    /// [`GetError::Closed`] once all latches are closed and empty.
    pub fn get(&mut self) -> Result<E, GetError> {
        self.wait(None)
    }

    /// Takes the next item if there is one now.
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if there is none, [`GetError::Closed`] if there never will be.
    pub fn try_get(&mut self) -> Result<E, GetError> {
        let found = self.look(|source, _| source.first());
        found.answer().unwrap_or(Err(GetError::TimedOut))
    }

    /// Takes the next item, and sleeps for at most `timeout` until there is one. Zero is [`try_get`](Self::try_get).
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if none came, [`GetError::Closed`] once all latches are closed and empty.
    #[cfg(not(loom))]
    pub fn get_timeout(&mut self, timeout: Duration) -> Result<E, GetError> {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// Takes the next item, and sleeps until `deadline` at most until there is one.
    ///
    /// # Errors
    /// [`GetError::TimedOut`] if none came, [`GetError::Closed`] once all latches are closed and empty.
    pub fn get_deadline(&mut self, deadline: Instant) -> Result<E, GetError> {
        self.wait(Some(deadline))
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<E, GetError> {
        if let Some(answer) = self.look(|source, _| source.first()).answer() {
            return answer;
        }
        if is_past(deadline.as_ref()) {
            return Err(GetError::TimedOut);
        }
        Sleeper::lend(|sleeper| {
            let claim = Arc::new(Claim::new());
            let line = InLine(self);
            let join = |source: &mut dyn Source<E>, at| {
                source.enlist(Waker::Thread(sleeper.bell()), Share::new(&claim, at))
            };
            let mut look = line.0.look(join);
            loop {
                if let Some(answer) = look.answer() {
                    return answer;
                }
                // Woken by the put that serves one of the places, by a close, or by the deadline.
                if claim.served().is_none() {
                    sleeper.rest(|sleeper| sleeper.sleep(deadline.as_ref()));
                }
                // Past the deadline nobody may serve any more; whoever did before is still looked for.
                if is_past(deadline.as_ref()) && (has(Flaw::LeaveWithoutLook) || claim.end()) {
                    return Err(GetError::TimedOut);
                }
                look = line.0.look(|source, _| source.look());
            }
        })
    }

    /// Asks each latch in turn until one has an item. Where none has, and none can get one any more, it is closed.
    fn look(&mut self, mut ask: impl FnMut(&mut dyn Source<E>, usize) -> Look<E>) -> Look<E> {
        let count = self.sources.len();
        let mut none = Look::Closed;
        for at in (self.first..count).chain(0..self.first) {
            let Some(source) = self.sources.get_mut(at) else { continue };
            match ask(source.as_mut(), at) {
                Look::Item(item) if has(Flaw::LookOn) => none = Look::Item(item),
                Look::Item(item) => {
                    self.first = (at + 1) % count;
                    return Look::Item(item);
                }
                Look::Nothing => none = Look::Nothing,
                Look::Closed if has(Flaw::CloseByOne) => return Look::Closed,
                Look::Closed => {}
            }
        }
        none
    }
}

/// A select that stands in its latches' lines, and leaves them all whatever happens.
struct InLine<'s, 'a, E>(&'s mut Select<'a, E>);

impl<E> Drop for InLine<'_, '_, E> {
    fn drop(&mut self) {
        for source in &mut self.0.sources {
            source.leave();
        }
    }
}

/// A latch whose items have become events.
trait Source<E> {
    fn first(&mut self) -> Look<E>;
    fn enlist(&mut self, waker: Waker, share: Share) -> Look<E>;
    fn look(&mut self) -> Look<E>;
    fn leave(&mut self);
}

struct Mapped<'a, T, F> {
    place: Place<T, &'a Latch<T>>,
    map: F,
}

impl<T, E, F: FnMut(T) -> E> Source<E> for Mapped<'_, T, F> {
    fn first(&mut self) -> Look<E> {
        self.place.first().map(&mut self.map)
    }

    fn enlist(&mut self, waker: Waker, share: Share) -> Look<E> {
        self.place.enlist(waker, Some(share)).map(&mut self.map)
    }

    fn look(&mut self) -> Look<E> {
        self.place.look().map(&mut self.map)
    }

    fn leave(&mut self) {
        self.place.leave();
    }
}

impl<E> Default for Select<'_, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Select<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("latches", &self.sources.len()).finish_non_exhaustive()
    }
}
