//! Has a person asked one question at a time, whatever connects are under way, and for none that is over.

use std::{
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::BorrowedFd,
    sync::Arc,
    time::Instant,
};

use offshoot_bootstrap::{Notice, Prompter, Query, Secret};
use offshoot_core::internal::contain;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

/// The turns of all connects of a context.
#[derive(Debug)]
pub(crate) struct Turns {
    prompter: Arc<dyn Prompter>,
    /// Holds a byte while nobody is asked: that can be waited for beside other things.
    free: PipeReader,
    give: PipeWriter,
}

/// A connect that may have to ask.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) turns: &'a Turns,
    pub(crate) deadline: Instant,
    /// Readable once the connect is given up.
    pub(crate) cancel: BorrowedFd<'a>,
}

/// It is somebody's turn; the next has it when this is dropped.
struct Turn<'a>(&'a Turns);

impl Turns {
    pub(crate) fn new(prompter: Arc<dyn Prompter>) -> io::Result<Self> {
        let (free, give) = io::pipe()?;
        fcntl_setfl(&free, fcntl_getfl(&free)? | OFlags::NONBLOCK)?;
        let turns = Self { prompter, free, give };
        drop(Turn(&turns));
        Ok(turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // There is room for the one byte that it is.
        drop((&self.0.give).write(&[0]));
    }
}

impl Prompter for Asker<'_> {
    fn answer(&self, query: &Query) -> Option<Secret> {
        let _turn = self.take()?;
        // Without an answer the connect fails; without an end it would be waited for.
        contain(|| self.turns.prompter.answer(query), |_| None)
    }

    fn notice(&self, notice: &Notice) {
        contain(|| self.turns.prompter.notice(notice), |_| ());
    }
}

impl<'a> Asker<'a> {
    /// Waits for its turn; `None` once the connect is over.
    fn take(&self) -> Option<Turn<'a>> {
        loop {
            let left = self.deadline.checked_duration_since(Instant::now())?;
            let mut fds = [
                PollFd::new(&self.turns.free, PollFlags::IN),
                PollFd::from_borrowed_fd(self.cancel, PollFlags::IN),
            ];
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
            let [free, cancel] = fds.map(|fd| !fd.revents().is_empty());
            if cancel {
                return None;
            }
            // Another may have been quicker.
            if free && (&self.turns.free).read(&mut [0]).is_ok_and(|read| read > 0) {
                return Some(Turn(self.turns));
            }
        }
    }
}
