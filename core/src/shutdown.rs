//! Telling a context to end, and waiting until it has.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use crate::{
    CallError, Context,
    lost::Watch,
    machine::{Progress, Unsent},
    node::Node as _,
    open::About,
    sync::later,
    wake::{Listener, wait},
};

/// How long a context that is told to end may take, its children included, before it is made to.
const GRACE: Duration = Duration::from_secs(2);

/// A context on its way to its end; see [`Context::shutdown`]. It ends whether one waits or not.
pub struct Shutdown {
    watch: Watch,
    refused: Option<CallError>,
    since: Instant,
}

impl Shutdown {
    pub(crate) fn new(context: &Context) -> Self {
        // First, so that an end that comes at once is seen.
        let watch = Watch::new(context);
        let left_ms = u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX);
        let since = Instant::now();
        let about =
            About { to: context, function: "shutdown", since: Some(since), deadline: None, chain: None };
        let refused = match context.node().shutdown_context(context.id(), left_ms) {
            Ok(()) => None,
            // What is gone has ended.
            Err(Unsent::Dead(_)) if !context.is_alive() => None,
            Err(unsent) => Some(about.unsent(unsent)),
        };
        Self { watch, refused, since }
    }

    /// Waits until the context has ended.
    ///
    /// # Errors
    /// [`CallError`] if it could not be told.
    pub fn wait(self) -> Result<(), CallError> {
        self.finish(None)
    }

    /// Waits for at most `timeout` until the context has ended.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`CallError::TimedOut`] if it has not.
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), CallError> {
        self.finish(Some(later(timeout)))
    }

    /// Waits until `deadline` at most until the context has ended.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_deadline(self, deadline: Instant) -> Result<(), CallError> {
        self.finish(Some(deadline))
    }

    fn finish(mut self, deadline: Option<Instant>) -> Result<(), CallError> {
        let ended = wait(deadline, |listener| self.look(listener));
        ended.unwrap_or_else(|| {
            let context = self.watch.context().name().to_owned();
            let after = deadline.map(|at| at.saturating_duration_since(self.since)).unwrap_or_default();
            Err(CallError::TimedOut { context, after, progress: Progress::Unknown })
        })
    }

    fn look(&mut self, listener: &Listener) -> Option<Result<(), CallError>> {
        if let Some(error) = self.refused.take() {
            return Some(Err(error));
        }
        // However it ended, it has.
        self.watch.poll(listener).map(|_reason| Ok(()))
    }
}

impl Future for Shutdown {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match self.look(&Listener::task(task)) {
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").field(self.watch.context()).finish()
    }
}
