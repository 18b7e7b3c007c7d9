//! Answers the one question that a way to a place may ask, once; and knows when something else is asked.

use offshoot_wire::Secret;

use crate::{ConnectErrorKind, Question};

/// Looks for a question in what comes on stderr.
#[derive(Debug)]
pub(crate) struct Prompt {
    question: Question,
    /// The end of what has come, in which the question may have begun.
    heard: Vec<u8>,
    is_answered: bool,
    /// What has come behind the last line end and the last answer: whoever asks leaves the line open.
    open: Vec<u8>,
}

/// The longest open line that is looked at, in bytes.
const MAX_LINE: usize = 1024;

impl Prompt {
    pub(crate) const fn new(question: Question) -> Self {
        Self { question, heard: Vec::new(), is_answered: false, open: Vec::new() }
    }

    /// The words by which the question is known.
    pub(crate) fn words(&self) -> &str {
        &self.question.words
    }

    /// Whether the password that it was given, if it was given one, has gone out.
    pub(crate) const fn has_given_all(&self) -> bool {
        self.is_answered || self.question.answer.is_none()
    }

    /// Whether a password has gone out.
    pub(crate) const fn has_answered(&self) -> bool {
        self.is_answered
    }

    /// Takes what has come; what is to be answered, with the line end.
    ///
    /// # Errors
    /// It is asked and there is no answer, or asked again: the answer was wrong, and accounts get locked.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<Option<Secret<Vec<u8>>>, ConnectErrorKind> {
        self.heard.extend_from_slice(bytes);
        let words = self.question.words.as_bytes();
        let is_asked = |window: &[u8]| !words.is_empty() && window == words;
        let Some(at) = self.heard.windows(words.len().max(1)).position(is_asked) else {
            let beginning = self.heard.len().saturating_sub(words.len());
            self.heard.drain(..beginning);
            self.leave_open(bytes);
            return Ok(None);
        };
        let behind = self.heard.split_off(at.saturating_add(words.len()));
        self.heard.clear();
        self.open.clear();
        self.leave_open(&behind);
        match &self.question.answer {
            _ if self.is_answered => Err(ConnectErrorKind::PasswordWrong),
            None => Err(ConnectErrorKind::PasswordNeeded),
            Some(answer) => {
                self.is_answered = true;
                Ok(Some(Secret::new([answer.expose().as_bytes(), b"\n"].concat())))
            }
        }
    }

    fn leave_open(&mut self, bytes: &[u8]) {
        self.open.extend_from_slice(bytes);
        let end = self.open.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let end = end.map_or(0, |end| end.saturating_add(1));
        self.open.drain(..end.max(self.open.len().saturating_sub(MAX_LINE)));
    }

    /// The open line, if it is a question: nobody waits for an answer to anything else.
    pub(crate) fn unanswered(&self) -> Option<&[u8]> {
        let line = self.open.trim_ascii_end();
        // What ends questions in writings of the east too.
        let ends = [":", "?", "\u{ff1a}", "\u{ff1f}"];
        ends.iter().any(|end| line.ends_with(end.as_bytes())).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_known_however_it_is_cut_and_answered_once() {
        let said = b"Lecture: be kind.\n[offshoot] password for root: ";
        for cut in 1..said.len() {
            let mut prompt = Prompt::new(Question::new("[offshoot] password", Some("secret".into())));
            assert!(!prompt.has_given_all());
            let mut answers = said.chunks(cut).filter_map(|piece| prompt.hear(piece).unwrap());
            assert_eq!(answers.next().unwrap().expose(), b"secret\n");
            assert_eq!(answers.next(), None);
            drop(answers);
            assert!(prompt.has_given_all());
            let again = prompt.hear(said).unwrap_err();
            assert_eq!(again, ConnectErrorKind::PasswordWrong);
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
                said.as_bytes().chunks(cut).for_each(|piece| drop(prompt.hear(piece).unwrap()));
                let unanswered = prompt.unanswered().map(|line| String::from_utf8(line.to_vec()).unwrap());
                assert_eq!(unanswered.as_deref(), open, "{said}");
            }
        }
    }

    #[test]
    fn without_an_answer_it_is_refused() {
        let mut prompt = Prompt::new(Question::new("Password: ", None));
        assert_eq!(prompt.hear(b"Passw"), Ok(None));
        assert_eq!(prompt.hear(b"ord: "), Err(ConnectErrorKind::PasswordNeeded));
    }
}
