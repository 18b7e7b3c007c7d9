//! How calls are made: with a deadline, as part of a chain, or plainly.

use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use offshoot_wire::{CallHead, ContextId, End, Handle, codec, codec::EncodeError};

use crate::{
    CallError, Context, Function, Message, Pending,
    call::inherited,
    channel::carry::{Draft, Sealed},
    here::Running,
    node::{Node, Then},
    open::{About, Open},
    sync::{later, lock, whole_millis},
};

/// Calls the functions of one context, each with a deadline, or all as one chain; see [`Context::with_timeout`],
/// [`Context::with_deadline`] and [`Context::chain`].
///
/// ```no_run
/// # fn f(root: &offshoot_core::Context, steps: Vec<String>) -> Result<(), offshoot_core::CallError> {
/// use std::time::Duration;
/// use offshoot_core::Function;
///
/// const APPLY: Function<String, ()> = Function::new("apply");
///
/// let chain = root.chain().with_timeout(Duration::from_secs(60)); // a minute for each
/// let calls: Vec<_> = steps.into_iter().map(|step| chain.call_async(APPLY, step)).collect();
/// for call in calls {
///     call.wait()?; // behind the first that fails none has run
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "it changes nothing until a call is made through it"]
pub struct Caller {
    context: Context,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    chain: Option<Arc<Chain>>,
}

impl Caller {
    pub(crate) const fn new(context: Context) -> Self {
        Self { context, timeout: None, deadline: None, chain: None }
    }

    pub(crate) fn chained(mut self) -> Self {
        self.chain = Some(Arc::new(Chain::new(&self.context)));
        self
    }

    /// Each call must end within `timeout` of its beginning.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Each call must end by `deadline`; `None`, as [`Call::deadline`](crate::Call::deadline) may give it, is none.
    pub fn with_deadline(mut self, deadline: impl Into<Option<Instant>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// The context that is called.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Calls a function and waits for its result; see [`Context::call`].
    ///
    /// # Errors
    /// [`CallError`] says what failed, and whether the function may have run.
    pub fn call<A: Message, R: Message>(&self, function: Function<A, R>, args: A) -> Result<R, CallError> {
        self.begin(function, args, Then::Wait).wait()
    }

    /// Calls a function, and leaves it to the [`Pending`] to wait for its result; see [`Context::call_async`].
    pub fn call_async<A: Message, R: Message>(&self, function: Function<A, R>, args: A) -> Pending<R> {
        self.begin(function, args, Then::GoOn)
    }

    /// Calls a function without waiting for anything but room; see [`Context::call_no_reply`].
    ///
    /// # Errors
    /// [`CallError`] says why the call was not sent.
    pub fn call_no_reply<A: Message, R: Message>(
        &self,
        function: Function<A, R>,
        args: A,
    ) -> Result<(), CallError> {
        let request = Request::new(self, function.name());
        let draft = request.draft(&args);
        drop(args);
        let until = request.about.deadline;
        request.send_one_way(Handle::CALL_FUNCTION, draft, until)
    }

    fn begin<A: Message, R: Message>(&self, function: Function<A, R>, args: A, then: Then) -> Pending<R> {
        let request = Request::new(self, function.name());
        let draft = request.draft(&args);
        // What the arguments hand over is counted, and they count.
        drop(args);
        Pending::new(request.send(Handle::CALL_FUNCTION, draft, then))
    }

    /// Sends a message to one of the mailboxes that every context has.
    pub(crate) fn ask<T: Message>(&self, mailbox: Handle, what: &'static str, value: &T, then: Then) -> Open {
        let request = Request::new(self, what).unnamed();
        let draft = request.draft(value);
        request.send(mailbox, draft, then)
    }

    /// As [`ask`](Self::ask), without an answer, and without waiting for room.
    pub(crate) fn tell<T: Message>(
        &self,
        mailbox: Handle,
        what: &'static str,
        value: &T,
    ) -> Result<(), CallError> {
        let request = Request::new(self, what).unnamed();
        let draft = request.draft(value);
        request.send_one_way(mailbox, draft, Some(Instant::now()))
    }
}

/// One call in the making: everything but its arguments.
struct Request<'a> {
    about: About<'a>,
    head: CallHead,
}

impl<'a> Request<'a> {
    fn new(caller: &'a Caller, function: &'static str) -> Self {
        let (inherited, above) = inherited(caller.context.node());
        // Without a deadline the clock is read when the call is sent, and not before.
        let is_bounded = inherited.is_some() || caller.timeout.is_some() || caller.deadline.is_some();
        let since = is_bounded.then(Instant::now);
        let timeout = caller.timeout.map(later);
        let deadline = [inherited, timeout, caller.deadline].into_iter().flatten().min();
        let head = CallHead {
            function: function.into(),
            left_ms: deadline.map(left_ms),
            above,
            chain: caller.chain.as_ref().map(|chain| chain.id),
            ends: Vec::new(),
        };
        let about = About { to: &caller.context, function, since, deadline, chain: caller.chain.as_ref() };
        Self { about, head }
    }

    /// A mailbox is not a function.
    fn unnamed(mut self) -> Self {
        self.head.function = "".into();
        self
    }

    fn head(&self, ends: Vec<End>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if ends.is_empty() {
            return codec::encode_into(&self.head, out);
        }
        codec::encode_into(&CallHead { ends, ..self.head.clone() }, out)
    }

    /// Writes the arguments, unless an earlier call of the chain has failed.
    fn draft<A: Message>(&self, args: &A) -> Result<Draft, CallError> {
        if let Some(first) = self.about.chain.and_then(|chain| chain.first_error()) {
            return Err(CallError::Chain(Box::new(first)));
        }
        let draft = Draft::new(self.about.to.node(), args, &|ends, out| self.head(ends, out));
        draft.map_err(|message| self.unwritten(message))
    }

    fn seal(&self, draft: Result<Draft, CallError>) -> Result<Sealed, CallError> {
        let sealed = draft?.seal(self.about.to.node(), self.about.to.id(), &|ends, out| self.head(ends, out));
        sealed.map_err(|message| self.unwritten(message))
    }

    fn unwritten(&self, message: String) -> CallError {
        CallError::EncodeArguments { function: self.about.function, message }
    }

    fn send(self, mailbox: Handle, draft: Result<Draft, CallError>, then: Then) -> Open {
        match self.seal(draft) {
            Ok(sealed) => Open::send(&self.about, mailbox, sealed, then),
            Err(error) => Open::refused(&self.about, error),
        }
    }

    /// Waits for room until then.
    fn send_one_way(
        self,
        mailbox: Handle,
        draft: Result<Draft, CallError>,
        until: Option<Instant>,
    ) -> Result<(), CallError> {
        let sent = self.seal(draft).and_then(|sealed| {
            let (node, to) = (self.about.to.node(), self.about.to.id());
            let Sealed { body, ends, handed } = sealed;
            node.send_one_way(to, mailbox, body, ends, until)
                .map(|()| handed.sent())
                .map_err(|unsent| self.about.unsent(unsent))
        });
        if let Some(chain) = self.about.chain {
            // Whether it fails over there is not told.
            chain.lost_sight();
        }
        sent.map_err(|error| self.about.noted(error))
    }
}

/// The time until `deadline` as it travels: rounded up, and one more for each of the clocks there and here, which are cut
/// to milliseconds, so that news that somebody gave up arrives when the caller has done so too.
fn left_ms(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now());
    u32::try_from(whole_millis(left).saturating_add(2)).unwrap_or(u32::MAX)
}

/// Calls of which none runs behind one that failed.
pub(crate) struct Chain {
    node: Arc<Running>,
    to: ContextId,
    id: u32,
    first: Mutex<Option<CallError>>,
    /// The other side may remember that the chain failed.
    remembered: AtomicBool,
}

impl Chain {
    fn new(context: &Context) -> Self {
        let node = Arc::clone(context.node());
        let id = node.new_chain();
        Self { node, to: context.id(), id, first: Mutex::new(None), remembered: AtomicBool::new(false) }
    }

    /// A call of the chain has failed.
    pub(crate) fn failed(&self, error: &CallError) {
        self.lost_sight();
        if !matches!(error, CallError::Chain(_)) {
            lock(&self.first).get_or_insert_with(|| error.clone());
        }
    }

    /// A call of the chain may fail without this side's knowledge.
    pub(crate) fn lost_sight(&self) {
        self.remembered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn first_error(&self) -> Option<CallError> {
        lock(&self.first).clone()
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        if *self.remembered.get_mut() {
            self.node.end_chain(self.to, self.id);
        }
    }
}

impl UnwindSafe for Caller {}
impl RefUnwindSafe for Caller {}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("context", &self.context)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("chain", &self.chain.as_ref().map(|chain| chain.id))
            .finish()
    }
}
