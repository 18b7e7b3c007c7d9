//! Who holds which range of ids, and where new ones come from (rule 7).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offshoot_core::machine::{DropKind, LinkKey, NoId, RouteFrame, Step};
use offshoot_core::wire::{AllocateId, ContextId, IdRange};

/// With fewer own ids left than this the next range is asked for, so that nobody waits at the end of one.
const PREFETCH: u32 = 100;

/// How many questions are with the parent at once: a wide tree grows by that many ranges a round trip. They and their
/// answers are some 4 KiB, half of the least that a link may hold of control frames.
const QUESTIONS: usize = 32;

/// How much of the id space one link may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quota {
    /// Ranges of which no id was announced yet, beside one for each context that the link has announced.
    pub(crate) unused: u32,
    /// Ranges in the life of the link.
    pub(crate) life: u32,
}

/// The ids of one context: those that its children's links hold, and its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ids {
    source: Source,
    quota: Quota,
    /// What links hold; a link's ranges are its own until it ends.
    held: BTreeMap<IdRange, Held>,
    /// What was given to this context and is held by no link (never by the root, which has all ids).
    own: BTreeSet<IdRange>,
    /// The links that have asked.
    accounts: BTreeMap<LinkKey, Account>,
    /// The range that children of this context are named from, and the offset of the next id in it.
    current: Option<(IdRange, u32)>,
    /// Own ranges that come after it.
    reserve: VecDeque<IdRange>,
}

/// Where ranges come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    /// At the root: the number of the next one.
    Counter(u32),
    /// Below it: the parent, who answers in order.
    Parent {
        /// Who waits for a range, first come first; `None` is this context itself.
        askers: VecDeque<Option<LinkKey>>,
        /// How many questions are with the parent, those of askers that are gone among them.
        open: usize,
        /// Whether the last answer to a question of ours was no.
        refused: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    link: LinkKey,
    /// The ids that were ever announced, a bit each; none before the first.
    announced: Option<Box<Bits>>,
}

/// One bit for each id of a range.
type Bits = [u64; IdRange::LEN.div_ceil(64) as usize];

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Account {
    ranges: Vec<IdRange>,
    /// How many of them have no announced id.
    unused: u32,
    /// Those that were asked for and are not here yet. Each has questions behind it that are refused, and are told so after
    /// it: who asks tells answers apart by their order.
    pending: VecDeque<usize>,
    /// How many ids were announced in all.
    announced: u32,
}

impl Ids {
    /// The ids of the root, from the range numbered `first` on.
    pub(crate) fn counted(first: u32, quota: Quota) -> Self {
        let mut ids = Self::new(Source::Counter(first), quota);
        // Before any link can ask: the first range is the root's.
        ids.count_own();
        ids
    }

    /// The ids of a context that asks its parent for them.
    pub(crate) fn asked_for(quota: Quota) -> Self {
        Self::new(Source::Parent { askers: VecDeque::new(), open: 0, refused: false }, quota)
    }

    fn new(source: Source, quota: Quota) -> Self {
        Self {
            source,
            quota,
            held: BTreeMap::new(),
            own: BTreeSet::new(),
            accounts: BTreeMap::new(),
            current: None,
            reserve: VecDeque::new(),
        }
    }

    pub(crate) const fn at_root(&self) -> bool {
        matches!(self.source, Source::Counter(_))
    }

    /// The link that holds the range of `id`.
    pub(crate) fn holder(&self, id: ContextId) -> Option<LinkKey> {
        self.held.get(&id.range()).map(|held| held.link)
    }

    /// How many ranges links hold.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether the range of `id` was given to this context and is held by no link.
    pub(crate) fn is_own(&self, id: ContextId) -> bool {
        self.own.contains(&id.range())
    }

    /// The next id for a child of `me`.
    pub(crate) fn take(&mut self, me: ContextId, steps: &mut Vec<Step>) -> Result<ContextId, NoId> {
        let taken = self.next_own(me).or_else(|| self.count_own().then(|| self.next_own(me)).flatten());
        let left = self.own_left();
        match &mut self.source {
            Source::Counter(_) => taken.ok_or(NoId::Exhausted),
            Source::Parent { refused, .. } if *refused => {
                // The answer is passed on once; who tries again later asks again.
                *refused = taken.is_some();
                taken.ok_or(NoId::Exhausted)
            }
            Source::Parent { askers, .. } => {
                if left < PREFETCH && !askers.contains(&None) {
                    askers.push_back(None);
                    self.ask_parent(steps);
                }
                taken.ok_or(NoId::Asked)
            }
        }
    }

    fn next_own(&mut self, me: ContextId) -> Option<ContextId> {
        loop {
            let (range, offset) = match self.current {
                Some(current) => current,
                None => (self.reserve.pop_front()?, 0),
            };
            self.current = range.id(offset).map(|_| (range, offset + 1));
            match range.id(offset) {
                Some(id) if id != me => return Some(id),
                _ => {}
            }
        }
    }

    fn own_left(&self) -> u32 {
        let of_current = self.current.map_or(0, |(_, offset)| IdRange::LEN.saturating_sub(offset));
        of_current + if self.reserve.is_empty() { 0 } else { IdRange::LEN }
    }

    /// At the root: takes one more range for itself.
    fn count_own(&mut self) -> bool {
        let range = self.count();
        self.reserve.extend(range);
        range.is_some()
    }

    fn count(&mut self) -> Option<IdRange> {
        let Source::Counter(next) = &mut self.source else { return None };
        let range = IdRange::new(*next)?;
        *next += 1;
        Some(range)
    }

    /// A child link asks for a range.
    pub(crate) fn ask(&mut self, link: LinkKey, steps: &mut Vec<Step>) {
        let account = self.accounts.entry(link).or_default();
        let pending = number(account.pending.len());
        let lifetime = number(account.ranges.len()).saturating_add(pending);
        let most = self.quota.unused.saturating_add(account.announced);
        if account.unused.saturating_add(pending) >= most || lifetime >= self.quota.life {
            steps.push(Step::Drop(link, DropKind::Quota));
            match account.pending.back_mut() {
                Some(behind) if *behind < QUESTIONS => *behind += 1,
                // Nothing is before it; or whoever asks so much may mistake the answers.
                _ => steps.push(down(link, AllocateId::Refused)),
            }
            return;
        }
        account.pending.push_back(0);
        if let Source::Parent { askers, .. } = &mut self.source {
            askers.push_back(Some(link));
            self.ask_parent(steps);
        } else {
            let range = self.count();
            self.give(link, range, steps);
        }
    }

    fn ask_parent(&mut self, steps: &mut Vec<Step>) {
        if let Source::Parent { askers, open, .. } = &mut self.source
            && *open < askers.len().min(QUESTIONS)
        {
            *open += 1;
            steps.push(Step::Up(RouteFrame::Ids(AllocateId::Ask)));
        }
    }

    /// The parent has answered; `false` if it was not asked, or gives what it has given before.
    pub(crate) fn answered(&mut self, range: Option<IdRange>, steps: &mut Vec<Step>) -> bool {
        if range.is_some_and(|range| self.held.contains_key(&range) || self.own.contains(&range)) {
            return false;
        }
        let Source::Parent { askers, open, refused } = &mut self.source else { return false };
        let Some(left) = open.checked_sub(1) else { return false };
        *open = left;
        match askers.pop_front() {
            Some(Some(link)) => self.give(link, range, steps),
            // `None`: who had asked is gone, and nobody else waits; it will be needed.
            asker => {
                *refused = asker.is_some() && range.is_none();
                self.reserve.extend(range);
                self.own.extend(range);
                if asker.is_some() {
                    steps.push(Step::Ids);
                }
            }
        }
        self.ask_parent(steps);
        true
    }

    fn give(&mut self, link: LinkKey, range: Option<IdRange>, steps: &mut Vec<Step>) {
        let account = self.accounts.entry(link).or_default();
        let refused = account.pending.pop_front().unwrap_or_default();
        if let Some(range) = range {
            account.ranges.push(range);
            account.unused += 1;
            self.held.insert(range, Held { link, announced: None });
        }
        steps.push(down(link, range.map_or(AllocateId::Refused, AllocateId::Grant)));
        steps.extend((0..refused).map(|_| down(link, AllocateId::Refused)));
    }

    /// Whether `id` was ever announced by the link that holds it.
    pub(crate) fn was_announced(&self, id: ContextId) -> bool {
        let bits = self.held.get(&id.range()).and_then(|held| held.announced.as_deref());
        let (word, bit) = place(id);
        bits.and_then(|bits| bits.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Whether `id` was given to a child of this context, or is of a range whose holder is gone: it is never used again,
    /// and names nobody where it is not alive.
    pub(crate) fn is_spent(&self, id: ContextId) -> bool {
        let range = id.range();
        if self.held.contains_key(&range) || self.reserve.contains(&range) {
            return false;
        }
        match (self.current, &self.source) {
            (Some((current, next)), _) if current == range => id.number() % IdRange::LEN < next,
            (_, Source::Counter(next)) => range.number() < *next,
            (_, Source::Parent { .. }) => self.own.contains(&range),
        }
    }

    /// Burns `id` from a range of a link: it is announced now, and never again.
    pub(crate) fn announced(&mut self, id: ContextId) {
        let Some(held) = self.held.get_mut(&id.range()) else { return };
        let account = self.accounts.entry(held.link).or_default();
        if held.announced.is_none() {
            account.unused = account.unused.saturating_sub(1);
        }
        account.announced = account.announced.saturating_add(1);
        let (word, bit) = place(id);
        let bits = held.announced.get_or_insert_default();
        if let Some(word) = bits.get_mut(word) {
            *word |= bit;
        }
    }

    /// One more context was announced to the parent, which may grant one range more for it.
    pub(crate) const fn may_ask_again(&mut self) {
        if let Source::Parent { refused, .. } = &mut self.source {
            *refused = false;
        }
    }

    /// A child link is gone: nobody holds its ranges from now on, and none of its ids is ever used again.
    ///
    /// The answers to questions of its own go to whoever waits first.
    pub(crate) fn link_down(&mut self, link: LinkKey) {
        let at_root = self.at_root();
        for range in self.accounts.remove(&link).unwrap_or_default().ranges {
            self.held.remove(&range);
            if !at_root {
                self.own.insert(range);
            }
        }
        if let Source::Parent { askers, .. } = &mut self.source {
            askers.retain(|asker| *asker != Some(link));
        }
    }

    /// Whether nothing is kept about any link.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let asked =
            matches!(&self.source, Source::Parent { askers, .. } if askers.iter().any(Option::is_some));
        self.held.is_empty() && self.accounts.is_empty() && !asked
    }

    /// Every range that a link holds.
    pub(crate) fn grants(&self) -> impl Iterator<Item = (IdRange, LinkKey)> + '_ {
        self.held.iter().map(|(range, held)| (*range, held.link))
    }

    /// Every range that was given to this context and is held by no link (never by the root, which has all ids).
    pub(crate) fn own(&self) -> impl Iterator<Item = IdRange> + '_ {
        self.own.iter().copied()
    }

    /// At the root: the number of the range that is given out next.
    pub(crate) const fn next_range(&self) -> Option<u32> {
        match self.source {
            Source::Counter(next) => Some(next),
            Source::Parent { .. } => None,
        }
    }
}

fn down(link: LinkKey, frame: AllocateId) -> Step {
    Step::Down(link, RouteFrame::Ids(frame))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The word and the bit of an id in [`Bits`].
const fn place(id: ContextId) -> (usize, u64) {
    let offset = id.number() % IdRange::LEN;
    ((offset / 64) as usize, 1 << (offset % 64))
}
