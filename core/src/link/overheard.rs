//! What the process that leads to a child writes to its stderr once the child is up.

use rustix::io::Errno;

use super::{Ask, Channel, Source};
use crate::{forward::Record, stdio::Lines};

/// Bytes read in one call.
const PIECE: usize = 8 * 1024;
/// Bytes that are read in one turn.
const QUANTUM: usize = 64 * 1024;

/// Takes what is overheard line by line, each with the name of the child.
pub(crate) type Hearing<'a> = dyn FnMut(&str, Record) + 'a;

/// The stderr of a child's transport. It is read for as long as the link lives, so that nobody who writes there is
/// held up, or killed for writing; its lines are records under the child's name.
#[derive(Debug)]
pub(crate) struct Overheard {
    from: Source,
    name: String,
    lines: Lines,
}

impl Overheard {
    pub(super) const fn new(from: Source, name: String) -> Self {
        Self { from, name, lines: Lines::new("transport") }
    }

    /// Reads what is there, at most one quantum, and asks for the next event; whether more may come. Its lines go to `out`.
    pub(super) fn turn(&mut self, slot: usize, out: &mut Hearing<'_>) -> bool {
        self.read(out) && self.from.arm(Ask::readable(Channel::Stderr.key(slot))).is_ok()
    }

    /// Reads what is there, at most one quantum, and lets go of an unfinished line.
    pub(super) fn finish(mut self, out: &mut Hearing<'_>) {
        self.read(out);
        let Self { name, mut lines, .. } = self;
        lines.end(&mut |record| tell(&name, record, out));
    }

    fn read(&mut self, out: &mut Hearing<'_>) -> bool {
        let Self { from, name, lines } = self;
        let mut piece = [0; PIECE];
        for _ in 0..QUANTUM / PIECE {
            match from.read(&mut piece) {
                Ok(0) => return false,
                Ok(read) => {
                    let words = piece.get(..read).unwrap_or_default();
                    lines.push(words, &mut |record| tell(name, record, out));
                }
                Err(error) => return error == Errno::WOULDBLOCK,
            }
        }
        true
    }
}

fn tell(name: &str, record: Record, out: &mut Hearing<'_>) {
    if log::max_level() >= log::Level::Info {
        out(name, record);
    }
}
