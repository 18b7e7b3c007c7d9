//! Senders write a link themselves, or queue behind whoever writes, or let a frame rest, or stay until there is room; the
//! broker goes on where nobody stays, and writes what has rested long enough.

use std::{
    collections::VecDeque,
    sync::{self, Arc},
};

use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
use rustix::io::{self, Errno};

use crate::{
    finds,
    flaw::{Flaw, has},
    holds,
    sync::lock,
    token::{Berth, Outflow, Stay, Taken, Token, take_or_give, write_out},
    turn::{Interest, Turn, Watch},
};

/// What a sender may write of others' frames: one of them.
const QUANTUM: usize = 1;

#[derive(Default)]
struct Queue {
    token: Token,
    frames: VecDeque<u8>,
}

/// A socket that takes one frame at a time, and what the poller was asked to tell of it.
#[derive(Default)]
struct Socket {
    full: Option<u8>,
    /// Nobody will take what is written.
    has_ended: bool,
    asked: Interest,
    /// There has been news since the poller was asked.
    is_news: bool,
    /// Something may have rested long enough.
    is_rest_due: bool,
    /// Who stays has no more time.
    is_late: bool,
    /// Somebody has learnt that nothing can be written any more.
    is_condemned: bool,
    is_stopped: bool,
}

impl Socket {
    const fn has_room(&self) -> bool {
        self.full.is_none() || self.has_ended
    }

    /// Whether the broker is told of room.
    fn is_told(&self) -> bool {
        self.asked.write && self.has_room() && (self.is_news || !has(Flaw::TellOfChange))
    }
}

/// The one thing that the poller, the peer and whoever stays sleep on.
#[derive(Default)]
struct Outside {
    socket: Mutex<Socket>,
    changed: Condvar,
}

impl Outside {
    fn change(&self, change: impl FnOnce(&mut Socket)) {
        change(&mut lock(&self.socket));
        self.changed.notify_all();
    }

    fn sleep_until(&self, is_so: impl Fn(&Socket) -> bool) -> MutexGuard<'_, Socket> {
        let mut socket = lock(&self.socket);
        while !is_so(&socket) {
            socket = self.changed.wait(socket).unwrap();
        }
        socket
    }
}

impl Watch for Arc<Outside> {
    fn watch(&self, asked: Interest) -> io::Result<()> {
        self.change(|socket| (socket.asked, socket.is_news) = (asked, false));
        Ok(())
    }

    fn forget(&self) {
        self.change(|socket| socket.asked = Interest::default());
    }
}

struct Link {
    queue: Mutex<Queue>,
    /// What was taken from the queue; only the holder of the token is here, and so it is no step to be here.
    batch: sync::Mutex<VecDeque<u8>>,
    turn: Turn<Arc<Outside>>,
    outside: Arc<Outside>,
}

struct Flow<'a> {
    link: &'a Link,
    may_rest: bool,
    /// Who writes waits for room himself.
    stays: bool,
    /// He keeps the token for that.
    is_stalled: bool,
}

impl<'a> Flow<'a> {
    const fn new(link: &'a Link) -> Self {
        Self { link, may_rest: false, stays: false, is_stalled: false }
    }
}

impl Outflow for Flow<'_> {
    fn is_begun(&self) -> bool {
        // One frame may have company before it is written.
        false
    }

    fn refill(&mut self) -> bool {
        let mut batch = self.link.batch.try_lock().expect("two write at once");
        let take = |queue: &mut Queue| {
            let room = 2_usize.saturating_sub(batch.len());
            batch.extend(queue.frames.drain(..queue.frames.len().min(room)));
            match batch.len() {
                0 => Taken::Nothing,
                1 if self.may_rest => Taken::ToRest,
                _ => Taken::ToWrite,
            }
        };
        take_or_give(&self.link.queue, take, |queue| Some(&mut queue.token)).0 == Taken::ToWrite
    }

    fn write(&mut self) -> io::Result<usize> {
        let mut batch = self.link.batch.try_lock().expect("two write at once");
        let mut socket = lock(&self.link.outside.socket);
        if socket.has_ended {
            return Err(Errno::PIPE);
        }
        if socket.full.is_some() {
            return Err(Errno::WOULDBLOCK);
        }
        socket.full = batch.pop_front();
        self.link.outside.changed.notify_all();
        Ok(1)
    }

    fn leave_to_broker(&mut self) {
        if self.stays {
            self.is_stalled = true;
        } else {
            self.link.turn.want_write().unwrap();
        }
    }

    fn broke(&mut self, error: Errno) {
        assert_eq!(error, Errno::PIPE);
        self.link.outside.change(|socket| socket.is_condemned = true);
    }
}

impl Berth for &Link {
    fn write(&self) -> bool {
        let mut flow = Flow { stays: true, ..Flow::new(self) };
        write_out(&mut flow, QUANTUM);
        flow.is_stalled
    }

    fn leave(&self) {
        self.turn.want_write().unwrap();
    }
}

impl Link {
    fn new() -> Arc<Self> {
        let outside = Arc::new(Outside::default());
        let turn = Turn::new(Arc::clone(&outside));
        let (queue, batch) = (Mutex::default(), sync::Mutex::default());
        Arc::new(Self { queue, batch, turn, outside })
    }

    fn send(&self, frame: u8) {
        if self.queue(frame) {
            self.write(QUANTUM);
        }
    }

    /// Sends what need not be written at once.
    fn send_soon(&self, frame: u8) {
        if self.queue(frame) {
            write_out(&mut Flow { may_rest: true, ..Flow::new(self) }, QUANTUM);
        }
        self.outside.change(|socket| socket.is_rest_due = true);
    }

    /// Whether who has queued it may write.
    fn queue(&self, frame: u8) -> bool {
        let mut queue = lock(&self.queue);
        queue.frames.push_back(frame);
        queue.token.take()
    }

    fn write(&self, quantum: usize) {
        write_out(&mut Flow::new(self), quantum);
    }

    /// Sends a frame as who sends in bulk: what waits then he writes himself, as long as he is told that there is room.
    fn send_and_stay(&self, frame: u8, mut await_room: impl FnMut(&Self) -> bool) {
        // What another has left to the broker he takes from it.
        let is_stalled = if self.queue(frame) { self.berth_write() } else { self.turn.take_write().unwrap() };
        if is_stalled {
            drop(Stay::new(self).write_while(|link| await_room(link)));
        }
    }

    fn berth_write(&self) -> bool {
        Berth::write(&self)
    }

    /// Whether there is room before there is no more time.
    fn await_room(&self) -> bool {
        let socket = self.outside.sleep_until(|socket| socket.has_room() || socket.is_late);
        socket.has_room() && !socket.is_late
    }

    /// The broker's rounds, until the model is over: it writes where it was left to, and what has rested.
    fn broke(&self) {
        while self.serve(|socket| socket.is_stopped) {}
    }

    /// One round of the broker; false if there is nothing for it to do, and it `is_over`.
    fn serve(&self, is_over: impl Fn(&Socket) -> bool) -> bool {
        let is_awake = |socket: &Socket| socket.is_told() || socket.is_rest_due;
        let mut socket = self.outside.sleep_until(|socket| is_awake(socket) || is_over(socket));
        if !is_awake(&socket) {
            return false;
        }
        let is_rest_due = std::mem::take(&mut socket.is_rest_due);
        drop(socket);
        if self.turn.take_write_wish() || (is_rest_due && self.take_rested()) {
            self.write(2);
        }
        self.turn.renew().unwrap();
        true
    }

    fn take_rested(&self) -> bool {
        let token = &mut lock(&self.queue).token;
        token.has_rest() && token.take()
    }

    /// The peer takes a frame.
    fn receive(&self) -> u8 {
        let mut socket = self.outside.sleep_until(|socket| socket.full.is_some());
        let frame = socket.full.take().unwrap();
        socket.is_news = true;
        drop(socket);
        self.outside.changed.notify_all();
        frame
    }
}

type Sender = fn(&Link);

fn spawn(link: &Arc<Link>, run: Sender) -> thread::JoinHandle<()> {
    let link = Arc::clone(link);
    thread::spawn(move || run(&link))
}

/// All frames came, each sender's in order: those of one of them are below 10, in order. Nobody is left with the token.
fn assert_all<const N: usize>(link: &Link, mut came: [u8; N], frames: [u8; N]) {
    assert!(lock(&link.queue).token.is_idle(), "somebody keeps the token");
    assert!(came.iter().filter(|frame| **frame < 10).is_sorted(), "{came:?}");
    came.sort_unstable();
    assert_eq!(came, frames);
}

/// Some threads send, and so do we, then we receive; the broker helps meanwhile.
fn all_come<const S: usize, const N: usize>(senders: [Sender; S], ours: Sender, frames: [u8; N]) {
    holds(move || {
        let link = Link::new();
        let broker = spawn(&link, Link::broke);
        let senders = senders.map(|sender| spawn(&link, sender));
        ours(&link);
        let came = frames.map(|_| link.receive());
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        link.outside.change(|socket| socket.is_stopped = true);
        broker.join().unwrap();
        assert_all(&link, came, frames);
    });
}

/// Two threads run, and we are broker and peer in one: with more than a frame for each, a fourth thread takes minutes.
fn all_come_of_two<const N: usize>(threads: [Sender; 2], frames: [u8; N]) {
    holds(move || {
        let link = Link::new();
        let threads = threads.map(|run| spawn(&link, run));
        let came = frames.map(|_| {
            while link.serve(|socket| socket.full.is_some()) {}
            link.receive()
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        while link.serve(|_| true) {}
        assert_all(&link, came, frames);
    });
}

const TWO: Sender = |link| {
    link.send(1);
    link.send(2);
};

/// Two send, two frames and one.
#[test]
fn what_two_send_comes_once_and_in_order() {
    all_come_of_two([TWO, |link| link.send(10)], [1, 2, 10]);
}

/// The same, and the peer receives while the broker writes; the second sender is the peer before.
#[test]
fn what_two_send_comes_while_the_broker_writes() {
    all_come([TWO], |link| link.send(10), [1, 2, 10]);
}

/// Two senders, the broker and the peer, all at once.
#[test]
fn what_three_write_comes_once() {
    all_come([|link| link.send(1), |link| link.send(10)], |_| (), [1, 10]);
}

/// One lets its frame rest while another writes: all come, though nothing follows.
#[test]
fn what_rests_is_written_with_what_comes_or_by_the_broker() {
    all_come([|link| link.send(10)], |link| link.send_soon(1), [1, 10]);
}

/// Stays until there has been room so often.
fn times(mut left: u32) -> impl FnMut(&Link) -> bool {
    move |link| {
        let goes_on = left > 0 && link.await_room();
        left = left.saturating_sub(1);
        goes_on
    }
}

/// Two stay, and go before or after all has been written.
#[test]
fn what_two_write_who_stay_comes_by_whomever() {
    let two: Sender = |link| {
        link.send_and_stay(1, times(1));
        link.send_and_stay(2, times(1));
    };
    all_come_of_two([two, |link| link.send_and_stay(10, times(1))], [1, 2, 10]);
}

/// One takes from the broker what another has left to it, while it looks.
#[test]
fn who_stays_takes_the_token_from_the_broker() {
    all_come_of_two([TWO, |link| link.send_and_stay(10, Link::await_room)], [1, 2, 10]);
}

/// One that could stay does not.
#[test]
fn who_goes_at_once_leaves_the_token_to_the_broker() {
    let ours: Sender = |link| {
        link.send(1);
        link.send_and_stay(2, |_| false);
    };
    all_come([ours], |_| (), [1, 2]);
}

/// The time of one that stays is over when room comes, or just before, or just after.
#[test]
fn room_that_meets_the_end_of_a_stay_is_used() {
    let ours: Sender = |link| {
        link.send(1);
        link.send_and_stay(2, Link::await_room);
    };
    all_come_of_two([ours, |link| link.outside.change(|socket| socket.is_late = true)], [1, 2]);
}

/// The link ends while one stays, or before, or after: nobody waits for room any more.
#[test]
fn who_stays_at_a_link_that_ends_goes() {
    holds(|| {
        let link = Link::new();
        let sender = spawn(&link, |link| {
            link.send(1);
            link.send_and_stay(2, Link::await_room);
        });
        let broker = spawn(&link, |link| {
            while link.serve(|socket| socket.is_condemned) {}
            link.turn.close();
        });
        link.outside.change(|socket| socket.has_ended = true);
        sender.join().unwrap();
        broker.join().unwrap();
        assert_eq!(lock(&link.outside.socket).asked, Interest::default());
    });
}

/// One writes its frame itself, while behind another's that found no room frames are queued that the broker writes.
#[test]
fn what_is_written_directly_passes_nothing_that_was_queued() {
    let ours: Sender = |link| {
        link.send(1);
        link.send_soon(2);
        link.send(3);
    };
    all_come_of_two([ours, |_| ()], [1, 2, 3]);
}

#[test]
fn what_rests_unknown_to_anybody_stays_behind() {
    finds(Flaw::RestSilently, "writing::what_rests_is_written_with_what_comes_or_by_the_broker");
}

#[test]
fn a_token_given_back_after_the_look_leaves_a_frame_behind() {
    finds(Flaw::GiveTokenLate, "writing::what_two_send_comes_once_and_in_order");
    finds(Flaw::GiveTokenLate, "writing::what_three_write_comes_once");
    finds(Flaw::GiveTokenLate, "writing::what_is_written_directly_passes_nothing_that_was_queued");
}

#[test]
fn a_writer_that_finds_no_room_and_says_nothing_leaves_a_frame_behind() {
    finds(Flaw::StallSilently, "writing::what_two_send_comes_once_and_in_order");
    finds(Flaw::StallSilently, "writing::what_two_send_comes_while_the_broker_writes");
    finds(Flaw::StallSilently, "writing::who_stays_takes_the_token_from_the_broker");
}

#[test]
fn who_goes_with_the_token_leaves_a_frame_behind() {
    finds(Flaw::GoWithToken, "writing::who_goes_at_once_leaves_the_token_to_the_broker");
    finds(Flaw::GoWithToken, "writing::what_two_write_who_stay_comes_by_whomever");
}

#[test]
fn a_token_left_without_a_word_to_the_poller_leaves_a_frame_behind() {
    finds(Flaw::LeaveUntold, "writing::who_goes_at_once_leaves_the_token_to_the_broker");
    finds(Flaw::LeaveUntold, "writing::what_two_write_who_stay_comes_by_whomever");
}

#[test]
fn a_poller_that_tells_of_news_alone_misses_room_that_meets_the_end_of_a_stay() {
    finds(Flaw::TellOfChange, "writing::room_that_meets_the_end_of_a_stay_is_used");
}

#[test]
fn who_takes_an_end_for_a_lack_of_room_stays_for_ever() {
    finds(Flaw::StayAtTheEnd, "writing::who_stays_at_a_link_that_ends_goes");
}
