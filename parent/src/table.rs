//! The routing table of a context that has children: who is below, behind which link, and who has heard of whom.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_core::machine::{DropKind, LinkKey, NoId, Owner, RouteFrame, Routes, Side, Standing, Step};
use offshoot_core::wire::{AddRoute, AllocateId, ContextId, IdRange, Role, clean_name};

use crate::{
    hearers::Hearers,
    ids::{Ids, Quota},
};

/// The bounds of a table; all of them are per child link, since each link is one neighbour to be wary of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TableLimits {
    /// Ranges granted of which no id was announced yet, beside one for each context announced.
    pub unused_ranges: u32,
    /// Ranges granted in the life of a link.
    pub ranges: u32,
    /// Contexts that may live behind a link at one time; some 300 bytes each.
    pub contexts: u32,
    /// Ids remembered as having talked over a link; beyond it the link hears of every loss.
    pub heard: usize,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { unused_ranges: 4, ranges: 65_536, contexts: 32_768, heard: 4096 }
    }
}

/// The table of a parent: the root, or a hop below it.
///
/// It knows no time and no descriptors, and does what it is told in the order in which it is told.
///
/// ```
/// use offshoot_core::machine::{LinkKey, Owner, Routes, Standing};
/// use offshoot_parent::table::Table;
/// use offshoot_core::wire::ContextId;
///
/// let mut table = Table::root();
/// let mut steps = Vec::new();
/// let peer = table.take_id(&mut steps)?;
/// let link = LinkKey { slot: 0, peer };
/// table.add_child(link, "web1", &mut steps);
/// assert_eq!(table.owner(ContextId::new(1)), Owner::Child(link));
/// table.child_down(link, "connection reset", &mut steps);
/// assert_eq!(table.owner(ContextId::new(1)), Owner::Nobody);
/// # Ok::<(), offshoot_core::machine::NoId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    pub(crate) me: ContextId,
    pub(crate) limits: TableLimits,
    pub(crate) ids: Ids,
    pub(crate) links: BTreeMap<LinkKey, Neighbour>,
    /// Every live context below this one.
    contexts: BTreeMap<ContextId, Known>,
    /// The same as pairs of parent and child, so that a subtree is found without a search.
    below: BTreeSet<(ContextId, ContextId)>,
    pub(crate) hearers: Hearers,
}

/// A child link and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Neighbour {
    /// What the child said it was; nothing before its HELLO.
    pub(crate) role: Option<Role>,
    /// How many contexts live behind it, itself included.
    pub(crate) alive: u32,
    /// The parent has refused it, and need not be told that it is gone.
    pub(crate) refused: bool,
}

/// A live context below this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    link: LinkKey,
    parent: ContextId,
    name: String,
}

/// A context of the tree as a table knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The context.
    pub id: ContextId,
    /// The one that made it.
    pub parent: ContextId,
    /// Its part of the dotted name.
    pub name: String,
    /// The link of this context behind which it lives.
    pub link: LinkKey,
}

/// How much a table holds; all zero once every child is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TableSizes {
    /// Child links.
    pub links: usize,
    /// Live contexts below, each with its name.
    pub contexts: usize,
    /// Ids remembered as having talked over a link, on all links.
    pub heard: usize,
    /// Ranges of ids that links hold.
    pub ranges: usize,
}

impl Table {
    /// The table of the root.
    #[must_use]
    pub fn root() -> Self {
        Self::root_with(TableLimits::default(), 0)
    }

    /// The table of the root with bounds of its own, giving out ids from the range numbered `first` on.
    #[must_use]
    pub fn root_with(limits: TableLimits, first: u32) -> Self {
        Self::new(ContextId::ROOT, limits, Ids::counted(first, quota(limits)))
    }

    /// The table of a context that has a parent, and asks it for ids.
    #[must_use]
    pub fn hop(me: ContextId) -> Self {
        Self::hop_with(me, TableLimits::default())
    }

    /// The same with bounds of its own.
    #[must_use]
    pub fn hop_with(me: ContextId, limits: TableLimits) -> Self {
        Self::new(me, limits, Ids::asked_for(quota(limits)))
    }

    const fn new(me: ContextId, limits: TableLimits, ids: Ids) -> Self {
        Self {
            me,
            limits,
            ids,
            links: BTreeMap::new(),
            contexts: BTreeMap::new(),
            below: BTreeSet::new(),
            hearers: Hearers::new(limits.heard),
        }
    }

    /// How much this table holds.
    #[must_use]
    pub fn sizes(&self) -> TableSizes {
        TableSizes {
            links: self.links.len(),
            contexts: self.contexts.len(),
            heard: self.hearers.len(),
            ranges: self.ids.held(),
        }
    }

    /// Every live context below this one, in order of their ids.
    pub fn tree(&self) -> impl Iterator<Item = Entry> + '_ {
        self.contexts.iter().map(|(id, known)| Entry {
            id: *id,
            parent: known.parent,
            name: known.name.clone(),
            link: known.link,
        })
    }

    /// Every range of ids that was given to this context; the child link that holds it, if one does. The root was given
    /// none, and has all: of its ranges only those are told that links hold.
    pub fn ranges(&self) -> impl Iterator<Item = (IdRange, Option<LinkKey>)> + '_ {
        let held = self.ids.grants().map(|(range, link)| (range, Some(link)));
        held.chain(self.ids.own().map(|range| (range, None)))
    }

    /// The child link that holds the range of `id`.
    #[must_use]
    pub fn holder(&self, id: ContextId) -> Option<LinkKey> {
        self.ids.holder(id)
    }

    /// At the root: the number of the range that is given out next. No id of that range or a later one is anybody's.
    #[must_use]
    pub const fn next_range(&self) -> Option<u32> {
        self.ids.next_range()
    }

    /// The context that made the live context `id`, which is below this one.
    #[must_use]
    pub fn parent(&self, id: ContextId) -> Option<ContextId> {
        self.contexts.get(&id).map(|known| known.parent)
    }

    /// The contexts on the way down to `id`, a child of this one first and `id` last; none if it is not below.
    pub(crate) fn path(&self, id: ContextId) -> Vec<ContextId> {
        let parent = |id: &ContextId| self.parent(*id);
        // What is above a child of this one is this one, of which there is no entry.
        let up = std::iter::successors(Some(id), parent).take_while(|id| self.parent(*id).is_some());
        let mut path: Vec<_> = up.collect();
        path.reverse();
        path
    }

    /// The live context `id` and those below it, parents before their children.
    pub(crate) fn subtree(&self, id: ContextId) -> Vec<ContextId> {
        let mut found = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            found.push(id);
            let first = (id, ContextId::new(0));
            let last = (id, ContextId::new(u32::MAX));
            open.extend(self.below.range(first..=last).rev().map(|(_, child)| *child));
        }
        found
    }

    /// Whether nothing is kept about any context below.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.links.is_empty()
            && self.contexts.is_empty()
            && self.below.is_empty()
            && self.hearers.len() == 0
            && self.ids.is_idle()
    }

    /// The link behind which `id` lives.
    pub(crate) fn link_of(&self, id: ContextId) -> Option<LinkKey> {
        self.contexts.get(&id).map(|known| known.link)
    }

    /// Enters a context that has passed every check.
    pub(crate) fn enter(&mut self, link: LinkKey, id: ContextId, parent: ContextId, name: String) {
        if let Some(neighbour) = self.links.get_mut(&link) {
            neighbour.alive += 1;
        }
        self.below.insert((parent, id));
        self.contexts.insert(id, Known { link, parent, name });
        self.ids.announced(id);
        self.ids.may_ask_again();
    }

    /// Takes out the live context `id` and all below it; gives their ids, `id` first, and its name.
    pub(crate) fn remove(&mut self, id: ContextId) -> (Vec<ContextId>, String) {
        let lost = self.subtree(id);
        let mut name = String::new();
        for gone in &lost {
            let Some(known) = self.contexts.remove(gone) else { continue };
            self.below.remove(&(known.parent, *gone));
            if let Some(neighbour) = self.links.get_mut(&known.link) {
                neighbour.alive = neighbour.alive.saturating_sub(1);
            }
            if *gone == id {
                name = known.name;
            }
        }
        (lost, name)
    }

    /// Tells the parent, where there is one.
    pub(crate) fn up(&self, frame: RouteFrame, steps: &mut Vec<Step>) {
        if !self.ids.at_root() {
            steps.push(Step::Up(frame));
        }
    }

    /// Rule 7: a child link asks for a range of ids.
    fn ask(&mut self, link: LinkKey, steps: &mut Vec<Step>) {
        match self.links.get(&link).and_then(|neighbour| neighbour.role) {
            Some(Role::Parent) => self.ids.ask(link, steps),
            Some(Role::Leaf) | None => steps.push(Step::Drop(link, DropKind::Role)),
        }
    }
}

const fn quota(limits: TableLimits) -> Quota {
    Quota { unused: limits.unused_ranges, life: limits.ranges }
}

impl Routes for Table {
    fn owner(&self, id: ContextId) -> Owner {
        if id == self.me {
            return Owner::Me;
        }
        // A neighbour's own id is no part of a range that it holds, so what is alive is looked up first.
        match self.link_of(id).or_else(|| self.ids.holder(id)) {
            Some(link) => Owner::Child(link),
            None if self.ids.at_root() || self.ids.is_own(id) => Owner::Nobody,
            None => Owner::Up,
        }
    }

    fn standing(&self, id: ContextId) -> Standing {
        if self.contexts.contains_key(&id) {
            Standing::Live
        } else if self.ids.was_announced(id) || self.ids.is_spent(id) {
            Standing::Gone
        } else {
            Standing::Unknown
        }
    }

    fn name(&self, id: ContextId) -> Option<&str> {
        self.contexts.get(&id).map(|known| known.name.as_str())
    }

    fn passed(&mut self, link: LinkKey, id: ContextId) {
        // This context is never lost while the link lives; of what is behind it the link needs no news, nor of those
        // that are gone already.
        let matters = match self.owner(id) {
            Owner::Me | Owner::Nobody => false,
            Owner::Child(other) => other != link && self.contexts.contains_key(&id),
            Owner::Up => true,
        };
        if matters && self.links.contains_key(&link) {
            self.hearers.heard(link.peer, id);
        }
    }

    fn take_id(&mut self, steps: &mut Vec<Step>) -> Result<ContextId, NoId> {
        self.ids.take(self.me, steps)
    }

    fn add_child(&mut self, link: LinkKey, name: &str, steps: &mut Vec<Step>) {
        self.links.insert(link, Neighbour { role: None, alive: 0, refused: false });
        let name = clean_name(name);
        let add = AddRoute { id: link.peer, parent: self.me, name: name.clone() };
        self.enter(link, link.peer, self.me, name);
        self.up(RouteFrame::Add(add), steps);
    }

    fn set_role(&mut self, link: LinkKey, role: Role) {
        if let Some(neighbour) = self.links.get_mut(&link) {
            neighbour.role = Some(role);
        }
    }

    fn control(&mut self, from: Side, frame: RouteFrame, steps: &mut Vec<Step>) {
        match (from, frame) {
            (Side::Child(link), RouteFrame::Add(add)) => self.announce(link, &add, steps),
            (Side::Child(link), RouteFrame::Del(del)) => self.withdraw(link, &del, steps),
            (Side::Child(link), RouteFrame::Ids(AllocateId::Ask)) => self.ask(link, steps),
            (Side::Child(link), RouteFrame::Ids(AllocateId::Grant(_) | AllocateId::Refused)) => {
                steps.push(Step::Drop(link, DropKind::Route));
            }
            (Side::Parent(_), RouteFrame::Del(del)) => self.told(&del, steps),
            (Side::Parent(link), RouteFrame::Ids(answer)) => {
                let range = match answer {
                    AllocateId::Grant(range) => Some(range),
                    AllocateId::Refused => None,
                    AllocateId::Ask => return steps.push(Step::Drop(link, DropKind::Route)),
                };
                if !self.ids.answered(range, steps) {
                    steps.push(Step::Drop(link, DropKind::Route));
                }
            }
            (Side::Parent(link), RouteFrame::Add(_)) => steps.push(Step::Drop(link, DropKind::Route)),
        }
    }

    fn child_down(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>) {
        self.end(link, reason, steps);
    }

    fn parent_down(&mut self, top: ContextId, reason: &str, steps: &mut Vec<Step>) {
        self.orphaned(top, reason, steps);
    }
}

#[cfg(test)]
mod bed;
#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
