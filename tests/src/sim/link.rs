//! A link between a parent and its child: two pipes, and how fast they are.

use offshoot_wire::ContextId;

use super::{agenda::Moment, pipe::Pipe};
use crate::world::Dice;

/// From whom to whom a pipe of a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// To the child.
    Down,
    /// To the parent.
    Up,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Down, Self::Up];
}

/// How fast a link is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long bytes travel at least, in microseconds.
    pub delay: Moment,
    /// How many bytes of one direction are under way at most.
    pub capacity: usize,
}

/// A link between a parent and its child.
#[derive(Debug)]
pub struct Link {
    /// The parent.
    pub parent: ContextId,
    /// The child, by which the link is called.
    pub child: ContextId,
    down: Pipe,
    up: Pipe,
    /// How fast it is at the moment.
    pub pace: Pace,
    /// How fast it was made.
    usual: Pace,
    /// What decides slices and delays.
    pub dice: Dice,
}

impl Link {
    /// A link as the seed makes the one to this child, if not so fast as is said.
    #[must_use]
    pub fn new(seed: u64, parent: ContextId, child: ContextId, pace: Option<Pace>) -> Self {
        let mut dice = Dice::of(seed, u64::from(child.number()));
        let usual = pace.unwrap_or_else(|| Pace {
            delay: [10, 100, 1000, 20_000][dice.below(4) as usize],
            capacity: [128, 4096, 65_536, 212_992][dice.below(4) as usize],
        });
        Self { parent, child, down: Pipe::default(), up: Pipe::default(), pace: usual, usual, dice }
    }

    /// One of the two pipes.
    #[must_use]
    pub const fn pipe(&self, way: Way) -> &Pipe {
        match way {
            Way::Down => &self.down,
            Way::Up => &self.up,
        }
    }

    /// One of the two pipes.
    pub const fn pipe_mut(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Down => &mut self.down,
            Way::Up => &mut self.up,
        }
    }

    /// The context at the end of a pipe, and the one at its beginning.
    #[must_use]
    pub const fn reader_and_writer(&self, way: Way) -> (ContextId, ContextId) {
        match way {
            Way::Down => (self.child, self.parent),
            Way::Up => (self.parent, self.child),
        }
    }

    /// How long the next bytes travel.
    pub fn delay(&mut self) -> Moment {
        self.pace.delay + self.dice.below(self.pace.delay)
    }

    /// How many bytes the next read takes: often all, sometimes a few.
    pub fn slice(&mut self) -> usize {
        match self.dice.below(8) {
            0 => 1,
            1 | 2 => 1 + self.dice.below(100) as usize,
            _ => usize::MAX,
        }
    }

    /// It becomes slow.
    pub const fn slow_down(&mut self) {
        self.pace = Pace { delay: 50_000, capacity: 100 };
    }

    /// It is as fast as it was made.
    pub const fn speed_up(&mut self) {
        self.pace = self.usual;
    }

    /// It breaks: of what is under way, some arrives.
    pub fn cut(&mut self) {
        for way in Way::BOTH {
            self.cut_way(way);
        }
    }

    /// The writer of a pipe is gone: of what is under way, some arrives.
    pub fn cut_way(&mut self, way: Way) {
        let len = self.pipe(way).len() as u64;
        let left = self.dice.below(len + 1) as usize;
        self.pipe_mut(way).cut(left);
    }
}
