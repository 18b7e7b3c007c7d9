//! Who writes a link: whoever finds its token free writes until nothing waits, or leaves the rest to the broker, or lets
//! a little rest until it has company, or stays until there is room.

use rustix::io::{self, Errno};

use crate::{
    flaw::{Flaw, has},
    sync::{Mutex, MutexGuard, lock},
};

/// The right to write a link. It lies under the lock under which frames are queued, and whoever has queued one tries to
/// take it under that very lock.
#[derive(Debug, Default)]
pub(crate) struct Token {
    is_taken: bool,
    /// What was taken from the queue rests, and is written by whoever takes the token next.
    has_rest: bool,
}

impl Token {
    /// Takes it, if it is free.
    pub(crate) const fn take(&mut self) -> bool {
        !std::mem::replace(&mut self.is_taken, true)
    }

    /// Whether something rests, and nobody is about to write it.
    pub(crate) const fn has_rest(&self) -> bool {
        !self.is_taken && self.has_rest
    }

    /// Whether all that was taken from the queue has been written.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.is_taken && !self.has_rest
    }
}

/// What the holder of the token found in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Something that he writes now.
    ToWrite,
    /// Something that he lets rest: the token is free, and somebody will take it in a moment.
    ToRest,
    Nothing,
}

/// What a holder of the token writes, and where to.
pub(crate) trait Outflow {
    /// Whether what was taken from the queue must be written before more is taken.
    fn is_begun(&self) -> bool;
    /// Takes what comes next, by [`take_or_give`]; whether there is anything to write.
    fn refill(&mut self) -> bool;
    /// Writes what fits now, and tells how many bytes.
    fn write(&mut self) -> io::Result<usize>;
    /// Leaves the token to the broker, which goes on when there is room; unless this thread waits for that itself.
    fn leave_to_broker(&mut self);
    /// Nothing can be written any more. The token is kept, so that nobody tries again.
    fn broke(&mut self, error: Errno);
}

/// Writes what waits, about `quantum` bytes at most. The caller holds the token, and has given it on or back afterwards.
pub(crate) fn write_out(flow: &mut impl Outflow, quantum: usize) {
    let mut written = 0_usize;
    loop {
        if !flow.is_begun() && !flow.refill() {
            return;
        }
        if written >= quantum {
            break;
        }
        match flow.write() {
            Ok(bytes) => written = written.saturating_add(bytes),
            Err(Errno::WOULDBLOCK) => break,
            Err(_) if has(Flaw::StayAtTheEnd) => break,
            Err(error) => return flow.broke(error),
        }
    }
    if !has(Flaw::StallSilently) {
        flow.leave_to_broker();
    }
}

/// A link without room, for a thread that waits in the broker's place until there is some.
pub(crate) trait Berth {
    /// Writes what waits, by [`write_out`]; whether the token is still this thread's, since there was no room for all.
    fn write(&self) -> bool;
    /// Leaves the token to the broker.
    fn leave(&self);
}

/// A thread that stays at such a link, with its token; dropped, it leaves that to the broker.
#[must_use = "the broker writes what waits once this is dropped"]
pub(crate) struct Stay<B: Berth> {
    berth: B,
    has_token: bool,
}

impl<B: Berth> Stay<B> {
    /// The token must be the caller's.
    pub(crate) const fn new(berth: B) -> Self {
        Self { berth, has_token: true }
    }

    /// Writes what waits as long as `await_room` says that there is room; what is returned has the token still.
    pub(crate) fn write_while(mut self, mut await_room: impl FnMut(&B) -> bool) -> Option<Self> {
        while self.has_token {
            if !await_room(&self.berth) {
                return Some(self);
            }
            self.has_token = self.berth.write();
        }
        None
    }
}

impl<B: Berth> Drop for Stay<B> {
    fn drop(&mut self) {
        if self.has_token && !has(Flaw::GoWithToken) {
            self.berth.leave();
        }
    }
}

/// Takes what comes next from the queue; unless it is to be written now the token is free again. Both under one lock,
/// so that a frame that is queued in between finds the token free or is taken.
pub(crate) fn take_or_give<'q, Q>(
    queue: &'q Mutex<Q>,
    take: impl FnOnce(&mut Q) -> Taken,
    token: impl FnOnce(&mut Q) -> Option<&mut Token>,
) -> (Taken, MutexGuard<'q, Q>) {
    let mut guard = lock(queue);
    let taken = take(&mut guard);
    if has(Flaw::GiveTokenLate) {
        drop(guard);
        guard = lock(queue);
    }
    if let Some(token) = token(&mut guard) {
        token.is_taken = taken == Taken::ToWrite;
        token.has_rest = taken == Taken::ToRest && !has(Flaw::RestSilently);
    }
    (taken, guard)
}
