//! The helper by which an ssh client asks, and the answers to it.
//!
//! It is a script of a few words in sealed memory, which the client finds by our `/proc` entry, as it does the pipes of
//! it: no file is made. It passes the question on with its own number. The answer is written into the very pipe that
//! the helper has from the client which asks, so that no other program can get it, and the helper is told to end.
//!
//! Several clients may ask at once: of the host and of the jump hosts on the way. Before it asks each helper takes the
//! number of a pipe by which it alone is told how to end. A shell reads a line byte by byte, and two that read at once
//! would each get a part of it: so whoever reads a number has taken the turn before, which is a line of one byte.
//!
//! A client also starts the helper for a mere notice, such as that a key wants to be touched, and ends it by a signal when
//! that is over. Such a helper takes no turn, which would be lost with it: it says so and waits for its end.

use std::{
    fs,
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use offshoot_wire::Secret;
use rustix::{
    fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    process::{Pid, getpgid},
};

use crate::{
    Account, ConnectErrorKind, Launch, Notice, Prompter, Step, Text, Told,
    fate::Fate,
    prompter::{Attempts, MAX_ATTEMPTS, MAX_QUESTIONS, Query},
    questions::{Login, Question},
    stop::{Refusal, Stop},
    sys,
};

/// The longest question that is taken, in bytes: that for an unknown host key is a few lines.
const MAX_QUESTION: usize = 16 * 1024;

/// How many notices are taken in a connect: one for each key that is tried on the way.
const MAX_NOTICES: usize = 16;

/// How long nobody says anything behind a password until he who got it has surely not refused it: PAM makes whoever
/// mistypes it wait for two seconds, and a quarter more.
const TAKEN: Duration = Duration::from_secs(4);

/// The helper of one connect.
#[derive(Debug)]
pub(crate) struct Askpass {
    /// Closed first: without it nobody can start the helper any more, whatever becomes of the numbers of the others.
    script: OwnedFd,
    questions: PipeReader,
    _asking: PipeWriter,
    /// Holds a byte if a helper may read a number.
    turn: (PipeReader, PipeWriter),
    /// Holds the number of the pipe for the next helper.
    numbers: (PipeReader, PipeWriter),
    /// For each helper one: by which it is told how to end.
    verdicts: Vec<(PipeReader, PipeWriter)>,
    /// Nothing is in it: the helper of a notice waits there, for us to end if its client does not end it.
    _quiet: (PipeReader, PipeWriter),
    notices: Vec<Shown>,
    /// Of a question that has not come whole.
    heard: Vec<u8>,
    logins: Vec<(Login, Fate)>,
    attempts: Attempts,
    /// The accounts whose passwords have gone out, and whether the client that was started has asked for them.
    answered: Vec<(String, bool)>,
    /// When the last has.
    last_out: Option<Instant>,
    /// The client that was started talks with a server: the jump hosts have let it through.
    has_reached: bool,
}

/// A notice, and what becomes readable when its helper ends.
#[derive(Debug)]
struct Shown {
    notice: Notice,
    watch: Option<OwnedFd>,
}

/// What the helper says.
struct Asked {
    helper: Pid,
    kind: Kind,
    text: String,
}

/// What is wanted.
#[derive(Clone, Copy)]
enum Kind {
    /// An answer; the helper has that pipe.
    Text { verdict: usize },
    /// A yes, by that pipe.
    Consent { verdict: usize },
    /// Nothing.
    Notice,
}

impl Asked {
    fn parse(said: &str) -> Option<Self> {
        let mut words = said.splitn(4, ' ');
        let helper = words.next()?.parse().ok().and_then(Pid::from_raw)?;
        let (hint, number, text) = (words.next()?, words.next()?, words.next()?.to_owned());
        let kind = match hint {
            "none" => Kind::Notice,
            "confirm" => Kind::Consent { verdict: number.parse().ok()? },
            _ => Kind::Text { verdict: number.parse().ok()? },
        };
        Some(Self { helper, kind, text })
    }
}

/// What was asked or told, and what came of it.
pub(crate) struct Answered {
    /// For people.
    pub(crate) text: Text,
    /// For whoever looks on.
    pub(crate) step: Step,
    /// The reason why the client cannot go on.
    pub(crate) outcome: Result<(), ConnectErrorKind>,
}

impl Askpass {
    pub(crate) fn new(logins: &[Login]) -> io::Result<Self> {
        let (questions, asking) = io::pipe()?;
        let (turn, numbers) = (io::pipe()?, io::pipe()?);
        fcntl_setfl(&questions, fcntl_getfl(&questions)? | OFlags::NONBLOCK)?;
        let quiet = io::pipe()?;
        // Its descriptor 1 is another while it asks; 3 is the pipe from the client all the time.
        let script = format!(
            "#!/bin/sh\nh=${{SSH_ASKPASS_PROMPT:-text}}\n\
             if [ \"$h\" = none ]; then printf '%s %s - %s\\000' \"$$\" \"$h\" \"$1\" >{asking} && read -r a <{quiet}; exit 0; fi\n\
             exec 3>&1\nread -r n <{turn} && read -r n v <{numbers} && \
             printf '%s %s %s %s\\000' \"$$\" \"$h\" \"$n\" \"$1\" >{asking} && read -r a <\"$v\" && exit \"$a\"\nexit 1\n",
            quiet = sys::path_from_outside(quiet.0.as_fd()),
            turn = sys::path_from_outside(turn.0.as_fd()),
            numbers = sys::path_from_outside(numbers.0.as_fd()),
            asking = sys::path_from_outside(asking.as_fd()),
        );
        let (script, _) = sys::memory_image("askpass", script.as_bytes())?;
        let logins = logins.iter().map(|login| (login.clone(), Fate::Kept)).collect();
        let mut helper = Self {
            script,
            questions,
            _asking: asking,
            turn,
            numbers,
            verdicts: Vec::new(),
            _quiet: quiet,
            notices: Vec::new(),
            heard: Vec::new(),
            logins,
            attempts: Attempts::default(),
            answered: Vec::new(),
            last_out: None,
            has_reached: false,
        };
        helper.invite()?;
        Ok(helper)
    }

    /// Makes the pipe of the next helper, which may ask then.
    fn invite(&mut self) -> io::Result<()> {
        if self.verdicts.len() < MAX_QUESTIONS as usize {
            let (read, write) = io::pipe()?;
            let (number, path) = (self.verdicts.len(), sys::path_from_outside(read.as_fd()));
            self.verdicts.push((read, write));
            // One line at a time is in it: there is room.
            writeln!(self.numbers.1, "{number} {path}")?;
            writeln!(self.turn.1)?;
        }
        Ok(())
    }

    /// What the client must have in its environment.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let force = "force".to_owned();
        vec![
            ("SSH_ASKPASS".to_owned(), sys::path_from_outside(self.script.as_fd())),
            ("SSH_ASKPASS_REQUIRE".to_owned(), force),
            // What another client has set for us is not meant for this one's helper.
            ("SSH_ASKPASS_PROMPT".to_owned(), String::new()),
        ]
    }

    /// Each is readable when a notice is over.
    pub(crate) fn watches(&self) -> impl Iterator<Item = &OwnedFd> {
        self.notices.iter().filter_map(|shown| shown.watch.as_ref())
    }

    /// Tells the prompter of the notices that are over: all of them if the connect is.
    pub(crate) fn end_notices(&mut self, launch: &Launch<'_>, is_connect_over: bool) {
        let has_ended = |shown: &mut Shown| {
            is_connect_over || shown.watch.as_ref().is_some_and(|watch| sys::is_ready(watch.as_fd()))
        };
        for Shown { notice, .. } in self.notices.extract_if(.., has_ended) {
            tell(launch, &Notice { is_over: true, ..notice });
        }
    }

    /// Readable when something is asked.
    pub(crate) fn questions(&self) -> BorrowedFd<'_> {
        self.questions.as_fd()
    }

    /// Whether a password has gone out, given or typed.
    pub(crate) const fn has_answered(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Whether one has gone out to where the way has ended.
    pub(crate) fn has_answered_at(&self, stop: Stop<'_>) -> bool {
        match stop {
            Stop::AtPlace => self.answered.iter().any(|(_, is_of_place)| *is_of_place),
            Stop::AtJump(refusal) => self.refused(refusal).is_some(),
            Stop::BehindJump | Stop::Silent | Stop::Unknown => false,
        }
    }

    /// The account of a jump host for which a password has gone out, and which was not let in. If none of them is called so, it is
    /// the last of the same user, where a password would have let it in: its client has asked for one then, in another name.
    fn refused(&self, refusal: Refusal<'_>) -> Option<&str> {
        let of_jumps = self.answered.iter().filter(|(_, is_of_place)| !is_of_place);
        let mut accounts = of_jumps.map(|(account, _)| account.as_str());
        let is_alike = |last: &&str| refusal.takes_passwords && user_of(last) == user_of(refusal.account);
        let last = accounts.clone().next_back().filter(is_alike);
        accounts.find(|account| *account == refusal.account).or(last)
    }

    /// What has become of each of the passwords that it was given, once the way has led there.
    pub(crate) fn led_on(&self) -> Vec<Told> {
        self.logins.iter().map(|(_, fate)| fate.led_on()).collect()
    }

    /// The same once it has led nowhere, and has ended there by now.
    pub(crate) fn left_open(&self, stop: Stop<'_>, now: Instant) -> Vec<Told> {
        let is_taken = self.last_out.is_none_or(|since| now.saturating_duration_since(since) >= TAKEN);
        let told = self.logins.iter().map(|(login, fate)| match (&login.account, stop) {
            (Account::Place(_), Stop::AtPlace) => fate.turned_away().left_open(),
            (Account::Place(_), _) => fate.left_open(),
            (Account::Jump(_), _) if self.has_reached => fate.led_on(),
            // He who has let it through waits for the place as we do, and that is no word for it: he may be slow to refuse.
            (Account::Jump(_), Stop::Silent) if is_taken => fate.left_unsaid(),
            (Account::Jump(_), Stop::AtPlace | Stop::BehindJump) => fate.led_on(),
            // Which of two hosts on the way comes first is told by this alone.
            (Account::Jump(account), Stop::AtJump(at))
                if self.refused(at).is_some_and(|at| at != account) =>
            {
                fate.led_on()
            }
            // Whoever is behind a jump host can say this too, and one host must not speak for all that are: it asks again where it
            // was wrong.
            (Account::Jump(_), Stop::AtJump(_) | Stop::Silent | Stop::Unknown) => fate.left_open(),
        });
        told.collect()
    }

    /// Takes what has come of questions.
    pub(crate) fn hear(&mut self) {
        let mut piece = [0; 4096];
        let read = self.questions.read(&mut piece).unwrap_or_default();
        self.heard.extend_from_slice(piece.get(..read).unwrap_or_default());
    }

    /// Answers the next of what was asked, unless it `is_late`; `leader` is the process that was started. `None`: nobody
    /// asks who may. A client without an answer must not go on where that may be a failed login.
    pub(crate) fn answer(&mut self, launch: &Launch<'_>, leader: Pid, is_late: bool) -> Option<Answered> {
        loop {
            let Asked { helper, kind, text } = self.next()?;
            // A client of another connect has another leader; whoever asks after the shell has spoken is not ssh.
            let is_of_connect = !is_late && getpgid(Some(helper)) == Ok(leader);
            match kind {
                Kind::Notice if is_of_connect && self.notices.len() < MAX_NOTICES => {
                    return Some(self.show(launch, helper, leader, &text));
                }
                Kind::Notice => {}
                Kind::Text { verdict } | Kind::Consent { verdict } if !is_of_connect => {
                    self.decide(verdict, 1);
                }
                Kind::Text { verdict } => {
                    return Some(self.ask(launch, (helper, leader), verdict, Question::of(&text), &text));
                }
                Kind::Consent { verdict } => {
                    return Some(self.ask(launch, (helper, leader), verdict, Question::Consent, &text));
                }
            }
        }
    }

    /// Tells the prompter of a notice that begins.
    fn show(&mut self, launch: &Launch<'_>, helper: Pid, leader: Pid, text: &str) -> Answered {
        let notice = Notice {
            place: launch.plan.place.clone(),
            method: launch.plan.method.clone(),
            is_of_place: parent_of(helper) == Some(leader),
            text: Text::from(text.trim()),
            is_over: false,
        };
        // One that has ended already cannot be watched, and is over with the connect.
        let watch = sys::watch(helper);
        tell(launch, &notice);
        let text = notice.text.clone();
        self.notices.push(Shown { notice, watch });
        Answered { step: Step::Told { notice: text.clone() }, text, outcome: Ok(()) }
    }

    fn ask(
        &mut self,
        launch: &Launch<'_>,
        (helper, leader): (Pid, Pid),
        verdict: usize,
        question: Question<'_>,
        text: &str,
    ) -> Answered {
        let asker = parent_of(helper);
        let is_of_place = asker == Some(leader);
        self.has_reached |= is_of_place && (question.account().is_some() || question == Question::HostKey);
        let query = Query {
            place: launch.plan.place.clone(),
            method: launch.plan.method.clone(),
            account: question.account().map(Text::from),
            is_of_place,
            kind: question.kind(),
            text: Text::from(text.trim()),
            above: Text::default(),
            echoes: matches!(question, Question::HostKey | Question::Consent),
            is_consent: question == Question::Consent,
            attempt: self.attempts.count(&Text::from(text)),
        };
        // The clients of jump hosts may ask; consent is what any of them waits for.
        let is_of_jump = asker.is_some_and(|asker| asker != leader && getpgid(Some(asker)) == Ok(leader));
        let may_ask = is_of_jump || query.is_consent || launch.lets_it_ask();
        let is_refused_too_often = question.comes_again_as_refused() && query.attempt > MAX_ATTEMPTS;
        let prompter = launch.prompter.filter(|_| may_ask && !is_refused_too_often);
        let known = self.known(question, is_of_place);
        let typed =
            || prompter.map_or(Ok(None), |prompter| typed(launch, prompter, &query, (helper, leader)));
        let secret = known.map_or_else(typed, |known| Ok(Some(known)));
        // Who asks is not silent, nor as long as somebody thinks about it.
        self.last_out = self.last_out.map(|_| Instant::now());
        // To the client an empty line is a yes, too.
        let is_refused =
            |secret: &Secret| query.is_consent && !secret.expose().trim().eq_ignore_ascii_case("yes");
        let secret = secret.map(|secret| secret.filter(|secret| !is_refused(secret)));
        let outcome = match (secret, question) {
            (Err(kind), _) => Err(kind),
            (Ok(Some(secret)), _) => {
                let given = self.give(helper, verdict, &secret);
                given.map(|()| self.gone_out(question, is_of_place)).map(|()| true)
            }
            (Ok(None), Question::HostKey) if is_refused_too_often => {
                Err(ConnectErrorKind::Unanswered { question: query.text.clone() })
            }
            (Ok(None), Question::Passphrase | Question::HostKey | Question::Consent) => {
                self.decide(verdict, 1);
                Ok(false)
            }
            // Such as the number of a key: without it the client goes on with other keys.
            (Ok(None), Question::Other { account: None }) if !may_ask => {
                self.decide(verdict, 1);
                Ok(false)
            }
            (Ok(None), Question::Password { account }) => {
                let is_again = self.answered.contains(&(account.to_owned(), is_of_place));
                Err(if is_again { ConnectErrorKind::PasswordWrong } else { ConnectErrorKind::PasswordNeeded })
            }
            (Ok(None), Question::Change { .. }) => Err(ConnectErrorKind::PasswordExpired),
            (Ok(None), Question::Other { .. }) => {
                Err(ConnectErrorKind::Unanswered { question: query.text.clone() })
            }
        };
        let step = Step::Asked { question: query.text.clone(), is_answered: outcome == Ok(true) };
        Answered { text: query.text, step, outcome: outcome.map(drop) }
    }

    /// The next question that has come whole.
    fn next(&mut self) -> Option<Asked> {
        while let Some(end) = self.heard.iter().position(|byte| *byte == 0) {
            let said: Vec<u8> = self.heard.drain(..=end).collect();
            let said = String::from_utf8_lossy(said.strip_suffix(&[0]).unwrap_or_default());
            let asked = Asked::parse(&said);
            if !matches!(asked, Some(Asked { kind: Kind::Notice, .. })) {
                // It has taken the turn. Without a pipe for it the next helper waits, and the connect ends at its deadline.
                drop(self.invite());
            }
            if asked.is_some() {
                return asked;
            }
        }
        self.heard.truncate(MAX_QUESTION);
        None
    }

    /// The password that was given for it, unless it has gone out already.
    fn known(&mut self, question: Question<'_>, is_of_place: bool) -> Option<Secret> {
        let account = question.account()?;
        let (login, fate) = self.logins.iter_mut().find(|(login, _)| login.is_for(account, is_of_place))?;
        match question {
            Question::Password { .. } => fate.asked(),
            Question::Change { .. } => {
                fate.outlived();
                return None;
            }
            _ => return None,
        }
        (*fate == Fate::Kept).then(|| login.password.clone())
    }

    /// The answer has gone out.
    fn gone_out(&mut self, question: Question<'_>, is_of_place: bool) {
        let Some(account) = question.account() else { return };
        let mut logins = self.logins.iter_mut().filter(|(login, _)| login.is_for(account, is_of_place));
        let fate = logins.next().map(|(_, fate)| fate);
        if let Question::Password { .. } = question {
            self.answered.push((account.to_owned(), is_of_place));
            self.last_out = Some(Instant::now());
            fate.into_iter().for_each(Fate::gone_out);
        } else {
            fate.into_iter().for_each(Fate::followed);
        }
    }

    /// Writes the answer to the client that asks, by the pipe that its helper has from it.
    fn give(&mut self, helper: Pid, verdict: usize, secret: &Secret) -> Result<(), ConnectErrorKind> {
        let line = Secret::new([secret.expose().as_bytes(), b"\n"].concat());
        let written = write_to(helper, line.expose());
        self.decide(verdict, u8::from(written.is_err()));
        written.map_err(|error| match error {
            // The client has gone, or the helper: how it ended tells why.
            Errno::PIPE | Errno::NOENT | Errno::SRCH => ConnectErrorKind::Closed,
            error => ConnectErrorKind::from_system(&error.into()),
        })
    }

    /// Tells a helper how to end.
    fn decide(&mut self, verdict: usize, status: u8) {
        // A line in a pipe of its own: there is room. Whoever names another pipe is told nothing.
        if let Some((_, verdict)) = self.verdicts.get_mut(verdict) {
            drop(writeln!(verdict, "{status}"));
        }
    }
}

/// Of `user@host`.
fn user_of(account: &str) -> Option<&str> {
    account.rsplit_once('@').map(|(user, _)| user)
}

/// What whoever sits here answers. He takes his time: the connect may be over then, or the client gone, and the number of its
/// helper be that of somebody else.
fn typed(
    launch: &Launch<'_>,
    prompter: &dyn Prompter,
    query: &Query,
    (helper, leader): (Pid, Pid),
) -> Result<Option<Secret>, ConnectErrorKind> {
    let answer = prompter.answer(query);
    match launch.over() {
        Some(kind) => Err(kind),
        None if getpgid(Some(helper)) != Ok(leader) => Err(ConnectErrorKind::Closed),
        None => Ok(answer),
    }
}

/// Writes to the pipe that a helper has from its client.
fn write_to(helper: Pid, mut line: &[u8]) -> Result<(), Errno> {
    let pipe = format!("/proc/{}/fd/3", helper.as_raw_pid());
    let pipe = rustix::fs::open(pipe, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    while !line.is_empty() {
        match sys::quietly(|| rustix::io::write(&pipe, line)) {
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn tell(launch: &Launch<'_>, notice: &Notice) {
    if let Some(prompter) = launch.prompter {
        prompter.notice(notice);
    }
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_host_that_is_silent_for_longer_than_whoever_refuses_has_not_and_has_let_nobody_through() {
        let login = |account, password: &str| Login::new(account, password.into());
        let logins = [login(Account::Place(None), "zwei"), login(Account::Jump("me@jump".into()), "eins")];
        let mut askpass = Askpass::new(&logins).unwrap();
        askpass.gone_out(Question::Password { account: "me@jump" }, false);
        let out = askpass.last_out.unwrap();
        let soon = TAKEN.checked_sub(Duration::from_millis(1)).unwrap();
        for (stop, later, told) in [
            (Stop::Silent, soon, Told::Unclear),
            (Stop::Silent, TAKEN, Told::Untold),
            (Stop::Unknown, TAKEN, Told::Unclear),
            (Stop::BehindJump, soon, Told::Proved),
        ] {
            assert_eq!(askpass.left_open(stop, out + later), [Told::Untold, told], "{stop:?}, {later:?}");
        }
        // That of the place is its own affair.
        askpass.gone_out(Question::Password { account: "me@web" }, true);
        assert_eq!(askpass.left_open(Stop::Silent, out + TAKEN * 2), [Told::Unclear, Told::Untold]);
    }
}
