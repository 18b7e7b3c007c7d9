//! What the typed face needs of a running context: object-safe, so that one `Context` serves leaf and parent.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Direction, End, Failed, Handle};

use crate::{
    forward::Record,
    lease::Loan,
    link::Link,
    machine::{BadEnd, CallKey, Ended, Outcome, Outgoing, Progress, StreamUnsent, Tick, Unsent},
    wake::{Run, Wake},
};

/// Takes the end of one call. Called under the node's lock: must not block, send or run user code.
pub(crate) trait CallSink: Send + Sync {
    /// The call has ended; what is returned is fired after the lock is released.
    fn end(&self, outcome: Outcome) -> Option<Wake>;
}

/// Takes what comes for one end of a stream. Called under the node's lock, as [`CallSink`].
pub(crate) trait StreamSink: Send + Sync {
    /// An item has come.
    fn item(&self, body: Body, cost: u32) -> Option<Wake>;
    /// There is room to send again, or the other end was opened.
    fn room(&self) -> Option<Wake>;
    /// Nothing more will come.
    fn ended(&self, how: Ended) -> Option<Wake>;
}

/// A handle, and whose it is: it belongs to somebody else as soon as what stood behind it has ended, of which its
/// former owner may be about to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) handle: Handle,
    /// Where the sink is that the handle was got for.
    sink: usize,
}

impl Held {
    /// `handle`, got for `sink`.
    pub(crate) fn by<S: ?Sized>(sink: &S, handle: Handle) -> Self {
        Self { handle, sink: std::ptr::from_ref(sink).cast::<()>().addr() }
    }
}

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It waits, for the answer to a call or for an item to leave, and runs no user code before.
    Wait,
    GoOn,
}

/// When an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    AtOnce,
    /// By a worker that took the call then, and looks for the next one behind the answer. That may rest until the next is
    /// there, if this call has lasted next to nothing.
    Since(Instant),
}

impl Pace {
    /// Whether an answer that comes to the machine now may rest.
    pub(crate) fn may_rest(self, now: Instant) -> bool {
        /// What a call lasts at most.
        const SHORT: Duration = Duration::from_micros(20);

        match self {
            Self::AtOnce => false,
            Self::Since(then) => now.saturating_duration_since(then) < SHORT,
        }
    }
}

/// A call that was sent.
pub(crate) struct Called {
    pub(crate) handle: Handle,
    /// The turn of the link by which its answer comes.
    pub(crate) loan: Option<Loan>,
    pub(crate) sent_at: Instant,
}

/// A running context: the machine behind its lock, and the threads that move its bytes.
pub(crate) trait Node: Any + Send + Sync {
    fn me(&self) -> ContextId;
    /// Parent first, root last; empty at the root.
    fn ancestors(&self) -> &[ContextId];
    /// The name of a context as this one knows it, else its id in digits.
    fn name_of(&self, id: ContextId) -> String;
    /// The build id of this context or a child of it.
    fn build_of(&self, id: ContextId) -> Option<u64>;
    fn is_alive(&self, id: ContextId) -> bool;
    fn tick(&self, at: Instant) -> Tick;
    fn instant(&self, at: Tick) -> Instant;
    /// The longest body that may travel, in bytes.
    fn body_limit(&self) -> usize;

    /// Sends a call; `sink` learns its end exactly once, unless it is cancelled. For a caller that waits the turn of the
    /// link is taken before anything is written: the answer must not wake the broker.
    fn call(&self, call: Outgoing, sink: Arc<dyn CallSink>, then: Then) -> Result<Called, Unsent>;
    /// Takes the turn of the link by which comes what `peer` sends, if it is free.
    fn take_turn(&self, peer: ContextId) -> Option<Loan>;
    /// Reads a link whose turn is held, and deals with what has come; whether there is more.
    fn read(&self, loan: &Loan) -> bool;
    /// Gives a turn back, if it is still held.
    fn give_back(&self, loan: &Loan);
    /// Keeps a turn, if it is still held, for who will be back at once.
    fn keep(&self, loan: &Loan);
    /// Gives a call up; its sink learns nothing any more.
    fn cancel(&self, call: Held) -> Progress;
    /// Sends without an answer; blocks while the window is full, until `deadline`; then `Unsent::Full`.
    fn send_one_way(
        &self,
        dst: ContextId,
        handle: Handle,
        body: Body,
        ends: Vec<End>,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent>;
    /// `sink` gets [`Outcome::Lost`] when `dst` goes; `None` if it has gone.
    fn watch(&self, dst: ContextId, sink: Arc<dyn CallSink>) -> Option<Handle>;
    fn unwatch(&self, watch: Held);
    fn shutdown_context(&self, dst: ContextId, left_ms: u32) -> Result<(), Unsent>;
    fn new_chain(&self) -> u32;
    fn end_chain(&self, dst: ContextId, chain: u32);

    /// Answers a call. A worker without another one is lent the link to the parent before anything is written: the call
    /// that follows the answer must not wake the broker.
    fn answer(&self, key: CallKey, body: Body, ends: Vec<End>, pace: Pace) -> Option<Loan>;
    /// Answers a call that has failed.
    fn fail(&self, key: CallKey, how: Failed, text: String);
    fn is_cancelled(&self, key: CallKey) -> bool;
    /// `work` is run, once, if the call is cancelled before it is answered.
    fn on_cancel(&self, key: CallKey, work: Arc<dyn Run>);

    fn export(&self, to: ContextId, ours: Direction, sink: Arc<dyn StreamSink>) -> Handle;
    fn unexport(&self, stream: Held);
    fn import(&self, from: ContextId, end: End, sink: Arc<dyn StreamSink>) -> Result<Handle, BadEnd>;
    /// Refuses ends that came in a frame of `from`, and that nobody has asked for.
    fn decline(&self, from: ContextId, ends: Vec<End>);
    fn hand_on(&self, stream: Held, to: ContextId) -> Result<End, BadEnd>;
    fn stream_open(&self, stream: Held);
    /// Never blocks: `Full` gives the body back, and `StreamSink::room` tells when to try again. A caller that waits gets
    /// the link that has no room for all of it, and its writer token.
    fn stream_send(
        &self,
        stream: Held,
        body: Body,
        ends: Vec<End>,
        then: Then,
    ) -> Result<Option<Arc<Link>>, StreamUnsent>;
    /// The link by which leaves what goes to `peer`, and its writer token, if the broker waits for room there.
    fn take_write(&self, peer: ContextId) -> Option<Arc<Link>>;
    /// Writes a link, whose writer token the caller has, and keeps if there is no room for all.
    fn write(&self, link: &Arc<Link>) -> bool;
    /// Leaves the writer token of a link to the broker.
    fn leave_write(&self, link: &Arc<Link>);
    fn stream_close(&self, stream: Held, fail: Option<String>);
    fn taken(&self, stream: Held, cost: u32);

    /// Wakes; what of that is user code runs on a thread of its own.
    fn wake(&self, wake: Wake);
    /// Has a record logged, on that thread: the logger may be user code, too.
    fn tell(&self, record: Record);
}
