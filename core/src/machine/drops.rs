//! What was dropped, by link and kind: counted always, told once.

/// One list of all kinds: what each means, and what people are told.
macro_rules! kinds {
    ($($(#[$meaning:meta])* $kind:ident => $text:literal,)*) => {
        /// Why a frame was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DropKind {
            $($(#[$meaning])* $kind,)*
        }

        impl DropKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];
        }

        impl std::fmt::Display for DropKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$kind => $text,)*
                })
            }
        }
    };
}

kinds! {
    /// Its source may not speak by this link, or was never announced.
    Source => "its source may not speak by this link",
    /// Its authority may not be used on this link.
    Authority => "its authority may not be used on this link",
    /// There is no way to its destination.
    NoRoute => "there is no way to its destination",
    /// The destination has no such handle.
    NoHandle => "its destination has no such handle",
    /// It came from another context than the one whose answer is awaited.
    Respondent => "it came from another context than the one whose answer is awaited",
    /// A policy refused it.
    Policy => "a policy refused it",
    /// The tree is one-way, and it turned.
    OneWay => "the tree is one-way, and it turned",
    /// It is longer than a frame may be, or its body than a body may be.
    Oversize => "it is too long",
    /// A fragment that continues nothing.
    Fragment => "a fragment that continues nothing",
    /// Too much waits for its destination.
    Congested => "too much waits for its destination",
    /// It was sent without credit.
    Credit => "it was sent without credit",
    /// A control frame that does not decode or makes no sense here.
    Control => "a control frame that makes no sense here",
    /// A route that may not be announced or withdrawn by this link.
    Route => "a route that may not be announced or withdrawn by this link",
    /// An id that was not granted to this link, or is burnt.
    Grant => "an id that was not granted to this link, or was used before",
    /// A leaf that acts as a parent.
    Role => "a leaf that acts as a parent",
    /// More ranges of ids than one link may have.
    Quota => "it asks for more ids than one link may have",
    /// A call that would wait for itself.
    WouldWait => "a call that would wait for itself",
    /// It came while this context was ending.
    ShuttingDown => "this context was ending",
    /// A dead message to something that takes none.
    Dead => "a dead message to something that takes none",
    /// A body that its handle cannot read.
    Malformed => "a body that its handle cannot read",
    /// It was for a call or stream that has ended.
    Late => "the call or stream that it was for has ended",
}
