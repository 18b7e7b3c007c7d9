//! What goes into the machine and what comes out of it: events, and actions in one ordered queue.

use std::collections::VecDeque;

use offshoot_wire::{Body, ContextId, Frame, Handle, Hello};

use super::{CallKey, DropKind, Ended, Outcome};

/// A moment, in milliseconds since the context began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The moment `ms` milliseconds later.
    #[must_use]
    pub const fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The milliseconds from `earlier` to this moment; 0 if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The sooner of two moments, as far as there are two.
pub(crate) fn sooner<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Names a link: its slot, and the neighbour behind it, so that a reused slot is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// The index under which the shell keeps the link's descriptor.
    pub slot: usize,
    /// The context at the other end.
    pub peer: ContextId,
}

/// What happens to a machine from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A frame came by a link.
    Frame {
        /// The link.
        link: LinkKey,
        /// The frame.
        frame: Frame,
    },
    /// A frame came that was too long to be read; `frame` has its header and no body.
    Oversize {
        /// The link.
        link: LinkKey,
        /// Its header, with an empty body.
        frame: Frame,
    },
    /// A link has ended, and all that it brought was handed in before.
    LinkDown {
        /// The link.
        link: LinkKey,
        /// Why, for people.
        reason: String,
    },
    /// A moment named by [`Machine::next_due`](super::Machine::next_due) has come.
    Due,
}

/// What must happen outside because of an event, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The outbox of a link has something to write.
    Write(LinkKey),
    /// End a link: shut its descriptor, and hand in `LinkDown` once it is drained.
    Cut(LinkKey, String),
    /// A child has said HELLO.
    Up(LinkKey, Hello),
    /// Do not read a link for the time being.
    Pause(LinkKey),
    /// Read it again.
    Resume(LinkKey),
    /// A call of ours has ended; its sink can go.
    Answer {
        /// The reply handle that [`Machine::call`](super::Machine::call) gave.
        handle: Handle,
        /// How it ended.
        outcome: Outcome,
    },
    /// A context that was watched has gone; its sink can go.
    Watched {
        /// The handle that [`Machine::watch`](super::Machine::watch) gave.
        handle: Handle,
        /// Why it is gone.
        reason: String,
    },
    /// An item of a stream. Return `cost` with [`Machine::taken`](super::Machine::taken) when the user has it.
    Item {
        /// The handle of our end.
        handle: Handle,
        /// The item, behind its [`StreamHead`](offshoot_wire::StreamHead).
        body: Body,
        /// What it costs in credit.
        cost: u32,
    },
    /// A stream has ended from the other side; its sink can go once the user has what came before.
    Ended {
        /// The handle of our end.
        handle: Handle,
        /// How.
        how: Ended,
    },
    /// Whoever waits to send to this stream may try again.
    StreamRoom(Handle),
    /// Whoever waits to send to a reserved handle of this context may try again.
    Room(ContextId),
    /// A call waits for a worker: wake one.
    CallReady,
    /// A call was cancelled, or its caller is lost: tell the handler.
    Cancelled(CallKey),
    /// A call to a handle that the shell serves itself (CREATE_CHILD).
    Service(CallKey),
    /// A log record or captured line for this context, the root.
    Record {
        /// Who sent it.
        src: ContextId,
        /// What it was called when the record came: what comes with it may tell that it is gone.
        name: Option<String>,
        /// The record as its sender encoded it.
        body: Body,
    },
    /// Contexts are gone: the ids, the name of the top, and why.
    Lost {
        /// Who.
        ids: Vec<ContextId>,
        /// The name of the top of what was lost.
        name: String,
        /// Why.
        reason: String,
    },
    /// Ids have come, or will not come: whoever waits for one should try again.
    Ids,
    /// The context has been told to end, or sooner than it was told before; this much time is left, in milliseconds.
    Shutdown(u32),
    /// The link to the parent is gone.
    ParentLost(String),
    /// A child was told to end and has not gone: make it.
    Escalate(LinkKey),
    /// Something to tell the people who run this context; at most once a link and kind.
    Note(Note),
}

/// Why the machine dropped something, worth a line in the log the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The link by which it came.
    pub link: LinkKey,
    /// What it was.
    pub kind: DropKind,
    /// Who said it was the source.
    pub src: ContextId,
    /// Where it was to go.
    pub dst: ContextId,
    /// To which mailbox.
    pub handle: Handle,
}

/// The ordered queue of actions; the shell empties it after each event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    queue: VecDeque<Action>,
}

impl Actions {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    /// Appends an action.
    pub fn push(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    /// Takes the oldest action.
    pub fn pop(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
