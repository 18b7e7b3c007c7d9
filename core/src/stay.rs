//! A thread that has sent more than a link takes at once writes the rest itself, as soon as there is room, in the
//! broker's place: nobody is woken to write for it, nor is it woken to send the next.

use std::{
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot_latch::Sleeper;
use rustix::io;

use crate::{
    here::Running,
    lease,
    link::{Berth, Link, Stay},
    node::Node,
    sync::later,
    wake::sleep,
};

/// How long a thread stays that has no need to wait: what it has sent is on its way without it, too.
const LONGEST: Duration = Duration::from_millis(20);

/// A link without room, with its writer token; dropped, it leaves the token to the broker.
#[must_use = "the broker writes what waits once this is dropped"]
pub(crate) struct Stalled(Stay<Place>);

/// A link of this context.
struct Place {
    node: Arc<Running>,
    link: Arc<Link>,
}

impl Berth for Place {
    fn write(&self) -> bool {
        self.node.write(&self.link)
    }

    fn leave(&self) {
        self.node.leave_write(&self.link);
    }
}

impl Place {
    fn await_room(&self, or: Option<BorrowedFd<'_>>, deadline: Option<Instant>) -> io::Result<bool> {
        // Who is to make room may wait for us to read.
        lease::let_go();
        self.link.output().await_room(or, deadline)
    }
}

impl Stalled {
    /// The token of `link` must be the caller's.
    pub(crate) fn new(node: &Arc<Running>, link: Arc<Link>) -> Self {
        Self(Stay::new(Place { node: Arc::clone(node), link }))
    }

    /// Writes what waits for the link, for a short while, or until `deadline`. Runs no user code.
    pub(crate) fn see_off(self, deadline: Option<Instant>) {
        let longest = later(LONGEST);
        let until = deadline.map_or(longest, |deadline| deadline.min(longest));
        // Woken by room, by the end of the link, and in the end by the clock. Where it cannot sleep it does not stay.
        drop(self.0.write_while(|place| is_ahead(until) && place.await_room(None, Some(until)) == Ok(true)));
    }

    /// The same, until `sleeper` is woken or `deadline` has passed; the link, if it still has no room for all.
    pub(crate) fn rest(self, sleeper: &Sleeper, deadline: Option<Instant>) -> Option<Self> {
        let mut can_sleep = true;
        let stay = self.0.write_while(|place| {
            // What was written may have served this very thread, which pulls no cord; and others may bring more to write
            // for as long as they like.
            if sleeper.is_rung() || !deadline.is_none_or(is_ahead) {
                return false;
            }
            // Woken by room, by the end of the link (of pipes that were cut, by that of what it waits for), by the sleeper, and in the end by the clock.
            let room = sleeper.fd().map(|fd| place.await_room(Some(fd), deadline));
            can_sleep = matches!(room, Some(Ok(_)));
            room == Some(Ok(true))
        })?;
        if can_sleep {
            return Some(Self(stay));
        }
        // There is no way to sleep on both.
        drop(stay);
        sleep(sleeper, deadline);
        None
    }
}

fn is_ahead(deadline: Instant) -> bool {
    Instant::now() < deadline
}
