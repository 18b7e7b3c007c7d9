//! What waits to leave by one link, in bytes, and to whom it goes.

use offshoot_wire::ContextId;

use super::map::Map;

/// What the queues of one link hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Load {
    bytes: u64,
    by_destination: Map<ContextId, u64>,
}

impl Load {
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add(&mut self, dst: ContextId, bytes: u64) {
        self.bytes += bytes;
        *self.by_destination.or_default(dst) += bytes;
    }

    pub(super) fn remove(&mut self, dst: ContextId, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(held) = self.by_destination.get_mut(&dst) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.by_destination.remove(&dst);
            }
        }
    }

    /// Whether `dst` holds the most.
    pub(super) fn is_heaviest(&self, dst: ContextId) -> bool {
        let held = self.by_destination.get(&dst).copied().unwrap_or(0);
        // A link may have very many behind it, and each frame for a crowded one asks this.
        !self.by_destination.unordered().iter().any(|other| *other > held)
    }
}
