//! What the machine asks of a routing table, and the table of a leaf: all that is not mine goes up.

use std::{fmt::Debug, hash::Hash};

use offshoot_wire::{AddRoute, AllocateId, ContextId, DelRoute, Role};

use super::{DropKind, LinkKey, NoId};

/// Whom an id belongs to; computed from grants alone, so it is stable while a link lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// This context.
    Me,
    /// The subtree behind a child link.
    Child(LinkKey),
    /// Some context beyond the parent.
    Up,
    /// A range given to this context, but to none of its links; at the root every other id.
    Nobody,
}

/// What a child link has said about an id that it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Never announced.
    Unknown,
    /// Announced, and there.
    Live,
    /// Announced once, and gone: burnt.
    Gone,
}

/// A control frame about routes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RouteFrame {
    /// A new context.
    Add(AddRoute),
    /// Contexts that are gone.
    Del(DelRoute),
    /// Ids asked for or granted.
    Ids(AllocateId),
}

/// By which side a route frame came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// From the parent.
    Parent(LinkKey),
    /// From a child.
    Child(LinkKey),
}

/// What a table wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Tell the parent.
    Up(RouteFrame),
    /// Tell a child.
    Down(LinkKey, RouteFrame),
    /// These contexts are gone for this context too: end what waits for them.
    Lost(DelRoute),
    /// Count a frame that came by this link as dropped.
    Drop(LinkKey, DropKind),
    /// End a child of ours.
    Cut(LinkKey, String),
    /// Ids have come, or it is certain that none will.
    Ids,
}

/// A routing table: grants, announced contexts, who has heard of whom.
pub trait Routes: Clone + Eq + Hash + Debug {
    /// Whether there can be child links. Where there are none, what is done for children is not compiled in.
    const HAS_CHILDREN: bool = true;

    /// Whom `id` belongs to.
    fn owner(&self, id: ContextId) -> Owner;

    /// What is known of an id that a child link owns; [`Standing::Unknown`] for any other.
    fn standing(&self, id: ContextId) -> Standing;

    /// The name part of a context that lives below this one.
    fn name(&self, id: ContextId) -> Option<&str>;

    /// A frame from or to `id` passes on the child link `link`: its loss must be told there.
    fn passed(&mut self, link: LinkKey, id: ContextId);

    /// An id for a new child of this context.
    ///
    /// # Errors
    /// [`NoId`]: asked for, or none to be had.
    fn take_id(&mut self, steps: &mut Vec<Step>) -> Result<ContextId, NoId>;

    /// A new child of this context, with an id from [`take_id`](Self::take_id), behind `link`.
    fn add_child(&mut self, link: LinkKey, name: &str, steps: &mut Vec<Step>);

    /// A child has said whether it can have children.
    fn set_role(&mut self, link: LinkKey, role: Role);

    /// A route frame came.
    fn control(&mut self, from: Side, frame: RouteFrame, steps: &mut Vec<Step>);

    /// A child link is gone, and with it all that was announced by it.
    fn child_down(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>);

    /// The parent `top` is gone, and with it all that is not below this context.
    fn parent_down(&mut self, top: ContextId, reason: &str, steps: &mut Vec<Step>);
}

/// The table of a leaf: everything that is not mine goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpOnly {
    me: ContextId,
}

impl UpOnly {
    /// The table of the leaf `me`.
    #[must_use]
    pub const fn new(me: ContextId) -> Self {
        Self { me }
    }
}

impl Routes for UpOnly {
    const HAS_CHILDREN: bool = false;

    fn owner(&self, id: ContextId) -> Owner {
        if id == self.me { Owner::Me } else { Owner::Up }
    }

    fn standing(&self, _: ContextId) -> Standing {
        Standing::Unknown
    }

    fn name(&self, _: ContextId) -> Option<&str> {
        None
    }

    fn passed(&mut self, _: LinkKey, _: ContextId) {}

    fn take_id(&mut self, _: &mut Vec<Step>) -> Result<ContextId, NoId> {
        Err(NoId::Exhausted)
    }

    fn add_child(&mut self, _: LinkKey, _: &str, _: &mut Vec<Step>) {}

    fn set_role(&mut self, _: LinkKey, _: Role) {}

    fn control(&mut self, from: Side, frame: RouteFrame, steps: &mut Vec<Step>) {
        match (from, frame) {
            (Side::Parent(_), RouteFrame::Del(del)) => steps.push(Step::Lost(del)),
            (Side::Parent(link) | Side::Child(link), _) => steps.push(Step::Drop(link, DropKind::Route)),
        }
    }

    fn child_down(&mut self, _: LinkKey, _: &str, _: &mut Vec<Step>) {}

    fn parent_down(&mut self, _: ContextId, _: &str, _: &mut Vec<Step>) {}
}
