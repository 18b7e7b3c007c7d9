//! Bodies that nobody wants any more: answers to calls given up, items for ends let go of. They are not put together, and
//! still what they hand over is refused.
//!
//! Whoever answers has parted with what he hands over when he begins to; an item takes along what it hands over with its
//! last piece, and until then its sender keeps that, who will hear that nobody takes it.

use offshoot_wire::{Body, ContextId, End, Frame, Handle, ReplyHead, StreamHead, Window, codec};

use super::{
    Actions, LinkKey, Machine, Outcome, Routes,
    deliver::cost_of,
    parts::{CONTROL_BUDGET, HEAD},
};

/// A body of which no more than its head is kept.
struct Skimmed {
    src: ContextId,
    handle: Handle,
    window: Window,
    /// The first bytes of it.
    head: Vec<u8>,
}

impl<R: Routes> Machine<R> {
    /// Books a piece of a body that nobody wants.
    pub(super) fn skim(&mut self, from: Option<LinkKey>, frame: &Frame, window: Window, out: &mut Actions) {
        let (Some(link), Some(part)) = (from, frame.part) else { return };
        if !self.charge(from, frame, window) {
            return self.break_window(from, frame, window, out);
        }
        let (src, handle) = (frame.src, frame.handle);
        let back = self.credits.taken(src, window, 0, cost_of(frame));
        self.give_credit(src, window, back, out);
        let kept = self.parts.take_head(src, handle).map(|(_, head)| head);
        let is_first = part.offset == 0;
        let is_last = u64::from(part.offset) + frame.body.len() as u64 >= u64::from(part.total);
        if let Some(mut head) = if is_first { Some(Vec::new()) } else { kept } {
            if head.len() as u64 == u64::from(part.offset) {
                let room = (HEAD as usize).saturating_sub(head.len());
                head.extend_from_slice(frame.body.get(..room).unwrap_or(&frame.body));
            }
            // Between the first piece and the last it is not looked at: pieces can be very short.
            if is_first || is_last {
                self.weigh(link, Skimmed { src, handle, window, head }, is_last, out);
            } else {
                self.parts.keep_head(link, (src, handle), head, &self.config.limits);
            }
        }
        if is_last && window == Window::Replies {
            self.end_call(handle, Outcome::Reply(Body::default()), out);
        }
    }

    /// Nobody wants a body any more of which a part may have come.
    pub(super) fn unwant(&mut self, src: ContextId, handle: Handle, window: Window, out: &mut Actions) {
        if let Some((link, head)) = self.parts.take_head(src, handle) {
            self.weigh(link, Skimmed { src, handle, window, head }, false, out);
        }
    }

    /// Refuses what a body hands over as soon as that is known and can be done; until then its head is kept.
    fn weigh(&mut self, link: LinkKey, body: Skimmed, is_last: bool, out: &mut Actions) {
        let Skimmed { src, handle, window, head } = body;
        let is_answer = window == Window::Replies;
        match if is_answer { ends_of_reply(&head) } else { ends_of_item(&head) } {
            Some(ends) if is_last || is_answer || ends.is_empty() => self.refuse_ends(src, &ends, out),
            None if is_last => {}
            _ => self.parts.keep_head(link, (src, handle), head, &self.config.limits),
        }
    }
}

/// The ends that an answer hands over, if its head is there.
pub(super) fn ends_of_reply(body: &[u8]) -> Option<Vec<End>> {
    match codec::decode_prefix(body, CONTROL_BUDGET).ok()?.0 {
        ReplyHead::Value(ends) => Some(ends),
        _ => Some(Vec::new()),
    }
}

/// The ends that an item hands over, if its head is there.
pub(super) fn ends_of_item(body: &[u8]) -> Option<Vec<End>> {
    match codec::decode_prefix(body, CONTROL_BUDGET).ok()?.0 {
        StreamHead::Item(ends) => Some(ends),
        _ => Some(Vec::new()),
    }
}
