//! Answers what a way to a place asks on its stderr or its terminal: the one question that was agreed on, once; and what else is
//! asked by whoever sits here.

use offshoot_wire::Secret;

use crate::{
    ConnectErrorKind, Launch, Question, Text,
    prompter::{Attempts, Query},
};

/// Looks for questions in what comes.
#[derive(Debug)]
pub(crate) struct Prompt {
    question: Question,
    /// The end of what has come since the last question.
    said: Vec<u8>,
    /// The same before that, if it was the one that was agreed on, with its words.
    before: Vec<u8>,
    /// A password has gone out.
    is_answered: bool,
    /// One has, and was asked for again.
    is_doubtful: bool,
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
    /// Whether somebody was asked, and took his time: it may be asked no more.
    pub(crate) is_late: bool,
}

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
            is_answered: false,
            is_doubtful: false,
            attempts: Attempts::default(),
        }
    }

    /// Whether the password that it was given, if it was given one, has gone out and was enough.
    pub(crate) const fn is_proved(&self) -> bool {
        !self.is_doubtful && (self.is_answered || self.question.answer.is_none())
    }

    /// Whether a password has gone out.
    pub(crate) const fn has_answered(&self) -> bool {
        self.is_answered
    }

    /// Takes what has come; whether the question that was agreed on is asked, which is to be answered then.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> bool {
        self.said.extend_from_slice(bytes);
        let words = self.question.words.as_bytes();
        let is_asked = |window: &[u8]| !words.is_empty() && window == words;
        let at = self.said.windows(words.len().max(1)).position(is_asked);
        if let Some(at) = at {
            let behind = self.said.split_off(at.saturating_add(words.len()));
            self.before = std::mem::replace(&mut self.said, behind);
        }
        // In the end of it the question may have begun.
        let kept = MAX_ABOVE.saturating_add(MAX_LINE).max(words.len());
        self.said.drain(..self.said.len().saturating_sub(kept));
        at.is_some()
    }

    /// The answer to the question that was agreed on: the password that was given for it, once.
    ///
    /// # Errors
    /// There is none, or it is asked again: the answer was wrong, and accounts get locked.
    pub(crate) fn agreed(&mut self) -> Result<Secret<Vec<u8>>, ConnectErrorKind> {
        self.is_doubtful |= self.is_answered;
        match &self.question.answer {
            _ if self.is_answered => Err(ConnectErrorKind::PasswordWrong),
            None => Err(ConnectErrorKind::PasswordNeeded),
            Some(answer) => {
                self.is_answered = true;
                Ok(line(answer))
            }
        }
    }

    /// Answers what is asked: by what was given for it, else by whoever sits here. `echoes`: he may see what he types.
    pub(crate) fn answer(&mut self, launch: &Launch<'_>, asked: Asked, echoes: bool) -> Outcome {
        let said = std::mem::take(if asked == Asked::Password { &mut self.before } else { &mut self.said });
        let (above, open) = said.split_at(open_at(&said));
        let above = Text::last_words(above);
        let question = match asked {
            Asked::Password => Text::from(self.question.words.trim()),
            Asked::Other => Text::from(String::from_utf8_lossy(open).trim()),
        };
        let agreed = match asked {
            Asked::Password => self.agreed(),
            Asked::Other => Err(ConnectErrorKind::Unanswered { question: question.clone() }),
        };
        let is_late = agreed.is_err();
        let prompter = launch.prompter.filter(|_| !self.attempts.are_over());
        let attempt = self.attempts.count(&question);
        let answer = agreed.or_else(|kind| {
            let query = Query {
                place: launch.plan.place.clone(),
                method: launch.plan.method.clone(),
                account: None,
                is_of_place: true,
                text: question.clone(),
                above,
                echoes,
                is_consent: false,
                attempt,
            };
            let answer = prompter.and_then(|prompter| prompter.answer(&query));
            // What ends a line would be more than one answer, and a terminal takes other signs of control for itself.
            let answer = answer.filter(|answer| !answer.expose().contains(char::is_control)).ok_or(kind)?;
            self.is_answered |= asked == Asked::Password;
            Ok(line(&answer))
        });
        Outcome { question, answer, is_late }
    }

    /// Whether the open line is a question: nobody waits for an answer to anything else.
    pub(crate) fn is_open(&self) -> bool {
        let line = self.said.get(open_at(&self.said)..).unwrap_or_default().trim_ascii_end();
        // What ends questions in writings of the east too.
        let ends = [":", "?", "\u{ff1a}", "\u{ff1f}"];
        ends.iter().any(|end| line.ends_with(end.as_bytes()))
    }
}

/// Where the line begins that has no end.
fn open_at(said: &[u8]) -> usize {
    let end = said.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    let start = end.map_or(0, |end| end.saturating_add(1));
    start.max(said.len().saturating_sub(MAX_LINE))
}

/// An answer as it is written.
fn line(answer: &Secret) -> Secret<Vec<u8>> {
    Secret::new([answer.expose().as_bytes(), b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method as _;

    #[test]
    fn a_question_is_known_however_it_is_cut_and_answered_once() {
        let said = b"Lecture: be kind.\n[offshoot] password for root: ";
        for cut in 1..said.len() {
            let mut prompt = Prompt::new(Question::new("[offshoot] password", Some("secret".into())));
            assert!(!prompt.is_proved());
            let asked = said.chunks(cut).filter(|piece| prompt.hear(piece)).count();
            assert_eq!((asked, prompt.agreed().unwrap().expose().as_slice()), (1, b"secret\n".as_slice()));
            assert!(prompt.is_proved() && prompt.hear(said));
            assert_eq!(prompt.agreed(), Err(ConnectErrorKind::PasswordWrong));
            assert!(!prompt.is_proved());
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
    fn without_an_answer_it_is_refused() {
        let mut prompt = Prompt::new(Question::new("Password: ", None));
        assert!(!prompt.hear(b"Passw") && prompt.hear(b"ord: "));
        assert_eq!(prompt.agreed(), Err(ConnectErrorKind::PasswordNeeded));
    }
}
