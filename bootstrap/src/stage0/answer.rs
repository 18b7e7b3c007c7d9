//! What stage 0 says, picked out of whatever else comes on the same stream.

use crate::machine::Machine;

/// What stands before each answer.
const WORD: &[u8] = b"offshoot0 ";
/// The longest line that is looked at, in bytes: room for the reason of each of many folders.
const MAX_LINE: usize = 16 * 1024;
/// How much of what came is kept for the error, in bytes.
const KEPT: usize = 64 * 1024;

/// One answer: the words after the nonce, or of the first one after `hello`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `hello`, or the nonce of the errand that is answered.
    pub(crate) to: String,
    pub(crate) words: String,
}

/// Finds answers in a stream. What is not one is kept, the last 64 KiB of it.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What has not been looked at to its end.
    line: Vec<u8>,
    other: Vec<u8>,
}

impl Answers {
    /// Takes what has come up to the end of the first answer in it: the answer, and how many bytes were taken. All
    /// of them if there is none.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> (usize, Option<Answer>) {
        let mut taken = 0_usize;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            taken = taken.saturating_add(piece.len());
            self.line.extend_from_slice(piece);
            // An answer is at the end of its line, and is shorter than that.
            self.line.drain(..self.line.len().saturating_sub(MAX_LINE));
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let answer = parse(&line);
                if answer.is_some() {
                    return (taken, answer);
                }
                self.keep(&line);
            }
        }
        (taken, None)
    }

    /// What came and was no answer.
    pub(crate) fn into_other(mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.line);
        self.keep(&line);
        self.other
    }

    fn keep(&mut self, line: &[u8]) {
        self.other.extend_from_slice(line);
        if self.other.len() > 2 * KEPT {
            self.other.drain(..self.other.len().saturating_sub(KEPT));
        }
    }
}

/// Something may stand before the answer in its line: whatever a profile printed without a line end.
fn parse(line: &[u8]) -> Option<Answer> {
    let at = line.windows(WORD.len()).rposition(|window| window == WORD)?;
    let rest = String::from_utf8_lossy(line.get(at.saturating_add(WORD.len())..)?);
    let (to, words) = rest.trim_end().split_once(' ')?;
    Some(Answer { to: to.to_owned(), words: words.trim().to_owned() })
}

/// What a far side says of itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The system and the machine, as `uname -sm` says them.
    pub(crate) uname: String,
    /// `None`: a system or a machine that is not in our list.
    pub(crate) machine: Option<Machine>,
    /// The tools that it has, by name.
    tools: Vec<String>,
}

impl Host {
    pub(crate) fn parse(words: &str) -> Self {
        let mut all = words.split_whitespace();
        let (system, machine) = (all.next().unwrap_or_default(), all.next().unwrap_or_default());
        let tools = all.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
        let known = (system == "Linux").then(|| Machine::of_uname(machine)).flatten();
        Self { uname: format!("{system} {machine}"), machine: known, tools }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let tools = self.tools.iter().map(|tool| format!(", {tool}"));
        format!("{}{}", self.uname, tools.collect::<String>())
    }

    pub(crate) fn has(&self, tool: &str) -> bool {
        self.tools.iter().any(|have| have == tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_whatever_stands_round_them_and_however_it_is_cut() {
        let stream = b"Welcome\r\n\x1b]0;x\x07offshoot0 hello Linux x86_64 /bin/gunzip\r\nnoise\noffshoot0 ab at /tmp\n";
        for cut in 1..stream.len() {
            let mut answers = Answers::default();
            let mut found = Vec::new();
            for mut piece in stream.chunks(cut) {
                while !piece.is_empty() {
                    let (taken, answer) = answers.push(piece);
                    found.extend(answer);
                    piece = &piece[taken..];
                }
            }
            let [hello, at] = &found[..] else { panic!("{found:?}") };
            assert_eq!((hello.to.as_str(), hello.words.as_str()), ("hello", "Linux x86_64 /bin/gunzip"));
            assert_eq!((at.to.as_str(), at.words.as_str()), ("ab", "at /tmp"));
            assert_eq!(answers.into_other(), b"Welcome\r\nnoise\n");
        }
    }

    #[test]
    fn a_host_says_what_it_is_and_has() {
        let host = Host::parse("Linux aarch64 gunzip /usr/bin/python3");
        assert_eq!((host.machine, host.uname.as_str()), (Some(Machine::Aarch64), "Linux aarch64"));
        assert!(host.has("gunzip") && host.has("python3") && !host.has("perl"));
        assert_eq!(Host::parse("FreeBSD amd64").machine, None);
        assert_eq!(Host::parse("").uname, " ");
    }

    #[test]
    fn what_is_kept_of_a_flood_is_bounded() {
        let mut answers = Answers::default();
        for _ in 0..64 {
            assert_eq!(answers.push(&[b'x'; 32 * 1024]), (32 * 1024, None));
            assert_eq!(answers.push(&[b'\n'; 8 * 1024]), (8 * 1024, None));
        }
        assert!(answers.line.len() <= MAX_LINE && answers.into_other().len() <= 2 * KEPT + MAX_LINE);
    }
}
