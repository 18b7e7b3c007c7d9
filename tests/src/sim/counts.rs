//! How often things happened in a forest.

use std::collections::BTreeMap;

use offshoot_wire::{Dead, DeadCode, Frame, HEADER_LEN, Handle, codec};

/// How often things happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Happenings.
    pub events: u64,
    /// Frames that were written to a link.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames to each reserved handle.
    pub by_handle: BTreeMap<Handle, u64>,
    /// Dead messages by their codes, those of hostile contexts left out.
    pub by_code: BTreeMap<DeadCode, u64>,
    /// Streams that turned out not to be ours.
    pub bad_streams: u64,
    /// Faults, by their names.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// A frame is written to a link.
    pub fn frame(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += (HEADER_LEN + frame.body.len()) as u64;
        if !frame.handle.is_allocated() {
            *self.by_handle.entry(frame.handle).or_default() += 1;
        }
        if let Some(Dead { code, .. }) =
            frame.is_dead().then(|| codec::decode(&frame.body, 1 << 16).ok()).flatten()
        {
            *self.by_code.entry(code).or_default() += 1;
        }
    }

    /// How many frames to a reserved handle were written.
    #[must_use]
    pub fn of(&self, handle: Handle) -> u64 {
        self.by_handle.get(&handle).copied().unwrap_or_default()
    }

    /// A fault happens.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }
}
