//! A frame that waits to leave, and the flow in which it waits.

use offshoot_wire::{ContextId, FRAME_COST, Frame, Handle, Part, Window};

use super::{
    LinkKey,
    map::{Key, pair, part},
};

/// What keeps its order: frames of one source to one handle of one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FlowKey {
    pub(super) src: ContextId,
    pub(super) dst: ContextId,
    pub(super) handle: Handle,
}

impl FlowKey {
    /// The flow of a frame.
    pub(super) fn of(frame: &Frame) -> Self {
        Self::new(frame.src, frame.dst, frame.handle)
    }

    /// The first and the last that a flow of a context can be.
    pub(super) fn all(src: ContextId) -> [Self; 2] {
        [0, u32::MAX].map(|end| Self::new(src, ContextId::new(end), Handle::new(end)))
    }

    /// The flow to a handle: CANCEL and the end of a chain travel in that of the calls that they are about, whatever
    /// these call.
    pub(super) const fn new(src: ContextId, dst: ContextId, handle: Handle) -> Self {
        let handle = match handle {
            Handle::CANCEL | Handle::CHAIN_END | Handle::CREATE_CHILD => Handle::CALL_FUNCTION,
            handle => handle,
        };
        Self { src, dst, handle }
    }
}

impl Key for FlowKey {
    fn pack(self) -> u128 {
        u128::from(self.src.number()) << 64 | pair(self.dst.number(), self.handle.number())
    }

    fn unpack(bits: u128) -> Self {
        let [src, dst] = [64, 32].map(|shift| ContextId::new(part(bits, shift)));
        Self { src, dst, handle: Handle::new(part(bits, 0)) }
    }
}

/// A flow by where it goes: all that go to one context are one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Toward(pub(super) FlowKey);

impl Toward {
    /// The first and the last that a flow to a context can be.
    pub(super) fn all(dst: ContextId) -> [Self; 2] {
        [0, u32::MAX].map(|end| Self(FlowKey::new(ContextId::new(end), dst, Handle::new(end))))
    }
}

impl Key for Toward {
    fn pack(self) -> u128 {
        u128::from(self.0.dst.number()) << 64 | pair(self.0.src.number(), self.0.handle.number())
    }

    fn unpack(bits: u128) -> Self {
        let [dst, src] = [64, 32].map(|shift| ContextId::new(part(bits, shift)));
        Self(FlowKey { src, dst, handle: Handle::new(part(bits, 0)) })
    }
}

/// A frame that waits, and what is to be remembered when it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queued {
    pub(super) frame: Frame,
    /// The bytes of the body that have left as fragments.
    pub(super) sent: usize,
    /// The window whose credit it needs; `None` for frames of others and what is outside credit.
    pub(super) window: Option<Window>,
    /// The child link by which it came, if it did.
    pub(super) from: Option<LinkKey>,
    /// It is an answer that counts for whom it goes to: no ancestor.
    pub(super) is_counted: bool,
}

impl Queued {
    /// A frame of another context, or one outside credit.
    pub(super) const fn free(frame: Frame, from: Option<LinkKey>) -> Self {
        Self { frame, sent: 0, window: None, from, is_counted: false }
    }

    /// A frame of our own under credit.
    pub(super) const fn charged(frame: Frame, window: Window) -> Self {
        Self { frame, sent: 0, window: Some(window), from: None, is_counted: false }
    }

    /// An answer of our own.
    pub(super) const fn answer(frame: Frame, is_counted: bool) -> Self {
        Self { frame, sent: 0, window: Some(Window::Replies), from: None, is_counted }
    }

    /// Our end of the stream that it belongs to.
    pub(super) fn spender(&self) -> Option<Handle> {
        self.frame.reply_to.handle().filter(|_| matches!(self.window, Some(Window::Stream(_))))
    }

    /// The next piece of its body.
    pub(super) fn piece(&mut self, bytes: usize) -> Frame {
        let end = self.sent + bytes;
        let frame = Frame {
            part: Some(Part {
                total: u32::try_from(self.frame.body.len()).unwrap_or(u32::MAX),
                offset: u32::try_from(self.sent).unwrap_or(u32::MAX),
            }),
            body: self.frame.body.slice(self.sent, end),
            ..self.frame.clone()
        };
        self.sent = end;
        frame
    }

    /// The memory it holds.
    pub(super) fn weight(&self) -> u64 {
        (self.frame.body.capacity() + FRAME_COST) as u64
    }
}
