//! The helper by which an ssh client asks, and the answers to it.
//!
//! It is a script of a few words in sealed memory, which the client finds by our `/proc` entry, as it does the two pipes
//! of it: no file is made. It passes the question on with its own number. The answer is written into the very pipe that
//! the helper has from the client which asks, so that no other program can get it, and the helper is told to end.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    process,
};

use offshoot_wire::Secret;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, getpgid},
};

use crate::{
    ConnectErrorKind, Plan, Prompter, Text,
    prompter::Query,
    questions::{Login, Question},
    sys,
};

/// The longest question that is taken, in bytes: that for an unknown host key is a few lines.
const MAX_QUESTION: usize = 16 * 1024;

/// The helper of one connect.
pub(crate) struct Askpass {
    /// Closed first: without it nobody can start the helper any more, whatever becomes of the numbers of the others.
    script: OwnedFd,
    questions: PipeReader,
    _asking: PipeWriter,
    _verdicts: PipeReader,
    verdict: PipeWriter,
    /// Of a question that has not come whole.
    heard: Vec<u8>,
    logins: Vec<(Login, bool)>,
    asked: Vec<(Text, u32)>,
    has_answered: bool,
}

/// What the helper says.
struct Asked {
    helper: Pid,
    text: String,
}

impl Askpass {
    pub(crate) fn new(logins: &[Login]) -> io::Result<Self> {
        let (questions, asking) = io::pipe()?;
        let (verdicts, verdict) = io::pipe()?;
        fcntl_setfl(&questions, fcntl_getfl(&questions)? | OFlags::NONBLOCK)?;
        // Its descriptor 1 is another while it asks; 3 is the pipe from the client all the time.
        let script = format!(
            "#!/bin/sh\nexec 3>&1\nprintf '%s %s\\000' \"$$\" \"$1\" >{} && read -r a <{} && exit \"$a\"\nexit 1\n",
            path(asking.as_fd()),
            path(verdicts.as_fd())
        );
        let (script, _) = sys::memory_image("askpass", script.as_bytes())?;
        let logins = logins.iter().map(|login| (login.clone(), false)).collect();
        Ok(Self {
            script,
            questions,
            _asking: asking,
            _verdicts: verdicts,
            verdict,
            heard: Vec::new(),
            logins,
            asked: Vec::new(),
            has_answered: false,
        })
    }

    /// What the client must have in its environment.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let force = "force".to_owned();
        vec![("SSH_ASKPASS".to_owned(), path(self.script.as_fd())), ("SSH_ASKPASS_REQUIRE".to_owned(), force)]
    }

    /// Readable when something is asked.
    pub(crate) fn questions(&self) -> BorrowedFd<'_> {
        self.questions.as_fd()
    }

    /// Whether a password has gone out.
    pub(crate) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Answers what is asked, unless it `is_late`; `leader` is the process that was started. What was asked is returned
    /// for people, with the reason if the client cannot go on: to leave it without an answer would be a failed login.
    pub(crate) fn answer(
        &mut self,
        plan: &Plan,
        leader: Pid,
        is_late: bool,
        prompter: Option<&dyn Prompter>,
    ) -> (Option<Text>, Result<(), ConnectErrorKind>) {
        let Some(Asked { helper, text }) = self.hear() else { return (None, Ok(())) };
        let question = Question::of(&text);
        // A client of another connect has another leader; whoever asks after the shell has spoken is not ssh.
        if is_late || getpgid(Some(helper)) != Ok(leader) {
            self.decide(1);
            return (None, Ok(()));
        }
        let is_of_place = parent_of(helper) == Some(leader);
        let query = Query {
            place: plan.place.clone(),
            method: plan.method.clone(),
            account: question.account().map(Text::from),
            is_of_place,
            text: Text::from(text.trim()),
            echoes: question == Question::HostKey,
            attempt: self.count(&text),
        };
        let secret = self.known(question, is_of_place);
        let secret = secret.or_else(|| prompter.and_then(|prompter| prompter.answer(&query)));
        let outcome = match (secret, question) {
            (Some(secret), _) => {
                self.has_answered |= matches!(question, Question::Password { .. });
                self.give(helper, &secret)
            }
            (None, Question::Passphrase | Question::HostKey) => {
                self.decide(1);
                Ok(())
            }
            (None, Question::Password { account }) => {
                let is_again = query.attempt > 1 || self.is_used(account, is_of_place);
                Err(if is_again { ConnectErrorKind::PasswordWrong } else { ConnectErrorKind::PasswordNeeded })
            }
            (None, Question::Other { .. }) => {
                Err(ConnectErrorKind::Unanswered { question: query.text.clone() })
            }
        };
        (Some(query.text), outcome)
    }

    fn hear(&mut self) -> Option<Asked> {
        let mut piece = [0; 4096];
        let read = self.questions.read(&mut piece).unwrap_or_default();
        self.heard.extend_from_slice(piece.get(..read).unwrap_or_default());
        let Some(end) = self.heard.iter().position(|byte| *byte == 0) else {
            self.heard.truncate(MAX_QUESTION);
            return None;
        };
        let asked: Vec<u8> = self.heard.drain(..=end).collect();
        let asked = String::from_utf8_lossy(asked.strip_suffix(&[0]).unwrap_or_default()).into_owned();
        let (helper, text) = asked.split_once(' ')?;
        let helper = helper.parse().ok().and_then(Pid::from_raw)?;
        Some(Asked { helper, text: text.to_owned() })
    }

    fn count(&mut self, text: &str) -> u32 {
        let text = Text::from(text);
        if let Some((_, times)) = self.asked.iter_mut().find(|(asked, _)| *asked == text) {
            *times = times.saturating_add(1);
            return *times;
        }
        self.asked.push((text, 1));
        1
    }

    /// The password that was given for it, unless it has gone out already.
    fn known(&mut self, question: Question<'_>, is_of_place: bool) -> Option<Secret> {
        let Question::Password { account } = question else { return None };
        let (login, is_used) =
            self.logins.iter_mut().find(|(login, _)| login.is_for(account, is_of_place))?;
        let is_first = !std::mem::replace(is_used, true);
        is_first.then(|| login.password.clone())
    }

    fn is_used(&self, account: &str, is_of_place: bool) -> bool {
        self.logins.iter().any(|(login, is_used)| *is_used && login.is_for(account, is_of_place))
    }

    /// Writes the answer to the client that asks, by the pipe that its helper has from it.
    fn give(&mut self, helper: Pid, secret: &Secret) -> Result<(), ConnectErrorKind> {
        let line = Secret::new([secret.expose().as_bytes(), b"\n"].concat());
        let to = format!("/proc/{}/fd/3", helper.as_raw_pid());
        let written =
            OpenOptions::new().write(true).open(to).and_then(|mut to: File| to.write_all(line.expose()));
        self.decide(u8::from(written.is_err()));
        written.map_err(|error| ConnectErrorKind::from_system(&error))
    }

    /// Tells the helper how to end.
    fn decide(&mut self, status: u8) {
        // A byte or two in a pipe that holds no more than those of helpers that have gone: there is room.
        drop(writeln!(self.verdict, "{status}"));
    }
}

/// How another process finds a descriptor of this one.
fn path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/{}/fd/{}", process::id(), fd.as_raw_fd())
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().and_then(Pid::from_raw)
}
