//! The mistakes that the models must catch, at no cost where there is no loom.

/// A mistake to make on purpose, in a model alone.
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
    /// A waiter takes what lies in the queue in front of what it was given.
    NextOverSlot,
    /// A waiter joins the line without another look, so that what was put since the first has nobody to go to.
    EnlistBlindly,
    /// A thread that serves itself is not told so.
    ServeSelfSilently,
    /// A select that has found an item looks on, and keeps what it finds last.
    LookOn,
    /// A select is closed as soon as one of its latches is.
    CloseByOne,
}

/// Whether the running model asked for this mistake.
#[cfg(not(loom))]
pub(crate) const fn has(_: Flaw) -> bool {
    false
}

#[cfg(loom)]
pub(crate) use crate::model::has;
