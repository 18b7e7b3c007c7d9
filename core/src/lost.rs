//! Waiting for the end of a context that nobody asked to end.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use offshoot_wire::Handle;

use crate::{
    Context, TimedOut,
    machine::{Outcome, Progress},
    node::{CallSink, Held, Node as _},
    open::Slot,
    sync::later,
    wake::{Listener, Ticket, wait},
};

/// Ends when a context is lost, with the reason; see [`Context::lost`].
///
/// Of a context that is gone already it tells at once.
pub struct Lost {
    watch: Watch,
}

impl Lost {
    pub(crate) fn new(context: &Context) -> Self {
        Self { watch: Watch::new(context) }
    }

    /// Waits until the context is lost; the reason.
    #[must_use]
    pub fn wait(mut self) -> String {
        wait(None, |listener| self.watch.poll(listener)).unwrap_or_default()
    }

    /// Waits for at most `timeout` until the context is lost; the reason.
    ///
    /// # Errors
    /// [`TimedOut`] if it is not lost then.
    pub fn wait_timeout(self, timeout: Duration) -> Result<String, TimedOut> {
        self.wait_deadline(later(timeout))
    }

    /// Waits until `deadline` at most until the context is lost; the reason.
    ///
    /// # Errors
    /// [`TimedOut`] if it is not lost then.
    pub fn wait_deadline(mut self, deadline: Instant) -> Result<String, TimedOut> {
        wait(Some(deadline), |listener| self.watch.poll(listener)).ok_or(TimedOut)
    }
}

impl Future for Lost {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<String> {
        match self.watch.poll(&Listener::task(task)) {
            Some(reason) => Poll::Ready(reason),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lost").field(&self.watch.context).finish()
    }
}

/// Learns once that a context is gone.
pub(crate) struct Watch {
    context: Context,
    slot: Arc<Slot>,
    /// None if it had gone before.
    handle: Option<Handle>,
    ticket: Ticket,
}

impl Watch {
    pub(crate) fn new(context: &Context) -> Self {
        let node = context.node();
        let slot = Arc::new(Slot::default());
        let handle = node.watch(context.id(), Arc::clone(&slot) as _);
        if handle.is_none() {
            let (id, name) = (context.id(), context.name().to_owned());
            let reason = "it is gone".to_owned();
            drop(slot.end(Outcome::Lost { id, name, reason, progress: Progress::NotSent }));
        }
        Self { context: context.clone(), slot, handle, ticket: None }
    }

    /// The reason, once there is one.
    pub(crate) fn poll(&mut self, listener: &Listener) -> Option<String> {
        if !self.slot.poll_ended(&mut self.ticket, listener) {
            return None;
        }
        match self.slot.take()? {
            Outcome::Lost { reason, .. } => Some(reason),
            _ => Some("this context is ending".to_owned()),
        }
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.filter(|_| !self.slot.has_ended()) {
            self.context.node().unwatch(Held::by(&*self.slot, handle));
        }
    }
}
