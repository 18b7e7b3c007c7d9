//! Carries a plan out: starts the process, and where that only leads to a far side, puts the program there.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    CHILD_ARG, ConnectError, ConnectErrorKind, Phase, Plan, Process, Spawned, Transport, explain,
    prompt::Prompt,
    spawn,
    stage0::{Dialogue, Errand, Reply},
};

/// Bytes read in one call.
const PIECE: usize = 16 * 1024;
/// How much of stderr is kept for the error, in bytes.
const KEPT: usize = 64 * 1024;
/// How long a process may take to end once its link has, before it is made to.
const GOING: Duration = Duration::from_millis(500);

/// Carries a plan out: [`spawn`]s the process, and where it only leads to a far side, has the program received, placed
/// and started there. It returns as soon as the program runs; what it says is left to the caller.
///
/// Blocks, until `deadline` at the latest. `cancel` gives it up at once when it becomes readable or its other end is
/// closed.
///
/// ```no_run
/// use std::{io::{Read as _, Write as _}, net::Shutdown, os::unix::net::UnixStream, time::{Duration, Instant}};
///
/// use offshoot_bootstrap::{Method as _, Payload, Ssh, launch};
///
/// // Any static program, on any host that ssh reaches, and its stdin and stdout here.
/// let plan = Ssh::new("web1").payload(Payload::file("target/static/wc")?).args(["-l"]).plan();
/// let there = launch(&plan, Instant::now() + Duration::from_secs(30), None)?;
/// let mut link = UnixStream::from(there.link);
/// link.write_all(b"one\ntwo\n")?;
/// link.shutdown(Shutdown::Write)?;
/// let mut lines = String::new();
/// link.read_to_string(&mut lines)?;
/// assert_eq!(lines.trim(), "2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`spawn`], and whatever the way there or the far side has to say: no place for the program, another
/// machine, the deadline. No process is left here; none and no file there, as soon as the far side learns of it.
pub fn launch(
    plan: &Plan,
    deadline: Instant,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<Spawned, ConnectError> {
    let Some(transport) = &plan.transport else { return spawn(plan) };
    plan.check()?;
    let fail = |kind| ConnectError::new(plan, Phase::Spawn, kind);
    let offer = plan.payload.offer().map_err(fail)?;
    if offer.needs_loader() {
        return Err(fail(ConnectErrorKind::NotStatic { program: plan.payload.to_string().into() }));
    }
    let errand = errand(plan, transport).map_err(|error| fail(ConnectErrorKind::from_system(&error)))?;
    let spawned = spawn(plan)?;
    let talk = Talk {
        link: UnixStream::from(spawned.link),
        stderr: Some(spawned.stderr),
        process: spawned.process,
        words: Vec::new(),
        dialogue: Dialogue::new(offer, errand),
        prompt: transport.question.clone().map(Prompt::new),
        unsent: Vec::new(),
        sent: 0,
    };
    talk.hold(plan, deadline, cancel)
}

fn errand(plan: &Plan, transport: &Transport) -> io::Result<Errand> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let child = plan.payload.is_this_program().then(|| CHILD_ARG.to_owned());
    Ok(Errand {
        nonce: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        host: String::new(),
        hash: String::new(),
        args: child.into_iter().chain(transport.args.iter().cloned()).collect(),
        folders: transport.folders.clone(),
        keep: transport.keep,
    })
}

/// A process that leads to a far side, and the dialogue with the shell there.
struct Talk {
    link: UnixStream,
    /// Gone when the process has closed it.
    stderr: Option<OwnedFd>,
    process: Process,
    /// What came on stderr.
    words: Vec<u8>,
    dialogue: Dialogue,
    /// What may still be asked; nothing once the shell has spoken.
    prompt: Option<Prompt>,
    /// What is being written, and how much of it has been.
    unsent: Vec<u8>,
    sent: usize,
}

/// What came of a look at the link.
enum Heard {
    /// Nothing that ends the dialogue.
    More,
    /// The program runs; it has said this already.
    Running(Vec<u8>),
    /// The link has ended.
    Closed,
}

impl Talk {
    fn hold(
        mut self,
        plan: &Plan,
        deadline: Instant,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<Spawned, ConnectError> {
        let kind = match self.talk(plan, deadline, cancel) {
            Ok(Some(said)) => match self.link.set_nonblocking(false) {
                Ok(()) => {
                    return self.spawned(said).map_err(|kind| ConnectError::new(plan, Phase::Send, kind));
                }
                Err(error) => ConnectErrorKind::from_system(&error),
            },
            Ok(None) => ConnectErrorKind::Closed,
            Err(kind) => kind,
        };
        Err(self.fail(plan, kind))
    }

    /// Until the program runs, with what it has said then, or the link has ended.
    fn talk(
        &mut self,
        plan: &Plan,
        deadline: Instant,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Vec<u8>>, ConnectErrorKind> {
        self.link.set_nonblocking(true).map_err(|error| ConnectErrorKind::from_system(&error))?;
        loop {
            let (link, stderr, cancelled) = self.wait(deadline, cancel)?;
            if cancelled {
                return Err(ConnectErrorKind::Cancelled);
            }
            if stderr {
                let heard = self.read_stderr();
                self.answer(heard)?;
            }
            if link.intersects(PollFlags::OUT) {
                self.write();
            }
            if link.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                match self.read()? {
                    Heard::More => {}
                    Heard::Running(said) => return Ok(Some(said)),
                    Heard::Closed => return Ok(None),
                }
            }
            if deadline <= Instant::now() {
                return Err(ConnectErrorKind::NoAnswer { limit: plan.timeout });
            }
        }
    }

    /// Sleeps until there is something to do: what the link is ready for, whether stderr is, whether it was cancelled.
    fn wait(
        &self,
        deadline: Instant,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<(PollFlags, bool, bool), ConnectErrorKind> {
        let writing = if self.sent < self.unsent.len() { PollFlags::OUT } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&self.link, PollFlags::IN | writing)];
        fds.extend(self.stderr.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let cancel_at = fds.len();
        fds.extend(cancel.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ConnectErrorKind::from_system(&error.into())),
        }
        let at = |index: usize| fds.get(index).map_or(PollFlags::empty(), PollFd::revents);
        let is_heard = self.stderr.is_some() && !at(1).is_empty();
        Ok((at(0), is_heard, !at(cancel_at).is_empty()))
    }

    fn read(&mut self) -> Result<Heard, ConnectErrorKind> {
        let mut piece = [0; PIECE];
        let read = match (&self.link).read(&mut piece) {
            Ok(0) => return Ok(Heard::Closed),
            Ok(read) => read,
            Err(error) if is_later(&error) => return Ok(Heard::More),
            Err(_) => return Ok(Heard::Closed),
        };
        let mut rest = piece.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let (taken, reply) = self.dialogue.hear(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            match reply {
                None => {}
                Some(Reply::Running) => return Ok(Heard::Running(rest.to_vec())),
                Some(Reply::Line(line)) => self.say(line.into_bytes()),
                Some(Reply::Program { is_packed }) => {
                    let program = self.dialogue.sent(is_packed).to_vec();
                    self.say(program);
                }
            }
        }
        Ok(Heard::More)
    }

    fn say(&mut self, bytes: Vec<u8>) {
        self.unsent.drain(..self.sent);
        self.sent = 0;
        self.unsent.extend(bytes);
        self.write();
    }

    /// Writes what there is room for. That the far side has gone shows when it is read.
    fn write(&mut self) {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match (&self.link).write(rest) {
                Ok(written) => self.sent = self.sent.saturating_add(written),
                Err(error) if is_later(&error) => return,
                Err(_) => self.sent = self.unsent.len(),
            }
        }
    }

    /// Reads what is there on stderr; how much that was.
    fn read_stderr(&mut self) -> usize {
        let Some(stderr) = &self.stderr else { return 0 };
        let mut piece = [0; PIECE];
        match rustix::io::read(stderr.as_fd(), &mut piece) {
            Err(Errno::INTR) => 0,
            Ok(0) | Err(_) => {
                self.stderr = None;
                0
            }
            Ok(read) => {
                self.words.extend_from_slice(piece.get(..read).unwrap_or_default());
                if self.words.len() > 2 * KEPT {
                    self.words.drain(..self.words.len().saturating_sub(KEPT));
                }
                read
            }
        }
    }

    /// Answers what was asked in the last bytes of what came on stderr.
    fn answer(&mut self, heard: usize) -> Result<(), ConnectErrorKind> {
        let Some(prompt) = self.prompt.as_mut().filter(|_| self.dialogue.phase() == Phase::Shell) else {
            return Ok(());
        };
        let start = self.words.len().saturating_sub(heard);
        if let Some(answer) = prompt.hear(self.words.get(start..).unwrap_or_default())? {
            self.say(answer);
        }
        Ok(())
    }

    fn spawned(self, said: Vec<u8>) -> Result<Spawned, ConnectErrorKind> {
        // Whoever reads it reads the end at once.
        let closed = || io::pipe().map(|(read, _)| read.into());
        let stderr = match self.stderr {
            Some(stderr) => stderr,
            None => closed().map_err(|error| ConnectErrorKind::from_system(&error))?,
        };
        Ok(Spawned { link: self.link.into(), stderr, process: self.process, said })
    }

    /// Ends the process, and makes of what it has said and how it went the best reason that there is.
    fn fail(mut self, plan: &Plan, kind: ConnectErrorKind) -> ConnectError {
        let phase = self.dialogue.phase();
        // Whoever has nothing more to read cleans up and goes, and its status tells why; the link may be closed already.
        drop(self.link.shutdown(Shutdown::Both));
        let report = self.process.wait(GOING);
        if report.is_none() {
            self.process.kill();
            self.process.wait(GOING);
        }
        while self.stderr.is_some() && self.is_more_on_stderr() {
            self.read_stderr();
        }
        let other = self.dialogue.into_other();
        let words = if self.words.is_empty() { &other } else { &self.words };
        let kind = match kind {
            ConnectErrorKind::Closed => {
                let said = [&self.words[..], &other[..]].concat();
                let dialect = plan.transport.as_ref().map(|transport| transport.dialect).unwrap_or_default();
                explain::closed(dialect, &said, report)
            }
            kind => kind,
        };
        ConnectError::new(plan, phase, kind).with_last_words(words)
    }

    fn is_more_on_stderr(&self) -> bool {
        let Some(stderr) = &self.stderr else { return false };
        let mut fds = [PollFd::new(stderr, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
