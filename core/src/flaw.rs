//! The mistakes that the models must catch, at no cost where there is no loom.

/// A mistake to make on purpose, in a model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The poller is not asked to watch again when a turn is given back.
    GiveSilently,
    /// A turn that was taken away is given back all the same.
    GiveTwice,
    /// A turn is kept, and the broker is not told to look after it.
    KeepUnminded,
    /// A link is to be read again, and the poller is not asked for it.
    ResumeSilently,
    /// A link that has ended can still be read by who asks for it.
    LendTheEnded,
    /// The broker asks the poller for what another reads.
    ArmWhileLent,
    /// The writer token is given back some time after there was nothing more to write.
    GiveTokenLate,
    /// A writer that finds no room keeps the token without asking to be told of room.
    StallSilently,
    /// Who stays for room goes, and keeps the token.
    GoWithToken,
    /// The token is left to the broker, which is not told of room.
    LeaveUntold,
    /// The poller tells of room that comes, and not of room that is there. Made by the model itself.
    #[cfg(loom)]
    TellOfChange,
    /// A link that has ended is taken for one without room.
    StayAtTheEnd,
    /// Something rests, and the token does not tell so.
    RestSilently,
    /// A worker that learns of the end does not look for what came before it.
    GoBeforeTheLast,
    /// A worker goes, and is still said to be in a call.
    GoHolding,
    /// A worker goes, and does not wake who waits for the last one.
    GoSilently,
    /// A worker sleeps, and nobody knows it.
    WaitUnlisted,
    /// The end is told to one of those who sleep.
    DismissOne,
    /// Who waits for the last call does not look at the time that he has. Made by the model itself.
    #[cfg(loom)]
    WaitForEver,
}

/// Whether the running model asked for this mistake.
#[cfg(not(loom))]
pub(crate) const fn has(_: Flaw) -> bool {
    false
}

#[cfg(loom)]
pub(crate) use crate::model::has;
