//! How calls and streams fail: who is to blame, where, and what the reader can do.

use std::{fmt, time::Duration};

use offshoot_wire::ContextId;

use crate::{machine::Progress, plain::Plain};

/// Why a call did not end in a value.
///
/// [`may_have_run`](Self::may_have_run) says whether it is safe to do it again. Its text is one line that can be shown
/// anywhere: what others wrote is escaped in it where it would move a cursor, ring a bell or begin a new line.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The function returned an error.
    #[error("{function} in {context} failed: {}", Plain(.message))]
    #[non_exhaustive]
    Failed {
        /// The function.
        function: &'static str,
        /// The name of the context that ran it.
        context: String,
        /// The error it returned, cut at 16 KiB.
        message: String,
    },
    /// The function panicked; its context lives on.
    #[error("{function} in {context} panicked: {}", Plain(.message))]
    #[non_exhaustive]
    Panicked {
        /// The function.
        function: &'static str,
        /// The name of the context that ran it.
        context: String,
        /// What the panic said, cut at 16 KiB.
        message: String,
    },
    /// The program over there has no such function in its table.
    #[error(
        "{context} serves no function `{function}` ({builds}); add it to the table of its program with `serve`"
    )]
    #[non_exhaustive]
    NoSuchFunction {
        /// The function.
        function: &'static str,
        /// The name of the context that was asked.
        context: String,
        /// The build ids of both programs: digests of their tables of functions.
        builds: String,
    },
    /// The arguments cannot travel; nothing was sent.
    #[error("the arguments of {function} cannot be sent: {message}")]
    #[non_exhaustive]
    EncodeArguments {
        /// The function.
        function: &'static str,
        /// Why not.
        message: String,
    },
    /// The other program takes other arguments under this name.
    #[error(
        "{context} cannot read the arguments of {function}: {}; build both programs against the same constant",
        Plain(.message)
    )]
    #[non_exhaustive]
    DecodeArguments {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
        /// Why not, and the build ids of both programs.
        message: String,
    },
    /// The function ran, and its result cannot travel.
    #[error("{context} ran {function} and cannot send its result: {}", Plain(.message))]
    #[non_exhaustive]
    EncodeResult {
        /// The function.
        function: &'static str,
        /// The name of the context that ran it.
        context: String,
        /// Why not.
        message: String,
    },
    /// The function ran, and its result has another type than this program expects.
    #[error(
        "the result of {function} from {context} cannot be read: {message}; build both programs against the same constant"
    )]
    #[non_exhaustive]
    DecodeResult {
        /// The function.
        function: &'static str,
        /// The name of the context that ran it.
        context: String,
        /// Why not, and the build ids of both programs.
        message: String,
    },
    /// A policy refused the call; it did not run.
    #[error("{context} does not let this context call {function}: {message}")]
    #[non_exhaustive]
    Refused {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
        /// Who refused it and what would allow it.
        message: String,
    },
    /// The arguments or the result are over the limit for bodies.
    #[error("{function} in {context}: {message}; send it in pieces through a channel, or raise the limit")]
    #[non_exhaustive]
    TooLarge {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
        /// What was too large.
        message: String,
        /// How far the call got: a result can be too large as well.
        progress: Progress,
    },
    /// Too much waits for that context already; it did not run.
    #[error("{context} is too busy for {function}: {message}; try again when earlier calls have ended")]
    #[non_exhaustive]
    Busy {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
        /// What is full.
        message: String,
    },
    /// The call would wait for a worker that waits for this call; it did not run.
    #[error(
        "{function} in {context} would wait for itself: its workers wait for this call; give it more `workers`"
    )]
    #[non_exhaustive]
    WouldWait {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
    },
    /// The context that was called, or one on the way to it, is gone.
    #[error("{context} is lost: {reason}; {}", fate(.progress))]
    #[non_exhaustive]
    Lost {
        /// The name of the context that was lost.
        context: String,
        /// Its id.
        id: ContextId,
        /// Why it is gone.
        reason: String,
        /// How far the call got.
        progress: Progress,
    },
    /// The deadline of the call passed.
    #[error("no answer from {context} within {after:?}; {}", fate(.progress))]
    #[non_exhaustive]
    TimedOut {
        /// The name of the context that was called.
        context: String,
        /// How long the call had.
        after: Duration,
        /// How far the call got.
        progress: Progress,
    },
    /// The call was cancelled.
    #[error("the call of {function} in {context} was cancelled; {}", fate(.progress))]
    #[non_exhaustive]
    Cancelled {
        /// The function.
        function: &'static str,
        /// The name of the context that was called.
        context: String,
        /// How far the call got.
        progress: Progress,
    },
    /// This context, the caller's own, is ending.
    #[error("this context is ending and makes no more calls; {}", fate(.progress))]
    #[non_exhaustive]
    Stopped {
        /// How far the call got.
        progress: Progress,
    },
    /// An earlier call of the chain failed, so this one did not run.
    #[error("not run, since an earlier call of its chain failed: {0}")]
    Chain(Box<Self>),
}

impl CallError {
    /// How far the call got.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self {
            Self::EncodeArguments { .. } => Progress::NotSent,
            Self::NoSuchFunction { .. }
            | Self::DecodeArguments { .. }
            | Self::Refused { .. }
            | Self::Busy { .. }
            | Self::WouldWait { .. }
            | Self::Chain(_) => Progress::Undelivered,
            Self::Failed { .. }
            | Self::Panicked { .. }
            | Self::EncodeResult { .. }
            | Self::DecodeResult { .. } => Progress::Started,
            Self::TooLarge { progress, .. }
            | Self::Lost { progress, .. }
            | Self::TimedOut { progress, .. }
            | Self::Cancelled { progress, .. }
            | Self::Stopped { progress } => *progress,
        }
    }

    /// Whether the function may have run, in part or whole: do not repeat blindly what must happen once.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        matches!(self.progress(), Progress::Unknown | Progress::Started)
    }

    /// Whether a context is gone, the one that was called or one on the way to it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}

/// The build ids of two programs that do not fit: each is a digest of the functions that the program serves, and of
/// their types. They may differ, and mostly do; here they say which programs to look at.
#[derive(Clone, Copy)]
pub(crate) struct Builds {
    pub(crate) ours: u64,
    /// Nothing where it was not said, and the other is no child of this context.
    pub(crate) theirs: Option<u64>,
}

impl fmt::Display for Builds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let theirs = self.theirs.map_or_else(|| "unknown".to_owned(), hex);
        write!(f, "its build is {theirs}, ours {}", hex(self.ours))
    }
}

/// A build id as people see it.
pub(crate) fn hex(id: u64) -> String {
    format!("{id:016x}")
}

/// What a reader wants to know of a call that did not end in a value.
fn fate(progress: &Progress) -> &'static str {
    match progress {
        Progress::NotSent => "the call was not sent",
        Progress::Undelivered => "the call did not run",
        Progress::Unknown => "the call may have run",
        Progress::Started => "the call had begun to run",
    }
}

/// Why an item was not sent.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody will receive: the receiver is dropped, or this stream was failed.
    #[error("the receiver is closed; nobody takes more items")]
    Closed,
    /// There was no room in time.
    #[error("no room in the channel in time: its receiver takes items more slowly than they come")]
    TimedOut,
    /// The context that holds the receiver is gone.
    #[error("the receiver is lost: {reason}")]
    #[non_exhaustive]
    Lost {
        /// Why.
        reason: String,
    },
    /// The item cannot travel.
    #[error("the item cannot be sent: {message}")]
    #[non_exhaustive]
    Encode {
        /// Why not.
        message: String,
    },
}

/// Why no item was received.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing came in time.
    #[error("no item came in time; the channel is still open")]
    TimedOut,
    /// A context that holds a sender is gone.
    #[error("the sender is lost: {reason}")]
    #[non_exhaustive]
    Lost {
        /// Why.
        reason: String,
    },
    /// The sender says that it failed, or was dropped by a panic.
    #[error("the sender failed: {}", Plain(.reason))]
    #[non_exhaustive]
    Failed {
        /// What it says.
        reason: String,
    },
    /// An item came that has another type than this program expects.
    #[error("an item cannot be read: {message}; build both programs against the same types")]
    #[non_exhaustive]
    Decode {
        /// Why not.
        message: String,
    },
}

/// Nothing happened in time; what was waited for goes on.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing happened in time; wait again, or give it up")]
pub struct TimedOut;

/// The caller has given a call up, or its deadline has passed: nobody waits for the result.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was cancelled: nobody waits for its result any more")]
pub struct Cancelled;

/// `main` shows an error by its `Debug`, and so that is its text.
macro_rules! debug_is_text {
    ($($error:ty),+ $(,)?) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })+
    };
}

debug_is_text!(CallError, SendError, RecvError, TimedOut, Cancelled);

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(progress: Progress) -> CallError {
        CallError::Lost {
            context: "web1.db".into(),
            id: ContextId::new(7),
            reason: "exit status 1".into(),
            progress,
        }
    }

    #[test]
    fn a_loss_names_the_context_and_says_whether_the_call_may_have_run() {
        assert_eq!(
            lost(Progress::NotSent).to_string(),
            "web1.db is lost: exit status 1; the call was not sent"
        );
        assert_eq!(
            lost(Progress::Undelivered).to_string(),
            "web1.db is lost: exit status 1; the call did not run"
        );
        assert_eq!(
            lost(Progress::Unknown).to_string(),
            "web1.db is lost: exit status 1; the call may have run"
        );
        assert_eq!(
            lost(Progress::Started).to_string(),
            "web1.db is lost: exit status 1; the call had begun to run"
        );
    }

    #[test]
    fn main_shows_what_ends_it_as_text() {
        assert_eq!(
            format!("{TimedOut:?}, {Cancelled:?}, {:?}", crate::Failure::from("no \"quotes\"")),
            format!("{TimedOut}, {Cancelled}, no \"quotes\"")
        );
    }

    #[test]
    fn only_unknown_and_started_may_have_run() {
        let ran = [Progress::NotSent, Progress::Undelivered, Progress::Unknown, Progress::Started]
            .map(|progress| lost(progress).may_have_run());
        assert_eq!(ran, [false, false, true, true]);
        assert!(lost(Progress::Unknown).is_lost());
        assert!(!CallError::Stopped { progress: Progress::NotSent }.is_lost());
    }

    #[test]
    fn every_text_of_a_call_says_what_failed_where_and_what_to_do() {
        let (function, context, message) = ("free", || "web1".to_owned(), || "why".to_owned());
        let progress = Progress::Unknown;
        let failed = CallError::Failed { function, context: context(), message: message() };
        let texts = [
            (failed.clone(), "free in web1 failed: why"),
            (
                CallError::Panicked { function, context: context(), message: message() },
                "free in web1 panicked: why",
            ),
            (
                CallError::NoSuchFunction {
                    function,
                    context: context(),
                    builds: Builds { ours: 1, theirs: Some(2) }.to_string(),
                },
                "web1 serves no function `free` (its build is 0000000000000002, ours 0000000000000001); add it to the table of its program with `serve`",
            ),
            (
                CallError::EncodeArguments { function, message: message() },
                "the arguments of free cannot be sent: why",
            ),
            (
                CallError::DecodeArguments { function, context: context(), message: message() },
                "web1 cannot read the arguments of free: why; build both programs against the same constant",
            ),
            (
                CallError::EncodeResult { function, context: context(), message: message() },
                "web1 ran free and cannot send its result: why",
            ),
            (
                CallError::DecodeResult { function, context: context(), message: message() },
                "the result of free from web1 cannot be read: why; build both programs against the same constant",
            ),
            (
                CallError::Refused { function, context: context(), message: message() },
                "web1 does not let this context call free: why",
            ),
            (
                CallError::TooLarge { function, context: context(), message: message(), progress },
                "free in web1: why; send it in pieces through a channel, or raise the limit",
            ),
            (
                CallError::Busy { function, context: context(), message: message() },
                "web1 is too busy for free: why; try again when earlier calls have ended",
            ),
            (
                CallError::WouldWait { function, context: context() },
                "free in web1 would wait for itself: its workers wait for this call; give it more `workers`",
            ),
            (
                CallError::TimedOut { context: context(), after: Duration::from_millis(1500), progress },
                "no answer from web1 within 1.5s; the call may have run",
            ),
            (
                CallError::Cancelled { function, context: context(), progress: Progress::Undelivered },
                "the call of free in web1 was cancelled; the call did not run",
            ),
            (
                CallError::Stopped { progress: Progress::NotSent },
                "this context is ending and makes no more calls; the call was not sent",
            ),
            (
                CallError::Chain(Box::new(failed)),
                "not run, since an earlier call of its chain failed: free in web1 failed: why",
            ),
        ];
        for (error, text) in texts {
            assert_eq!((error.to_string().as_str(), format!("{error:?}").as_str()), (text, text));
        }
    }

    #[test]
    fn every_text_of_a_channel_says_what_failed_and_what_to_do() {
        let reason = || "why".to_owned();
        let sent = [
            SendError::Closed,
            SendError::TimedOut,
            SendError::Lost { reason: reason() },
            SendError::Encode { message: reason() },
        ];
        let received = [
            RecvError::TimedOut,
            RecvError::Lost { reason: reason() },
            RecvError::Failed { reason: reason() },
            RecvError::Decode { message: reason() },
        ];
        assert_eq!(
            format!("{sent:?}"),
            format!("[{}]", sent.clone().map(|error| error.to_string()).join(", "))
        );
        assert_eq!(
            format!("{received:?}"),
            format!("[{}]", received.clone().map(|error| error.to_string()).join(", "))
        );
        assert_eq!(
            sent.map(|error| error.to_string()),
            [
                "the receiver is closed; nobody takes more items",
                "no room in the channel in time: its receiver takes items more slowly than they come",
                "the receiver is lost: why",
                "the item cannot be sent: why",
            ]
        );
        assert_eq!(
            received.map(|error| error.to_string()),
            [
                "no item came in time; the channel is still open",
                "the sender is lost: why",
                "the sender failed: why",
                "an item cannot be read: why; build both programs against the same types",
            ]
        );
    }
}
