//! A link: the duplex byte stream to a neighbour, its two directions, and what the poller is asked for.

mod ends;
mod overheard;
mod poll;
mod prelude;
mod reader;
pub(crate) mod sys;
mod token;
mod turn;
mod writer;

use std::{
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
};

use offshoot_wire::{Decoder, Hello, Nonce};
use rustix::io;

pub use self::ends::Ends;
pub(crate) use self::{
    poll::{Ask, Found, Poller, Ready},
    reader::{Reader, TakenIn},
    sys::Source,
    token::{Berth, Outflow, Stay, Taken, Token, take_or_give, write_out},
    turn::Generation,
    writer::Writer,
};
use self::{
    prelude::Prelude,
    turn::{Interest, Turn, Watch},
};
use crate::{machine::LinkKey, sync::Mutex};

/// What a parent hands over to link a child that has just been started.
#[derive(Debug)]
pub struct LinkParts {
    /// Our ends of what the child has as its descriptors 0 and 1. No other process may have them: they are not to block.
    pub ends: Ends<OwnedFd>,
    /// What the child must answer with, and what it is told to do so in the opening line.
    pub nonce: Nonce,
    /// The reading end of the child's stderr, read until the link is up.
    pub stderr: Option<OwnedFd>,
    /// The name under which what comes on stderr is logged from then on; `None`: it is closed.
    pub overheard_as: Option<String>,
    /// What came on the link and on stderr before they were handed over.
    pub heard: Heard,
    /// Who is told what becomes of it.
    pub watcher: Arc<dyn ChildWatcher>,
}

/// What a child had said before its link was made.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// On its link.
    pub link: Vec<u8>,
    /// On its stderr.
    pub stderr: Vec<u8>,
}

/// Learns what becomes of the link to a child. Called by the broker with no lock held: must not block.
pub trait ChildWatcher: Send + Sync + std::fmt::Debug {
    /// The child has said HELLO.
    fn up(&self, hello: &Hello);
    /// The link ended before the child said HELLO. Nothing else is told after it.
    fn failed(&self, failure: LinkFailure);
    /// The link, which was up, has ended. Nothing else is told after it.
    fn down(&self, reason: &str);
    /// The child was told to end and has not gone: make it.
    fn escalate(&self);
}

/// What a link had seen when it ended before the child said HELLO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFailure {
    /// Why, for people.
    pub reason: String,
    /// Whether its other end was closed, rather than cut by this one.
    pub is_closed: bool,
    /// Whether the marker came: our program had started then.
    pub marker_seen: bool,
    /// What came before the marker, the last 64 KiB of it.
    pub last_words: Vec<u8>,
    /// What came on stderr, the last 64 KiB of it.
    pub stderr: Vec<u8>,
}

/// How a link ends.
#[derive(Clone, Debug)]
pub(crate) struct LinkEnd {
    pub(crate) reason: String,
    pub(crate) is_closed: bool,
}

impl LinkEnd {
    /// The other side has closed it, or is gone.
    pub(crate) fn closed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_closed: true }
    }

    /// This side will have no more of it.
    pub(crate) fn cut(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_closed: false }
    }
}

/// A link's descriptors, and the state of its two directions.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: LinkKey,
    pub(crate) turn: Turn<Watched>,
    pub(crate) reader: Mutex<Reader>,
    /// Locked by who holds the writer token, or gave it back a moment ago.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) watcher: Option<Arc<dyn ChildWatcher>>,
    /// It stands among those whose turn may be lent.
    pub(crate) is_listed: AtomicBool,
}

/// The descriptors of a link, and the slot by which a poller tells of them.
#[derive(Debug)]
pub(crate) struct Watched {
    slot: usize,
    ends: Ends<Source>,
}

impl Watch for Watched {
    fn watch(&self, interest: Interest) -> io::Result<()> {
        let Interest { read, write } = interest;
        let Ends { input, output } = &self.ends;
        match output {
            None => ask(input, Ask::new(Channel::Main.key(self.slot), read, write)),
            Some(output) => {
                ask(input, Ask::new(Channel::Main.key(self.slot), read, false))?;
                if write {
                    return ask(output, Ask::new(Channel::Output.key(self.slot), false, true));
                }
                // Where nothing waits to be written the turns of those who read need no word about it.
                output.forget();
                Ok(())
            }
        }
    }

    fn forget(&self) {
        let Ends { input, output } = &self.ends;
        input.forget();
        if let Some(output) = output {
            output.forget();
        }
    }
}

/// Told of what it asks for as long as it is so. Who asks for nothing is told of a hang-up all the same: once is enough.
fn ask(of: &Source, interest: Ask) -> io::Result<()> {
    if interest.read || interest.write { of.watch(interest) } else { of.arm(interest) }
}

/// The part of a poller's key that tells what a descriptor is to its link; the rest is the link's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// What is read, and in a socket also written.
    Main,
    /// What is written, where that is another descriptor.
    Output,
    /// The stderr of a child that is not up yet.
    Stderr,
    /// A captured output of this process; its index stands in place of a slot.
    Captured,
}

impl Channel {
    const ALL: [Self; 4] = [Self::Main, Self::Output, Self::Stderr, Self::Captured];

    pub(crate) const fn key(self, slot: usize) -> usize {
        slot.wrapping_mul(Self::ALL.len()).wrapping_add(self as usize)
    }

    pub(crate) fn of(key: usize) -> (Self, usize) {
        let len = Self::ALL.len();
        (Self::ALL.get(key % len).copied().unwrap_or(Self::Main), key / len)
    }
}

impl Link {
    /// The link to the parent, whose first bytes `decoder` has already taken.
    pub(crate) fn to_parent(key: LinkKey, ends: Ends<Source>, decoder: Decoder) -> Self {
        Self::new(key, ends, Reader::new(decoder), Writer::default(), None)
    }

    /// The link to a child that has yet to answer: `opening` goes first.
    pub(crate) fn to_child(
        key: LinkKey,
        ends: Ends<Source>,
        stderr: Option<Source>,
        parts: ChildParts,
    ) -> Self {
        let ChildParts { nonce, overheard_as, heard, watcher } = parts;
        let writer = Writer::opening(&offshoot_wire::opening(&nonce));
        let prelude = Prelude::new(&nonce, stderr, overheard_as, heard);
        Self::new(key, ends, Reader::connecting(prelude), writer, Some(watcher))
    }

    fn new(
        key: LinkKey,
        ends: Ends<Source>,
        reader: Reader,
        writer: Writer,
        watcher: Option<Arc<dyn ChildWatcher>>,
    ) -> Self {
        let turn = Turn::new(Watched { slot: key.slot, ends });
        let (reader, writer) = (Mutex::new(reader), Mutex::new(writer));
        Self { key, turn, reader, writer, watcher, is_listed: AtomicBool::new(false) }
    }

    /// Where frames are written.
    pub(crate) fn output(&self) -> &Source {
        self.turn.watched().ends.output()
    }

    /// Where they are read.
    pub(crate) const fn input(&self) -> &Source {
        &self.turn.watched().ends.input
    }
}

/// What of [`LinkParts`] is left once the descriptors are sources.
pub(crate) struct ChildParts {
    nonce: Nonce,
    overheard_as: Option<String>,
    heard: Heard,
    watcher: Arc<dyn ChildWatcher>,
}

impl LinkParts {
    pub(crate) fn split(
        self,
        poller: &Arc<Poller>,
    ) -> io::Result<(Ends<Source>, Option<Source>, ChildParts)> {
        let Self { ends, nonce, stderr, overheard_as, heard, watcher } = self;
        let ends = ends.try_map(|fd| Source::own(fd, poller))?;
        let stderr = stderr.map(|fd| Source::new(fd, poller)).transpose()?;
        Ok((ends, stderr, ChildParts { nonce, overheard_as, heard, watcher }))
    }
}
