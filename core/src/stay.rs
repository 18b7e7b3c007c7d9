//! A thread that has sent more than a link takes at once writes the rest itself, as soon as there is room, in the
//! broker's place: nobody is woken to write for it, nor is it woken to send the next.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{link::Link, node::Node};

/// How long a thread stays at most: what it has sent is on its way without it, too.
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
    pub(crate) fn see_off(mut self, deadline: Option<Instant>) {
        let longest = Instant::now().checked_add(LONGEST);
        let until = [longest, deadline].into_iter().flatten().min();
        // Woken by room, by the end of the link, and in the end by the clock.
        while self.has_token && self.link.output().await_room(until) {
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
