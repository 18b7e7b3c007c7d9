//! What the bench and its children have in common: the functions that the children serve.
#![forbid(unsafe_code)]

pub mod table;

/// Argument with which a child writes one byte and waits for the end of its input: how long a program takes to start.
pub const FIRST_BYTE: &str = "--first-byte";

/// Does what [`FIRST_BYTE`] says, if it was given.
pub fn answer_first_byte() {
    use std::io::{Read as _, Write as _};
    if std::env::args_os().nth(1).is_some_and(|arg| arg == FIRST_BYTE) {
        let mut out = std::io::stdout();
        let written = out.write_all(b"!").and_then(|()| out.flush());
        let read = std::io::stdin().read(&mut [0]);
        #[expect(clippy::disallowed_methods, reason = "a program that only writes one byte is no context")]
        std::process::exit(i32::from(written.is_err() || read.is_err()));
    }
}
