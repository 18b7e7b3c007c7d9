//! A thread that has sent more than a link takes at once writes the rest itself, as soon as there is room, in the
//! broker's place: nobody is woken to write for it, nor is it woken to send the next.

use std::{
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_latch::Sleeper;

use crate::{link::Link, node::Node};

/// How long a thread stays that has no need to wait: what it has sent is on its way without it, too.
const LONGEST: Duration = Duration::from_millis(20);

/// A link without room, with its writer token; dropped, it leaves the token to the broker.
#[must_use = "the broker writes what waits once this is dropped"]
pub(crate) struct Stalled {
    node: Arc<dyn Node>,
    link: Arc<Link>,
    has_token: bool,
}

impl Stalled {
    /// The token of `link` must be the caller's.
    pub(crate) fn new(node: &Arc<dyn Node>, link: Arc<Link>) -> Self {
        Self { node: Arc::clone(node), link, has_token: true }
    }

    /// Writes what waits for the link, for a short while, or until `deadline`. Runs no user code.
    pub(crate) fn see_off(self, deadline: Option<Instant>) {
        let longest = Instant::now().checked_add(LONGEST);
        self.write_until(None, [longest, deadline].into_iter().flatten().min());
    }

    /// The same, until `sleeper` is woken or `deadline` has passed.
    pub(crate) fn rest(self, sleeper: &Sleeper, deadline: Option<Instant>) {
        match sleeper.fd() {
            Some(fd) => self.write_until(Some(fd), deadline),
            // There is no way to sleep on both.
            None => {
                drop(self);
                sleeper.sleep(deadline.as_ref());
            }
        }
    }

    fn write_until(mut self, or: Option<BorrowedFd<'_>>, deadline: Option<Instant>) {
        // Woken by room, by the end of the link, by the sleeper if there is one, and in the end by the clock.
        while self.has_token && self.link.output().await_room(or, deadline) {
            self.has_token = self.node.write(&self.link);
        }
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        if self.has_token {
            self.node.leave_write(&self.link);
        }
    }
}
