//! The talk with a far side, from the start of the process that leads there until the program runs.

use std::{
    io::{self, Read as _},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    ConnectError, ConnectErrorKind, Dialect, Phase, Plan, Process, Prompter, Spawned, Transport,
    askpass::Askpass,
    explain,
    outgoing::{Outgoing, Piece},
    prompt::Prompt,
    stage0::{Dialogue, Reply, known},
};

/// Bytes read in one call.
const PIECE: usize = 16 * 1024;
/// How much of stderr is kept for the error, in bytes.
const KEPT: usize = 64 * 1024;
/// How long a process may take to end once its link has, before it is made to.
const GOING: Duration = Duration::from_millis(500);

/// A process that leads to a far side, and the dialogue with the shell there.
pub(crate) struct Talk {
    link: UnixStream,
    /// Gone when the process has closed it.
    stderr: Option<OwnedFd>,
    process: Process,
    /// What came on stderr.
    words: Vec<u8>,
    dialogue: Dialogue,
    /// What may still be asked; nothing once the shell has spoken.
    prompt: Option<Prompt>,
    /// How an ssh client asks.
    askpass: Option<Askpass>,
    outgoing: Outgoing,
}

/// What holds for all of a talk.
pub(crate) struct Rules<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) deadline: Instant,
    /// How long that was at the beginning.
    pub(crate) limit: Duration,
    pub(crate) cancel: Option<BorrowedFd<'a>>,
    pub(crate) prompter: Option<&'a dyn Prompter>,
}

/// What there is to do.
struct Ready {
    link: PollFlags,
    stderr: bool,
    question: bool,
    cancelled: bool,
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
    pub(crate) fn new(
        spawned: Spawned,
        dialogue: Dialogue,
        transport: &Transport,
        askpass: Option<Askpass>,
    ) -> Self {
        let Spawned { link, stderr, process, .. } = spawned;
        Self {
            link: UnixStream::from(link),
            stderr: Some(stderr),
            process,
            words: Vec::new(),
            dialogue,
            prompt: transport.question.clone().map(Prompt::new),
            askpass,
            outgoing: Outgoing::default(),
        }
    }

    /// Talks until the program runs.
    pub(crate) fn hold(mut self, rules: &Rules<'_>) -> Result<Spawned, ConnectError> {
        let outcome = self.talk(rules);
        self.learn(rules, matches!(outcome, Ok(Some(_))));
        let kind = match outcome {
            Ok(Some(said)) => match self.link.set_nonblocking(false) {
                Ok(()) => {
                    return self
                        .spawned(said)
                        .map_err(|kind| ConnectError::new(rules.plan, Phase::Send, kind));
                }
                Err(error) => ConnectErrorKind::from_system(&error),
            },
            Ok(None) => ConnectErrorKind::Closed,
            Err(kind) => kind,
        };
        Err(self.fail(rules.plan, kind))
    }

    /// Remembers what the far side is, unless something went wrong with it.
    fn learn(&self, rules: &Rules<'_>, is_running: bool) {
        let Some(transport) = &rules.plan.transport else { return };
        match self.dialogue.host().filter(|_| is_running) {
            Some(host) => known::remember(&transport.leader, host),
            None => known::forget(&transport.leader),
        }
    }

    /// Until the program runs, with what it has said then, or the link has ended.
    fn talk(&mut self, rules: &Rules<'_>) -> Result<Option<Vec<u8>>, ConnectErrorKind> {
        self.link.set_nonblocking(true).map_err(|error| ConnectErrorKind::from_system(&error))?;
        self.begin(rules);
        loop {
            let ready = self.wait(rules)?;
            if ready.cancelled {
                return Err(ConnectErrorKind::Cancelled);
            }
            if ready.stderr {
                let heard = self.read_stderr();
                self.answer(heard)?;
            }
            if ready.question {
                self.answer_client(rules)?;
            }
            if ready.link.intersects(PollFlags::OUT) {
                self.outgoing.write(&self.link);
            }
            if ready.link.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                match self.read()? {
                    Heard::More => {}
                    Heard::Running(said) => return Ok(Some(said)),
                    Heard::Closed => return Ok(None),
                }
            }
            if rules.deadline <= Instant::now() {
                return Err(ConnectErrorKind::NoAnswer { limit: rules.limit });
            }
        }
    }

    /// A far side that is known is told what to do before it has spoken, where nobody on the way can take that for the
    /// answer to a question, as sudo would in a command of the user's.
    fn begin(&mut self, rules: &Rules<'_>) {
        let is_deaf = |transport: &&Transport| matches!(transport.dialect, Dialect::Ssh | Dialect::Container);
        let transport = rules.plan.transport.as_ref().filter(is_deaf).filter(|way| way.question.is_none());
        let known = transport.and_then(|transport| known::recall(&transport.leader));
        if let Some(reply) = known.and_then(|host| self.dialogue.begin_with(host)) {
            self.obey(reply);
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self, rules: &Rules<'_>) -> Result<Ready, ConnectErrorKind> {
        let writing = if self.outgoing.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let stderr = self.stderr.as_ref().map(AsFd::as_fd);
        let questions = self.askpass.as_ref().map(Askpass::questions);
        let others = [stderr, questions, rules.cancel];
        let mut fds = vec![PollFd::new(&self.link, PollFlags::IN | writing)];
        fds.extend(others.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let left = Timespec::try_from(rules.deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ConnectErrorKind::from_system(&error.into())),
        }
        let mut ready = fds.iter().map(PollFd::revents);
        let link = ready.next().unwrap_or(PollFlags::empty());
        let [stderr, question, cancelled] =
            others.map(|fd| fd.is_some() && ready.next().is_some_and(|flags| !flags.is_empty()));
        Ok(Ready { link, stderr, question, cancelled })
    }

    /// Answers what the client asks by its helper.
    fn answer_client(&mut self, rules: &Rules<'_>) -> Result<(), ConnectErrorKind> {
        let is_late = self.dialogue.phase() != Phase::Shell;
        let (Some(askpass), Some(leader)) = (&mut self.askpass, self.process.number()) else { return Ok(()) };
        let (asked, outcome) = askpass.answer(rules.plan, leader, is_late, rules.prompter);
        // It says why, if it is the last that was said.
        if let Some(asked) = asked {
            self.words.extend_from_slice(asked.as_bytes());
            self.words.push(b'\n');
        }
        outcome
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
                Some(reply) => self.obey(reply),
            }
        }
        Ok(Heard::More)
    }

    fn obey(&mut self, reply: Reply) {
        match reply {
            Reply::Running => {}
            Reply::Line(line) => self.say(Piece::Line(line)),
            Reply::Program => self.send_program(false),
            Reply::Place { line, is_packed } => {
                self.say(Piece::Line(line));
                self.send_program(is_packed);
            }
        }
    }

    fn send_program(&mut self, is_packed: bool) {
        if let Some(program) = self.dialogue.program().cloned() {
            self.say(Piece::Program { program, is_packed });
        }
    }

    fn say(&mut self, piece: Piece) {
        self.outgoing.push(piece);
        self.outgoing.write(&self.link);
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
            self.say(Piece::Secret(answer));
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
        Ok(Spawned { link: self.link.into(), stderr, process: self.process, said, stderr_said: self.words })
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
        let has_answered = self.askpass.as_ref().is_some_and(Askpass::has_answered);
        let kind = match kind {
            ConnectErrorKind::Closed => {
                let said = [&self.words[..], &other[..]].concat();
                let dialect = plan.transport.as_ref().map(|transport| transport.dialect).unwrap_or_default();
                match explain::closed(dialect, &said, report) {
                    ConnectErrorKind::Authentication if has_answered => ConnectErrorKind::PasswordWrong,
                    kind => kind,
                }
            }
            kind => kind,
        };
        ConnectError::new(plan, phase, kind).with_outputs(&other, &self.words)
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
