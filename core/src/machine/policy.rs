//! Who may call what (rule 11): a policy a function, and grants by id.

use std::collections::BTreeSet;

use offshoot_wire::{ContextId, Frame};

use super::{Machine, Owner, Policy, Routes};

/// What ancestors have allowed beyond the policies: this context may call that function here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Grants {
    set: BTreeSet<(ContextId, String)>,
}

impl Grants {
    /// Remembers a grant; `false` if there are too many.
    pub(super) fn add(&mut self, to: ContextId, function: String, limit: u32) -> bool {
        if self.set.len() >= limit as usize {
            return self.set.contains(&(to, function));
        }
        self.set.insert((to, function));
        true
    }

    /// Who has been granted something.
    pub(super) fn holders(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.set.iter().map(|(to, _)| *to)
    }

    pub(super) fn forget(&mut self, gone: impl Fn(ContextId) -> bool) {
        self.set.retain(|(to, _)| !gone(*to));
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}

impl<R: Routes> Machine<R> {
    /// Whether `auth` is this context or one of its ancestors.
    pub(super) fn is_ancestor(&self, auth: ContextId) -> bool {
        auth == self.config.me || self.config.ancestors.contains(&auth)
    }

    /// Whether the frame that brought a call may run the function.
    pub(super) fn may_call(&self, src: ContextId, auth: ContextId, function: usize) -> bool {
        let Some((name, policy)) = self.config.functions.get(function) else { return true };
        let by_policy = match policy {
            Policy::Parents => self.is_ancestor(auth),
            Policy::Children => auth == self.config.me || matches!(self.routes.owner(auth), Owner::Child(_)),
            Policy::Anyone => true,
        };
        // A grant names who calls; a stamped frame carries the authority of the one who stamped it instead.
        by_policy || (src == auth && self.grants.set.contains(&(auth, name.clone())))
    }

    /// Whether a frame may rule this context: make children of it, grant, end it.
    pub(super) fn may_rule(&self, frame: &Frame) -> bool {
        self.is_ancestor(frame.auth)
    }
}
