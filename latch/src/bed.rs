//! What a thread lies down on: an eventfd where there is one, else a pipe, and without descriptors a parker.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_utils::sync::{Parker, Unparker};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
};

/// The sleeper's side.
#[derive(Debug)]
pub(crate) enum Bed {
    Line(Arc<Line>),
    Parker(Parker),
}

/// The side of who wakes: pulling it ends the sleep, or the next one.
#[derive(Debug)]
pub(crate) enum Cord {
    Line(Arc<Line>),
    Unparker(Unparker),
}

impl Bed {
    /// Makes one with a descriptor, or a parker where there is none to be had.
    pub(crate) fn new() -> (Self, Cord) {
        Line::open().map_or_else(
            |_| Self::parker(),
            |line| {
                let line = Arc::new(line);
                (Self::Line(Arc::clone(&line)), Cord::Line(line))
            },
        )
    }

    /// Makes one that needs no descriptor.
    pub(crate) fn parker() -> (Self, Cord) {
        let parker = Parker::new();
        let cord = Cord::Unparker(parker.unparker().clone());
        (Self::Parker(parker), cord)
    }

    /// Sleeps until the cord is pulled, the deadline has passed, or for no reason at all.
    pub(crate) fn sleep(&self, deadline: Option<&Instant>) {
        match (self, deadline) {
            (Self::Line(line), _) => line.sleep(deadline),
            (Self::Parker(parker), Some(deadline)) => parker.park_deadline(*deadline),
            (Self::Parker(parker), None) => parker.park(),
        }
    }

    /// Forgets past pulls, without ever blocking.
    pub(crate) fn drain(&self) {
        match self {
            Self::Line(line) => line.drain(),
            // Parking has eaten its token; a later one costs one look.
            Self::Parker(_) => {}
        }
    }

    /// Parkers are not kept: the next sleep may find a descriptor again.
    pub(crate) const fn is_worth_keeping(&self) -> bool {
        matches!(self, Self::Line(_))
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Line(line) => Some(line.read_end()),
            Self::Parker(_) => None,
        }
    }
}

impl Cord {
    pub(crate) fn pull(&self) {
        match self {
            Self::Line(line) => line.pull(),
            Self::Unparker(unparker) => unparker.unpark(),
        }
    }
}

/// A descriptor that becomes readable. Held by both sides, since a thread may end while it is being woken.
#[derive(Debug)]
pub(crate) struct Line {
    read: OwnedFd,
    /// An eventfd has one end only.
    write: Option<OwnedFd>,
}

impl Line {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open() -> Result<Self, Errno> {
        use rustix::event::{EventfdFlags, eventfd};
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(|read| Self { read, write: None })
            .or_else(|_| Self::pipe())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn open() -> Result<Self, Errno> {
        Self::pipe()
    }

    fn pipe() -> Result<Self, Errno> {
        let (read, write) = nonblocking_pipe()?;
        Ok(Self { read, write: Some(write) })
    }

    fn read_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    fn sleep(&self, deadline: Option<&Instant>) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // More seconds than fit are for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&self.read, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Out of kernel memory, or polling itself is forbidden: look again, though not in a hot loop.
            #[expect(clippy::disallowed_methods, reason = "there is nothing to wait on")]
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }

    /// A full pipe is readable already, so a failure says nothing.
    fn pull(&self) {
        #[expect(clippy::host_endian_bytes, reason = "an eventfd takes a number of the host")]
        let one = 1_u64.to_ne_bytes();
        let _: Result<usize, Errno> = write(self.write.as_ref().unwrap_or(&self.read), &one);
    }

    fn drain(&self) {
        // Eight bytes empty an eventfd; a pipe holds eight for each pull, and what is left costs one look.
        let _: Result<usize, Errno> = read(&self.read, &mut [0_u8; 64]);
    }
}

#[cfg(not(target_vendor = "apple"))]
fn nonblocking_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    use rustix::pipe::{PipeFlags, pipe_with};
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
}

/// Without `pipe2` a process started in between inherits the ends: harmless, as both are needed only here.
#[cfg(target_vendor = "apple")]
fn nonblocking_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
    let ends = rustix::pipe::pipe()?;
    for end in [&ends.0, &ends.1] {
        fcntl_setfd(end, FdFlags::CLOEXEC)?;
        ioctl_fionbio(end, true)?;
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bed of the other systems, on this one.
    #[test]
    fn a_pipe_wakes_its_sleeper_until_it_is_drained() {
        let line = Line::pipe().unwrap();
        let long = Instant::now() + Duration::from_secs(20);
        line.drain();
        for _ in 0..3 {
            line.pull();
        }
        line.sleep(Some(&long));
        assert!(Instant::now() < long);
        line.drain();
        let short = Instant::now() + Duration::from_millis(5);
        line.sleep(Some(&short));
        assert!(Instant::now() >= short);
    }

    #[test]
    fn pulling_and_draining_never_block() {
        for line in [Line::open().unwrap(), Line::pipe().unwrap()] {
            // More than a pipe holds.
            for _ in 0..20_000 {
                line.pull();
            }
            line.sleep(None);
            line.drain();
        }
    }
}
