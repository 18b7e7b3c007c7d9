//! Stage 0: the shell command by which a program is put on a far side where nothing of ours is, and the dialogue
//! with it. Nothing here reads, writes or waits.
//!
//! The command is constant, so that it can be listed and allowed: it says on what machine it is and what it finds
//! there, and then does what its stdin says, line by line. What it is told is in the files ending in `.sh`; each
//! answer begins with a word that does not stand in the command, so that an echo is none, and with a nonce.

mod answer;
mod dialogue;
pub(crate) mod known;
mod words;

pub(crate) use dialogue::{Dialogue, Reply};
pub(crate) use words::{Errand, command_line, command_words, one_line};
