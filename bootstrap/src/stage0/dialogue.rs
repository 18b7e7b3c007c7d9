//! The dialogue with stage 0, from its first word until the program runs.

use super::{
    answer::{Answer, Answers, Host},
    words::{Errand, Interpreter, Wrapping},
};
use crate::{
    ConnectErrorKind, Phase, Step,
    loan::Loan,
    machine::Machine,
    payload::{Offer, Program},
};

/// In how many folders a program is tried, if the user has not named more: the usual ones, and those of a far side with
/// a few more. Each costs that the program is sent again.
const MAX_FOLDERS: usize = 12;

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A line.
    Line(String),
    /// The program as it is.
    Program,
    /// A line and the program right behind it, as it is or packed.
    Place { line: String, is_packed: bool },
    /// Nothing: from here on the program itself reads and writes.
    Running,
}

/// One dialogue. It is told what comes from the far side and says what is to be written there.
#[derive(Debug)]
pub(crate) struct Dialogue {
    offer: Offer,
    /// What is sent of the offer; nothing before the far side has said what it is.
    program: Option<Program>,
    errand: Errand,
    /// The program, where it is lent.
    loan: Option<Loan>,
    answers: Answers,
    host: Option<Host>,
    /// It has said what it is.
    has_spoken: bool,
    /// It is not what it was when something was begun for it.
    is_other: bool,
    state: State,
    /// Folders in which it could not be put, with the reasons.
    failed: Vec<String>,
    reasons: Vec<String>,
    /// What has happened and was not told.
    news: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Silent,
    /// It looks whether it can run the program from our memory.
    Lent,
    /// It looks whether it has the program.
    Cached,
    /// It looks whether somebody has put it there.
    Preplaced,
    /// It looks for a place; the program is on its way.
    Placing,
    /// It receives the program.
    Sent {
        in_memory: bool,
    },
    /// It was asked to take it into memory.
    InMemory,
    Over,
}

impl Dialogue {
    /// A dialogue by which what is offered is to run. What the far side is is not known yet.
    pub(crate) fn new(offer: Offer, errand: Errand) -> Self {
        Self {
            offer,
            program: None,
            errand,
            loan: None,
            answers: Answers::default(),
            host: None,
            has_spoken: false,
            is_other: false,
            state: State::Silent,
            failed: Vec::new(),
            reasons: Vec::new(),
            news: Vec::new(),
        }
    }

    /// How far it has come.
    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            _ if !self.has_spoken => Phase::Shell,
            State::Silent => Phase::Shell,
            State::Lent | State::Cached | State::Preplaced | State::Placing | State::InMemory => Phase::Place,
            State::Sent { .. } | State::Over => Phase::Send,
        }
    }

    /// Takes what has come, up to the first answer: how many bytes were taken, and what to do.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<(usize, Option<Reply>), ConnectErrorKind> {
        let (taken, answer) = self.answers.push(bytes);
        let reply = answer.map(|answer| self.answer(&answer)).transpose()?.flatten();
        Ok((taken, reply))
    }

    /// What has happened since this was asked the last time.
    pub(crate) fn news(&mut self) -> impl Iterator<Item = Step> {
        std::mem::take(&mut self.news).into_iter()
    }

    /// What is sent of the offer, once something was begun.
    pub(crate) const fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    fn size(&self, is_packed: bool) -> usize {
        self.program().map_or(0, |program| program.sent(is_packed).len())
    }

    /// What came and was no answer.
    pub(crate) fn into_other(self) -> Vec<u8> {
        self.answers.into_other()
    }

    fn answer(&mut self, answer: &Answer) -> Result<Option<Reply>, ConnectErrorKind> {
        if answer.to == "hello" && !self.has_spoken {
            self.has_spoken = true;
            let host = Host::parse(&answer.words);
            self.news.push(Step::Spoke { host: host.text().into() });
            return self.greet(host);
        }
        // Anybody can say something; only who has read the errand knows its nonce.
        if answer.to != self.errand.nonce {
            return Ok(None);
        }
        let (word, rest) = answer.words.split_once(' ').unwrap_or((&answer.words, ""));
        self.news.extend(self.step(word, rest));
        match (self.state, word) {
            (State::Placing, "at") => {
                self.state = State::Sent { in_memory: false };
                Ok(None)
            }
            (State::InMemory, "at") => {
                self.state = State::Sent { in_memory: true };
                Ok(Some(Reply::Program))
            }
            // That was for what it had been the last time.
            (State::Placing, "none") | (State::Sent { .. }, "failed") if self.is_other => {
                self.is_other = false;
                Ok(Some(self.place()))
            }
            (State::Placing, "none") => {
                self.reasons.push(rest.trim_end_matches([',', ' ']).to_owned());
                self.try_memory().map(Some)
            }
            (State::Lent, "missing") => {
                self.is_other = false;
                self.bring().map(Some)
            }
            (State::Cached, "missing") => {
                self.is_other = false;
                Ok(Some(self.place()))
            }
            (State::Preplaced, "missing") => Err(self.not_preplaced(rest)),
            (State::Sent { .. } | State::Lent | State::Cached | State::Preplaced, "run") => {
                self.state = State::Over;
                Ok(Some(Reply::Running))
            }
            (State::Sent { in_memory }, "failed") => self.try_elsewhere(rest, in_memory).map(Some),
            _ => Ok(None),
        }
    }

    /// What an answer means for who looks on.
    fn step(&self, word: &str, rest: &str) -> Option<Step> {
        match (self.state, word) {
            (State::Placing | State::InMemory, "at") => Some(Step::Placed { place: rest.into() }),
            (State::Placing, "none") | (State::Sent { .. }, "failed") => {
                Some(Step::Refused { reason: rest.trim_end_matches([',', ' ']).into() })
            }
            (State::Cached, "missing") => Some(Step::NotCached),
            (State::Sent { .. } | State::Lent | State::Cached | State::Preplaced, "run") => {
                Some(Step::Running)
            }
            _ => None,
        }
    }

    /// Begins before the far side has spoken, if it was this the last time: what it is sent is of no harm to another, which
    /// reads it away and says so.
    pub(crate) fn begin_with(&mut self, host: Host) -> Option<Reply> {
        // Another may have no such interpreter, and would end with it.
        if self.errand.memory {
            return None;
        }
        self.greet(host).ok().flatten()
    }

    /// What the far side is, if it has said so.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.host.as_ref().filter(|_| self.has_spoken)
    }

    fn greet(&mut self, host: Host) -> Result<Option<Reply>, ConnectErrorKind> {
        let program = self.offer.choose(&host.uname, self.machine(&host))?;
        let is_begun = self.state != State::Silent;
        if is_begun && self.host.as_ref() == Some(&host) {
            return Ok(None);
        }
        program.hash().clone_into(&mut self.errand.hash);
        self.program = Some(program);
        self.errand.host.clone_from(&host.uname);
        // What has stayed somewhere is not believed without its hash.
        self.errand.cache &= host.has("sha256sum");
        self.host = Some(host);
        if is_begun {
            self.is_other = true;
            return Ok(None);
        }
        if let Some(path) = &self.errand.preplaced {
            self.state = State::Preplaced;
            return Ok(Some(Reply::Line(self.errand.preplaced(path))));
        }
        if let Some(loan) = self.lend() {
            self.state = State::Lent;
            return Ok(Some(Reply::Line(self.errand.lent(self.loan.insert(loan)))));
        }
        self.bring().map(Some)
    }

    /// What it can run: what it says of itself is for who knows nothing better.
    fn machine(&self, host: &Host) -> Option<Machine> {
        self.errand.machine.or(host.machine)
    }

    /// What is to be lent, where that can be.
    fn lend(&self) -> Option<Loan> {
        let program = self.program().filter(|_| self.errand.is_lent)?;
        Loan::new(program, &self.errand.nonce).ok()
    }

    /// It is sent, unless it has stayed there.
    fn bring(&mut self) -> Result<Reply, ConnectErrorKind> {
        if self.errand.memory {
            return self.try_memory();
        }
        if self.errand.cache {
            self.state = State::Cached;
            return Ok(Reply::Line(self.errand.cached()));
        }
        Ok(self.place())
    }

    /// The program does not wait for the answer: that would be a journey there and back. Where there is no place the far
    /// side reads it all the same, so that it is not taken for lines.
    fn place(&mut self) -> Reply {
        let wrapping = self.wrapping();
        let is_packed = wrapping.unpacker.is_some();
        self.state = State::Placing;
        let size = self.size(is_packed);
        Reply::Place { line: self.errand.place(size, wrapping, &self.failed), is_packed }
    }

    /// On this machine bytes cost less than unpacking them; and where something has failed it may have been the unpacker.
    fn wrapping(&self) -> Wrapping {
        let has = |tool| self.host.as_ref().is_some_and(|host| host.has(tool));
        // On many systems the second is a script that runs the first.
        let unpackers = [("gzip", "gzip -d"), ("gunzip", "gunzip")];
        let unpacker = unpackers.into_iter().find(|(tool, _)| has(tool)).map(|(_, words)| words);
        let is_packed = !self.errand.is_near && self.failed.is_empty();
        Wrapping { unpacker: unpacker.filter(|_| is_packed), is_checked: has("tee") && has("sha256sum") }
    }

    /// It could not be put where it was tried: there may be other folders.
    fn try_elsewhere(&mut self, reason: &str, in_memory: bool) -> Result<Reply, ConnectErrorKind> {
        self.reasons.push(reason.to_owned());
        let folder = reason.split_once(": ").map_or(reason, |(folder, _)| folder).to_owned();
        let is_enough = self.failed.len() >= self.errand.folders.len().max(MAX_FOLDERS);
        if in_memory || is_enough || self.failed.contains(&folder) {
            return Err(self.no_place());
        }
        self.failed.push(folder);
        Ok(self.place())
    }

    fn try_memory(&mut self) -> Result<Reply, ConnectErrorKind> {
        self.state = State::InMemory;
        let is_here = self.errand.enter.is_empty();
        let host = self.host.as_ref().filter(|_| is_here && !self.errand.keep);
        let machine = host.and_then(|host| self.machine(host));
        let interpreter = host.and_then(|host| match () {
            () if host.has("perl") => Some(Interpreter::Perl),
            () if host.has("python3") => Some(Interpreter::Python),
            () => None,
        });
        let (Some(machine), Some(interpreter)) = (machine, interpreter) else {
            if self.errand.memory {
                self.reasons.push("memory: there is no perl and no python3 that could take it".to_owned());
            }
            return Err(self.no_place());
        };
        Ok(Reply::Line(self.errand.memory(self.size(false), machine, interpreter)))
    }

    fn not_preplaced(&self, why: &str) -> ConnectErrorKind {
        let path = self.errand.preplaced.as_deref().unwrap_or_default();
        ConnectErrorKind::NotPreplaced { path: path.into(), why: why.into() }
    }

    fn no_place(&self) -> ConnectErrorKind {
        ConnectErrorKind::no_place(&self.reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue() -> Dialogue {
        let program = Program::new("x".into(), std::fs::read("/proc/self/exe").unwrap().into()).unwrap();
        let errand = Errand {
            nonce: "ab".into(),
            host: String::new(),
            hash: String::new(),
            name: String::new(),
            args: Vec::new(),
            enter: Vec::new(),
            folders: Vec::new(),
            keep: false,
            cache: false,
            memory: false,
            preplaced: None,
            is_lent: false,
            is_near: false,
            machine: None,
        };
        Dialogue::new(Offer::Program(program), errand)
    }

    fn here() -> String {
        let uname = rustix::system::uname();
        format!("Linux {}", uname.machine().to_str().unwrap())
    }

    fn say(dialogue: &mut Dialogue, line: &str) -> Option<Reply> {
        let line = format!("{line}\n");
        let (taken, reply) = dialogue.hear(line.as_bytes()).unwrap();
        assert_eq!(taken, line.len());
        reply
    }

    fn is_line(reply: Option<Reply>, beginning: &str) -> bool {
        matches!(reply, Some(Reply::Line(line)) if line.starts_with(beginning))
    }

    fn is_place(reply: Option<Reply>, part: &str) -> bool {
        matches!(reply, Some(Reply::Place { line, .. }) if line.contains(part))
    }

    #[test]
    fn it_goes_from_hello_to_a_place_to_the_program() {
        let mut talk = dialogue();
        assert_eq!(talk.phase(), Phase::Shell);
        assert!(is_place(
            say(&mut talk, &format!("offshoot0 hello {} /bin/gunzip", here())),
            "n=ab t='Linux "
        ));
        assert_eq!(talk.phase(), Phase::Place);
        assert_eq!(say(&mut talk, "offshoot0 ab at /tmp"), None);
        assert_eq!(talk.phase(), Phase::Send);
        assert_eq!(talk.hear(b"offshoot0 ab run\nits own"), Ok((17, Some(Reply::Running))));
    }

    #[test]
    fn a_second_hello_another_nonce_and_answers_out_of_turn_are_noise() {
        let mut talk = dialogue();
        assert_eq!(say(&mut talk, "offshoot0 ab run"), None);
        assert!(say(&mut talk, &format!("offshoot0 hello {}", here())).is_some());
        for line in
            ["offshoot0 hello Linux aarch64", "offshoot0 cd at /tmp", "offshoot0 ab run", "offshoot0 ab"]
        {
            assert_eq!(say(&mut talk, line), None, "{line}");
        }
    }

    #[test]
    fn a_folder_that_failed_is_left_out_and_memory_is_the_last_resort() {
        let mut talk = dialogue();
        assert!(say(&mut talk, &format!("offshoot0 hello {} perl", here())).is_some());
        assert!(say(&mut talk, "offshoot0 ab at /tmp").is_none());
        assert!(is_place(say(&mut talk, "offshoot0 ab failed /tmp: no space left"), " x=':/tmp:' "));
        assert!(is_line(say(&mut talk, "offshoot0 ab none /var/tmp: noexec, "), "n=ab s="));
        assert_eq!(say(&mut talk, "offshoot0 ab at memory"), Some(Reply::Program));
        let error = talk.hear(b"offshoot0 ab failed memory: sealed\n").unwrap_err().to_string();
        assert!(error.contains("(/tmp: no space left, /var/tmp: noexec, memory: sealed)"), "{error}");
    }

    #[test]
    fn a_far_side_that_names_folders_without_end_is_given_up() {
        let mut talk = dialogue();
        assert!(say(&mut talk, &format!("offshoot0 hello {}", here())).is_some());
        let mut fail = |number| {
            talk.hear(format!("offshoot0 ab at /{number}\n").as_bytes())?;
            talk.hear(format!("offshoot0 ab failed /{number}: full\n").as_bytes())
        };
        assert!((0..100).any(|number| fail(number).is_err_and(|error| error.code() == "no_place")));
    }

    #[test]
    fn a_machine_for_which_there_is_no_program_is_named() {
        for host in ["Linux ../../x", "Darwin arm64", "Linux riscv64"] {
            let error = dialogue().hear(format!("offshoot0 hello {host}\n").as_bytes()).unwrap_err();
            assert_eq!(error.code(), "wrong_machine");
            assert!(error.to_string().contains(host), "{error}");
        }
    }
}
