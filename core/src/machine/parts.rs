//! Bodies in the making (rules 9 and 13): fragments are put together at their destination alone.

use offshoot_wire::{Assembler, ContextId, FRAME_COST, Frame, Handle, ReplyTo};

use super::{LinkKey, map::Map};

/// The memory that decoding one control body may take, in bytes.
pub(super) const CONTROL_BUDGET: usize = 64 * 1024;

/// One body in the making.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    link: LinkKey,
    reply_to: ReplyTo,
    body: Assembler,
    /// It answers a call of ours or is an item we gave credit for one by one: not counted against its link.
    asked_for: bool,
}

/// The bodies in the making of a context, by source and handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    map: Map<(ContextId, Handle), Part>,
}

/// What a fragment made of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// More is to come.
    Partly,
    /// The body is whole; its frame is given back with it.
    Whole(Frame),
    /// It continues nothing.
    Stray,
    /// It does not continue the body that was in the making, which is gone.
    Broken,
    /// The body would be longer than the limit.
    TooLarge,
    /// Too many bodies, or too many bytes of them, are in the making by this link.
    Crowded,
}

/// What one link may have in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) body: u32,
    pub(super) bodies: u32,
    pub(super) bytes: u64,
}

impl Parts {
    /// Adds a fragment that came by `link`.
    pub(super) fn add(&mut self, link: LinkKey, frame: Frame, asked_for: bool, share: Share) -> Assembled {
        let Some(part) = frame.part else { return Assembled::Whole(frame) };
        let key = (frame.src, frame.handle);
        if part.offset == 0 {
            self.map.remove(&key);
            if part.total > share.body {
                return Assembled::TooLarge;
            }
            if !asked_for && self.is_crowded(link, share, part.total) {
                return Assembled::Crowded;
            }
            let body = Assembler::new(part.total);
            self.map.insert(key, Part { link, reply_to: frame.reply_to, body, asked_for });
        }
        let Some(entry) = self.map.get_mut(&key) else { return Assembled::Stray };
        if entry.reply_to != frame.reply_to {
            self.map.remove(&key);
            return Assembled::Broken;
        }
        match entry.body.add(part, &frame.body) {
            Err(_) => {
                self.map.remove(&key);
                Assembled::Broken
            }
            Ok(None) => Assembled::Partly,
            Ok(Some(body)) => {
                self.map.remove(&key);
                Assembled::Whole(Frame { part: None, body, ..frame })
            }
        }
    }

    /// Whether one more body of `total` bytes is too much for a link; one alone may be as long as the limit.
    fn is_crowded(&self, link: LinkKey, share: Share, total: u32) -> bool {
        let (mut bodies, mut bytes) = (0_u32, 0_u64);
        for entry in self.map.unordered().iter().filter(|entry| entry.link == link && !entry.asked_for) {
            bodies += 1;
            bytes += (entry.body.total() as usize + FRAME_COST) as u64;
        }
        bodies >= share.bodies || (bodies > 0 && bytes + u64::from(total) > share.bytes)
    }

    /// The reply handle of the body that `src` has in the making for `handle`.
    pub(super) fn reply_to(&self, src: ContextId, handle: Handle) -> Option<ReplyTo> {
        self.map.get(&(src, handle)).map(|part| part.reply_to)
    }

    /// Whose bodies are in the making.
    pub(super) fn sources(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.map.keys().map(|(src, _)| src)
    }

    /// Drops a body in the making.
    pub(super) fn forget(&mut self, src: ContextId, handle: Handle) {
        self.map.remove(&(src, handle));
    }

    /// Drops the bodies of a context that is gone.
    pub(super) fn forget_all(&mut self, gone: ContextId) {
        for key in self.map.keys_between((gone, Handle::new(0)), (gone, Handle::new(u32::MAX))) {
            self.map.remove(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}
