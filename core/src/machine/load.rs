//! Bytes that some contexts have of what is bounded for all: what waits to leave by one link, by whom it goes to; what
//! windows have grown by, by who is at the other end of the link.

use offshoot_wire::ContextId;

use super::map::Map;

/// Bytes, in all and by context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Load {
    bytes: u64,
    by_context: Map<ContextId, u64>,
}

impl Load {
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add(&mut self, context: ContextId, bytes: u64) {
        self.bytes += bytes;
        *self.by_context.or_default(context) += bytes;
    }

    pub(super) fn remove(&mut self, context: ContextId, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(held) = self.by_context.get_mut(&context) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.by_context.remove(&context);
            }
        }
    }

    /// What a context has.
    pub(super) fn of(&self, context: ContextId) -> u64 {
        self.by_context.get(&context).copied().unwrap_or(0)
    }

    /// Whether a context has the most.
    pub(super) fn is_heaviest(&self, context: ContextId) -> bool {
        let held = self.of(context);
        // A link may have very many behind it, and each frame for a crowded one asks this.
        !self.by_context.unordered().iter().any(|other| *other > held)
    }
}
