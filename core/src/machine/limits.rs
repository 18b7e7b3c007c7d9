//! Every bound of the machine, with its unit and its reason.

/// What every window begins with (protocol 8.1).
const WINDOW_START: u32 = 16 << 10;

/// The bounds by which a context lives; the defaults are those of the design.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body, in bytes: what one call, answer or item may carry.
    pub body: u32,
    /// Bytes of control frames that may wait on one link, news of contexts left out; over it the link is cut.
    pub control: u32,
    /// Bytes of news of contexts, made or lost, that may wait on one link: room for 7,000 that come one by one or
    /// 150,000 that go at once. Over it the link is cut; over half of it, on the uplink, the child that tells more.
    pub news: u32,
    /// The window that a new correspondent may use, in bytes: all contexts of a tree count on the same, 16 KiB, and no other
    /// passes the [`check`](Self::check).
    pub window_start: u32,
    /// The largest window of one correspondent, in bytes.
    pub window_max: u32,
    /// What all windows together may grow by, in bytes; those of all who come by one link, ancestors left out, by no more than
    /// is left for all others.
    pub receive_budget: u64,
    /// Frames of one child that may wait for the uplink, in bytes; over it the child is not read.
    pub uplink_child: u64,
    /// The same once `uplink_all` bytes wait there.
    pub uplink_child_crowded: u64,
    /// Bytes on the uplink from which on every child gets less.
    pub uplink_all: u64,
    /// Bytes that may wait for a child; over it the destination that holds most is refused. And of our own answers by one link
    /// to others than ancestors: from there on who owes credit for one of them may not call for another, from twice of it on nobody.
    pub downlink: u64,
    /// Bodies in the making by one link.
    pub partial_bodies: u32,
    /// Bytes of bodies in the making by one link, or one larger body; those that are no longer than a `partial_bodies`th of it
    /// are bounded by their number alone.
    pub partial_bytes: u64,
    /// Calls of ours in flight to one context; over it a call is refused as busy. Of others than ancestors so many that came by
    /// one link may be unanswered: from there on who has one of them is refused, from twice of it on everybody.
    pub calls_in_flight: u32,
    /// Bytes of calls of others than ancestors that came by one link and wait for a worker, 512 counted for each beside its
    /// body: as much as the windows of a link may have grown by. From there on who has a call that is not answered is
    /// refused, from twice of it on everybody.
    pub calls_waiting: u64,
    /// Failed chains remembered for one caller; of all that are no ancestors 64 times as many. Beyond that all chains of a
    /// caller that began before the one that failed count as failed.
    pub failed_chains: u32,
    /// Grants remembered.
    pub grants: u32,
    /// Log records and lines of one link that are taken in one second; the rest is counted.
    pub records: u32,
    /// A link that is idle so long is asked for a PONG, in milliseconds; 0 never.
    pub ping_ms: u32,
    /// So many PINGs without any byte in answer, and the link is lost.
    pub pings_lost: u32,
    /// A call that has not ended after so long tells its caller that it began, in milliseconds.
    pub started_ms: u32,
    /// How long a child may take to end once told to, before it is made to, in milliseconds.
    pub grace_ms: u32,
}

impl Limits {
    /// Checks that a tree can live by these bounds.
    ///
    /// # Errors
    /// Names a bound that is too small, and what it must be at least.
    pub fn check(&self) -> Result<(), String> {
        /// What one control frame may take.
        const CONTROL_FRAME: u64 = 8 << 10;
        /// What the refusals of all that one turn of reading can bring may take: of 1,056 headers, each for a handle of its
        /// own. Others can bring a link to half above its bound, and at twice that it is cut: half of it must hold these.
        const REFUSALS: u64 = 2 << 20;
        let least: [(_, u64, u64); 9] = [
            // An answer that names a long error.
            ("body", self.body.into(), 64 << 10),
            ("control", self.control.into(), CONTROL_FRAME),
            ("news", self.news.into(), CONTROL_FRAME),
            ("window_max", self.window_max.into(), self.window_start.into()),
            ("downlink", self.downlink, 2 * REFUSALS),
            ("partial_bodies", self.partial_bodies.into(), 1),
            ("calls_in_flight", self.calls_in_flight.into(), 1),
            ("calls_waiting", self.calls_waiting, 1),
            ("pings_lost", self.pings_lost.into(), 1),
        ];
        if self.window_start != WINDOW_START {
            let is = self.window_start;
            return Err(format!(
                "the limit `window_start` is {is}, and must be {WINDOW_START}, as at the other end"
            ));
        }
        match least.iter().find(|(_, is, least)| is < least) {
            None => Ok(()),
            Some((name, is, least)) => {
                Err(format!("the limit `{name}` is {is}, and must be at least {least}"))
            }
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 128 << 20,
            control: 64 << 10,
            news: 1 << 20,
            window_start: WINDOW_START,
            window_max: 1 << 20,
            receive_budget: 64 << 20,
            uplink_child: 256 << 10,
            uplink_child_crowded: 64 << 10,
            uplink_all: 32 << 20,
            downlink: 64 << 20,
            partial_bodies: 64,
            partial_bytes: 8 << 20,
            calls_in_flight: 65_536,
            calls_waiting: 32 << 20,
            failed_chains: 1024,
            grants: 4096,
            records: 1000,
            ping_ms: 10_000,
            pings_lost: 3,
            started_ms: 20,
            grace_ms: 2_000,
        }
    }
}
