//! What the machine knows of a link: who is there, what waits for it, and how long it has been silent.

use offshoot_wire::{ContextId, Role};

use super::{DropKind, Tick, outbox::Outbox};

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) peer: ContextId,
    pub(super) end: LinkEnd,
    pub(super) outbox: Outbox,
    /// The build id that it said in its HELLO.
    pub(super) build: Option<u64>,
    pub(super) drops: Vec<(DropKind, u64)>,
    /// Bytes of frames that came by this link and wait for the uplink.
    pub(super) booked: u64,
    /// It is not read because of them.
    pub(super) paused: bool,
    /// How many calls of others than ancestors that came by this link are not answered.
    pub(super) calls: u64,
    /// Bytes of those that wait for a worker.
    pub(super) lined_up: u64,
    /// When a byte last came.
    pub(super) heard: Tick,
    /// PINGs sent since.
    pub(super) pings: u32,
    /// It was cut: what still comes is dropped, nothing more is queued.
    pub(super) cut: bool,
}

/// Which end of a link this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LinkEnd {
    /// The peer is our parent.
    Up,
    /// The peer is our child.
    Down {
        /// Its frames get our own authority.
        stamped: bool,
        /// What it can be; unknown until HELLO.
        role: Option<Role>,
        /// It was told to end, and is made to at this moment.
        ending: Option<Tick>,
    },
}

impl Link {
    pub(super) fn new(peer: ContextId, end: LinkEnd, now: Tick) -> Self {
        Self {
            peer,
            end,
            outbox: Outbox::default(),
            build: None,
            drops: Vec::new(),
            booked: 0,
            paused: false,
            calls: 0,
            lined_up: 0,
            heard: now,
            pings: 0,
            cut: false,
        }
    }

    /// Counts a dropped frame; tells how many of its kind there were.
    pub(super) fn count_drop(&mut self, kind: DropKind) -> u64 {
        let at = self.drops.binary_search_by_key(&kind, |(kind, _)| *kind).unwrap_or_else(|at| {
            self.drops.insert(at, (kind, 0));
            at
        });
        self.drops.get_mut(at).map_or(0, |(_, count)| {
            *count = count.saturating_add(1);
            *count
        })
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.end, LinkEnd::Up)
    }

    pub(super) const fn is_stamped(&self) -> bool {
        matches!(self.end, LinkEnd::Down { stamped: true, .. })
    }

    /// Whether the peer has yet to say HELLO.
    pub(super) const fn is_silent(&self) -> bool {
        matches!(self.end, LinkEnd::Down { role: None, .. })
    }
}
