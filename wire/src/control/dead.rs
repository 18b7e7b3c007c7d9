//! The answer that says why there is no answer.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{ContextId, Frame, ReplyTo, codec};

/// The longest text of a dead message, in bytes.
pub const MAX_DEAD_TEXT: usize = 4 * 1024;

/// The body of a dead message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dead {
    /// Why there is no answer.
    pub code: DeadCode,
    /// The same for people, with names.
    pub text: String,
}

impl Dead {
    /// A reason; what its text has over [`MAX_DEAD_TEXT`] is cut off, at the end of a character.
    #[must_use]
    pub fn new(code: DeadCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > MAX_DEAD_TEXT {
            let end = (0..=MAX_DEAD_TEXT).rev().find(|&end| text.is_char_boundary(end));
            text.truncate(end.unwrap_or(0));
        }
        Self { code, text }
    }
}

impl Frame {
    /// The dead message that answers this frame, made by `auth`; `None` where nobody waits for an answer, as behind a
    /// dead message (rule 3).
    ///
    /// It speaks as the destination that it stands for. Which fragment of a message is answered is for the caller to
    /// say: one of them.
    #[must_use]
    pub fn dead_reply_to(&self, auth: ContextId, dead: &Dead) -> Option<Self> {
        let handle = self.reply_to.handle()?;
        let body = codec::encode(dead).ok()?.into();
        Some(Self { dst: self.src, src: self.dst, auth, handle, reply_to: ReplyTo::Dead, part: None, body })
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeadCode {
    /// No context of that id can be reached from where the frame stopped.
    NoRoute,
    /// The context has no such handle.
    NoHandle,
    /// A policy refused it.
    Policy,
    /// The tree is one-way, and the frame turned.
    OneWay,
    /// The body is over the limit.
    TooLarge,
    /// Too much waits for that destination already.
    Congested,
    /// The context has gone.
    Gone,
    /// The call was cancelled before it ran.
    Cancelled,
    /// The context is ending and takes no more calls.
    ShuttingDown,
    /// Too many calls are in flight.
    Busy,
    /// The call would wait for a worker that waits for the call.
    WouldWait,
    /// The body is not what its handle takes.
    Malformed,
    /// The deadline of the call had passed before it could run.
    TooLate,
    /// The answer was dropped on its way; the call may have run.
    Unanswered,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Handle};

    // protocol 6.4
    #[test]
    fn a_dead_reply_speaks_as_the_destination_and_is_never_answered() {
        let call = Frame {
            dst: ContextId::new(1005),
            src: ContextId::new(7),
            auth: ContextId::ROOT,
            handle: Handle::CALL_FUNCTION,
            reply_to: ReplyTo::Handle(Handle::new(1000)),
            part: None,
            body: Body::default(),
        };
        let dead = Dead::new(DeadCode::NoRoute, "context 1005 is gone");
        let reply = call.dead_reply_to(ContextId::new(5), &dead).unwrap();
        assert_eq!((reply.dst, reply.src, reply.auth), (call.src, call.dst, ContextId::new(5)));
        assert_eq!((reply.handle, reply.reply_to), (Handle::new(1000), ReplyTo::Dead));
        assert_eq!(codec::decode(&reply.body, 4096), Ok(dead.clone()));
        assert_eq!(reply.dead_reply_to(ContextId::ROOT, &dead), None);
        assert_eq!(Frame { reply_to: ReplyTo::Nobody, ..call }.dead_reply_to(ContextId::ROOT, &dead), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(3000);
        assert_eq!(Dead::new(DeadCode::Policy, text.as_str()).text.len(), 4096);
        assert_eq!(Dead::new(DeadCode::Policy, ["x", &text].concat()).text.len(), 4095);
    }
}
