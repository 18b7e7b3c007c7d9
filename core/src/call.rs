//! A call as its handler sees it: who asked, until when, and whether anybody still waits.

use std::{
    cell::RefCell,
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::Instant,
};

use offshoot_wire::{CallId, ContextId};

use crate::{
    Cancelled, Context, Message, Receiver, Sender,
    channel::channel,
    here::Running,
    machine::{CallKey, Incoming},
    node::Node,
};

/// A call that is being handled; the first argument of every handler.
///
/// Calls that the handler makes on its own thread inherit its deadline, and take part in the check that no call waits
/// for itself.
#[derive(Clone)]
pub struct Call {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<Running>,
    key: CallKey,
    function: String,
    source: ContextId,
    deadline: Option<Instant>,
    above: Vec<CallId>,
}

thread_local! {
    /// The calls that this thread is handling, innermost last: a nested call is made by the innermost.
    static HANDLING: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

impl Call {
    pub(crate) fn new(node: &Arc<Running>, incoming: Incoming) -> Self {
        let inner = Inner {
            node: Arc::clone(node),
            key: incoming.key,
            function: incoming.name,
            source: incoming.src,
            deadline: incoming.deadline.map(|at| node.instant(at)),
            above: incoming.above,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of the function that was called.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.inner.function
    }

    /// The context that called.
    #[must_use]
    pub fn source(&self) -> Context {
        Context::new(&self.inner.node, self.inner.source)
    }

    /// The context that handles the call: this one.
    #[must_use]
    pub fn here(&self) -> Context {
        Context::new(&self.inner.node, self.inner.node.me())
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Context {
        Context::new(&self.inner.node, ContextId::ROOT)
    }

    /// The parent of this context; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Context> {
        let parent = self.inner.node.ancestors().first()?;
        Some(Context::new(&self.inner.node, *parent))
    }

    /// The moment at which the caller stops waiting.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// Whether the caller has given the call up, is lost, or its deadline has passed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.deadline.is_some_and(|at| at <= Instant::now())
            || self.inner.node.is_cancelled(self.inner.key)
    }

    /// Ends a handler by `?` once nobody waits for its result; cheap enough for every round of a loop.
    ///
    /// # Errors
    /// [`Cancelled`] if [`is_cancelled`](Self::is_cancelled).
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// A new channel, whose ends can be returned, or sent in calls.
    #[must_use]
    pub fn channel<T: Message>(&self) -> (Sender<T>, Receiver<T>) {
        channel(&self.inner.node)
    }

    pub(crate) fn node(&self) -> &Arc<Running> {
        &self.inner.node
    }

    /// Makes this the call on whose behalf this thread makes others, until what is returned is dropped.
    pub(crate) fn enter(&self) -> Handling {
        HANDLING.with_borrow_mut(|calls| calls.push(self.clone()));
        Handling
    }
}

/// That this thread handles a call.
pub(crate) struct Handling;

impl Drop for Handling {
    fn drop(&mut self) {
        drop(HANDLING.with_borrow_mut(Vec::pop));
    }
}

/// What a call inherits that is made by this thread through `node`: its deadline, and the calls that wait for it.
pub(crate) fn inherited(node: &Arc<Running>) -> (Option<Instant>, Vec<CallId>) {
    HANDLING.with_borrow(|calls| {
        // Several routers can live in one process; ids mean something within one alone.
        let call = calls.iter().rev().find(|call| Arc::ptr_eq(&call.inner.node, node));
        call.map(|call| (call.inner.deadline, call.inner.above.clone())).unwrap_or_default()
    })
}

impl UnwindSafe for Call {}
impl RefUnwindSafe for Call {}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("function", &self.inner.function)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}
