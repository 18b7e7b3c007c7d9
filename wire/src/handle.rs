//! Where in a context a frame goes: handles, and the numbers that are reserved.

use serde::{Deserialize, Serialize};

/// The number of a mailbox in a context. Below 1000 reserved, from 1000 allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(u32);

impl Handle {
    /// Runs a function of the program (a [`CallHead`](crate::CallHead), then its arguments).
    pub const CALL_FUNCTION: Self = Self(101);
    /// Takes log records and captured lines for the root.
    pub const FORWARD_LOG: Self = Self(102);
    /// Announces a context (control).
    pub const ADD_ROUTE: Self = Self(103);
    /// Withdraws contexts, or refuses an announcement (control).
    pub const DEL_ROUTE: Self = Self(104);
    /// Asks for a range of ids, or grants one (control).
    pub const ALLOCATE_ID: Self = Self(105);
    /// Ends a context (control).
    pub const SHUTDOWN: Self = Self(106);
    /// Tells a new child who it is (control).
    pub const SETUP: Self = Self(200);
    /// Tells the parent that the child is up (control).
    pub const HELLO: Self = Self(201);
    /// Asks the neighbour for a PONG (control), or any context for an empty reply (with a reply handle).
    pub const PING: Self = Self(202);
    /// Answers a PING of the neighbour (control).
    pub const PONG: Self = Self(203);
    /// Gives credit back to a sender (control).
    pub const CREDIT: Self = Self(204);
    /// Cancels a call; travels in the flow of its call.
    pub const CANCEL: Self = Self(205);
    /// Tells the home of a stream who holds its other end from now on (control).
    pub const REBIND: Self = Self(207);
    /// Makes a child of the context that takes it.
    pub const CREATE_CHILD: Self = Self(208);
    /// Lets a context call a function here.
    pub const GRANT: Self = Self(209);
    /// Tells that nobody will add to a failed chain; travels in the flow of its calls.
    pub const CHAIN_END: Self = Self(210);

    /// The value of `reply_to` that marks a dead message; never a handle.
    pub const IS_DEAD: u32 = 999;
    /// The first number that is allocated.
    pub const FIRST_ALLOCATED: u32 = 1000;

    /// The handle with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number that travels in a header.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whether this handle is given out by a context rather than fixed by the protocol.
    #[must_use]
    pub const fn is_allocated(self) -> bool {
        self.0 >= Self::FIRST_ALLOCATED
    }

    /// Whether frames to this handle are control frames: outside credit, bounded, in front of all else.
    ///
    /// PING is one only where nobody waits for a reply; see [`Frame::is_control`](crate::Frame::is_control).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self.0, 103..=106 | 200..=204 | 207)
    }
}

impl core::fmt::Display for Handle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a frame says about answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyTo {
    /// Nobody waits for an answer.
    Nobody,
    /// The answer goes to this handle of the source.
    Handle(Handle),
    /// This is a dead message: an answer that says why there is none.
    Dead,
}

impl ReplyTo {
    /// The number that travels in a header.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Nobody => 0,
            Self::Handle(handle) => handle.number(),
            Self::Dead => Handle::IS_DEAD,
        }
    }

    /// Reads the number of a header; `None` for 1 to 998, which mean nothing.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Nobody),
            Handle::IS_DEAD => Some(Self::Dead),
            Handle::FIRST_ALLOCATED.. => Some(Self::Handle(Handle::new(number))),
            _ => None,
        }
    }

    /// The handle that waits for an answer, if there is one.
    #[must_use]
    pub const fn handle(self) -> Option<Handle> {
        match self {
            Self::Handle(handle) => Some(handle),
            Self::Nobody | Self::Dead => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // protocol 2.3
    #[test]
    fn reply_to_is_nobody_dead_or_an_allocated_handle() {
        for number in [0, 999, 1000, u32::MAX] {
            assert_eq!(ReplyTo::from_number(number).map(ReplyTo::number), Some(number));
        }
        for number in [1, 101, 998] {
            assert_eq!(ReplyTo::from_number(number), None);
        }
    }
}
