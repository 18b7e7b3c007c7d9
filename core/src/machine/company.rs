//! Whether a link carries short frames beside long ones: then these must not be in the way.

use offshoot_wire::{Frame, MAX_CHUNK, MAX_WHOLE};

use super::FlowKey;

/// A frame with a longer body is a long one, in bytes.
const SHORT: usize = 4 * 1024;
/// So many bytes of long frames pass before a short one that came beside them is forgotten: some milliseconds of a link
/// in memory.
const MEMORY: u32 = 16 << 20;
/// The longest piece of a body while short frames come beside it, in bytes.
const PIECE: usize = 32 * 1024;

/// What a link has carried lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Company {
    /// The flow of the last long frame.
    long: Option<FlowKey>,
    /// For so many bytes of long frames short ones of other flows are still expected.
    expected: u32,
}

impl Company {
    /// A data frame leaves.
    pub(super) fn note(&mut self, frame: &Frame) {
        let key = FlowKey::of(frame);
        if frame.body.len() > SHORT {
            self.long = Some(key);
            self.expected = self.expected.saturating_sub(u32::try_from(frame.body.len()).unwrap_or(u32::MAX));
        } else if self.long.is_some_and(|long| long != key) {
            self.expected = MEMORY;
        }
    }

    /// Whether short frames are expected beside long ones.
    pub(super) const fn is_mixed(&self) -> bool {
        self.expected > 0
    }

    /// The longest body that leaves in one frame, and the longest piece of one that does not.
    pub(super) const fn longest(&self) -> (usize, usize) {
        if self.is_mixed() { (PIECE, PIECE) } else { (MAX_WHOLE, MAX_CHUNK) }
    }
}
