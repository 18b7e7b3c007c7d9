//! Answers the one question that a way to a place may ask, once.

use offshoot_wire::Secret;

use crate::{ConnectErrorKind, Question};

/// Looks for a question in what comes on stderr.
#[derive(Debug)]
pub(crate) struct Prompt {
    question: Question,
    /// The end of what has come, in which the question may have begun.
    heard: Vec<u8>,
    is_answered: bool,
}

impl Prompt {
    pub(crate) const fn new(question: Question) -> Self {
        Self { question, heard: Vec::new(), is_answered: false }
    }

    /// The words by which the question is known.
    pub(crate) fn words(&self) -> &str {
        &self.question.words
    }

    /// Takes what has come; what is to be answered, with the line end.
    ///
    /// # Errors
    /// It is asked and there is no answer, or asked again: the answer was wrong, and accounts get locked.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<Option<Secret<Vec<u8>>>, ConnectErrorKind> {
        self.heard.extend_from_slice(bytes);
        let words = self.question.words.as_bytes();
        if words.is_empty() || !self.heard.windows(words.len()).any(|window| window == words) {
            let beginning = self.heard.len().saturating_sub(words.len());
            self.heard.drain(..beginning);
            return Ok(None);
        }
        self.heard.clear();
        match &self.question.answer {
            _ if self.is_answered => Err(ConnectErrorKind::PasswordWrong),
            None => Err(ConnectErrorKind::PasswordNeeded),
            Some(answer) => {
                self.is_answered = true;
                Ok(Some(Secret::new([answer.expose().as_bytes(), b"\n"].concat())))
            }
        }
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
            let mut answers = said.chunks(cut).filter_map(|piece| prompt.hear(piece).unwrap());
            assert_eq!(answers.next().unwrap().expose(), b"secret\n");
            assert_eq!(answers.next(), None);
            let again = prompt.hear(said).unwrap_err();
            assert_eq!(again, ConnectErrorKind::PasswordWrong);
        }
    }

    #[test]
    fn without_an_answer_it_is_refused() {
        let mut prompt = Prompt::new(Question::new("Password: ", None));
        assert_eq!(prompt.hear(b"Passw"), Ok(None));
        assert_eq!(prompt.hear(b"ord: "), Err(ConnectErrorKind::PasswordNeeded));
    }
}
