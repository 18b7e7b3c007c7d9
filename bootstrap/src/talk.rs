//! The talk with a far side, from the start of the process that leads there until the program runs.

use std::{
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    ConnectError, ConnectErrorKind, Dialect, Launch, Link, Phase, Plan, Process, Spawned, Step, Told,
    Transport,
    askpass::{Answered, Askpass},
    explain,
    outgoing::{Outgoing, Piece},
    prompt::{Asked, Outcome, Prompt},
    stage0::{Dialogue, Reply, known},
    stop::Stop,
    sys,
    terminal::Terminal,
    veil::Veil,
};

/// Bytes read in one call.
const PIECE: usize = 16 * 1024;
/// How much of stderr is kept for the error, in bytes.
const KEPT: usize = 64 * 1024;
/// How long a process may take to end once its link has, before it is made to.
const GOING: Duration = Duration::from_millis(500);
/// The same for one that may have begun to put a file somewhere, where nobody waits for an answer: it takes the file away
/// first, and may be slow.
const TIDYING: Duration = Duration::from_secs(2);
/// The same beyond that, when the connect has ended.
const LONG_TIDYING: Duration = Duration::from_secs(5);

/// How long a far side that takes nothing any more is listened to: it may say why.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How long an open question that was not agreed on stands, with nothing else being said, until nobody else will answer it: who
/// shows what is under way goes on writing, and who waits for a touch seldom does so behind a colon.
const QUIET: Duration = Duration::from_secs(2);

/// A process that leads to a far side, and the dialogue with the shell there.
pub(crate) struct Talk {
    link: Link,
    /// Gone when the process has closed it.
    stderr: Option<OwnedFd>,
    process: Process,
    /// What came on stderr.
    words: Vec<u8>,
    dialogue: Dialogue,
    /// What may still be asked; nothing once the shell has spoken.
    prompt: Option<Prompt>,
    /// Where something was said last.
    asks: Asks,
    /// How an ssh client asks.
    askpass: Option<Askpass>,
    outgoing: Outgoing,
    /// When it has been listened to for long enough, once it takes nothing any more.
    leave: Option<Instant>,
    /// When a question that is open will have been so for long enough.
    quiet: Option<Instant>,
}

/// What there is to do.
struct Ready {
    link: bool,
    room: bool,
    stderr: bool,
    terminal: bool,
    question: bool,
    cancelled: bool,
}

/// Where something was asked, and so is to be answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    OnStderr,
    OnTerminal,
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
            link,
            stderr: Some(stderr),
            process,
            words: Vec::new(),
            dialogue,
            prompt: transport.question.clone().map(Prompt::new),
            asks: Asks::OnStderr,
            askpass,
            outgoing: Outgoing::default(),
            leave: None,
            quiet: None,
        }
    }

    /// Talks until the program runs.
    pub(crate) fn hold(mut self, launch: &Launch<'_>) -> Result<Spawned, ConnectError> {
        let veil = Veil::new(launch);
        let launch = &veil.over(launch);
        let outcome = self.talk(launch);
        if let Some(askpass) = &mut self.askpass {
            askpass.end_notices(launch, true);
        }
        self.learn(launch, matches!(outcome, Ok(Some(_))));
        let kind = match outcome {
            Ok(Some(said)) => match self.link.set_nonblocking(false) {
                Ok(()) => return self.spawned(launch.plan, said, &veil),
                Err(error) => ConnectErrorKind::from_system(&error),
            },
            Ok(None) => ConnectErrorKind::Closed,
            Err(kind) => kind,
        };
        Err(self.fail(launch.plan, kind, &veil))
    }

    /// Remembers what the far side is, unless something went wrong with it.
    fn learn(&self, launch: &Launch<'_>, is_running: bool) {
        let Some(transport) = &launch.plan.transport else { return };
        match self.dialogue.host().filter(|_| is_running) {
            Some(host) => known::remember(&transport.leader, host),
            None => known::forget(&transport.leader),
        }
    }

    /// Until the program runs, with what it has said then, or the link has ended.
    fn talk(&mut self, launch: &Launch<'_>) -> Result<Option<Vec<u8>>, ConnectErrorKind> {
        self.link.set_nonblocking(true).map_err(|error| ConnectErrorKind::from_system(&error))?;
        self.begin(launch);
        loop {
            let ready = self.wait(launch)?;
            if ready.cancelled {
                return Err(ConnectErrorKind::Cancelled);
            }
            if ready.stderr {
                let heard = read_stderr(&mut self.stderr, &mut self.words);
                self.look_for_the_password(launch, heard, Asks::OnStderr)?;
            }
            if ready.terminal {
                let heard = self.read_terminal();
                self.look_for_the_password(launch, heard, Asks::OnTerminal)?;
            }
            if ready.question {
                // Others may have been asked before, for longer than there was time.
                self.answer_client(launch).map_err(|kind| launch.over().unwrap_or(kind))?;
            }
            if ready.room {
                self.write(launch);
            }
            if ready.link {
                match self.read(launch)? {
                    Heard::More => {}
                    Heard::Running(said) => return Ok(Some(said)),
                    Heard::Closed => return Ok(None),
                }
            }
            let now = Instant::now();
            self.look_for_a_question(launch, &ready, now)?;
            if !ready.link && self.leave.is_some_and(|leave| leave <= now) {
                return Ok(None);
            }
            if launch.deadline <= now {
                return Err(ConnectErrorKind::NoAnswer { limit: launch.limit });
            }
        }
    }

    /// A far side that is known is told what to do before it has spoken, where nobody on the way can take that for the
    /// answer to a question, as sudo would in a command of the user's.
    fn begin(&mut self, launch: &Launch<'_>) {
        let is_deaf = |transport: &&Transport| matches!(transport.dialect, Dialect::Ssh | Dialect::Container);
        let transport = launch.plan.transport.as_ref().filter(is_deaf).filter(|way| way.question.is_none());
        let known = transport.and_then(|transport| known::recall(&transport.leader));
        if let Some(reply) = known.and_then(|host| self.dialogue.begin_with(host)) {
            self.obey(launch, reply);
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self, launch: &Launch<'_>) -> Result<Ready, ConnectErrorKind> {
        let writing = self.link.output().filter(|_| !self.outgoing.is_empty());
        let stderr = self.stderr.as_ref().map(AsFd::as_fd);
        let questions = self.askpass.as_ref().map(Askpass::questions);
        let terminal = self.process.terminal().map(AsFd::as_fd);
        let others = [stderr, terminal, questions, launch.cancel];
        let mut fds = vec![PollFd::new(&self.link, PollFlags::IN)];
        fds.extend(writing.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        fds.extend(others.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let watches = self.askpass.iter().flat_map(Askpass::watches);
        fds.extend(watches.map(|fd| PollFd::new(fd, PollFlags::IN)));
        let ends = [self.leave, self.quiet];
        let until = ends.into_iter().flatten().fold(launch.deadline, Instant::min);
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok();
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ConnectErrorKind::from_system(&error.into())),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let link = ready.next().unwrap_or(false);
        let [room, stderr, terminal, question, cancelled] =
            [writing, stderr, terminal, questions, launch.cancel]
                .map(|fd| fd.is_some() && ready.next().unwrap_or(false));
        let question = question || ready.any(|is_ready| is_ready);
        Ok(Ready { link, room, stderr, terminal, question, cancelled })
    }

    /// Answers what the client asks by its helper, all that has come, and sees which of its notices are over.
    fn answer_client(&mut self, launch: &Launch<'_>) -> Result<(), ConnectErrorKind> {
        let is_late = self.dialogue.phase() != Phase::Shell;
        let (Some(askpass), Some(leader)) = (&mut self.askpass, self.process.number()) else { return Ok(()) };
        askpass.end_notices(launch, false);
        askpass.hear();
        while let Some(Answered { text, step, outcome }) = askpass.answer(launch, leader, is_late) {
            launch.saw(step);
            // It says why, if it is the last that was said.
            self.words.extend_from_slice(text.as_bytes());
            self.words.push(b'\n');
            outcome?;
        }
        Ok(())
    }

    fn read(&mut self, launch: &Launch<'_>) -> Result<Heard, ConnectErrorKind> {
        let mut piece = [0; PIECE];
        let read = match self.link.read(&mut piece) {
            Ok(0) => return Ok(Heard::Closed),
            Ok(read) => read,
            Err(error) if is_later(&error) => return Ok(Heard::More),
            Err(_) => return Ok(Heard::Closed),
        };
        let mut rest = piece.get(..read).unwrap_or_default();
        while !rest.is_empty() {
            let was_before = self.dialogue.phase() == Phase::Shell;
            let heard = self.dialogue.hear(rest);
            let is_ssh = launch.plan.transport.as_ref().is_some_and(|it| it.dialect == Dialect::Ssh);
            if is_ssh && was_before && self.dialogue.phase() != Phase::Shell {
                // A banner, and what the client remarks on keys, is nothing that the program says.
                self.words.clear();
            }
            self.dialogue.news().for_each(|step| launch.saw(step));
            let (taken, reply) = heard?;
            rest = rest.get(taken..).unwrap_or_default();
            match reply {
                None => {}
                Some(Reply::Running) => return Ok(Heard::Running(rest.to_vec())),
                Some(reply) => self.obey(launch, reply),
            }
        }
        Ok(Heard::More)
    }

    fn obey(&mut self, launch: &Launch<'_>, reply: Reply) {
        let program =
            |is_packed| self.dialogue.program().cloned().map(|program| Piece::Program { program, is_packed });
        let (line, program) = match reply {
            Reply::Running => (None, None),
            Reply::Line(line) => (Some(line), None),
            Reply::Program => (None, program(false)),
            Reply::Place { line, is_packed } => (Some(line), program(is_packed)),
        };
        line.map(Piece::Line).into_iter().chain(program).for_each(|piece| self.outgoing.push(piece));
        self.write(launch);
    }

    fn write(&mut self, launch: &Launch<'_>) {
        self.outgoing.write(&mut self.link, |sent, size| launch.saw(Step::Sending { sent, size }));
        if self.outgoing.is_refused() {
            self.leave.get_or_insert_with(|| Instant::now() + LAST_WORDS);
        }
    }

    /// Reads what is there on the terminal, beside what came on stderr; how much that was.
    fn read_terminal(&mut self) -> usize {
        let mut piece = [0; PIECE];
        let read = self.process.terminal().map_or(0, |terminal| terminal.read(&mut piece));
        hear(&mut self.words, piece.get(..read).unwrap_or_default());
        read
    }

    /// Answers the question that was agreed on, if it ends in the last bytes of what came on stderr or the terminal.
    fn look_for_the_password(
        &mut self,
        launch: &Launch<'_>,
        heard: usize,
        asks: Asks,
    ) -> Result<(), ConnectErrorKind> {
        let start = self.words.len().saturating_sub(heard);
        let said = self.words.get(start..).unwrap_or_default();
        let Some(prompt) = self.prompt.as_mut().filter(|_| !said.is_empty()) else { return Ok(()) };
        self.asks = asks;
        let is_asked = self.dialogue.phase() == Phase::Shell && prompt.hear(said);
        if is_asked { self.answer(launch, Asked::Password) } else { Ok(()) }
    }

    /// Answers a question that was not agreed on once it has been open for long enough.
    fn look_for_a_question(
        &mut self,
        launch: &Launch<'_>,
        ready: &Ready,
        now: Instant,
    ) -> Result<(), ConnectErrorKind> {
        let is_possible = self.dialogue.phase() == Phase::Shell;
        if !is_possible || !self.prompt.as_ref().is_some_and(Prompt::is_open) {
            self.quiet = None;
            return Ok(());
        }
        let is_said = ready.stderr || ready.terminal || ready.link || ready.room;
        match self.quiet {
            Some(end) if !is_said && end <= now => {
                self.quiet = None;
                self.answer(launch, Asked::Other)
            }
            Some(_) if !is_said => Ok(()),
            _ => {
                self.quiet = now.checked_add(QUIET);
                Ok(())
            }
        }
    }

    fn answer(&mut self, launch: &Launch<'_>, asked: Asked) -> Result<(), ConnectErrorKind> {
        let Some(prompt) = &mut self.prompt else { return Ok(()) };
        let terminal = self.process.terminal().filter(|_| self.asks == Asks::OnTerminal);
        let Outcome { question, answer, is_prompted } =
            prompt.answer(launch, asked, terminal.is_some_and(Terminal::echoes));
        // A shell may have come meanwhile, which would run what it is told.
        let is_over = is_prompted && self.is_anything_said();
        launch.saw(Step::Asked { question, is_answered: answer.is_ok() && !is_over });
        if let Some(kind) = launch.over().filter(|_| is_prompted) {
            return Err(kind);
        }
        if is_over {
            return Ok(());
        }
        match (terminal, answer?) {
            (Some(terminal), answer) => {
                terminal.answer(&answer).map_err(|error| ConnectErrorKind::from_system(&error))?;
            }
            (None, answer) => {
                self.outgoing.push(Piece::Secret(answer));
                self.write(launch);
            }
        }
        self.prompt.iter_mut().for_each(|prompt| prompt.gone_out(asked));
        Ok(())
    }

    /// Whether something has come that was not read.
    fn is_anything_said(&self) -> bool {
        let others = [self.stderr.as_ref().map(AsFd::as_fd), self.process.terminal().map(AsFd::as_fd)];
        others.into_iter().flatten().chain([self.link.as_fd()]).any(sys::is_ready)
    }

    fn spawned(mut self, plan: &Plan, said: Vec<u8>, veil: &Veil<'_>) -> Result<Spawned, ConnectError> {
        self.process.dismiss_guards();
        let passwords = led_on(self.askpass.as_ref(), self.prompt.as_ref());
        // Whoever reads it reads the end at once.
        let closed = || io::pipe().map(|(read, _)| read.into());
        let stderr = self.stderr.map_or_else(closed, Ok).map_err(|error| {
            let kind = ConnectErrorKind::from_system(&error);
            ConnectError::new(plan, Phase::Send, kind).with_passwords(passwords.clone())
        })?;
        Ok(Spawned {
            link: self.link,
            stderr,
            process: self.process,
            said,
            stderr_said: veil.hide(&self.words),
            passwords,
        })
    }

    /// Ends the process, or leaves it to its end, and makes of what it has said and how it went the best reason that there is.
    fn fail(mut self, plan: &Plan, kind: ConnectErrorKind, veil: &Veil<'_>) -> ConnectError {
        let phase = self.dialogue.phase();
        let kind = match kind {
            ConnectErrorKind::NoAnswer { .. } if phase == Phase::Shell && self.speaks_at_the_end() => {
                ConnectErrorKind::InputEaten
            }
            kind => kind,
        };
        // Whoever has nothing more to read cleans up and goes, and its status tells why; the link may be closed already.
        drop(self.link);
        let is_tidying = matches!((&kind, phase), (ConnectErrorKind::Cancelled, Phase::Place | Phase::Send));
        let report = self.process.wait(if is_tidying { TIDYING } else { GOING });
        let other = self.dialogue.into_other();
        match (&report, phase) {
            (Some(_), _) => {}
            (None, Phase::Place | Phase::Send) if self.process.goes_with_us() => leave_to_tidy(self.process),
            (None, _) => drop(self.process),
        }
        // What still has it may go on and on.
        for _ in 0..KEPT / PIECE {
            if self.stderr.as_ref().is_some_and(|stderr| sys::is_ready(stderr.as_fd())) {
                read_stderr(&mut self.stderr, &mut self.words);
            }
        }
        let words = String::from_utf8_lossy(&self.words);
        let (askpass, prompt) = (self.askpass.as_ref(), self.prompt.as_ref());
        let stop = match &kind {
            ConnectErrorKind::Closed => Stop::of(&words),
            ConnectErrorKind::NoAnswer { .. } => Stop::late(&words),
            // Who has not ended has not said all.
            _ => Stop::Unknown,
        };
        let kind = match (kind, &plan.transport) {
            (ConnectErrorKind::Closed, Some(transport)) if phase == Phase::Shell => {
                match explain::unspoken(transport, &self.words, &other, report.clone()) {
                    ConnectErrorKind::Authentication
                        if askpass.is_some_and(|askpass| askpass.has_answered_at(stop)) =>
                    {
                        ConnectErrorKind::PasswordWrong
                    }
                    // Whoever is busy is asked again, and a password goes out once.
                    ConnectErrorKind::Busy if askpass.is_some_and(Askpass::has_answered) => {
                        explain::ended(report.clone())
                    }
                    kind => kind,
                }
            }
            (ConnectErrorKind::Closed, _) => explain::ended(report.clone()),
            (
                kind @ (ConnectErrorKind::PasswordWrong | ConnectErrorKind::Unanswered { .. }),
                Some(transport),
            ) => explain::asked(transport, &self.words).unwrap_or(kind),
            (kind, _) => kind,
        };
        let is_let_in = plan.transport.as_ref().is_some_and(|transport| {
            explain::is_let_in(transport, (&self.words, &other), report.as_ref(), &kind)
        });
        let passwords = match phase {
            Phase::Shell => in_order(
                prompt.and_then(|prompt| prompt.left_open(&kind, is_let_in)),
                askpass.map(|askpass| match is_let_in {
                    true => askpass.led_on(),
                    false => askpass.left_open(stop, Instant::now()),
                }),
            ),
            _ => led_on(askpass, prompt),
        };
        ConnectError::new(plan, phase, veil.hide_in(kind))
            .with_outputs(&veil.hide(&other), &veil.hide(&self.words))
            .with_passwords(passwords)
    }

    /// Whether it speaks once it is at the end of its input: then somebody before it has waited for that.
    fn speaks_at_the_end(&mut self) -> bool {
        drop(self.link.close_stdin());
        let end = Instant::now() + LAST_WORDS;
        let mut piece = [0; PIECE];
        while self.dialogue.phase() == Phase::Shell {
            let left = end.saturating_duration_since(Instant::now());
            // Of one that never stops there is always something to read.
            if left.is_zero() {
                break;
            }
            let left = Timespec::try_from(left).ok();
            match poll(&mut [PollFd::new(&self.link, PollFlags::IN)], left.as_ref()) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let Ok(read @ 1..) = self.link.read(&mut piece) else { break };
            let mut rest = piece.get(..read).unwrap_or_default();
            while !rest.is_empty() {
                // What it is told to do does not matter any more.
                let Ok((taken, _)) = self.dialogue.hear(rest) else { break };
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        self.dialogue.phase() != Phase::Shell
    }
}

/// What is known of the passwords where the way has led on.
fn led_on(askpass: Option<&Askpass>, prompt: Option<&Prompt>) -> Vec<Told> {
    in_order(prompt.and_then(Prompt::led_on), askpass.map(Askpass::led_on))
}

/// What is known of passwords, as [`Plan::secrets`] has them: that for a question, and those for an ssh client.
fn in_order(asked: Option<Told>, logins: Option<Vec<Told>>) -> Vec<Told> {
    asked.into_iter().chain(logins.into_iter().flatten()).collect()
}

/// Sees a process to its end of which nobody waits any more: it may still have a file to take away, and be on a machine that
/// has no time. It is killed when it has had its own, and by the kernel if this program ends before (a tool with
/// the rights of another user, such as sudo, is not: it sees the end of its stream).
fn leave_to_tidy(mut process: Process) {
    let tidied = thread::Builder::new().name("offshoot-tidy".to_owned());
    // Where no thread can be had, the process goes with what was to be run by it.
    drop(tidied.spawn(move || process.wait(LONG_TIDYING).is_some()));
}

/// Reads what is there on stderr, to the words; how much that was.
fn read_stderr(from: &mut Option<OwnedFd>, words: &mut Vec<u8>) -> usize {
    let Some(stderr) = from else { return 0 };
    let mut piece = [0; PIECE];
    match rustix::io::read(stderr.as_fd(), &mut piece) {
        Err(Errno::INTR) => 0,
        Ok(0) | Err(_) => {
            *from = None;
            0
        }
        Ok(read) => {
            hear(words, piece.get(..read).unwrap_or_default());
            read
        }
    }
}

fn hear(words: &mut Vec<u8>, more: &[u8]) {
    words.extend_from_slice(more);
    if words.len() > 2 * KEPT {
        words.drain(..words.len().saturating_sub(KEPT));
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
