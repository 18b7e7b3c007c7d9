//! What a far side says before the program runs: answers are found by any slicing, and what they are answered with is
//! bounded and one line each, whatever words of theirs stand in it.

use offshoot_bootstrap::internal::{Dialogued, dialogue};

use super::{
    Peak,
    payloads::PROGRAM,
    sliced::{Sliced, cut},
};

const NONCE: &str = "ab";
/// How often the program may be sent, at most, and asked for: there are so many folders to try, the cache and memory.
const LINES: usize = 16;
/// What is kept of what is no answer, the line that is not complete and the words of refusals.
const KEPT: usize = 512 * 1024;

pub(super) fn run(input: &[u8], peak: Peak) {
    let sliced = Sliced::of(input);
    let mut cut = None;
    let held = peak(&mut || cut = Some(talk(sliced.slices())));
    let cut = cut.expect("it ran");
    assert_eq!(cut, talk(std::iter::once(sliced.stream)), "it depends on how it is cut");
    assert!(cut.lines.len() <= LINES, "a far side is written to {} times", cut.lines.len());
    assert!(held <= KEPT + 8 * input.len(), "{held} bytes are held");
    for line in &cut.lines {
        assert!(line.starts_with("n=ab ") && line.find('\n') == Some(line.len() - 1), "{line:?} is no line");
    }
    if let Some(error) = cut.error {
        assert!(!error.to_string().contains(char::is_control), "{error} is not fit to be printed");
    }
}

fn talk<'a>(slices: impl Iterator<Item = &'a [u8]>) -> Dialogued {
    dialogue(PROGRAM.to_vec(), NONCE, true, slices).expect("it is a program")
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let hello = "Welcome\r\noffshoot0 hello Linux x86_64 /bin/gunzip /usr/bin/sha256sum /bin/perl\n";
    let missing = "offshoot0 ab missing\noffshoot0 ab at /tmp\n";
    let all = [
        format!("{hello}offshoot0 ab run\nits own"),
        format!("{hello}{missing}noise\noffshoot0 ab run\n"),
        format!(
            "{hello}{missing}offshoot0 ab failed /tmp: full\noffshoot0 ab none /x: noexec, \noffshoot0 ab at memory\n"
        ),
        format!("{hello}offshoot0 hello Linux aarch64\noffshoot0 ab failed memory: sealed\n"),
    ];
    all.iter().flat_map(|said| cut(said.as_bytes())).collect()
}
