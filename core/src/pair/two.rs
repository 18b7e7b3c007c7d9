//! The routing table of a tree of two: a root and its child.

use offshoot_wire::{ContextId, DelRoute, Role};

use super::{CHILD, ROOT};
use crate::machine::{LinkKey, NoId, Owner, RouteFrame, Routes, Side, Standing, Step};

/// The table of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Two {
    me: ContextId,
    child: Option<LinkKey>,
}

impl Two {
    pub(super) const fn new(me: ContextId) -> Self {
        Self { me, child: None }
    }
}

impl Routes for Two {
    fn owner(&self, id: ContextId) -> Owner {
        match (id == self.me, self.child) {
            (true, _) => Owner::Me,
            (false, Some(link)) if id == CHILD => Owner::Child(link),
            (false, _) if self.me == ROOT => Owner::Nobody,
            _ => Owner::Up,
        }
    }

    fn standing(&self, id: ContextId) -> Standing {
        if id == CHILD && self.child.is_some() { Standing::Live } else { Standing::Unknown }
    }

    fn name(&self, id: ContextId) -> Option<&str> {
        (id == CHILD).then_some("child")
    }

    fn passed(&mut self, _: LinkKey, _: ContextId) {}

    fn take_id(&mut self, _: &mut Vec<Step>) -> Result<ContextId, NoId> {
        Ok(CHILD)
    }

    fn add_child(&mut self, link: LinkKey, _: &str, _: &mut Vec<Step>) {
        self.child = Some(link);
    }

    fn set_role(&mut self, _: LinkKey, _: Role) {}

    fn control(&mut self, _: Side, _: RouteFrame, _: &mut Vec<Step>) {}

    fn parent_down(&mut self, _: ContextId, _: &str, _: &mut Vec<Step>) {}

    fn child_down(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>) {
        self.child = None;
        let del =
            DelRoute { ids: vec![link.peer], top: link.peer, name: "child".into(), reason: reason.into() };
        steps.push(Step::Lost(del));
    }
}
