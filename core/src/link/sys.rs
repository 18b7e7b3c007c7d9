//! A descriptor together with its registration: the poller forgets it before it is closed.
#![allow(unsafe_code)]

use std::{
    io::IoSlice,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat},
    io::{self, Errno, retry_on_intr},
    net::{
        RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown,
        sockopt::{set_socket_send_buffer_size, socket_send_buffer_size},
    },
};

use super::{
    Poller,
    poll::{Ask, Told},
};
use crate::sys::quietly;

/// How a descriptor is read and written without ever blocking, and without touching flags that others share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Each call says itself that it must not wait.
    Socket,
    /// What else is ours alone: it was made not to block.
    Own,
    /// Asked first, then read once, or written up to what surely fits.
    Shared,
}

/// A descriptor that a poller may know.
#[derive(Debug)]
pub(crate) struct Source {
    fd: OwnedFd,
    kind: Kind,
    poller: Arc<Poller>,
    added: AtomicBool,
}

impl Source {
    /// Of a descriptor that others may have too, and whose flags are not ours to set.
    pub(crate) fn new(fd: OwnedFd, poller: &Arc<Poller>) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::Socket => Kind::Socket,
            _ => Kind::Shared,
        };
        Ok(Self { fd, kind, poller: Arc::clone(poller), added: AtomicBool::new(false) })
    }

    /// Of a descriptor that no other process has: that of the other end is another.
    pub(crate) fn own(fd: OwnedFd, poller: &Arc<Poller>) -> io::Result<Self> {
        let mut source = Self::new(fd, poller)?;
        if source.kind == Kind::Shared {
            fcntl_setfl(&source.fd, fcntl_getfl(&source.fd)? | OFlags::NONBLOCK)?;
            source.kind = Kind::Own;
        }
        Ok(source)
    }

    /// Asks for one event. Two callers at once must be kept apart by a lock of theirs, or the later may win early.
    pub(crate) fn arm(&self, interest: Ask) -> io::Result<()> {
        self.ask(interest, Told::Once)
    }

    /// Asks to be told as long as it is so; for the rest as [`arm`](Self::arm).
    pub(crate) fn watch(&self, interest: Ask) -> io::Result<()> {
        self.ask(interest, Told::WhileSo)
    }

    fn ask(&self, interest: Ask, told: Told) -> io::Result<()> {
        if self.added.swap(true, Ordering::AcqRel) {
            return self.poller.change(self.fd.as_fd(), interest, told);
        }
        let added = self.add(interest, told);
        if added.is_err() {
            self.added.store(false, Ordering::Release);
        }
        added
    }

    #[cfg(target_os = "linux")]
    fn add(&self, interest: Ask, told: Told) -> io::Result<()> {
        self.poller.add(self.fd.as_fd(), interest, told)
    }

    #[cfg(not(target_os = "linux"))]
    fn add(&self, interest: Ask, told: Told) -> io::Result<()> {
        use super::poll::portable::{errno, event, mode};
        // SAFETY: `fd` is owned by this value, and `Drop` takes it out of `poller` before closing it.
        unsafe { self.poller.registry().add_with_mode(&self.fd, event(interest), mode(told)) }.map_err(errno)
    }

    /// Takes it from the poller; no event comes for it any more.
    pub(crate) fn forget(&self) {
        if self.added.swap(false, Ordering::AcqRel) {
            // It was there, and if it is not now, so much the better.
            let _ = self.poller.remove(self.fd.as_fd());
        }
    }

    /// Reads what is there: `Ok(0)` is the end, `WouldBlock` that nothing has come yet.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.kind {
            Kind::Socket => {
                retry_on_intr(|| recv(&self.fd, &mut *buf, RecvFlags::DONTWAIT)).map(|(read, _)| read)
            }
            Kind::Own => retry_on_intr(|| io::read(&self.fd, &mut *buf)),
            Kind::Shared => self.ready(PollFlags::IN).and_then(|()| io::read(&self.fd, buf)),
        }
    }

    /// Sleeps until something can be read, `or` is readable, or `deadline` has passed; whether it was the first.
    pub(crate) fn await_input(&self, or: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
        self.sleep(PollFlags::IN, PollFd::from_borrowed_fd(or, PollFlags::IN), deadline)
    }

    /// Sleeps until something can be written, `or` is readable, or `deadline` has passed; whether it was the first.
    pub(crate) fn await_room(
        &self,
        or: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let (fd, what) = match or {
            Some(fd) => (fd, PollFlags::IN),
            None => (self.as_fd(), PollFlags::OUT),
        };
        self.sleep(PollFlags::OUT, PollFd::from_borrowed_fd(fd, what), deadline)
    }

    fn sleep(&self, what: PollFlags, or: PollFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // More seconds than fit are for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&self.fd, what), or];
        match poll(&mut fds, timeout.as_ref()) {
            // An end, too, is something to read, and to write for.
            Ok(_) => Ok(fds.first().is_some_and(|link| !link.revents().is_empty())),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the front of `parts`, as much as fits now; `WouldBlock` if nothing does.
    pub(crate) fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.kind {
            Kind::Socket => retry_on_intr(|| match parts {
                [part] => send(&self.fd, part, send_flags()),
                parts => sendmsg(&self.fd, parts, &mut SendAncillaryBuffer::default(), send_flags()),
            }),
            Kind::Own => quietly(|| retry_on_intr(|| io::writev(&self.fd, parts))),
            Kind::Shared => {
                let part = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
                let part = part.get(..rustix::pipe::PIPE_BUF).unwrap_or(part);
                // A pipe that is ready has room for PIPE_BUF bytes at least.
                self.ready(PollFlags::OUT).and_then(|()| quietly(|| io::write(&self.fd, part)))
            }
        }
    }

    /// How many bytes the system takes before the other side has read any; tells what it was, if that can be said.
    pub(crate) fn set_buffer(&self, bytes: usize) -> Option<usize> {
        if self.kind != Kind::Socket {
            return None;
        }
        let before = socket_send_buffer_size(&self.fd).ok()?;
        // Linux takes half of what it then says.
        set_socket_send_buffer_size(&self.fd, bytes / BUFFER_SAID).ok()?;
        Some(before)
    }

    /// Nothing goes either way from now on; what has come can still be read. Nothing happens to what is no socket.
    pub(crate) fn shut(&self) {
        if self.kind == Kind::Socket {
            // It fails only where the peer has gone, and then there is nothing to shut.
            let _ = shutdown(&self.fd, Shutdown::Both);
        }
    }

    fn ready(&self, what: PollFlags) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.fd, what)];
        match retry_on_intr(|| poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))? {
            0 => Err(Errno::AGAIN),
            _ => Ok(()),
        }
    }
}

/// How many bytes the system says to have for each that it was asked for.
const BUFFER_SAID: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 2 } else { 1 };

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Apple has no flag against SIGPIPE; there the start of every Rust program has it ignored.
fn send_flags() -> SendFlags {
    #[cfg(target_vendor = "apple")]
    return SendFlags::DONTWAIT;
    #[cfg(not(target_vendor = "apple"))]
    return SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    /// In the environment of this very test, run anew in a process of its own.
    const AGAIN: &str = "OFFSHOOT_TEST_SIGPIPE";

    #[test]
    fn a_pipe_that_nobody_reads_ends_no_program_that_has_sigpipe_at_its_default() {
        if env::var_os(AGAIN).is_none() {
            let name =
                "link::sys::tests::a_pipe_that_nobody_reads_ends_no_program_that_has_sigpipe_at_its_default";
            let mut again = Command::new(env::current_exe().unwrap());
            let ended = again.args(["--exact", name]).env(AGAIN, "1").output().unwrap();
            assert!(ended.status.success(), "{ended:?}");
            return;
        }
        // SAFETY: SIG_DFL is no function of ours, and so nothing of ours runs in a handler.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let poller = Arc::new(Poller::new().unwrap());
        for make in [Source::new, Source::own] {
            let write = rustix::pipe::pipe().unwrap().1;
            let to = make(write, &poller).unwrap();
            assert_eq!(to.write(&[IoSlice::new(b"?")]), Err(Errno::PIPE));
        }
    }
}
