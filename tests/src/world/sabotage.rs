//! What can be made to go wrong on purpose, to see that the checks see it.
//!
//! A mistake is made where it would be: by a link that changes what it carries, by a machine that is made otherwise than
//! the checks believe, or between a machine and the program around it.

use std::collections::VecDeque;

use offshoot_core::machine::{Limits, Policy};
use offshoot_wire::{
    AddRoute, AllocateId, Body, CallHead, ContextId, Frame, Handle, IdRange, ReplyTo, StreamHead, codec,
};

use super::job;

/// A fault that nothing here has: the machines rely on its absence, and the checks must tell of its presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Frames to this handle vanish.
    Lose(Handle),
    /// Frames to this handle arrive twice.
    Double(Handle),
    /// Frames to this handle overtake what was written before.
    Overtake(Handle),
    /// Frames to this handle are for whoever they reach first.
    Divert(Handle),
    /// Frames to this handle end in another byte than they were sent with.
    Damage(Handle),
    /// Answers vanish.
    LoseAnswers,
    /// Items of streams vanish.
    LoseItems,
    /// Whoever is granted ids is granted the same ones.
    GrantTwice,
    /// A context is announced by the id behind its own.
    Misname,
    /// Calls arrive without the chain that they are of.
    Unchain,
    /// Machines are made without the bounds that they are said to have.
    Unbounded,
    /// Machines let everybody call what they serve.
    Unguarded,
    /// A dead message is taken for one that wants an answer.
    AnswerDead,
    /// What only passes is forgotten.
    Forget,
    /// A frame is believed to have come by the link of whom it names.
    Believe,
    /// Whoever names an authority that is not his is taken to have named his own.
    Excuse,
    /// A piece of a body is taken for all of it.
    Whole,
    /// Pieces of a body that are under way together change places, and keep their numbers.
    Swap,
    /// Data leave in place of a control frame.
    DataFirst,
    /// A machine is not told that a link is down.
    Untold,
    /// Nobody finds that a link has ended.
    Unnoticed,
    /// The slot of a call that is given up is given away while its handler runs.
    FreeEarly,
    /// A child gets the id of one that is gone.
    Recycle,
    /// A child gets an id that was never given out.
    Invent,
}

impl Sabotage {
    /// Writes a frame to `reader`, or does worse.
    pub fn write(self, mut frame: Frame, reader: ContextId, wire: &mut VecDeque<Frame>) {
        match self {
            Self::Lose(handle) if handle == frame.handle => return,
            Self::LoseAnswers if frame.handle.is_allocated() => return,
            Self::LoseItems if is_item(&frame) => return,
            Self::Double(handle) if handle == frame.handle => wire.push_back(frame.clone()),
            Self::Overtake(handle) if handle == frame.handle => return wire.push_front(frame),
            Self::Divert(handle) if handle == frame.handle => frame.dst = reader,
            Self::Damage(handle) if handle == frame.handle => frame.body = damaged(&frame.body),
            Self::GrantTwice if is_grant(&frame) => {
                frame.body = IdRange::new(1).map_or(frame.body, |same| encoded(&AllocateId::Grant(same)));
            }
            Self::Unchain if frame.handle == Handle::CALL_FUNCTION => frame.body = unchained(&frame.body),
            Self::Misname if frame.handle == Handle::ADD_ROUTE => frame.body = misnamed(&frame.body),
            Self::Swap => {
                let before = wire.back_mut().filter(|before| is_next(before, &frame));
                if let Some(before) = before {
                    (before.body, frame.body) = swapped(&before.body, &frame.body);
                }
            }
            _ => {}
        }
        wire.push_back(frame);
    }

    /// What a machine of `me` makes of a frame that it reads; nothing if it forgets it.
    #[must_use]
    pub fn read(self, frame: Frame, me: ContextId) -> Option<Frame> {
        match self {
            // No mailbox has this number, so that it has something to say.
            Self::AnswerDead if frame.is_dead() => {
                Some(Frame { handle: Handle::new(300), reply_to: ReplyTo::Handle(frame.handle), ..frame })
            }
            Self::Excuse => Some(Frame { auth: frame.src, ..frame }),
            Self::Whole => Some(Frame { part: None, ..frame }),
            Self::Forget if frame.dst != me && !frame.is_control() => None,
            _ => Some(frame),
        }
    }

    /// The bounds that a machine is made with.
    #[must_use]
    pub fn limits(self, limits: &Limits) -> Limits {
        let mut limits = limits.clone();
        if self == Self::Unbounded {
            (limits.control, limits.grants) = (u32::MAX, u32::MAX);
            (limits.partial_bodies, limits.calls_in_flight) = (u32::MAX, u32::MAX);
        }
        limits
    }

    /// The policy that a machine is made with.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Policy {
        if self == Self::Unguarded { Policy::Anyone } else { policy }
    }

    /// The id that a child is made with instead of `id`; `gone` was one.
    #[must_use]
    pub fn id(self, id: ContextId, gone: Option<ContextId>) -> ContextId {
        match self {
            Self::Recycle => gone.unwrap_or(id),
            Self::Invent => ContextId::new(id.number() + 100 * IdRange::LEN),
            _ => id,
        }
    }
}

fn is_item(frame: &Frame) -> bool {
    let head = || codec::decode_prefix::<StreamHead>(&frame.body, 4096);
    frame.handle.is_allocated()
        && matches!(head(), Ok((StreamHead::Item(_), _)))
        && job::item(&frame.body).is_ok()
}

/// Whether `frame` is the piece behind `before`, neither of them the first of their body.
fn is_next(before: &Frame, frame: &Frame) -> bool {
    let flow = |frame: &Frame| (frame.src, frame.dst, frame.handle);
    let is_later = |frame: &Frame| frame.part.is_some_and(|part| part.offset > 0);
    is_later(before) && is_later(frame) && flow(before) == flow(frame)
}

/// The bytes of two pieces, the second's first, in pieces as long as before.
fn swapped(first: &Body, second: &Body) -> (Body, Body) {
    let mut both = [&second[..], &first[..]].concat();
    let rest = both.split_off(first.len());
    (both.into(), rest.into())
}

fn is_grant(frame: &Frame) -> bool {
    let said = || codec::decode::<AllocateId>(&frame.body, 4096);
    frame.handle == Handle::ALLOCATE_ID && matches!(said(), Ok(AllocateId::Grant(_)))
}

fn damaged(body: &[u8]) -> Body {
    let mut bytes = body.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last = !*last;
    }
    bytes.into()
}

fn misnamed(body: &Body) -> Body {
    let another = |add: AddRoute| AddRoute { id: ContextId::new(add.id.number() + 1), ..add };
    codec::decode(body, 4096).map_or_else(|_| body.clone(), |add| encoded(&another(add)))
}

fn unchained(body: &Body) -> Body {
    let Ok((head, args_at)) = codec::decode_prefix::<CallHead>(body, 4096) else { return body.clone() };
    [&*encoded(&CallHead { chain: None, ..head }), body.get(args_at..).unwrap_or_default()].concat().into()
}

fn encoded(value: &impl serde::Serialize) -> Body {
    job::encoded(value).into()
}
