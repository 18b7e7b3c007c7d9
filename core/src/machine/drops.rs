//! What was dropped, by link and kind: counted always, told once.

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DropKind {
    /// Its source may not speak by this link, or was never announced.
    Source,
    /// Its authority may not be used on this link.
    Authority,
    /// There is no way to its destination.
    NoRoute,
    /// The destination has no such handle.
    NoHandle,
    /// It came from another context than the one whose answer is awaited.
    Respondent,
    /// A policy refused it.
    Policy,
    /// The tree is one-way, and it turned.
    OneWay,
    /// It is longer than a frame may be, or its body than a body may be.
    Oversize,
    /// A fragment that continues nothing.
    Fragment,
    /// Too much waits for its destination.
    Congested,
    /// It was sent without credit.
    Credit,
    /// A control frame that does not decode or makes no sense here.
    Control,
    /// A route that may not be announced or withdrawn by this link.
    Route,
    /// An id that was not granted to this link, or is burnt.
    Grant,
    /// A leaf that acts as a parent.
    Role,
    /// More ranges of ids than one link may have.
    Quota,
    /// A call that would wait for itself.
    WouldWait,
    /// It came while this context was ending.
    ShuttingDown,
    /// A dead message to something that takes none.
    Dead,
    /// A body that its handle cannot read.
    Malformed,
    /// It was for a call or stream that has ended.
    Late,
}

impl std::fmt::Display for DropKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "its source may not speak by this link",
            Self::Authority => "its authority may not be used on this link",
            Self::NoRoute => "there is no way to its destination",
            Self::NoHandle => "its destination has no such handle",
            Self::Respondent => "it came from another context than the one whose answer is awaited",
            Self::Policy => "a policy refused it",
            Self::OneWay => "the tree is one-way, and it turned",
            Self::Oversize => "it is too long",
            Self::Fragment => "a fragment that continues nothing",
            Self::Congested => "too much waits for its destination",
            Self::Credit => "it was sent without credit",
            Self::Control => "a control frame that makes no sense here",
            Self::Route => "a route that may not be announced or withdrawn by this link",
            Self::Grant => "an id that was not granted to this link, or was used before",
            Self::Role => "a leaf that acts as a parent",
            Self::Quota => "it asks for more ids than one link may have",
            Self::WouldWait => "a call that would wait for itself",
            Self::ShuttingDown => "this context was ending",
            Self::Dead => "a dead message to something that takes none",
            Self::Malformed => "a body that its handle cannot read",
            Self::Late => "the call or stream that it was for has ended",
        })
    }
}
