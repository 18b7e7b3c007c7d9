//! Which links have heard of whom: a loss is told to them, and costs nothing for the others.

use std::collections::BTreeSet;

use offshoot_core::wire::ContextId;

/// The contexts that frames to or from have passed on each link, those behind the link itself left out. A link is named
/// by the child that it leads to: sets of pairs are in the table already, and each further kind of set is code of a hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hearers {
    /// Link and context.
    by_link: BTreeSet<(ContextId, ContextId)>,
    /// Context and link.
    by_context: BTreeSet<(ContextId, ContextId)>,
    /// Links with too many to remember: perhaps all.
    full: BTreeSet<ContextId>,
    /// How many a link may have.
    limit: usize,
}

impl Hearers {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { by_link: BTreeSet::new(), by_context: BTreeSet::new(), full: BTreeSet::new(), limit }
    }

    /// A frame to or from `id` has passed on `link`.
    pub(crate) fn heard(&mut self, link: ContextId, id: ContextId) {
        if self.full.contains(&link) || !self.by_link.insert((link, id)) {
            return;
        }
        self.by_context.insert((id, link));
        // Counted for each that is new, not for each frame.
        if beside(&self.by_link, link).count() > self.limit {
            self.forget(link);
            self.full.insert(link);
        }
    }

    /// The link is gone.
    pub(crate) fn forget(&mut self, link: ContextId) {
        for id in beside(&self.by_link, link).collect::<Vec<_>>() {
            self.drop_one(link, id);
        }
        self.full.remove(&link);
    }

    /// The links but `source` that have heard of one of the lost.
    pub(crate) fn of(&self, lost: &[ContextId], source: Option<ContextId>) -> BTreeSet<ContextId> {
        let some = lost.iter().flat_map(|id| beside(&self.by_context, *id));
        some.chain(self.full.iter().copied()).filter(|link| Some(*link) != source).collect()
    }

    /// Who among `lost` a link has heard of, and will not again.
    pub(crate) fn take(&mut self, link: ContextId, lost: &[ContextId]) -> Vec<ContextId> {
        if self.full.contains(&link) {
            return lost.to_vec();
        }
        lost.iter().copied().filter(|id| self.drop_one(link, *id)).collect()
    }

    /// Whether it was there.
    fn drop_one(&mut self, link: ContextId, id: ContextId) -> bool {
        self.by_context.remove(&(id, link));
        self.by_link.remove(&(link, id))
    }

    /// Everyone that some link has heard of, those of full links left out.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.by_context.iter().map(|(id, _)| *id)
    }

    pub(crate) fn is_any_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// How many are remembered, on all links.
    pub(crate) fn len(&self) -> usize {
        self.by_context.len().saturating_add(self.full.len().saturating_mul(self.limit))
    }
}

/// The second of the pairs whose first is `one`.
fn beside(pairs: &BTreeSet<(ContextId, ContextId)>, one: ContextId) -> impl Iterator<Item = ContextId> + '_ {
    let (first, last) = (ContextId::new(0), ContextId::new(u32::MAX));
    pairs.range((one, first)..=(one, last)).map(|(_, other)| *other)
}
