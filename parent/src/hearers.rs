//! Which links have heard of whom: a loss is told to them, and costs nothing for the others.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_core::{machine::LinkKey, wire::ContextId};

/// The contexts that frames to or from have passed on each link, those behind the link itself left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hearers {
    by_link: BTreeMap<LinkKey, BTreeSet<ContextId>>,
    /// The same the other way round.
    by_context: BTreeSet<(ContextId, LinkKey)>,
    /// Links with too many to remember: perhaps all.
    full: BTreeSet<LinkKey>,
    /// How many a link may have.
    limit: usize,
}

impl Hearers {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { by_link: BTreeMap::new(), by_context: BTreeSet::new(), full: BTreeSet::new(), limit }
    }

    /// A frame to or from `id` has passed on `link`.
    pub(crate) fn heard(&mut self, link: LinkKey, id: ContextId) {
        if self.full.contains(&link) {
            return;
        }
        let ids = self.by_link.entry(link).or_default();
        if !ids.insert(id) {
            return;
        }
        if ids.len() > self.limit {
            self.forget(link);
            self.full.insert(link);
        } else {
            self.by_context.insert((id, link));
        }
    }

    /// The link is gone.
    pub(crate) fn forget(&mut self, link: LinkKey) {
        for id in self.by_link.remove(&link).unwrap_or_default() {
            self.by_context.remove(&(id, link));
        }
        self.full.remove(&link);
    }

    /// Who among `lost` each link but `source` has heard of, and will not again.
    pub(crate) fn take(
        &mut self,
        lost: &[ContextId],
        source: Option<LinkKey>,
    ) -> BTreeMap<LinkKey, Vec<ContextId>> {
        let all = self.full.iter().filter(|link| !lost.is_empty() && Some(**link) != source);
        let mut told: BTreeMap<_, _> = all.map(|link| (*link, lost.to_vec())).collect();
        for id in lost {
            for link in self.links_of(*id) {
                if Some(link) != source {
                    told.entry(link).or_default().push(*id);
                    self.drop_one(link, *id);
                }
            }
        }
        told
    }

    fn links_of(&self, id: ContextId) -> Vec<LinkKey> {
        let first = LinkKey { slot: 0, peer: ContextId::new(0) };
        let of_id = self.by_context.range((id, first)..).take_while(|(of, _)| *of == id);
        of_id.map(|(_, link)| *link).collect()
    }

    fn drop_one(&mut self, link: LinkKey, id: ContextId) {
        self.by_context.remove(&(id, link));
        if let Some(ids) = self.by_link.get_mut(&link) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_link.remove(&link);
            }
        }
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
