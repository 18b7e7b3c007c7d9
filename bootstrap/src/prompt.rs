//! Answers what a way to a place asks on its stderr or its terminal: the one question that was agreed on, once; and what else is
//! asked by whoever sits here.

use offshoot_wire::Secret;

use crate::{
    ConnectErrorKind, Launch, Question, Text, Told,
    fate::Fate,
    prompter::{Attempts, MAX_ATTEMPTS, Query, QueryKind},
    questions::changes_password,
};

/// Looks for questions in what comes.
#[derive(Debug)]
pub(crate) struct Prompt {
    question: Question,
    /// The end of what has come since the last question.
    said: Vec<u8>,
    /// The same before that, if it was the one that was agreed on, with its words.
    before: Vec<u8>,
    /// The rest of the question that was agreed on may come yet.
    has_rest: bool,
    /// What has become of the password, given or typed.
    fate: Fate,
    attempts: Attempts,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The password, by the words that were agreed on.
    Password,
    /// What the open line says.
    Other,
}

/// What came of a question.
pub(crate) struct Outcome {
    /// The question, for people.
    pub(crate) question: Text,
    /// What is to be answered, with its line end, or why nothing is.
    pub(crate) answer: Result<Secret<Vec<u8>>, ConnectErrorKind>,
    /// Whether the prompter was asked, who takes his time: what is answered may be asked no more.
    pub(crate) is_prompted: bool,
}

/// What sudo-rs puts around the words that it is told, in front of whatever PAM asks, where that is the password.
const FRAME: [&[u8]; 2] = [b"[sudo: ", b"] Password: "];

/// The longest open line that is looked at, in bytes.
const MAX_LINE: usize = 1024;
/// How much of what was said before it is shown beside it, in bytes.
const MAX_ABOVE: usize = 4096;

impl Prompt {
    pub(crate) fn new(question: Question) -> Self {
        Self {
            question,
            said: Vec::new(),
            before: Vec::new(),
            has_rest: false,
            fate: Fate::default(),
            attempts: Attempts::default(),
        }
    }

    /// What has become of the password that it was given, once the way has led there.
    pub(crate) fn led_on(&self) -> Option<Told> {
        self.question.answer.as_ref().map(|_| self.fate.led_on())
    }

    /// The same once it has led nowhere, for that reason; whether it has let its user in.
    pub(crate) fn left_open(&self, kind: &ConnectErrorKind, is_let_in: bool) -> Option<Told> {
        let is_wrong = *kind == ConnectErrorKind::PasswordWrong;
        let fate = if is_wrong { self.fate.turned_away() } else { self.fate };
        self.question.answer.as_ref().map(|_| if is_let_in { fate.led_on() } else { fate.left_open() })
    }

    /// Takes what has come; whether the question that was agreed on is asked, which is to be answered then.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> bool {
        self.said.extend_from_slice(bytes);
        let end = self.end_of_agreed();
        if let Some(end) = end {
            let behind = self.said.split_off(end);
            self.before = std::mem::replace(&mut self.said, behind);
        }
        self.take_rest();
        // In the end of it the question may have begun.
        let kept = MAX_ABOVE.saturating_add(MAX_LINE).max(self.question.words.len());
        self.said.drain(..self.said.len().saturating_sub(kept));
        end.is_some()
    }

    /// Has what completes the question that was agreed on be none of its own: up to where it ends as questions do, or the line.
    fn take_rest(&mut self) {
        let is_behind = self.said.iter().any(|byte| is_line_end(*byte));
        if self.has_rest && !is_behind && is_question(&self.said) {
            self.said.clear();
            self.has_rest = false;
        }
        self.has_rest &= !is_behind;
    }

    /// Where the question that was agreed on ends in what was said, if it is all there.
    fn end_of_agreed(&self) -> Option<usize> {
        let words = self.question.words.as_bytes();
        let windows = self.said.windows(words.len().max(1)).enumerate();
        let mut starts = windows.filter(|(_, window)| !words.is_empty() && *window == words);
        starts.find_map(|(start, _)| {
            let end = start.saturating_add(words.len());
            let (before, behind) = (self.said.get(..start)?, self.said.get(end..)?);
            let [opens, closes] = FRAME;
            if before.get(open_at(before)..)? != opens {
                return Some(end);
            }
            behind.starts_with(closes).then_some(end.saturating_add(closes.len()))
        })
    }

    /// The answer to the question that was agreed on: the password that was given for it, once.
    ///
    /// # Errors
    /// There is none, or it is asked again: the answer was wrong, if nothing else was answered behind it, and accounts get
    /// locked.
    pub(crate) fn agreed(&mut self) -> Result<Secret<Vec<u8>>, ConnectErrorKind> {
        self.fate.asked();
        match (self.fate, &self.question.answer) {
            (Fate::Kept, Some(answer)) => Ok(line(answer)),
            (Fate::Kept, None) => Err(ConnectErrorKind::PasswordNeeded),
            (Fate::Out | Fate::Refused, _) => Err(ConnectErrorKind::PasswordWrong),
            (Fate::Followed | Fate::Doubtful | Fate::Enough, _) => {
                Err(ConnectErrorKind::Unanswered { question: self.agreed_text() })
            }
        }
    }

    /// The answer has gone out.
    pub(crate) fn gone_out(&mut self, asked: Asked) {
        match asked {
            Asked::Password => self.fate.gone_out(),
            Asked::Other => self.fate.followed(),
        }
        // The words that were agreed on may be no more than the front of the question: nobody asks again before he has read. What
        // writes it piece by piece may be at a word of it.
        if !self.said.iter().any(|byte| is_line_end(*byte)) {
            let ends_with_a_word = self.question.words.trim_end().ends_with(char::is_alphanumeric);
            self.has_rest = asked == Asked::Password && ends_with_a_word && !is_question(&self.said);
            self.said.clear();
        }
    }

    fn agreed_text(&self) -> Text {
        Text::from(self.question.words.trim())
    }

    /// Answers what is asked: by what was given for it, else by whoever sits here. `echoes`: he may see what he types.
    pub(crate) fn answer(&mut self, launch: &Launch<'_>, asked: Asked, echoes: bool) -> Outcome {
        let said = std::mem::take(if asked == Asked::Password { &mut self.before } else { &mut self.said });
        let (above, open) = said.split_at(open_at(&said));
        let above = Text::last_words(above);
        let open = Text::from(String::from_utf8_lossy(open).trim());
        // The words that were agreed on may be the end of what asks for a new one.
        let is_change = changes_password(&open) && !changes_password(&self.question.words);
        if is_change {
            self.fate.outlived();
        }
        let (question, agreed) = match asked {
            Asked::Password if !is_change => (self.agreed_text(), self.agreed()),
            _ => (open.clone(), Err(ConnectErrorKind::Unanswered { question: open })),
        };
        let is_over = self.attempts.are_over();
        let attempt = self.attempts.count(&question);
        let prompter = launch.prompter.filter(|_| !is_over && attempt <= MAX_ATTEMPTS);
        let is_prompted = agreed.is_err() && prompter.is_some();
        let answer = agreed.or_else(|kind| {
            let query = Query {
                place: launch.plan.place.clone(),
                method: launch.plan.method.clone(),
                account: None,
                is_of_place: true,
                kind: match asked {
                    Asked::Password if !is_change => QueryKind::Password,
                    _ => QueryKind::Other,
                },
                text: question.clone(),
                above,
                echoes,
                is_consent: false,
                attempt,
            };
            let answer = prompter.and_then(|prompter| prompter.answer(&query));
            // What ends a line would be more than one answer, and a terminal takes other signs of control for itself.
            let answer = answer.filter(|answer| !answer.expose().contains(char::is_control)).ok_or(kind)?;
            Ok(line(&answer))
        });
        Outcome { question, answer, is_prompted }
    }

    /// Whether the open line is a question: nobody waits for an answer to anything else.
    pub(crate) fn is_open(&self) -> bool {
        let line = self.said.get(open_at(&self.said)..).unwrap_or_default();
        // What follows the words that were agreed on may be no more than their end.
        let has_words = String::from_utf8_lossy(line).contains(char::is_alphanumeric);
        has_words && is_question(line)
    }
}

/// Whether it ends as questions do, in writings of the east too.
fn is_question(said: &[u8]) -> bool {
    let ends = [":", "?", "\u{ff1a}", "\u{ff1f}"];
    ends.iter().any(|end| said.trim_ascii_end().ends_with(end.as_bytes()))
}

/// Where the line begins that has no end.
fn open_at(said: &[u8]) -> usize {
    let end = said.iter().rposition(|byte| is_line_end(*byte));
    let start = end.map_or(0, |end| end.saturating_add(1));
    start.max(said.len().saturating_sub(MAX_LINE))
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// An answer as it is written.
fn line(answer: &Secret) -> Secret<Vec<u8>> {
    Secret::new([answer.expose().as_bytes(), b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Method as _;

    #[test]
    fn a_question_is_known_however_it_is_cut_and_answered_once() {
        let said = b"Lecture: be kind.\n[offshoot] password for root: ";
        for cut in 1..said.len() {
            let mut prompt = Prompt::new(Question::new("[offshoot] password", Some("secret".into())));
            assert_eq!(prompt.led_on(), Some(Told::Untold));
            let asked = said.chunks(cut).filter(|piece| prompt.hear(piece)).count();
            assert_eq!((asked, prompt.agreed().unwrap().expose().as_slice()), (1, b"secret\n".as_slice()));
            prompt.gone_out(Asked::Password);
            assert_eq!(prompt.led_on(), Some(Told::Proved));
            assert!(prompt.hear(said));
            assert_eq!(prompt.agreed(), Err(ConnectErrorKind::PasswordWrong));
            assert_eq!(prompt.led_on(), Some(Told::Refused));
        }
    }

    #[test]
    fn an_open_line_that_ends_as_questions_do_is_one() {
        for (said, open) in [
            ("Lecture:\nVerification code: ", Some("Verification code:")),
            ("Weiter? ", Some("Weiter?")),
            ("\u{53e3}\u{4ee4}\u{ff1a}", Some("\u{53e3}\u{4ee4}\u{ff1a}")),
            ("Touch your key ...", None),
            ("Verification code:\r\n", None),
            ("", None),
            // It has its answer.
            ("Password: ", None),
            ("Password: : ", None),
            ("Password: \nOnce more: ", Some("Once more:")),
        ] {
            for cut in 1..=said.len().max(1) {
                let mut prompt = Prompt::new(Question::new("Password: ", Some("secret".into())));
                for piece in said.as_bytes().chunks(cut) {
                    prompt.hear(piece);
                }
                assert_eq!(prompt.is_open(), open.is_some(), "{said}");
                let plan = crate::Sudo::new().plan();
                let outcome = prompt.answer(&Launch::new(&plan), Asked::Other, false);
                assert!(open.is_none_or(|open| &*outcome.question == open), "{}", outcome.question);
            }
        }
    }

    #[test]
    fn words_in_front_of_another_question_are_not_the_one_that_was_agreed_on() {
        for (asked, is_agreed) in
            [("Password: ", true), ("Verification code: ", false), ("Password (again): ", false)]
        {
            let said = format!("Be kind.\n[sudo: [offshoot] password: ] {asked}");
            for cut in 1..=said.len() {
                let mut prompt = Prompt::new(Question::new("[offshoot] password: ", Some("secret".into())));
                let heard = said.as_bytes().chunks(cut).filter(|piece| prompt.hear(piece)).count();
                assert_eq!((heard, prompt.is_open()), (usize::from(is_agreed), !is_agreed), "{said}");
                assert!(prompt.hear(b"\n[offshoot] password: "), "{said}");
            }
        }
    }

    #[test]
    fn what_was_answered_behind_a_password_may_be_what_was_wrong() {
        let mut prompt = Prompt::new(Question::new("Password: ", Some("secret".into())));
        assert!(prompt.hear(b"Password: ") && prompt.agreed().is_ok());
        prompt.gone_out(Asked::Password);
        assert!(!prompt.hear(b"\nCode: "));
        let (plan, typed) = (crate::Sudo::new().plan(), |_: &Query| Some("1".into()));
        let launch = Launch::new(&plan).asking(&typed);
        assert!(prompt.answer(&launch, Asked::Other, false).answer.is_ok());
        prompt.gone_out(Asked::Other);
        assert!(prompt.hear(b"Sorry, try again.\nPassword: "));
        let question = "Password:".into();
        assert_eq!(prompt.agreed(), Err(ConnectErrorKind::Unanswered { question }));
        assert_eq!(prompt.led_on(), Some(Told::Untold));
    }

    #[test]
    fn words_that_end_a_question_for_a_new_password_are_not_the_ones_that_were_agreed_on() {
        let (plan, kinds) = (crate::Sudo::new().plan(), Mutex::new(Vec::new()));
        let typed = |query: &Query| {
            kinds.lock().unwrap().push(query.kind);
            None
        };
        let launch = Launch::new(&plan).asking(&typed);
        for (words, asked, told, kind) in [
            ("password: ", "Current password: ", Told::Proved, QueryKind::Other),
            ("Password: ", "New Password: ", Told::Proved, QueryKind::Other),
            ("password: ", "doas (me@new) password: ", Told::Refused, QueryKind::Password),
            ("New password: ", "New password: ", Told::Refused, QueryKind::Password),
        ] {
            let mut prompt = Prompt::new(Question::new(words, Some("secret".into())));
            assert!(prompt.hear(words.as_bytes()) && prompt.agreed().is_ok());
            prompt.gone_out(Asked::Password);
            assert!(prompt.hear(format!("\n{asked}").as_bytes()));
            let outcome = prompt.answer(&launch, Asked::Password, false);
            assert_eq!((outcome.answer.is_err(), prompt.led_on()), (true, Some(told)), "{asked}");
            assert_eq!(kinds.lock().unwrap().pop(), Some(kind), "{asked}");
        }
    }

    #[test]
    fn the_rest_of_a_question_of_which_only_the_front_was_agreed_on_is_none() {
        for (rest, is_open) in [(" alice@REALM: ", false), (" alice@REALM: \nCode: ", true)] {
            let mut prompt = Prompt::new(Question::new("Password for", Some("secret".into())));
            assert!(prompt.hear(format!("Password for{rest}").as_bytes()) && prompt.agreed().is_ok());
            prompt.gone_out(Asked::Password);
            assert_eq!(prompt.is_open(), is_open, "{rest}");
        }
    }

    #[test]
    fn the_rest_of_such_a_question_is_none_though_it_comes_later_and_what_is_asked_behind_it_is_one() {
        for (front, words, said, is_open) in [
            ("", "Password for", " alice@REALM: ", false),
            (" alice@", "Password for", "REALM: ", false),
            ("", "Password for ", "alice@REALM: ", false),
            ("", "First Factor", ": ", false),
            ("", "Password for", "\nCode: ", true),
            (" alice@REALM: ", "Password for", "Code: ", true),
            // All of it was agreed on.
            ("", "Password: ", "Code: ", true),
            ("", "Passcode> ", "Code: ", true),
        ] {
            for cut in 1..=said.len() {
                let mut prompt = Prompt::new(Question::new(words, Some("secret".into())));
                assert!(prompt.hear(format!("{words}{front}").as_bytes()) && prompt.agreed().is_ok());
                prompt.gone_out(Asked::Password);
                said.as_bytes().chunks(cut).for_each(|piece| assert!(!prompt.hear(piece)));
                assert_eq!(prompt.is_open(), is_open, "{words}{front}, {said} by {cut}");
                assert!(!prompt.hear(b"\nPIN: ") && prompt.is_open(), "{words}{front}, {said} by {cut}");
            }
        }
    }

    #[test]
    fn an_answer_that_has_not_gone_out_is_not_the_one_that_was_wrong() {
        let mut prompt = Prompt::new(Question::new("Password: ", None));
        let (plan, typed) = (crate::Sudo::new().plan(), |_: &Query| Some("1234".into()));
        let launch = Launch::new(&plan).asking(&typed);
        assert!(prompt.hear(b"Password: "));
        assert!(prompt.answer(&launch, Asked::Password, false).answer.is_ok());
        assert_eq!(prompt.agreed(), Err(ConnectErrorKind::PasswordNeeded));
    }

    #[test]
    fn without_an_answer_it_is_refused() {
        let mut prompt = Prompt::new(Question::new("Password: ", None));
        assert!(!prompt.hear(b"Passw") && prompt.hear(b"ord: "));
        assert_eq!(prompt.agreed(), Err(ConnectErrorKind::PasswordNeeded));
    }
}
