//! A thread that waits reads the link by which its answer will come, in the broker's place.

use std::{sync::Arc, time::Instant};

use offshoot_latch::Sleeper;
use offshoot_wire::ContextId;

use crate::{
    link::{Generation, Link},
    node::Node,
    wake::{Listener, wait_by},
};

/// The turn of a link.
pub(crate) struct Loan {
    pub(crate) link: Arc<Link>,
    pub(crate) generation: Generation,
}

/// The turn of a link until this is dropped, which must be before any user code runs: nobody else reads meanwhile.
pub(crate) struct Lease {
    node: Arc<dyn Node>,
    loan: Loan,
}

impl Lease {
    pub(crate) fn new(node: &Arc<dyn Node>, loan: Loan) -> Self {
        Self { node: Arc::clone(node), loan }
    }

    /// Sleeps until something has come by the link, and deals with it, or until `sleeper` is woken or `deadline` has
    /// passed. Runs no user code.
    fn rest(&self, sleeper: &Sleeper, deadline: Option<Instant>) {
        let Loan { link, generation } = &self.loan;
        if !link.turn.is_held(*generation) {
            return sleeper.sleep(deadline.as_ref());
        }
        match sleeper.fd().map(|fd| link.input().await_input(fd, deadline)) {
            // It may have been taken away meanwhile.
            Some(Ok(true)) if link.turn.is_held(*generation) => self.node.read(&self.loan),
            Some(Ok(_)) => {}
            // There is no way to sleep on both.
            Some(Err(_)) | None => self.node.give_back(&self.loan),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.node.give_back(&self.loan);
    }
}

/// As [`wait`](crate::wake::wait), and reads meanwhile the link by which the value comes: that of `lease`, or else the
/// one that `take` gives when there is need to sleep. `poll` runs no user code.
pub(crate) fn wait_reading<T>(
    mut lease: Option<Lease>,
    take: impl FnOnce() -> Option<Lease>,
    deadline: Option<Instant>,
    poll: impl FnMut(&Listener) -> Option<T>,
) -> Option<T> {
    let mut take = if lease.is_some() { None } else { Some(take) };
    wait_by(deadline, poll, |sleeper| {
        if let Some(take) = take.take() {
            lease = take();
        }
        match &lease {
            Some(lease) => lease.rest(sleeper, deadline),
            None => sleeper.sleep(deadline.as_ref()),
        }
    })
}

/// The turn of the link by which comes what `peer` sends, if it is free.
pub(crate) fn of(node: &Arc<dyn Node>, peer: ContextId) -> Option<Lease> {
    node.take_turn(peer).map(|loan| Lease::new(node, loan))
}
