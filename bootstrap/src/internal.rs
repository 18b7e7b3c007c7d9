//! What the fuzz targets of this repository reach in for. Not for programs: it changes without notice.

use crate::{
    ConnectErrorKind, PayloadError, Secret,
    payload::{Offer, Program},
    prompt::{Asked, Prompt},
    questions::Question,
    stage0::{Dialogue, Errand, Reply},
};

/// What came of a dialogue with stage 0.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialogued {
    /// The lines that were written to the far side, in order; what follows a line was the program.
    pub lines: Vec<String>,
    /// It was told that the program runs, and what came behind that.
    pub running: Option<Vec<u8>>,
    /// Why it was given up.
    pub error: Option<ConnectErrorKind>,
    /// What came and was no answer.
    pub other: Vec<u8>,
}

/// Has a dialogue with a far side that says `slices`, to put `program` there; `nonce` is that of the errand.
///
/// # Errors
/// The program is none.
pub fn dialogue<'a>(
    program: Vec<u8>,
    nonce: &str,
    cache: bool,
    slices: impl Iterator<Item = &'a [u8]>,
) -> Result<Dialogued, PayloadError> {
    let program = Program::new("fuzzed".into(), program.into())?;
    let errand = Errand {
        nonce: nonce.into(),
        host: String::new(),
        hash: String::new(),
        name: "fuzzed".into(),
        args: Vec::new(),
        enter: Vec::new(),
        folders: Vec::new(),
        keep: false,
        cache,
        memory: false,
        preplaced: None,
        is_lent: false,
        is_near: false,
        machine: None,
    };
    let mut dialogue = Dialogue::new(Offer::Program(program), errand);
    let (mut lines, mut running, mut error) = (Vec::new(), None::<Vec<u8>>, None);
    for mut slice in slices {
        while !slice.is_empty() && error.is_none() {
            if let Some(rest) = &mut running {
                rest.extend_from_slice(slice);
                break;
            }
            match dialogue.hear(slice) {
                Ok((taken, reply)) => {
                    slice = slice.get(taken..).unwrap_or_default();
                    match reply {
                        Some(Reply::Line(line) | Reply::Place { line, .. }) => lines.push(line),
                        Some(Reply::Running) => running = Some(Vec::new()),
                        Some(Reply::Program) | None => {}
                    }
                }
                Err(kind) => error = Some(kind),
            }
        }
    }
    Ok(Dialogued { lines, running, error, other: dialogue.into_other() })
}

/// What is answered to a stderr that says `slices`, where a question of these words has this answer.
///
/// # Errors
/// It was asked again.
pub fn prompt<'a>(
    words: &str,
    answer: &str,
    slices: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Secret<Vec<u8>>>, ConnectErrorKind> {
    let mut prompt = Prompt::new(crate::Question::new(words, Some(answer.into())));
    let mut answers = Vec::new();
    for slice in slices {
        if prompt.hear(slice) {
            answers.push(prompt.agreed()?);
            prompt.gone_out(Asked::Password);
        }
    }
    Ok(answers)
}

/// Whose password an ssh client asks for, if it does.
pub fn asked_password(text: &str) -> Option<&str> {
    match Question::of(text) {
        Question::Password { account } => Some(account),
        _ => None,
    }
}

/// A program as it is sent where the far side can unpack it.
///
/// # Errors
/// The program is none.
pub fn packed(program: Vec<u8>) -> Result<Vec<u8>, PayloadError> {
    Program::new("fuzzed".into(), program.into()).map(|program| program.sent(true).to_vec())
}
