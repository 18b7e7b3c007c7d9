//! The mistakes that the models must catch, at no cost where there is no loom.

/// A mistake to make on purpose: each was made once, in the latch's ancestor or in a draft of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(loom), allow(unreachable_pub))]
pub enum Flaw {
    /// The line is drained after the look, so that a wake between them is eaten.
    DrainAfterLook,
    /// A waiter gives up without a look at its slot, so that its item is lost.
    LeaveWithoutLook,
    /// A wake is taken for an item.
    WakeOverSlot,
    /// Closing wakes the first sleeper only.
    CloseWakesOne,
    /// A putter does not ask whether a select was already served by another latch.
    PutIgnoresClaim,
}

/// Whether the running model asked for this mistake.
#[cfg(not(loom))]
pub(crate) const fn has(_: Flaw) -> bool {
    false
}

#[cfg(loom)]
pub(crate) use crate::model::has;
