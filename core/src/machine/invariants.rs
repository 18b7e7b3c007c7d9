//! What the machine holds, counted: for the checks of the small world, for soak tests and for people.

use std::collections::BTreeSet;

use offshoot_wire::{ContextId, Window};

use super::{DropKind, LinkKey, Machine, Routes, link::Link};

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
    /// Of these, dead messages.
    pub dead_waiting: usize,
    /// Bytes of control frames that wait, on the link with most of them.
    pub control_bytes: usize,
    /// What data that wait take, on the link with most of them.
    pub data_bytes: u64,
}

/// What one source may send to one window here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// The source.
    pub src: ContextId,
    /// The window.
    pub window: Window,
    /// How large it is, in bytes.
    pub size: u32,
    /// Bytes that came and were not given back.
    pub used: u32,
}

impl<R: Routes> Machine<R> {
    /// How much this machine holds.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let (calls, chains) = self.desk.sizes();
        debug_assert!(
            self.links.iter().all(|(slot, link)| self.has_counted(slot, link)),
            "a link's books are right"
        );
        debug_assert!(self.parts.has_counted(), "bodies in the making are counted");
        Sizes {
            links: self.links.len(),
            handles: self.handles.len(),
            calls,
            parts: self.parts.len(),
            chains,
            grants: self.grants.len(),
            accounts: self.credits.accounts(),
            timers: self.timers.len(),
            waiting: self.links.iter().map(|(_, link)| link.outbox.waiting()).sum::<usize>() + self.unsaid(),
            dead_waiting: self.links.iter().map(|(_, link)| link.outbox.dead()).sum(),
            data_bytes: self.links.iter().map(|(_, l)| l.outbox.bytes()).max().unwrap_or(0),
            control_bytes: self.links.iter().map(|(_, l)| l.outbox.control_bytes()).max().unwrap_or(0),
        }
    }

    /// Whether what is counted of a link is what there is.
    fn has_counted(&self, slot: usize, link: &Link) -> bool {
        let key = Some(LinkKey { slot, peer: link.peer });
        let (mut calls, mut lined_up) = (0, 0);
        for (_, call) in self.desk.calls.iter().filter(|(_, call)| call.from == key) {
            calls += 1;
            lined_up += if call.taken { 0 } else { call.weight() };
        }
        (calls, lined_up) == (link.calls, link.lined_up) && link.outbox.has_counted()
    }

    /// What this context may still send in each window that it has used, in bytes.
    #[must_use]
    pub fn sending(&self) -> Vec<(ContextId, Window, u32)> {
        self.credits.sending().collect()
    }

    /// What others may send to each window here that was used.
    #[must_use]
    pub fn receiving(&self) -> Vec<Received> {
        self.credits.receiving().collect()
    }

    /// Every context that some state here is about, the routing table apart.
    #[must_use]
    pub fn remembers(&self) -> BTreeSet<ContextId> {
        self.correspondents().iter().collect()
    }

    /// Whether a control frame is the next to leave by a link: one waits, and not behind data (rule 10).
    #[must_use]
    pub fn has_control(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|l| l.outbox.has_control())
    }

    /// Whether frames that come by a link get the authority of this context (rule 2).
    #[must_use]
    pub fn is_stamped(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(Link::is_stamped)
    }

    /// How many frames were dropped for this reason, on all links that are up.
    #[must_use]
    pub fn dropped(&self, kind: DropKind) -> u64 {
        self.links
            .iter()
            .flat_map(|(_, link)| &link.drops)
            .filter(|(of, _)| *of == kind)
            .map(|(_, count)| count)
            .sum()
    }
}
