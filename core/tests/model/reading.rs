//! Waiters and the broker read one link in turn.

use std::{collections::VecDeque, sync::Arc};

use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
use rustix::io;

use crate::{
    finds,
    flaw::Flaw,
    holds,
    sync::lock,
    turn::{Generation, Interest, Turn, Watch},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// The answer that one waiter waits for.
    Reply(usize),
    /// Nobody waits for it, and the broker must act on it.
    Shutdown,
}

/// Everything outside the turn: what lies in the socket, what the poller is asked for, who is told what.
#[derive(Default)]
struct World {
    socket: VecDeque<Frame>,
    is_armed: bool,
    is_broker_woken: bool,
    /// The broker is to look after a turn that was kept; the time for it may come at any moment.
    is_look_due: bool,
    shutdown_seen: bool,
    /// What each waiter's slot holds.
    answered: [bool; 2],
    late: [bool; 2],
    is_stopped: bool,
}

/// The one thing that the poller, the sleepers and the tests sleep on.
#[derive(Default)]
struct Outside {
    world: Mutex<World>,
    changed: Condvar,
}

impl Outside {
    fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut lock(&self.world));
        self.changed.notify_all();
    }

    fn sleep_until(&self, is_so: impl Fn(&World) -> bool) -> MutexGuard<'_, World> {
        let mut world = lock(&self.world);
        while !is_so(&world) {
            world = self.changed.wait(world).unwrap();
        }
        world
    }
}

impl Watch for Arc<Outside> {
    fn watch(&self, interest: Interest) -> io::Result<()> {
        self.change(|world| world.is_armed = interest.read);
        Ok(())
    }

    fn forget(&self) {
        self.change(|world| world.is_armed = false);
    }
}

/// A link, with what its poller and its peer do.
struct Link {
    turn: Turn<Arc<Outside>>,
    outside: Arc<Outside>,
    /// The lock of the decoder.
    reader: Mutex<()>,
}

impl Link {
    fn new() -> Arc<Self> {
        let outside = Arc::new(Outside::default());
        let link = Self { turn: Turn::new(Arc::clone(&outside)), outside, reader: Mutex::new(()) };
        link.turn.pause(false).unwrap();
        Arc::new(link)
    }

    fn comes(&self, frame: Frame) {
        self.outside.change(|world| world.socket.push_back(frame));
    }

    /// Takes all frames that are there, one by one, and gives each to whom it concerns.
    fn read(&self) {
        let _reader = lock(&self.reader);
        while let Some(frame) = { lock(&self.outside.world).socket.pop_front() } {
            self.outside.change(|world| match frame {
                Frame::Reply(to) => world.answered[to] = true,
                Frame::Shutdown => world.is_broker_woken = true,
            });
        }
    }

    /// The broker's rounds, until the model is over.
    fn broke_for_all(&self) {
        loop {
            let ready = |w: &World| {
                w.is_broker_woken || w.is_look_due || w.is_stopped || (w.is_armed && !w.socket.is_empty())
            };
            let mut world = self.outside.sleep_until(ready);
            if world.is_stopped {
                return;
            }
            world.shutdown_seen |= std::mem::take(&mut world.is_broker_woken);
            let is_told = world.is_armed && !world.socket.is_empty();
            let is_look_due = std::mem::take(&mut world.is_look_due);
            drop(world);
            self.outside.changed.notify_all();
            if is_look_due && self.turn.mind().unwrap() {
                self.outside.change(|world| world.is_look_due = true);
            }
            if is_told {
                if self.turn.is_brokers() {
                    self.read();
                }
                self.turn.renew().unwrap();
            }
        }
    }

    /// A call: takes the turn, sends, waits for the answer or for its deadline, gives the turn back.
    fn call(&self, me: usize, answer: impl FnOnce()) {
        let held = self.wait(me, answer);
        self.give(held);
    }

    /// The same, but keeps the turn.
    fn call_on(&self, me: usize, answer: impl FnOnce()) {
        if let Some(held) = self.wait(me, answer)
            && self.turn.keep(held)
        {
            self.outside.change(|world| world.is_look_due = true);
        }
    }

    fn wait(&self, me: usize, answer: impl FnOnce()) -> Option<Generation> {
        let held = self.turn.take().unwrap();
        answer();
        loop {
            let reads = held.is_some_and(|held| self.turn.is_held(held));
            let over = |w: &World| w.answered[me] || w.late[me];
            let world = self.outside.sleep_until(|w| over(w) || (reads && !w.socket.is_empty()));
            let (is_over, is_readable) = (over(&world), !world.socket.is_empty());
            drop(world);
            if is_over {
                break;
            }
            if is_readable && held.is_some_and(|held| self.turn.is_held(held)) {
                self.read();
            }
        }
        held
    }

    fn give(&self, held: Option<Generation>) {
        if let Some(held) = held {
            self.turn.give(held).unwrap();
        }
    }

    /// Waits until everything has been read and acted on, and ends the broker.
    fn settle(&self, wants_shutdown: bool) {
        drop(
            self.outside.sleep_until(|w| {
                w.socket.is_empty() && !w.is_broker_woken && w.shutdown_seen == wants_shutdown
            }),
        );
        self.outside.change(|world| world.is_stopped = true);
    }
}

fn broker(link: &Arc<Link>) -> thread::JoinHandle<()> {
    let link = Arc::clone(link);
    thread::spawn(move || link.broke_for_all())
}

/// SHUTDOWN comes before, between or after the answer; whoever reads it, the broker acts on it.
#[test]
fn a_waiter_is_answered_and_a_shutdown_obeyed() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let theirs = Arc::clone(&link);
        let peer = thread::spawn(move || theirs.comes(Frame::Shutdown));
        link.call(0, || link.comes(Frame::Reply(0)));
        link.settle(true);
        peer.join().unwrap();
        broker.join().unwrap();
    });
}

#[test]
fn a_turn_given_back_without_a_word_to_the_poller_loses_a_frame() {
    finds(Flaw::GiveSilently, "reading::a_waiter_is_answered_and_a_shutdown_obeyed");
    finds(Flaw::GiveSilently, "reading::two_waiters_are_answered_whoever_reads");
    finds(Flaw::GiveSilently, "reading::a_waiter_that_times_out_leaves_nothing_unread");
}

/// Two wait on one link; one reads for both, or the broker does.
#[test]
fn two_waiters_are_answered_whoever_reads() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let other = Arc::clone(&link);
        let second = thread::spawn(move || other.call(1, || other.comes(Frame::Reply(1))));
        link.call(0, || link.comes(Frame::Reply(0)));
        second.join().unwrap();
        link.settle(false);
        broker.join().unwrap();
    });
}

/// The deadline passes at any moment; the answer that comes too late is read all the same.
#[test]
fn a_waiter_that_times_out_leaves_nothing_unread() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let theirs = Arc::clone(&link);
        let clock = thread::spawn(move || theirs.outside.change(|world| world.late[0] = true));
        link.call(0, || link.comes(Frame::Reply(0)));
        link.settle(false);
        clock.join().unwrap();
        broker.join().unwrap();
    });
}

/// Back-pressure takes the turn away; the answer is read once the link is read again.
#[test]
fn a_turn_that_is_revoked_is_the_brokers() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let theirs = Arc::clone(&link);
        let pauser = thread::spawn(move || {
            theirs.turn.pause(true).unwrap();
            theirs.turn.pause(false).unwrap();
        });
        link.call(0, || link.comes(Frame::Reply(0)));
        pauser.join().unwrap();
        link.settle(false);
        broker.join().unwrap();
    });
}

#[test]
fn a_link_that_is_read_again_without_a_word_to_the_poller_keeps_its_frames() {
    finds(Flaw::ResumeSilently, "reading::a_turn_that_is_revoked_is_the_brokers");
}

/// The end of the link ends the call; nobody reads or watches it afterwards.
#[test]
fn a_link_that_ends_is_let_go() {
    holds(|| {
        let link = Link::new();
        let theirs = Arc::clone(&link);
        let broker = thread::spawn(move || {
            theirs.turn.close();
            theirs.outside.change(|world| world.answered[0] = true);
        });
        link.call(0, || ());
        broker.join().unwrap();
        assert!(!lock(&link.outside.world).is_armed && link.turn.take().unwrap().is_none());
    });
}

#[test]
fn a_link_that_has_ended_and_is_lent_is_watched_again() {
    finds(Flaw::LendTheEnded, "reading::a_link_that_ends_is_let_go");
}

/// A waiter keeps its turn and does not come back; what comes then is read all the same.
#[test]
fn a_turn_that_is_kept_for_nobody_is_the_brokers() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let theirs = Arc::clone(&link);
        let peer = thread::spawn(move || theirs.comes(Frame::Shutdown));
        link.call_on(0, || link.comes(Frame::Reply(0)));
        link.settle(true);
        peer.join().unwrap();
        broker.join().unwrap();
    });
}

#[test]
fn a_turn_kept_without_a_word_to_the_broker_loses_a_frame() {
    finds(Flaw::KeepUnminded, "reading::a_turn_that_is_kept_for_nobody_is_the_brokers");
}

#[test]
fn a_turn_taken_back_without_a_word_to_the_poller_loses_a_frame() {
    finds(Flaw::GiveSilently, "reading::a_turn_that_is_kept_for_nobody_is_the_brokers");
    finds(Flaw::GiveSilently, "reading::a_turn_that_is_kept_is_anothers_for_the_taking");
}

/// One keeps its turn while another has need of it, and comes back for it.
#[test]
fn a_turn_that_is_kept_is_anothers_for_the_taking() {
    holds(|| {
        let link = Link::new();
        let broker = broker(&link);
        let other = Arc::clone(&link);
        let second = thread::spawn(move || other.call(1, || other.comes(Frame::Reply(1))));
        link.call_on(0, || link.comes(Frame::Reply(0)));
        second.join().unwrap();
        link.settle(false);
        broker.join().unwrap();
    });
}

/// Who was revoked gives back what another has taken since.
#[test]
fn a_stale_turn_takes_nothing_from_the_next() {
    holds(|| {
        let link = Link::new();
        let stale = link.turn.take().unwrap();
        link.turn.pause(true).unwrap();
        link.turn.pause(false).unwrap();
        let theirs = Arc::clone(&link);
        let first = thread::spawn(move || theirs.give(stale));
        let held = link.turn.take().unwrap().unwrap();
        first.join().unwrap();
        assert!(link.turn.is_held(held));
    });
}

#[test]
fn giving_back_a_revoked_turn_robs_the_next() {
    finds(Flaw::GiveTwice, "reading::a_stale_turn_takes_nothing_from_the_next");
}

/// The broker is in the middle of an event while a waiter takes the turn.
#[test]
fn the_poller_is_silent_while_a_waiter_reads() {
    holds(|| {
        let link = Link::new();
        let theirs = Arc::clone(&link);
        let broker = thread::spawn(move || theirs.turn.renew().unwrap());
        let held = link.turn.take().unwrap().unwrap();
        broker.join().unwrap();
        assert!(!lock(&link.outside.world).is_armed);
        link.turn.give(held).unwrap();
        assert!(lock(&link.outside.world).is_armed);
    });
}

#[test]
fn a_broker_that_asks_for_what_another_reads_is_woken_for_nothing() {
    finds(Flaw::ArmWhileLent, "reading::the_poller_is_silent_while_a_waiter_reads");
}
