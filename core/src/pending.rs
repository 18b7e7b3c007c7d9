//! A call that is under way: wait for it, await it, select it, or drop it and so cancel it.

use std::{
    future::Future,
    marker::PhantomData,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use crate::{
    CallError, Context, Message,
    channel::ambient,
    dispatch::Relay,
    open::{Answer, Open},
    sync::later,
    wake::Listener,
};

/// A call that is under way.
///
/// It is a future, and it can be waited for by a thread or put into a [`Select`](crate::Select). Whatever happens, it
/// ends exactly once: in the value, in an error of the function, or in one that says that the other side is lost.
/// Dropping it cancels the call.
///
/// ```no_run
/// # fn f(web: &offshoot_core::Context, db: &offshoot_core::Context) -> Result<(), offshoot_core::CallError> {
/// use offshoot_core::Function;
///
/// const DISK_FREE: Function<String, u64> = Function::new("disk_free");
///
/// let calls = [web, db].map(|context| context.call_async(DISK_FREE, "/".into())); // both at once
/// for call in calls {
///     let context = call.context().clone();
///     println!("{context}: {}", call.wait()?);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "dropping a pending call cancels it; wait for it, or `detach` it"]
pub struct Pending<R> {
    open: Open,
    result: PhantomData<fn() -> R>,
}

impl<R> Pending<R> {
    pub(crate) const fn new(open: Open) -> Self {
        Self { open, result: PhantomData }
    }

    pub(crate) fn into_open(self) -> Open {
        self.open
    }

    /// The context that was called.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.open.context()
    }

    /// Whether the call has ended, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.open.is_ready()
    }

    /// Waits for at most `timeout` until the call has ended; whether it has. It goes on either way.
    #[must_use]
    pub fn ready_timeout(&self, timeout: Duration) -> bool {
        self.open.ready(Some(later(timeout)))
    }

    /// Waits until `deadline` at most until the call has ended; whether it has. It goes on either way.
    #[must_use]
    pub fn ready_deadline(&self, deadline: Instant) -> bool {
        self.open.ready(Some(deadline))
    }

    /// Lets the call run to its end; nobody learns what that is.
    pub fn detach(self) {
        Relay::detach(self.open);
    }
}

impl<R: Message> Pending<R> {
    /// Waits for the end of the call.
    ///
    /// # Errors
    /// [`CallError`] says what failed, and whether the function may have run.
    pub fn wait(self) -> Result<R, CallError> {
        self.finish(None)
    }

    /// Waits for the end of the call for at most `timeout`; then it is cancelled.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`CallError::TimedOut`] when it has run out.
    pub fn wait_timeout(self, timeout: Duration) -> Result<R, CallError> {
        self.finish(Some(later(timeout)))
    }

    /// Waits for the end of the call until `deadline` at most; then it is cancelled.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_deadline(self, deadline: Instant) -> Result<R, CallError> {
        self.finish(Some(deadline))
    }

    fn finish(mut self, deadline: Option<Instant>) -> Result<R, CallError> {
        self.open.wait(deadline).and_then(|answer| read(&self.open, answer))
    }
}

fn read<R: Message>(open: &Open, answer: Answer) -> Result<R, CallError> {
    let value = ambient::decode(&answer.value, answer.brought);
    value.map_err(|message| open.unreadable(message))
}

impl<R: Message> Future for Pending<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let open = &mut self.open;
        match open.poll(&Listener::task(task)) {
            Some(ended) => Poll::Ready(ended.and_then(|answer| read(open, answer))),
            None => Poll::Pending,
        }
    }
}

// Nothing of `R` is inside, and every lock inside is left whole.
impl<R> UnwindSafe for Pending<R> {}
impl<R> RefUnwindSafe for Pending<R> {}
