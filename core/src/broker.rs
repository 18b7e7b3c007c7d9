//! The broker thread: waits for what comes by the links, gives it to the machine, and watches the time.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    forward::Record,
    here::Here,
    lease::Loan,
    link::{Channel, Found, Link, LinkEnd, Ready, TakenIn},
    machine::{Event, Routes},
    shared::{Effects, Shared, Way},
    sync::{self, Thread, lock},
};

/// What is read from one link before the others have their turn: bytes, and [`FRAME_COST`](offshoot_wire::FRAME_COST) more
/// for each frame, since empty ones keep others waiting, too.
const READ_QUANTUM: usize = 64 * 1024;
/// The same, of a link that is to end: no more can be under way on one, be it a mebibyte of empty frames.
const LAST_QUANTUM: usize = 6 << 20;
/// Bytes that are written to one link before the others have their turn.
pub(crate) const WRITE_QUANTUM: usize = 256 * 1024;
/// Rounds of input that go before a timer that is due; more would let a flood stop the time. Of each link they read 256 KiB
/// at least, which is more than a socket holds.
const ROUNDS_BEFORE_TIMER: usize = 16;

/// The running broker of a context.
#[derive(Debug)]
pub struct Broker {
    thread: Thread,
}

impl Broker {
    /// Waits until the broker has ended, which [`Shared::stop`] makes it do at once: it runs no user code. Must not be
    /// called by the broker itself.
    pub fn join(self) {
        // If it panicked, everybody who waited has been told by its guard.
        self.thread.join();
    }

    /// Whether the calling thread is this broker.
    #[must_use]
    pub fn is_me(&self) -> bool {
        self.thread.is_current()
    }
}

/// Starts the broker of a context.
///
/// # Errors
/// No thread can be started.
pub fn spawn<R: Here>(shared: &Arc<Shared<R>>) -> io::Result<Broker> {
    let rounds = Rounds { shared: Arc::clone(shared) };
    // An error is one of the poller, which ends the broker and with it everything that waits.
    let body = move || drop(rounds.run());
    let thread = sync::spawn("offshoot-broker", Box::new(body))?;
    Ok(Broker { thread })
}

/// Tells everybody who waits, even if the broker panics.
struct Guard<R: Here>(Arc<Shared<R>>);

impl<R: Here> Drop for Guard<R> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct Rounds<R: Routes> {
    shared: Arc<Shared<R>>,
}

impl<R: Here> Rounds<R> {
    fn run(self) -> io::Result<()> {
        let _guard = Guard(Arc::clone(&self.shared));
        let mut found = Found::new();
        while !self.shared.is_stopped() {
            let until = self.shared.sleep_until();
            // Woken by a link, a timer, or by whoever changed what is waited for.
            self.poll(&mut found, until.map(|at| at.saturating_duration_since(Instant::now())))?;
            self.judge_timers(&mut found)?;
        }
        Ok(())
    }

    /// Waits for events and serves them; tells whether there were any.
    fn poll(&self, found: &mut Found, timeout: Option<Duration>) -> io::Result<bool> {
        let waited = self.shared.poller.wait(found, timeout);
        self.shared.woke();
        waited?;
        let mut is_any = false;
        for ready in found.iter() {
            is_any = true;
            self.serve(ready);
        }
        for (link, end) in self.shared.take_condemned() {
            self.shared.read_link(&link, LAST_QUANTUM);
            self.shared.down(&link, &end);
        }
        Ok(is_any)
    }

    fn serve(&self, ready: Ready) {
        let (channel, index) = Channel::of(ready.key);
        match channel {
            Channel::Captured => {
                if let Some(capture) = lock(&self.shared.stdio).get_mut(index) {
                    capture.turn(index, &self.shared.sink);
                }
            }
            Channel::Stderr if !R::HAS_CHILDREN => {}
            Channel::Stderr => {
                if let Some(link) = self.shared.link_at(index) {
                    self.shared.overhear(&link);
                }
            }
            Channel::Main | Channel::Output => {
                if let Some(link) = self.shared.link_at(index) {
                    self.serve_link(&link, ready.readable && channel == Channel::Main, ready.writable);
                }
            }
        }
    }

    fn serve_link(&self, link: &Arc<Link>, is_readable: bool, is_writable: bool) {
        if is_writable && link.turn.take_write_wish() {
            let mut effects = Effects::default();
            self.shared.flush(link, WRITE_QUANTUM, &mut effects);
            self.shared.act(effects);
        }
        // A hang-up is told of a link that is not to be read, too; it is found when it is read again.
        if is_readable && link.turn.is_brokers() {
            let end = self.shared.read_link(link, READ_QUANTUM);
            if let Some(end) = end {
                return self.shared.down(link, &end);
            }
        }
        self.shared.watch_link(link, link.turn.renew());
    }

    /// All input that waits is read before a timer is judged: after this process was stopped, what came in the
    /// meantime counts as having come in time.
    fn judge_timers(&self, found: &mut Found) -> io::Result<()> {
        let mut now = self.shared.now();
        let [is_timer_due, is_rest_due, is_look_due] = self.shared.is_due(now);
        if is_rest_due {
            self.shared.with(|state, _| state.write_rested());
        }
        if is_look_due {
            self.shared.mind_kept();
        }
        if is_timer_due {
            for _ in 0..ROUNDS_BEFORE_TIMER {
                now = self.shared.now();
                if !self.poll(found, Some(Duration::ZERO))? {
                    break;
                }
            }
            // Of what others read the poller tells nothing.
            for link in self.shared.lent_links() {
                if let Some(end) = self.shared.read_rounds(&link) {
                    self.shared.down(&link, &end);
                }
            }
            self.shared.with(|state, _| state.machine.handle(now, Event::Due, &mut state.out));
        }
        if let Some(life) = &self.shared.life {
            life.judge(Instant::now());
        }
        Ok(())
    }
}

impl<R: Here> Shared<R> {
    /// Reads a link once, as much as `quantum` says, and gives what came to the machine; tells why nothing more will
    /// come, if so.
    pub(crate) fn read_link(&self, link: &Arc<Link>, quantum: usize) -> Option<LinkEnd> {
        self.read_some(link, quantum).end
    }

    /// Reads a link as often as goes before a timer; tells why nothing more will come, if so.
    fn read_rounds(&self, link: &Arc<Link>) -> Option<LinkEnd> {
        let rounds = (0..ROUNDS_BEFORE_TIMER).map(|_| self.read_some(link, READ_QUANTUM));
        rounds.take_while(|taken| taken.has_more || taken.end.is_some()).find_map(|taken| taken.end)
    }

    fn read_some(&self, link: &Arc<Link>, quantum: usize) -> TakenIn {
        let mut effects = Effects::default();
        let mut reader = lock(&link.reader);
        let taken = reader.take_in(link.input(), link.key, quantum);
        if let Some(hooks) = self.hooks() {
            for event in &reader.input {
                if let Event::Frame { frame, .. } = event {
                    hooks.frame(link.key, Way::In, frame);
                }
            }
        }
        self.decide(Some(link.key), &mut effects, |state, at| {
            let now = self.since_start(at);
            if taken.bytes > 0 {
                state.machine.heard(now, link.key);
            }
            for event in reader.input.drain(..) {
                state.machine.handle(now, event, &mut state.out);
            }
        });
        drop(reader);
        self.act(effects);
        taken
    }

    /// As [`read_link`](Self::read_link), for a thread that holds the link's turn; whether there is more.
    pub(crate) fn read_lent(&self, loan: &Loan) -> bool {
        let taken = self.read_some(&loan.link, READ_QUANTUM);
        if let Some(end) = taken.end {
            // Only the broker declares a link down, and nobody is to find its end again until then.
            self.watch_link(&loan.link, loan.link.turn.pause(true));
            self.condemn(&loan.link, end);
        }
        taken.has_more
    }

    /// Takes what had come before the poller knew the link, and leaves the rest to the broker.
    pub(crate) fn begin_reading(&self, link: &Arc<Link>) {
        match self.read_link(link, READ_QUANTUM) {
            Some(end) => self.condemn(link, end),
            None => self.watch_link(link, link.turn.pause(false)),
        }
    }

    /// The link has ended, and what it brought has been read.
    fn down(&self, link: &Arc<Link>, end: &LinkEnd) {
        // What this side has cut, and what has ended with its process, is seen to hang up as well, perhaps by a thread that
        // reads it while the broker is on its way here with the cut.
        let verdict = self.take_verdict(link).filter(|_| end.is_closed);
        let end = verdict.as_ref().unwrap_or(end);
        link.turn.close();
        link.input().shut();
        if R::HAS_CHILDREN {
            // As long as the link is there, its rate is.
            self.overhear_last(link);
        }
        let was_there = self.with(|state, now| {
            // Before the machine forgets it.
            let name = R::HAS_CHILDREN.then(|| self.name_in(state, link.key.peer));
            state.links.remove(link.key)?;
            let event = Event::LinkDown { link: link.key, reason: end.reason.clone() };
            state.machine.handle(now, event, &mut state.out);
            Some(name)
        });
        if let Some(name) = was_there {
            if let Some((watcher, name)) = link.watcher.as_ref().zip(name) {
                let failure = lock(&link.reader).fail(end);
                match failure {
                    Some(failure) => watcher.failed(failure),
                    None => {
                        watcher.down(&end.reason);
                        self.tell_cut(link, &name, end);
                    }
                }
            }
            self.link_gone();
        }
    }

    /// Says that this side will have no more of a child. What ended by itself was wanted, or is told by who waits for it.
    fn tell_cut(&self, link: &Link, name: &str, end: &LinkEnd) {
        if !end.is_closed {
            let (peer, reason) = (link.key.peer, &end.reason);
            let text = format_args!("the link to context {peer}, {name}, was cut: {reason}");
            self.sink.record(Record::new(log::Level::Warn, "offshoot", text));
        }
    }
}
