//! The descriptors 0, 1 and 2 of a child: the link is taken from them, and user code gets others in their place.

use std::{os::fd::OwnedFd, sync::Arc};

use rustix::{
    fs::{Mode, OFlags, fstat, open},
    io::{self, Errno, fcntl_dupfd_cloexec, retry_on_intr},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};

use crate::{
    forward::Record,
    link::{Ask, Channel, Ends, Poller, Source},
    sink::Sink,
};

/// The longest line that is kept whole, in bytes; of a longer one each piece is a line.
const MAX_LINE: usize = 8 * 1024;
/// Bytes of one output that are read in one turn.
const QUANTUM: usize = 64 * 1024;
/// The first descriptor that is nobody's standard one.
const FIRST_FREE: i32 = 3;

/// Takes the descriptors 0 and 1; user code reads nothing there from now on, and writes to stderr instead.
pub(crate) fn take() -> io::Result<Ends<OwnedFd>> {
    let input = fcntl_dupfd_cloexec(stdin(), FIRST_FREE)?;
    let output = fcntl_dupfd_cloexec(stdout(), FIRST_FREE)?;
    dup2_stdin(nothing()?)?;
    dup2_stdout(stderr())?;
    let (one, other) = (fstat(&input)?, fstat(&output)?);
    let is_same = one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    Ok(Ends { input, output: (!is_same).then_some(output) })
}

/// Something to read that holds nothing: a pipe that nobody writes where there is no `/dev/null`.
fn nothing() -> io::Result<OwnedFd> {
    match open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(null) => Ok(null),
        Err(_) => Ok(pipe()?.0),
    }
}

/// Both ends close-on-exec; copies made by `dup2` onto 1 and 2 are not.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    return rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    #[cfg(target_vendor = "apple")]
    {
        let (read, write) = rustix::pipe::pipe()?;
        rustix::io::fcntl_setfd(&read, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::CLOEXEC)?;
        Ok((read, write))
    }
}

/// Puts pipes in the place of the descriptors 1 and 2; what comes out of them is forwarded line by line.
/// Lines are records of the level `info`; where those are not wanted, they are read and forgotten.
pub(crate) fn capture(poller: &Arc<Poller>, log_level: u8) -> io::Result<Vec<Capture>> {
    let is_wanted = log_level >= log::Level::Info as u8;
    let (stdout, write) = pipe()?;
    dup2_stdout(write)?;
    let (stderr, write) = pipe()?;
    dup2_stderr(write)?;
    let captures = vec![
        Capture { from: Source::new(stdout, poller)?, lines: Lines::new("stdout"), is_wanted },
        Capture { from: Source::new(stderr, poller)?, lines: Lines::new("stderr"), is_wanted },
    ];
    Ok(captures)
}

/// One captured output of this process and of the processes that it starts.
#[derive(Debug)]
pub(crate) struct Capture {
    from: Source,
    lines: Lines,
    is_wanted: bool,
}

impl Capture {
    /// Reads what is there, at most one quantum, and asks for the next event; `index` is its place among captures.
    pub(crate) fn turn(&mut self, index: usize, sink: &Arc<Sink>) {
        if self.read(sink) {
            // Without the poller what is written is read at the end.
            let _ = self.from.arm(Ask::readable(Channel::Captured.key(index)));
        } else {
            // Whoever asks again is told again that nobody writes any more, for ever.
            self.from.forget();
        }
    }

    /// Reads what is there, up to one quantum, and lets go of an unfinished line: nothing is written any more, or
    /// only by processes that nobody waits for.
    pub(crate) fn finish(&mut self, sink: &Arc<Sink>) {
        self.read(sink);
        if self.is_wanted {
            self.lines.end(&mut |record| sink.record(record));
        }
    }

    /// Whether more may come.
    fn read(&mut self, sink: &Arc<Sink>) -> bool {
        let mut piece = [0; MAX_LINE];
        for _ in 0..QUANTUM / MAX_LINE {
            match self.from.read(&mut piece) {
                Ok(0) => return false,
                Err(error) => return error == Errno::WOULDBLOCK,
                Ok(_) if !self.is_wanted => {}
                Ok(read) => {
                    self.lines.push(piece.get(..read).unwrap_or_default(), &mut |record| sink.record(record));
                }
            }
        }
        true
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    target: &'static str,
    unfinished: Vec<u8>,
}

impl Lines {
    pub(crate) const fn new(target: &'static str) -> Self {
        Self { target, unfinished: Vec::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut dyn FnMut(Record)) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(at);
            self.grow(line, out);
            self.emit(out);
            rest = behind.get(1..).unwrap_or_default();
        }
        self.grow(rest, out);
    }

    pub(crate) fn end(&mut self, out: &mut dyn FnMut(Record)) {
        if !self.unfinished.is_empty() {
            self.emit(out);
        }
    }

    fn grow(&mut self, mut bytes: &[u8], out: &mut dyn FnMut(Record)) {
        loop {
            let room = MAX_LINE.saturating_sub(self.unfinished.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.unfinished.extend_from_slice(now);
            if later.is_empty() {
                return;
            }
            self.emit(out);
            bytes = later;
        }
    }

    fn emit(&mut self, out: &mut dyn FnMut(Record)) {
        let text = String::from_utf8_lossy(&self.unfinished);
        out(Record::new(log::Level::Info, self.target, format_args!("{text}")));
        self.unfinished.clear();
    }
}

/// Reads exactly as many bytes as `buf` holds from a descriptor that may block; the end of the stream is an error.
pub(crate) fn read_exact(from: &OwnedFd, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        let read = retry_on_intr(|| io::read(from, &mut *buf))?;
        buf = buf.get_mut(read..).filter(|_| read > 0).ok_or(Errno::PIPE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new("stdout");
        let mut texts = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |record| texts.push(record.text));
        }
        lines.end(&mut |record| texts.push(record.text));
        texts
    }

    #[test]
    fn lines_come_whole_however_they_were_written() {
        assert_eq!(cut(&[b"on", b"e\n\ntw", b"o\nthree"]), ["one", "", "two", "three"]);
    }

    #[test]
    fn an_output_that_nobody_writes_any_more_is_not_asked_for_again() {
        let poller = Arc::new(Poller::new().unwrap());
        let (read, write) = pipe().unwrap();
        let from = Source::new(read, &poller).unwrap();
        let mut capture = Capture { from, lines: Lines::new("stdout"), is_wanted: true };
        let mut found = crate::link::Found::new();
        let mut told = |capture: &mut Capture| {
            capture.turn(0, &Arc::default());
            poller.wait(&mut found, Some(std::time::Duration::ZERO)).unwrap();
            found.iter().count()
        };
        assert_eq!(told(&mut capture), 0);
        drop(write);
        assert_eq!((told(&mut capture), told(&mut capture)), (0, 0));
    }

    #[test]
    fn a_line_without_end_is_cut_and_none_of_it_lost() {
        let long = vec![b'x'; 3 * MAX_LINE + 1];
        let lengths: Vec<usize> = cut(&[&long]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE, MAX_LINE, MAX_LINE, 1]);
    }
}
