//! A thread that waits reads the link by which its answer will come, in the broker's place.

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
    time::Instant,
};

use offshoot_latch::Sleeper;
use offshoot_wire::ContextId;

use crate::{
    ever::Ever,
    here::Running,
    link::{Generation, Link},
    node::Node,
    wake::{Listener, wait_by},
};

static KEEPS: Ever = Ever::new();

/// Whether a turn was ever kept: only who receives items keeps any.
pub(crate) fn has_kept() -> bool {
    KEEPS.began()
}

/// The turn of a link.
pub(crate) struct Loan {
    pub(crate) link: Arc<Link>,
    pub(crate) generation: Generation,
}

/// The turn of a link until this is dropped, which must be before any user code runs: nobody else reads meanwhile, unless
/// it is [kept](Self::keep).
pub(crate) struct Lease {
    node: Arc<Running>,
    loan: Loan,
    /// The broker would be woken by the turn, for what the last read left.
    has_more: bool,
    is_kept: bool,
}

impl Lease {
    pub(crate) fn new(node: &Arc<Running>, loan: Loan) -> Self {
        Self { node: Arc::clone(node), loan, has_more: false, is_kept: false }
    }

    /// Ends it, and keeps the turn if more is there to be read: for a thread that will be back at once, but may run user
    /// code before. Others can have the turn meanwhile.
    pub(crate) fn keep(mut self) {
        KEEPS.begin();
        self.is_kept = self.has_more;
    }

    /// Sleeps until something has come by the link, and deals with it, or until `sleeper` is woken or `deadline` has
    /// passed. Runs no user code.
    fn rest(&mut self, sleeper: &Sleeper, deadline: Option<Instant>) {
        let Loan { link, generation } = &self.loan;
        if !link.turn.is_held(*generation) {
            return sleeper.sleep(deadline.as_ref());
        }
        match sleeper.fd().map(|fd| link.input().await_input(fd, deadline)) {
            // It may have been taken away meanwhile.
            Some(Ok(true)) if link.turn.is_held(*generation) => self.has_more = self.node.read(&self.loan),
            Some(Ok(_)) => {}
            // There is no way to sleep on both.
            Some(Err(_)) | None => self.node.give_back(&self.loan),
        }
    }
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// A turn that this thread keeps while it is away; nothing is held by it.
struct Kept {
    node: Weak<Running>,
    link: Weak<Link>,
    generation: Generation,
}

/// Gives back what this thread keeps: it is about to wait for something that may come by that very link.
pub(crate) fn let_go() {
    if !has_kept() {
        return;
    }
    let kept = KEPT.try_with(RefCell::take).ok().flatten();
    let Some(Kept { node, link, generation }) = kept else { return };
    if let (Some(node), Some(link)) = (node.upgrade(), link.upgrade()) {
        node.give_back(&Loan { link, generation });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_kept && has_kept() {
            let Loan { link, generation } = &self.loan;
            let (node, link) = (Arc::downgrade(&self.node), Arc::downgrade(link));
            let kept = Kept { node, link, generation: *generation };
            // A thread that is ending will not be back, and the broker sees that.
            drop(KEPT.try_with(|place| place.replace(Some(kept))));
            self.node.keep(&self.loan);
        } else {
            self.node.give_back(&self.loan);
        }
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
    wait_with(&mut lease, take, deadline, poll)
}

/// As [`wait_reading`], for a caller who ends the lease himself.
pub(crate) fn wait_with<T>(
    lease: &mut Option<Lease>,
    take: impl FnOnce() -> Option<Lease>,
    deadline: Option<Instant>,
    poll: impl FnMut(&Listener) -> Option<T>,
) -> Option<T> {
    let mut take = if lease.is_some() { None } else { Some(take) };
    wait_by(deadline, poll, |sleeper| {
        if let Some(take) = take.take() {
            *lease = take();
        }
        // It is another's by now if it was taken again.
        let_go();
        match lease {
            Some(lease) => lease.rest(sleeper, deadline),
            None => sleeper.sleep(deadline.as_ref()),
        }
    })
}

/// The turn of the link by which comes what `peer` sends, if it is free.
pub(crate) fn of(node: &Arc<Running>, peer: ContextId) -> Option<Lease> {
    node.take_turn(peer).map(|loan| Lease::new(node, loan))
}
