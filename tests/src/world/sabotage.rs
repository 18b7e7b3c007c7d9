//! What can be made to go wrong on purpose, to see that the checks see it.

use std::collections::VecDeque;

use offshoot_wire::{Frame, Handle};

/// A fault that no link has: the machines rely on its absence, and the checks must tell of its presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Frames to this handle vanish.
    Lose(Handle),
    /// Frames to this handle arrive twice.
    Double(Handle),
    /// Frames to this handle overtake what was written before.
    Overtake(Handle),
    /// Answers vanish.
    LoseAnswers,
}

impl Sabotage {
    /// Writes a frame, or does worse.
    pub fn write(self, frame: Frame, wire: &mut VecDeque<Frame>) {
        match self {
            Self::Lose(handle) if handle == frame.handle => {}
            Self::LoseAnswers if frame.handle.is_allocated() => {}
            Self::Double(handle) if handle == frame.handle => {
                wire.push_back(frame.clone());
                wire.push_back(frame);
            }
            Self::Overtake(handle) if handle == frame.handle => wire.push_front(frame),
            _ => wire.push_back(frame),
        }
    }
}
