//! What is on its way to the far side: lines, the program, and secrets, which leave no copy behind.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use offshoot_wire::Secret;

use crate::payload::Program;

/// Something to be written.
pub(crate) enum Piece {
    Line(String),
    Secret(Secret<Vec<u8>>),
    Program { program: Program, is_packed: bool },
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Line(line) => line.as_bytes(),
            Self::Secret(secret) => secret.expose(),
            Self::Program { program, is_packed } => program.sent(*is_packed),
        }
    }
}

/// Pieces in the order in which they were said.
#[derive(Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// How much of the first of them has been written.
    written: usize,
    is_refused: bool,
}

impl Outgoing {
    pub(crate) fn push(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether nobody takes anything any more. Whoever does so and has gone is at an end when it is read; one that has shut
    /// its receiving side alone is not.
    pub(crate) const fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Writes what there is room for, and says how much of how many bytes of the program have left.
    pub(crate) fn write(&mut self, mut to: impl Write, progress: impl Fn(u64, u64)) {
        while let Some(piece) = self.pieces.front() {
            let rest = piece.bytes().get(self.written..).unwrap_or_default();
            let is_last = match to.write(rest) {
                Ok(written) => {
                    self.written = self.written.saturating_add(written);
                    if matches!(piece, Piece::Program { .. }) {
                        progress(self.written as u64, piece.bytes().len() as u64);
                    }
                    written == rest.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_refused = true;
                    return self.pieces.clear();
                }
            };
            if is_last {
                self.pieces.pop_front();
                self.written = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, and has no room after each.
    struct Narrow {
        taken: Vec<u8>,
        has_room: bool,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.has_room = !self.has_room;
            if self.has_room {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let size = bytes.len().min(3);
            self.taken.extend_from_slice(bytes.get(..size).unwrap_or_default());
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn pieces_leave_in_order_however_little_room_there_is() {
        let mut out = Outgoing::default();
        let mut narrow = Narrow { taken: Vec::new(), has_room: true };
        for text in ["one\n", "", "sec\n"] {
            out.push(Piece::Line(text.to_owned()));
        }
        out.push(Piece::Secret(Secret::new(b"word\n".to_vec())));
        while !out.is_empty() {
            out.write(&mut narrow, |_, _| {});
        }
        assert_eq!(narrow.taken, b"one\nsec\nword\n");
    }
}
