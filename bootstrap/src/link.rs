//! The stdin and stdout of a process that was started, as one stream here.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    net::{Shutdown, shutdown},
};
use serde::{Deserialize, Serialize};

use crate::sys::quietly;

/// What a process gets as its stdin and stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stdio {
    /// One end of a stream socket pair, as both: the faster of the two.
    #[default]
    Socket,
    /// A pipe each: for what hands them on to another user or into another security domain, whose policy may let a pipe
    /// through where it lets no socket.
    Pipes,
}

/// The stdin and stdout of a process as one stream: what is written here it reads, what it writes is read here. Whatever
/// [`Stdio`] it has, the stream is used in the same way.
///
/// It blocks. The end is read once no process has that stdout any more. Writing to what nobody reads any more is
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe), and never a signal, even where SIGPIPE is at its default. Dropping it closes
/// both; a socket of which a [`LinkWriter`] was taken is closed once that is dropped too.
#[derive(Debug)]
pub struct Link {
    input: OwnedFd,
    output: LinkOutput,
}

/// Where a link is written, if it is; see [`Link::into_parts`].
#[derive(Debug)]
pub enum LinkOutput {
    /// Where it is read: a socket does both.
    Input,
    /// A descriptor of its own.
    Pipe(OwnedFd),
    /// Nowhere any more: it was closed, or its writer was taken.
    Closed,
}

/// What writes to the stdin of a process, for a thread of its own; see [`Link::take_writer`]. Dropping it closes that stdin.
#[derive(Debug)]
pub struct LinkWriter(OwnedFd);

impl Link {
    /// A link, and what the process gets as its stdin and its stdout.
    pub(crate) fn new(stdio: Stdio) -> io::Result<(Self, [OwnedFd; 2])> {
        match stdio {
            Stdio::Socket => {
                let (ours, theirs) = UnixStream::pair()?;
                let theirs = OwnedFd::from(theirs);
                Ok((Self { input: ours.into(), output: LinkOutput::Input }, [theirs.try_clone()?, theirs]))
            }
            Stdio::Pipes => {
                let ((stdin, output), (input, stdout)) = (io::pipe()?, io::pipe()?);
                let ours = Self { input: input.into(), output: LinkOutput::Pipe(output.into()) };
                Ok((ours, [stdin.into(), stdout.into()]))
            }
        }
    }

    /// Lets the process read the end of its stdin; what it says can still be read. A second time nothing happens.
    ///
    /// # Errors
    /// The process has closed the socket.
    pub fn close_stdin(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.output, LinkOutput::Closed) {
            LinkOutput::Input => Ok(shutdown(&self.input, Shutdown::Write)?),
            LinkOutput::Pipe(_) | LinkOutput::Closed => Ok(()),
        }
    }

    /// What writes to the stdin, for another thread; from then on this one is read alone.
    ///
    /// # Errors
    /// No descriptor is left; `BrokenPipe` if it was closed or taken before.
    pub fn take_writer(&mut self) -> io::Result<LinkWriter> {
        let clone = matches!(self.output, LinkOutput::Input).then(|| self.input.try_clone()).transpose()?;
        match (std::mem::replace(&mut self.output, LinkOutput::Closed), clone) {
            (LinkOutput::Pipe(writer), _) | (LinkOutput::Input, Some(writer)) => Ok(LinkWriter(writer)),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Where it is read, and where it is written: no other process has either.
    #[must_use]
    pub fn into_parts(self) -> (OwnedFd, LinkOutput) {
        (self.input, self.output)
    }

    /// Where it is written, if it still is.
    pub(crate) fn output(&self) -> Option<BorrowedFd<'_>> {
        match &self.output {
            LinkOutput::Input => Some(self.input.as_fd()),
            LinkOutput::Pipe(output) => Some(output.as_fd()),
            LinkOutput::Closed => None,
        }
    }

    pub(crate) fn set_nonblocking(&self, is_nonblocking: bool) -> io::Result<()> {
        for fd in [Some(self.as_fd()), self.output()].into_iter().flatten() {
            let mut flags = fcntl_getfl(fd)?;
            flags.set(OFlags::NONBLOCK, is_nonblocking);
            fcntl_setfl(fd, flags)?;
        }
        Ok(())
    }
}

/// Where it is read, to wait for what the process says.
impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

impl Read for Link {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.input, buf) {
            // Whoever goes without having read all says so by its socket, once and in place of the end.
            Err(Errno::CONNRESET) => Ok(0),
            read => Ok(read?),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(self.output().ok_or(io::ErrorKind::BrokenPipe)?, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for LinkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(self.0.as_fd(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LinkWriter {
    fn drop(&mut self) {
        // A pipe ends as it is closed, and is no socket that could be shut.
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

fn write(to: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match quietly(|| rustix::io::write(to, bytes)) {
        // As above: nobody reads any more.
        Err(Errno::CONNRESET) => Err(io::ErrorKind::BrokenPipe.into()),
        written => Ok(written?),
    }
}
