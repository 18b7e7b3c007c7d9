//! Who reads a link: the broker, told by the poller, or for a while one thread that waits for what will come by it.
//!
//! A thread takes the turn before it writes, polls the link itself, and gives the turn back at once; the poller is
//! silent about what comes meanwhile. The right is a number, so that it can be taken away without a word: its holder
//! finds that out before it polls the next time, and what it gives back then is no longer its own.
//!
//! A thread that will be back at once may keep the turn while it is away: whoever else wants it takes it, and the broker
//! looks after it from time to time and takes it back from one who is away just then.

use std::mem;

use rustix::io;

use crate::{
    flaw::{Flaw, has},
    sync::{Mutex, lock},
};

/// The descriptors of a link, as a poller is told of them.
pub(crate) trait Watch {
    /// Asks to be told as long as it is so; the last to ask is who is heard.
    fn watch(&self, interest: Interest) -> io::Result<()>;
    /// No event comes any more.
    fn forget(&self);
}

/// What the poller is to tell of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// The right to read in the broker's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Who reads a link, and what the poller is asked for because of it. Its lock is held across a system call: what
/// was asked for last must also be what the kernel hears last.
#[derive(Debug)]
pub(crate) struct Turn<W> {
    watched: W,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_open: bool,
    /// Nobody reads; as it is until the first look at the link has been taken.
    is_paused: bool,
    /// The broker holds the writer token, and waits for room.
    wants_write: bool,
    /// What the poller was asked for last.
    told: Interest,
    /// Who reads in the broker's place.
    lent: Option<Lent>,
    last: Generation,
    /// The broker looks after the turn, and knows this one already.
    minded: Option<Generation>,
}

#[derive(Clone, Copy, Debug)]
struct Lent {
    to: Generation,
    /// He has kept it, and does not read for a moment.
    is_away: bool,
}

impl<W: Watch> Turn<W> {
    /// A link that nobody reads yet.
    pub(crate) fn new(watched: W) -> Self {
        let last = Generation(0);
        let told = Interest::default();
        let state = State {
            is_open: true,
            is_paused: true,
            wants_write: false,
            told,
            lent: None,
            last,
            minded: None,
        };
        Self { watched, state: Mutex::new(state) }
    }

    pub(crate) const fn watched(&self) -> &W {
        &self.watched
    }

    /// Takes the turn; `None` if the link is not to be read, or another thread reads it.
    pub(crate) fn take(&self) -> io::Result<Option<Generation>> {
        let mut state = lock(&self.state);
        if !state.is_open || state.is_paused || state.lent.is_some_and(|lent| !lent.is_away) {
            return Ok(None);
        }
        let to = Generation(state.last.0.wrapping_add(1));
        state.last = to;
        state.lent = Some(Lent { to, is_away: false });
        self.tell(&mut state)?;
        Ok(Some(to))
    }

    /// Whether this right still holds.
    pub(crate) fn is_held(&self, by: Generation) -> bool {
        lock(&self.state).is_lent_to(by)
    }

    /// Gives the turn back to the broker, if it is still the holder's. Nothing complete may be left in the decoder:
    /// the poller tells of what has not been read, and of nothing else.
    pub(crate) fn give(&self, by: Generation) -> io::Result<()> {
        let mut state = lock(&self.state);
        if !state.is_lent_to(by) && !has(Flaw::GiveTwice) {
            return Ok(());
        }
        self.end_loan(&mut state)
    }

    /// Keeps the turn for who will be back at once, if it is still the holder's. `true`: nobody looks after it yet, and
    /// the caller must see to it that [`mind`](Self::mind) is called soon.
    #[must_use = "nobody takes the turn back from a holder who stays away"]
    pub(crate) fn keep(&self, by: Generation) -> bool {
        let mut state = lock(&self.state);
        if !state.is_lent_to(by) {
            return false;
        }
        state.lent = Some(Lent { to: by, is_away: true });
        state.minded.replace(by).is_none() && !has(Flaw::KeepUnminded)
    }

    /// Takes a kept turn back for the broker, if its holder is away just now. `true`: he has taken it again, and may keep it
    /// again; look once more. A holder who reads for longer is looked after no more until he keeps it.
    pub(crate) fn mind(&self) -> io::Result<bool> {
        let mut state = lock(&self.state);
        let Some(lent) = state.lent else {
            state.minded = None;
            return Ok(false);
        };
        if state.minded != Some(lent.to) {
            state.minded = Some(lent.to);
            return Ok(true);
        }
        state.minded = None;
        if lent.is_away {
            self.end_loan(&mut state)?;
        }
        Ok(false)
    }

    fn end_loan(&self, state: &mut State) -> io::Result<()> {
        state.lent = None;
        if has(Flaw::GiveSilently) { Ok(()) } else { self.tell(state) }
    }

    /// Stops reading, whoever reads, or begins again with the broker.
    pub(crate) fn pause(&self, is_paused: bool) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.is_paused = is_paused;
        state.lent = None;
        if has(Flaw::ResumeSilently) && !is_paused { Ok(()) } else { self.tell(&mut state) }
    }

    /// Leaves the writer token to the broker, which goes on when there is room.
    pub(crate) fn want_write(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.wants_write = true;
        if has(Flaw::LeaveUntold) { Ok(()) } else { self.tell(&mut state) }
    }

    /// For the broker: whether the writer token was left to it; it is its own then. What it asks for it says by
    /// [`renew`](Self::renew), once it has written.
    pub(crate) fn take_write_wish(&self) -> bool {
        mem::take(&mut lock(&self.state).wants_write)
    }

    /// Takes the writer token from the broker, if it was left to it, which is told of room no more.
    pub(crate) fn take_write(&self) -> io::Result<bool> {
        let mut state = lock(&self.state);
        let is_taken = mem::take(&mut state.wants_write);
        if is_taken {
            self.tell(&mut state)?;
        }
        Ok(is_taken)
    }

    /// Whether a thread reads in the broker's place.
    pub(crate) fn is_lent(&self) -> bool {
        lock(&self.state).lent.is_some()
    }

    /// Whether the broker is to read. What it is told may be old: a hang-up is told of whatever it asked for.
    pub(crate) fn is_brokers(&self) -> bool {
        let state = lock(&self.state);
        !state.is_paused && state.lent.is_none()
    }

    /// After an event: asks for what the broker wants now.
    pub(crate) fn renew(&self) -> io::Result<()> {
        self.tell(&mut lock(&self.state))
    }

    /// The link has ended: nobody reads it, no event comes.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_open = has(Flaw::LendTheEnded);
        state.lent = None;
        self.watched.forget();
    }

    /// Asks the poller for what is wanted now, unless it was asked for just that.
    fn tell(&self, state: &mut State) -> io::Result<()> {
        let interest = state.interest();
        if !state.is_open || interest == state.told {
            return Ok(());
        }
        state.told = interest;
        self.watched.watch(interest)
    }
}

impl State {
    fn is_lent_to(&self, who: Generation) -> bool {
        self.lent.is_some_and(|lent| lent.to == who)
    }

    fn interest(&self) -> Interest {
        let is_brokers = self.lent.is_none() || has(Flaw::ArmWhileLent);
        Interest { read: is_brokers && !self.is_paused, write: self.wants_write }
    }
}
