//! What could not be said to a child of which too much waits, kept short until there is room (rule 9).
//!
//! A dead message, or what a stream says beside its items, takes no credit and is never said again: whoever it is for
//! would wait for ever. So where a link is crowded it is kept without its text, one for each flow, and leaves as soon
//! as no more waits than may.

use offshoot_wire::{ContextId, Dead, DeadCode, Frame, Handle, ReplyTo, StreamHead, codec};

use super::{
    Action, Actions, DropKind, FlowKey, LinkKey, Machine, Queued, Routes,
    map::{Map, Set},
    parts::CONTROL_BUDGET,
};

/// What a word that is kept takes at most, in bytes: its places in the map, of which half may be empty.
const WORD: u64 = 128;

/// What is to be said in a flow.
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
}

impl Said {
    fn of(frame: &Frame) -> Option<Self> {
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

    fn body(self) -> Option<Vec<u8>> {
        let text = || "too much waited to be told more".to_owned();
        match self {
            Self::Dead(code) => codec::encode(&Dead { code, text: text() }),
            Self::Open(_) => codec::encode(&StreamHead::Open),
            Self::Close(_) => codec::encode(&StreamHead::Close),
            Self::Fail(_) => codec::encode(&StreamHead::Fail(text())),
        }
        .ok()
    }

    const fn reply_to(self) -> ReplyTo {
        match self {
            Self::Dead(_) => ReplyTo::Dead,
            Self::Open(by) | Self::Close(by) | Self::Fail(by) => ReplyTo::Handle(by),
        }
    }
}

impl Word {
    fn frame(self, key: FlowKey) -> Option<Frame> {
        let FlowKey { src, dst, handle } = key;
        let (reply_to, body) = (self.said.reply_to(), self.said.body()?.into());
        Some(Frame { dst, src, auth: self.auth, handle, reply_to, part: None, body })
    }
}

impl<R: Routes> Machine<R> {
    /// Keeps the word that a frame for a crowded link is, if it is one to a handle and there is room for it.
    pub(super) fn keep_word(
        &mut self,
        from: Option<LinkKey>,
        to: LinkKey,
        frame: &Frame,
        out: &mut Actions,
    ) -> bool {
        let Some(said) = Said::of(frame).filter(|_| frame.handle.is_allocated()) else { return false };
        let (most, key) = (self.config.limits.downlink / 4 / WORD, FlowKey::of(frame));
        let words = self.unsaid.get(&to);
        let held = words.and_then(|words| words.get(&key)).map(|word| word.said);
        if held.is_some() {
            // There is one word for both.
            self.drop_frame(from, DropKind::Congested, frame, out);
        } else if words.map_or(0, Map::len) as u64 >= most {
            return false;
        }
        let said = held.map_or(said, |held| held.and(said));
        self.unsaid.or_default(to).insert(key, Word { auth: frame.auth, said });
        out.push(Action::Write(to));
        true
    }

    /// Keeps for the destination of a frame that is dropped that it will not come.
    pub(super) fn keep_dead(&mut self, to: LinkKey, frame: &Frame, code: DeadCode, out: &mut Actions) {
        let Some(body) = Said::Dead(code).body() else { return };
        let (auth, body) = (self.config.me, body.into());
        let dead = Frame { auth, reply_to: ReplyTo::Dead, part: None, body, ..frame.clone() };
        self.keep_word(None, to, &dead, out);
    }

    /// Says what was kept for a link, as long as no more waits there than may.
    pub(super) fn say_unsaid(&mut self, link: LinkKey, out: &mut Actions) {
        while R::HAS_CHILDREN && self.may_say(link) {
            let first = self.unsaid.get(&link).and_then(Map::first_key);
            let Some(key) = first else { return };
            self.say(link, key, out);
        }
    }

    /// Whether something was kept for a link, and could be said now: also where all else waits for credit.
    pub(super) fn may_say(&self, link: LinkKey) -> bool {
        let limit = self.config.limits.downlink;
        R::HAS_CHILDREN
            && self.unsaid.get(&link).is_some()
            && self.link(link).is_some_and(|entry| entry.outbox.bytes() <= limit || !entry.outbox.is_ready())
    }

    /// What was kept of a flow leaves before what comes after it; not to somebody who has gone meanwhile.
    pub(super) fn say(&mut self, link: LinkKey, key: FlowKey, out: &mut Actions) {
        if let Some(word) = self.forget_word(link, key).filter(|_| self.way_to(key.dst) == Some(link))
            && let Some(frame) = word.frame(key)
        {
            self.queue(link, Queued::free(frame, None), out);
        }
    }

    /// Of the lost there is nothing to be said but that they are lost.
    pub(super) fn unsay(&mut self, lost: &Set<ContextId>) {
        for link in self.unsaid.keys().collect::<Vec<_>>() {
            for src in lost.iter() {
                let [first, last] = FlowKey::all(src);
                let of_it = self.unsaid.get(&link).map(|words| words.keys_between(first, last));
                for key in of_it.into_iter().flatten() {
                    self.forget_word(link, key);
                }
            }
        }
    }

    fn forget_word(&mut self, link: LinkKey, key: FlowKey) -> Option<Word> {
        let words = self.unsaid.get_mut(&link)?;
        let word = words.remove(&key);
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
