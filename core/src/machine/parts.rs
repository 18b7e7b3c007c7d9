//! Bodies in the making (rules 9 and 13): fragments are put together at their destination alone.

use offshoot_wire::{Assembler, ContextId, FRAME_COST, Frame, Handle, ReplyTo};

use super::{LinkKey, limits::Limits, map::Map};

/// The memory that decoding one control body may take, in bytes.
pub(super) const CONTROL_BUDGET: usize = 64 * 1024;

/// So much is kept of a body that nobody wants, for its head, in bytes: room for 700 ends.
pub(super) const HEAD: u32 = 8 * 1024;

/// One body in the making.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    link: LinkKey,
    reply_to: ReplyTo,
    made: Made,
    /// It answers a call of ours or is an item we gave credit for one by one: not counted against its link.
    asked_for: bool,
}

/// What is made of a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Made {
    All(Assembler),
    /// Nobody wants it: its first bytes are kept, no more than [`HEAD`].
    Head(Vec<u8>),
}

impl Part {
    /// What it counts for against its link, in bytes.
    fn cost(&self) -> u64 {
        let most = match &self.made {
            Made::All(body) => body.total(),
            Made::Head(_) => HEAD,
        };
        (most as usize + FRAME_COST) as u64
    }

    /// What has come of it and is kept.
    fn begun(&self) -> &[u8] {
        match &self.made {
            Made::All(body) => body.begun(),
            Made::Head(head) => head,
        }
    }
}

/// The bodies in the making of a context, by source and handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    map: Map<(ContextId, Handle), Part>,
    /// What counts against each link that has any in the making.
    held: Map<LinkKey, Held>,
}

/// What one link has in the making, without what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    bodies: u32,
    bytes: u64,
}

/// What a fragment made of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assembled {
    /// More is to come.
    Partly,
    /// The body is whole, and in its frame now.
    Whole,
    /// It continues nothing.
    Stray,
    /// It does not continue the body that was in the making, which is gone.
    Broken,
    /// The body would be longer than the limit.
    TooLarge,
}

impl Parts {
    /// Adds a fragment that came by `link`; the last one becomes the frame of the whole body.
    pub(super) fn add(
        &mut self,
        link: LinkKey,
        frame: &mut Frame,
        asked_for: bool,
        longest: u32,
    ) -> Assembled {
        let Some(part) = frame.part else { return Assembled::Whole };
        let key = (frame.src, frame.handle);
        if part.offset == 0 {
            self.remove(&key);
            if part.total > longest {
                return Assembled::TooLarge;
            }
            let made = Made::All(Assembler::new(part.total));
            self.insert(key, Part { link, reply_to: frame.reply_to, made, asked_for });
        }
        let Some(entry) = self.map.get_mut(&key) else { return Assembled::Stray };
        let body = match &mut entry.made {
            Made::All(body) if entry.reply_to == frame.reply_to => body,
            _ => {
                self.remove(&key);
                return Assembled::Broken;
            }
        };
        match body.add(part, &frame.body) {
            Err(_) => {
                self.remove(&key);
                Assembled::Broken
            }
            Ok(None) => Assembled::Partly,
            Ok(Some(body)) => {
                self.remove(&key);
                (frame.part, frame.body) = (None, body);
                Assembled::Whole
            }
        }
    }

    /// Whether one more body of `total` bytes is too much for a link, the one left out in whose place it begins. One alone may
    /// be as long as the limit, and keeps none away that is no longer than its share would be.
    pub(super) fn is_crowded(
        &self,
        link: LinkKey,
        key: (ContextId, Handle),
        limits: &Limits,
        total: u32,
    ) -> bool {
        let mut held = self.held.get(&link).copied().unwrap_or_default();
        if let Some(own) = self.map.get(&key).filter(|own| own.link == link && !own.asked_for) {
            held.bodies -= 1;
            held.bytes -= own.cost();
        }
        let (total, most) = (u64::from(total), limits.partial_bytes);
        let is_long = total > most / u64::from(limits.partial_bodies.max(1));
        held.bodies >= limits.partial_bodies || (is_long && held.bodies > 0 && held.bytes + total > most)
    }

    /// Keeps the head of a body that nobody wants, if its link has room for one more.
    pub(super) fn keep_head(
        &mut self,
        link: LinkKey,
        key: (ContextId, Handle),
        head: Vec<u8>,
        limits: &Limits,
    ) {
        if !self.is_crowded(link, key, limits, HEAD) {
            let made = Made::Head(head);
            self.insert(key, Part { link, reply_to: ReplyTo::Nobody, made, asked_for: false });
        }
    }

    /// Takes out a body in the making, of which no more than the head is wanted; and by which link it came.
    pub(super) fn take_head(&mut self, src: ContextId, handle: Handle) -> Option<(LinkKey, Vec<u8>)> {
        let part = self.remove(&(src, handle))?;
        let begun = part.begun();
        Some((part.link, begun.get(..HEAD as usize).unwrap_or(begun).to_vec()))
    }

    fn insert(&mut self, key: (ContextId, Handle), part: Part) {
        if !part.asked_for {
            let held = self.held.or_default(part.link);
            held.bodies += 1;
            held.bytes += part.cost();
        }
        self.map.insert(key, part);
    }

    /// A body is no longer in the making.
    fn remove(&mut self, key: &(ContextId, Handle)) -> Option<Part> {
        let part = self.map.remove(key)?;
        if !part.asked_for
            && let Some(held) = self.held.get_mut(&part.link)
        {
            held.bodies -= 1;
            held.bytes -= part.cost();
            if held.bodies == 0 {
                self.held.remove(&part.link);
            }
        }
        Some(part)
    }

    /// The reply handle of the body that `src` has in the making for `handle`.
    pub(super) fn reply_to(&self, src: ContextId, handle: Handle) -> Option<ReplyTo> {
        self.map.get(&(src, handle)).map(|part| part.reply_to)
    }

    /// What has come of the body that `src` has in the making for `handle`.
    pub(super) fn begun(&self, src: ContextId, handle: Handle) -> Option<&[u8]> {
        self.map.get(&(src, handle)).map(Part::begun)
    }

    /// Whose bodies are in the making.
    pub(super) fn sources(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.map.keys().map(|(src, _)| src)
    }

    /// Drops a body in the making.
    pub(super) fn forget(&mut self, src: ContextId, handle: Handle) {
        self.remove(&(src, handle));
    }

    /// Drops the bodies of a context that is gone.
    pub(super) fn forget_all(&mut self, gone: ContextId) {
        for key in self.map.keys_between((gone, Handle::new(0)), (gone, Handle::new(u32::MAX))) {
            self.remove(&key);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether what is counted of each link is what there is: for invariants.
    pub(super) fn has_counted(&self) -> bool {
        let mut held = Map::<LinkKey, Held>::new();
        for part in self.map.values().filter(|part| !part.asked_for) {
            let held = held.or_default(part.link);
            held.bodies += 1;
            held.bytes += part.cost();
        }
        held == self.held
    }
}
