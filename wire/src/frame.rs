//! One message on the wire: where it goes, who speaks, what it carries.

use crate::{Body, ContextId, Handle, ReplyTo};

/// The bytes of a header on the wire.
pub const HEADER_LEN: usize = 26;
/// The bytes that a fragment puts in front of its piece: total and offset.
pub const PART_LEN: usize = 8;
/// The longest piece of a body in one fragment.
pub const MAX_CHUNK: usize = 128 * 1024;
/// The longest body in one frame, as long as a fragment with its longest piece; a longer one travels as fragments.
///
/// An item of a stream that is a [`Blob`](crate::Blob) of 128 KiB is no longer.
pub const MAX_WHOLE: usize = MAX_CHUNK + PART_LEN;
/// The longest body of a control frame.
pub const MAX_CONTROL: usize = 4 * 1024;
/// What every frame costs beside its body, in accounts of memory and of credit.
pub const FRAME_COST: usize = 128;

/// A message, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The context it goes to.
    pub dst: ContextId,
    /// The context that speaks.
    pub src: ContextId,
    /// The context on whose authority it speaks.
    pub auth: ContextId,
    /// The mailbox in `dst`.
    pub handle: Handle,
    /// Where an answer goes.
    pub reply_to: ReplyTo,
    /// Which piece of a longer body this is; `None` for a whole one.
    pub part: Option<Part>,
    /// What it carries.
    pub body: Body,
}

/// The place of a fragment in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// The length of the whole body in bytes.
    pub total: u32,
    /// Where this piece begins; 0 begins the body anew.
    pub offset: u32,
}

impl Frame {
    /// What this frame costs in credit: the bytes of its body and a fixed share for its header.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.body.len().saturating_add(FRAME_COST)
    }

    /// Whether this is a control frame: outside credit, bounded, in front of all else.
    #[must_use]
    pub fn is_control(&self) -> bool {
        is_control(self.handle, self.reply_to)
    }

    /// Whether this is a control frame that any context may send to any other; the rest go between neighbours.
    #[must_use]
    pub fn is_end_to_end(&self) -> bool {
        matches!(self.handle, Handle::CREDIT | Handle::REBIND | Handle::SHUTDOWN)
    }

    /// Whether this is a dead message.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.reply_to == ReplyTo::Dead
    }
}

/// PING is a control frame only where nobody waits for a reply; no other control handle takes frames with one.
pub(crate) fn is_control(handle: Handle, reply_to: ReplyTo) -> bool {
    handle.is_control() && reply_to == ReplyTo::Nobody
}
