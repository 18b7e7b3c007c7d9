//! A context of the tree, as any other sees it: something to call.

use std::{
    cmp, fmt, hash,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_wire::{ContextId, Handle};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::{
    CallError, Caller, Function, Lost, Message, Pending, Receiver, Sender, Shutdown,
    channel::{ambient, channel},
    here::Running,
    node::{Node, Then},
};

/// A process of the tree. Leaf, hop and root are all of this type, in whatever context one stands.
///
/// It is a name, not an owner: clones are cheap, and dropping it ends nothing. It can travel in arguments, results and
/// items; whether the context that gets it may call there is a matter of policies and [`grant`](Self::grant)s.
/// Two are equal if their ids are and they are known by the same router.
#[derive(Clone)]
pub struct Context {
    node: Arc<Running>,
    id: ContextId,
    name: Arc<str>,
}

impl Context {
    /// The context `id` as `node` sees it.
    pub(crate) fn new(node: &Arc<Running>, id: ContextId) -> Self {
        Self { node: Arc::clone(node), id, name: node.name_of(id).into() }
    }

    pub(crate) fn node(&self) -> &Arc<Running> {
        &self.node
    }

    /// Its id, unique in the life of the tree.
    #[must_use]
    pub const fn id(&self) -> ContextId {
        self.id
    }

    /// Its name as this context knows it; its id in digits where it does not.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has not been heard to be gone. Only a call tells for sure.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.node.is_alive(self.id)
    }

    /// Asks it for a sign of life; the time until that came. No function of the program is run.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn ping(&self) -> Result<Duration, CallError> {
        let since = Instant::now();
        self.plain().ask(Handle::PING, "ping", &(), Then::Wait).wait(None).map(|_| since.elapsed())
    }

    /// Calls a function and waits for its result.
    ///
    /// Without a deadline ([`with_timeout`](Self::with_timeout)) it waits for as long as the function runs. It ends
    /// with an error as soon as the context, or one on the way to it, is lost.
    ///
    /// # Errors
    /// [`CallError`] says what failed, and whether the function may have run.
    pub fn call<A: Message, R: Message>(&self, function: Function<A, R>, args: A) -> Result<R, CallError> {
        self.plain().call(function, args)
    }

    /// Calls a function, and leaves it to the [`Pending`] to wait for its result. Never blocks.
    ///
    /// Errors, also of what could not be sent at all, come from the [`Pending`].
    pub fn call_async<A: Message, R: Message>(&self, function: Function<A, R>, args: A) -> Pending<R> {
        self.plain().call_async(function, args)
    }

    /// Calls a function whose result nobody waits for. Blocks only while too much waits to be sent.
    ///
    /// # Errors
    /// [`CallError`] says why the call was not sent. What fails later, over there, is not told.
    pub fn call_no_reply<A: Message, R: Message>(
        &self,
        function: Function<A, R>,
        args: A,
    ) -> Result<(), CallError> {
        self.plain().call_no_reply(function, args)
    }

    /// Calls of which none runs behind one that has failed: it ends with the first error, as
    /// [`CallError::Chain`]. So a script of steps can be sent without waiting for each. One that is given up before it was
    /// sent has failed. One that a context on its way refuses, since too much waits there, is known to have failed here
    /// alone: what was sent behind it until then may run.
    pub fn chain(&self) -> Caller {
        self.plain().chained()
    }

    /// Calls that must end within `timeout` each.
    pub fn with_timeout(&self, timeout: Duration) -> Caller {
        self.plain().with_timeout(timeout)
    }

    /// Calls that must end by `deadline`; `with_deadline(call.deadline())` passes on what a handler has left.
    pub fn with_deadline(&self, deadline: impl Into<Option<Instant>>) -> Caller {
        self.plain().with_deadline(deadline)
    }

    /// Lets the context `to` call `function` here, as if it were an ancestor. Only an ancestor can grant.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn grant<A, R>(&self, function: Function<A, R>, to: &Self) -> Result<(), CallError> {
        if !Arc::ptr_eq(&self.node, &to.node) {
            let (function, message) = ("grant", ambient::FOREIGN.to_owned());
            return Err(CallError::EncodeArguments { function, message });
        }
        let word = (function.name().to_owned(), to.id);
        self.plain().ask(Handle::GRANT, "grant", &word, Then::Wait).wait(None).map(drop)
    }

    /// A new channel of the context in which this is called, whose ends can be sent in calls to any other.
    #[must_use]
    pub fn channel<T: Message>(&self) -> (Sender<T>, Receiver<T>) {
        channel(&self.node)
    }

    /// What ends when this context does; it says why.
    pub fn lost(&self) -> Lost {
        Lost::new(self)
    }

    /// Tells it to end, its children first. Returns at once; the [`Shutdown`] ends when the context has.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::new(self)
    }

    fn plain(&self) -> Caller {
        Caller::new(self.clone())
    }
}

impl UnwindSafe for Context {}
impl RefUnwindSafe for Context {}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {})", self.id, self.name)
    }
}

impl Context {
    /// What tells it from all others: its id, and the router by which it is known here, since each counts for itself.
    fn key(&self) -> (ContextId, *const ()) {
        (self.id, Arc::as_ptr(&self.node).cast())
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Context {}

impl PartialOrd for Context {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Context {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl hash::Hash for Context {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Serialize for Context {
    /// Its id: whoever reads it knows it by the name in his own table.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ambient::check_writing(&self.node).map_err(ser::Error::custom)?;
        self.id.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = ContextId::deserialize(deserializer)?;
        let node = ambient::reader().map_err(de::Error::custom)?;
        Ok(Self::new(&node, id))
    }
}
