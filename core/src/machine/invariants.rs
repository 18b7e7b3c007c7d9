//! What the machine holds, counted: for the checks of the small world, for soak tests and for people.

use super::{DropKind, Machine, Routes};

/// How much a machine holds; all zero for one that is at rest and has forgotten everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Links.
    pub links: usize,
    /// Handles given out, tombstones included.
    pub handles: usize,
    /// Calls to this context that are not answered.
    pub calls: usize,
    /// Bodies in the making.
    pub parts: usize,
    /// Failed chains remembered.
    pub chains: usize,
    /// Grants remembered.
    pub grants: usize,
    /// Accounts of credit, both sides.
    pub accounts: usize,
    /// Timers.
    pub timers: usize,
    /// Frames that wait, on all links.
    pub waiting: usize,
}

impl<R: Routes> Machine<R> {
    /// How much this machine holds.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let (calls, chains) = self.desk.sizes();
        Sizes {
            links: self.links.len(),
            handles: self.handles.len(),
            calls,
            parts: self.parts.len(),
            chains,
            grants: self.grants.len(),
            accounts: self.credits.accounts(),
            timers: self.timers.len(),
            waiting: self.links.iter().map(|(_, link)| link.outbox.waiting()).sum(),
        }
    }

    /// How many frames were dropped for this reason, on all links that are up.
    #[must_use]
    pub fn dropped(&self, kind: DropKind) -> u64 {
        self.links.iter().filter_map(|(_, link)| link.drops.get(&kind)).sum()
    }
}
