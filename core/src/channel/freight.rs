//! What a message carries beside its bytes. Calls know it by this alone: the code of channels is in those programs that
//! write or read the end of one.

use std::{mem, sync::Arc};

use offshoot_wire::{ContextId, End};

use super::{
    carry::{export, import},
    half::Half,
};
use crate::{ever::Ever, here::Running, node::Node};

/// Ends of channels in a message that is being made or read; `None` for most messages. Dropped, they close.
pub(crate) type Halves = Option<Box<dyn Carried>>;

static CARRIED: Ever = Ever::new();

/// Whether a message ever carried any.
pub(super) fn has_carried() -> bool {
    CARRIED.began()
}

/// Room for such ends.
pub(super) fn carrier(halves: Vec<Half>) -> Box<dyn Carried> {
    CARRIED.begin();
    Box::new(halves)
}

/// The ends of at least one channel.
pub(crate) trait Carried: Send + Sync {
    /// Binds them to the context that the message goes to.
    fn export(self: Box<Self>, node: &Arc<Running>, to: ContextId) -> Result<(Vec<End>, Handed), String>;
    /// The end at this place.
    fn get(&self, place: usize) -> Option<&Half>;
    /// Adds one, and tells its place.
    fn add(&mut self, half: Half) -> usize;
}

impl Carried for Vec<Half> {
    fn export(self: Box<Self>, node: &Arc<Running>, to: ContextId) -> Result<(Vec<End>, Handed), String> {
        export(node, to, *self)
    }

    fn get(&self, place: usize) -> Option<&Half> {
        <[_]>::get(self, place)
    }

    fn add(&mut self, half: Half) -> usize {
        self.push(half);
        self.len().saturating_sub(1)
    }
}

/// The ends that a message hands over; dropped before [`sent`](Self::sent), it takes them back and closes them.
pub(crate) struct Handed(Option<Box<dyn Leaving>>);

/// Such ends of at least one channel.
pub(super) trait Leaving: Send + Sync {
    fn sent(self: Box<Self>);
}

impl Handed {
    pub(super) const fn nothing() -> Self {
        Self(None)
    }

    pub(super) fn of(leaving: Box<dyn Leaving>) -> Self {
        Self(Some(leaving))
    }

    /// The message is on its way, and its ends are the machine's.
    pub(crate) fn sent(self) {
        if let Some(leaving) = self.0 {
            leaving.sent();
        }
    }
}

/// The ends that a message brought. They are made values of this context when the first of them is asked for; dropped
/// before that, they are refused, and after it they close.
pub(crate) struct Brought {
    node: Arc<Running>,
    from: ContextId,
    /// What nobody has asked for yet.
    ends: Vec<End>,
    halves: Halves,
}

impl Brought {
    /// By a message of `from`.
    pub(crate) fn by(node: &Arc<Running>, from: ContextId, ends: Vec<End>) -> Self {
        Self { node: Arc::clone(node), from, ends, halves: None }
    }

    /// By a message that has not left this context.
    pub(super) fn here(node: &Arc<Running>, halves: Halves) -> Self {
        Self { node: Arc::clone(node), from: node.me(), ends: Vec::new(), halves }
    }

    pub(super) const fn node(&self) -> &Arc<Running> {
        &self.node
    }

    /// The end at this place, if there is one.
    pub(super) fn get(&mut self, place: usize) -> Result<Option<&Half>, String> {
        self.open()?;
        Ok(self.halves.as_ref().and_then(|halves| halves.get(place)))
    }

    /// All of them, to be passed on.
    pub(crate) fn into_halves(mut self) -> Result<Halves, String> {
        self.open()?;
        Ok(self.halves.take())
    }

    fn open(&mut self) -> Result<(), String> {
        if !self.ends.is_empty() {
            self.halves = Some(carrier(import(&self.node, self.from, &mem::take(&mut self.ends))?));
        }
        Ok(())
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        if !self.ends.is_empty() {
            self.node.decline(self.from, mem::take(&mut self.ends));
        }
    }
}
