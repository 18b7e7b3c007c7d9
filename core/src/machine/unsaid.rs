//! What could not be said to a child of which too much waits, kept short until there is room (rule 9).
//!
//! A dead message, what a stream says beside its items, a CANCEL and the end of a chain take no credit and are never said
//! again: whoever they are for would wait, or keep a call of which a part has come, for ever. So where a link is crowded
//! it is kept without its text, one for each topic, and leaves as soon as no more waits than may.

use offshoot_wire::{CallId, ContextId, Dead, DeadCode, Frame, Handle, ReplyTo, StreamHead, codec};

use super::{
    Action, Actions, DropKind, LinkKey, Machine, Queued, Routes,
    map::{Key, Map, Set, pair, part},
    parts::CONTROL_BUDGET,
};

/// What a word that is kept takes at most, in bytes: its places in the map, of which half may be empty.
const WORD: u64 = 128;

/// What a word is about: a handle of its destination, or a call or a chain of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Topic {
    src: ContextId,
    dst: ContextId,
    handle: Handle,
    /// The reply handle of the call, or the number of the chain.
    of: u32,
}

impl Topic {
    /// What a word would be about that is kept of the flow of a frame.
    pub(super) const fn of(frame: &Frame) -> Self {
        Self { src: frame.src, dst: frame.dst, handle: frame.handle, of: 0 }
    }

    /// A CANCEL of the call, or of one before it that had the same handle.
    pub(super) fn cancelling(call: &Frame) -> Option<Self> {
        let is_call = matches!(call.handle, Handle::CALL_FUNCTION | Handle::CREATE_CHILD);
        let by = call.reply_to.handle().filter(|_| is_call)?;
        Some(Self { handle: Handle::CANCEL, of: by.number(), ..Self::of(call) })
    }

    /// The first and the last of what a context says.
    fn all(src: ContextId) -> [Self; 2] {
        let topic = |end| Self { src, dst: ContextId::new(end), handle: Handle::new(end), of: end };
        [0, u32::MAX].map(topic)
    }
}

impl Key for Topic {
    fn pack(self) -> u128 {
        pair(self.src.number(), self.dst.number()) << 64 | pair(self.handle.number(), self.of)
    }

    fn unpack(bits: u128) -> Self {
        let [src, dst] = [96, 64].map(|shift| ContextId::new(part(bits, shift)));
        Self { src, dst, handle: Handle::new(part(bits, 32)), of: part(bits, 0) }
    }
}

/// What is to be said of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word {
    auth: ContextId,
    said: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    /// Nothing will come any more, and why.
    Dead(DeadCode),
    /// By the end of a stream with this handle.
    Open(Handle),
    Close(Handle),
    Fail(Handle),
    /// Nobody waits for the call any more; the chain has ended.
    Cancel,
    ChainEnd,
}

impl Said {
    /// What a frame says, and about what, if it can be said in a word.
    fn of(frame: &Frame) -> Option<(Topic, Self)> {
        let topic = Topic::of(frame);
        match frame.handle {
            Handle::CANCEL => {
                let CallId { context, handle } = codec::decode(&frame.body, CONTROL_BUDGET).ok()?;
                (context == frame.src).then_some((Topic { of: handle.number(), ..topic }, Self::Cancel))
            }
            Handle::CHAIN_END => {
                let chain = codec::decode(&frame.body, CONTROL_BUDGET).ok()?;
                Some((Topic { of: chain, ..topic }, Self::ChainEnd))
            }
            handle if handle.is_allocated() => Self::at_handle(frame).map(|said| (topic, said)),
            _ => None,
        }
    }

    /// What it says to whoever waits at its handle.
    fn at_handle(frame: &Frame) -> Option<Self> {
        if frame.is_dead() {
            return codec::decode(&frame.body, CONTROL_BUDGET).ok().map(|Dead { code, .. }| Self::Dead(code));
        }
        let by = frame.reply_to.handle().filter(|_| frame.part.is_none())?;
        match codec::decode_prefix(&frame.body, CONTROL_BUDGET).ok()?.0 {
            StreamHead::Open => Some(Self::Open(by)),
            StreamHead::Close => Some(Self::Close(by)),
            StreamHead::Fail(_) => Some(Self::Fail(by)),
            StreamHead::Item(_) => None,
        }
    }

    /// One word for two, of which `next` came later: of a stream whose items were dropped nobody is told a clean end.
    const fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Dead(_) | Self::Fail(_), Self::Close(by)) => Self::Fail(by),
            (Self::Close(by) | Self::Fail(by), Self::Dead(_)) => Self::Fail(by),
            _ => next,
        }
    }

    fn body(self, topic: Topic) -> Option<Vec<u8>> {
        let text = || "too much waited to be told more".to_owned();
        match self {
            Self::Dead(code) => codec::encode(&Dead { code, text: text() }),
            Self::Open(_) => codec::encode(&StreamHead::Open),
            Self::Close(_) => codec::encode(&StreamHead::Close),
            Self::Fail(_) => codec::encode(&StreamHead::Fail(text())),
            Self::Cancel => codec::encode(&CallId { context: topic.src, handle: Handle::new(topic.of) }),
            Self::ChainEnd => codec::encode(&topic.of),
        }
        .ok()
    }

    const fn reply_to(self) -> ReplyTo {
        match self {
            Self::Dead(_) => ReplyTo::Dead,
            Self::Open(by) | Self::Close(by) | Self::Fail(by) => ReplyTo::Handle(by),
            Self::Cancel | Self::ChainEnd => ReplyTo::Nobody,
        }
    }
}

impl Word {
    fn frame(self, topic: Topic) -> Option<Frame> {
        let Topic { src, dst, handle, .. } = topic;
        let (reply_to, body) = (self.said.reply_to(), self.said.body(topic)?.into());
        Some(Frame { dst, src, auth: self.auth, handle, reply_to, part: None, body })
    }
}

impl<R: Routes> Machine<R> {
    /// Keeps the word that a frame for a crowded link is, if it is one and there is room for it.
    pub(super) fn keep_word(
        &mut self,
        from: Option<LinkKey>,
        to: LinkKey,
        frame: &Frame,
        out: &mut Actions,
    ) -> bool {
        let Some((topic, said)) = Said::of(frame) else { return false };
        let most = self.config.limits.downlink / 4 / WORD;
        let words = self.unsaid.get(&to);
        let held = words.and_then(|words| words.get(&topic)).map(|word| word.said);
        if held.is_some() {
            // There is one word for both.
            self.drop_frame(from, DropKind::Congested, frame, out);
        } else if words.map_or(0, Map::len) as u64 >= most {
            return false;
        }
        let said = held.map_or(said, |held| held.and(said));
        self.unsaid.or_default(to).insert(topic, Word { auth: frame.auth, said });
        out.push(Action::Write(to));
        true
    }

    /// Keeps for the destination of a frame that is dropped that it will not come.
    pub(super) fn keep_dead(&mut self, to: LinkKey, frame: &Frame, code: DeadCode, out: &mut Actions) {
        let Some(body) = Said::Dead(code).body(Topic::of(frame)) else { return };
        let (auth, body) = (self.config.me, body.into());
        let dead = Frame { auth, reply_to: ReplyTo::Dead, part: None, body, ..frame.clone() };
        self.keep_word(None, to, &dead, out);
    }

    /// Says what was kept for a link, as long as no more waits there than may.
    pub(super) fn say_unsaid(&mut self, link: LinkKey, out: &mut Actions) {
        while R::HAS_CHILDREN && self.may_say(link) {
            let first = self.unsaid.get(&link).and_then(Map::first_key);
            let Some(topic) = first else { return };
            self.say(link, topic, out);
        }
    }

    /// Whether something was kept for a link, and could be said now: also where all else waits for credit.
    pub(super) fn may_say(&self, link: LinkKey) -> bool {
        let limit = self.config.limits.downlink;
        R::HAS_CHILDREN
            && self.unsaid.get(&link).is_some()
            && self.link(link).is_some_and(|entry| entry.outbox.bytes() <= limit || !entry.outbox.is_ready())
    }

    /// What was kept of a topic leaves before what comes after it; not to somebody who has gone meanwhile.
    pub(super) fn say(&mut self, link: LinkKey, topic: Topic, out: &mut Actions) {
        if let Some(word) = self.forget_word(link, topic).filter(|_| self.way_to(topic.dst) == Some(link))
            && let Some(frame) = word.frame(topic)
        {
            self.queue(link, Queued::free(frame, None), out);
        }
    }

    /// Of the lost there is nothing to be said but that they are lost.
    pub(super) fn unsay(&mut self, lost: &Set<ContextId>) {
        for link in self.unsaid.keys().collect::<Vec<_>>() {
            for src in lost.iter() {
                let [first, last] = Topic::all(src);
                let of_it = self.unsaid.get(&link).map(|words| words.keys_between(first, last));
                for topic in of_it.into_iter().flatten() {
                    self.forget_word(link, topic);
                }
            }
        }
    }

    fn forget_word(&mut self, link: LinkKey, topic: Topic) -> Option<Word> {
        let words = self.unsaid.get_mut(&link)?;
        let word = words.remove(&topic);
        if words.is_empty() {
            self.unsaid.remove(&link);
        }
        word
    }

    /// How much is to be said.
    pub(super) fn unsaid(&self) -> usize {
        self.unsaid.values().map(Map::len).sum()
    }
}
