//! One end of a channel as a value: counted, and closed when the last count is dropped.

use std::{fmt, sync::Arc};

use offshoot_wire::Direction;

use super::pipe::Pipe;
use crate::here::Running;

/// A share of one end of a pipe.
pub(crate) struct Half {
    pipe: Arc<Pipe>,
    /// What its holder does.
    direction: Direction,
}

/// Both ends of a new pipe: the one that sends, the one that receives.
pub(super) fn pair(node: &Arc<Running>) -> (Half, Half) {
    let pipe = Pipe::new(node);
    (Half::of(&pipe, Direction::Sends), Half::of(&pipe, Direction::Receives))
}

impl Half {
    /// A share of that end.
    pub(super) fn of(pipe: &Arc<Pipe>, direction: Direction) -> Self {
        pipe.join(direction);
        Self { pipe: Arc::clone(pipe), direction }
    }

    pub(super) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }
}

impl Clone for Half {
    fn clone(&self) -> Self {
        Self::of(&self.pipe, self.direction)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.pipe.leave(self.direction);
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("direction", &self.direction).finish_non_exhaustive()
    }
}
