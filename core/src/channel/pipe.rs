//! The middle of a channel: a bounded queue that ends at a reader here, or is pumped into a stream of the machine.
//!
//! Writers are threads of this context, and legs by which items come from others. Items are bytes from the start:
//! so a channel holds any `T` whatever thread it was made on, and a receiver that travels takes along what waits.

use std::{
    collections::VecDeque,
    ptr,
    sync::{Arc, Mutex, MutexGuard},
};

use offshoot_wire::{Body, ContextId, Direction};

use super::{
    carry::{self, Draft, Sealed},
    leg::Leg,
    state::{Failure, Parcel, Reader, State, Step},
};
use crate::{
    RecvError, SendError,
    here::Running,
    machine::{Ended, StreamUnsent},
    node::{Node, Then},
    stay::Stalled,
    sync::lock,
    wake::{Listener, Ticket, Wake},
};

/// What writers of this context may have waiting in a pipe, in bytes: as much as lets a writer and a reader run
/// side by side, and little beside the windows of the machine.
const HELD_MAX: usize = 64 * 1024;

/// A bounded queue with writers and one reader.
pub(crate) struct Pipe {
    node: Arc<Running>,
    state: Mutex<State>,
}

impl Pipe {
    pub(super) fn new(node: &Arc<Running>) -> Arc<Self> {
        Arc::new(Self { node: Arc::clone(node), state: Mutex::new(State::new()) })
    }

    pub(super) fn node(&self) -> &Arc<Running> {
        &self.node
    }

    /// The machine's lock may be held by whoever calls this, so it is never asked for anything under this one.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// One share more of an end.
    pub(super) fn join(&self, direction: Direction) {
        let mut state = self.lock();
        let shares = state.shares(direction);
        *shares = shares.saturating_add(1);
    }

    /// One share less; the last one closes the end.
    pub(super) fn leave(self: &Arc<Self>, direction: Direction) {
        let mut state = self.lock();
        let shares = state.shares(direction);
        *shares = shares.saturating_sub(1);
        if *shares > 0 {
            return;
        }
        match (direction, &state.reader) {
            (Direction::Sends, Reader::Here) => {
                let woken = state.want_items.wake_all();
                drop(state);
                self.wake(woken);
            }
            (Direction::Sends, Reader::Away(_)) => {
                drop(state);
                self.pump_on();
            }
            (Direction::Receives, Reader::Here) => {
                state.reader = Reader::Gone(SendError::Closed);
                let queue = std::mem::take(&mut state.queue);
                let legs = std::mem::take(&mut state.legs);
                let woken = state.want_room.wake_all();
                drop(state);
                self.discard(queue);
                legs.iter().for_each(|leg| leg.close(None));
                self.wake(woken);
            }
            _ => {}
        }
    }

    /// The first use of an end that came in a message tells its home that the holder is there.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        if !std::mem::take(&mut state.unopened) {
            return;
        }
        let leg = match &state.reader {
            Reader::Away(leg) => Some(leg),
            Reader::Here | Reader::Gone(_) => state.legs.first(),
        };
        let held = leg.and_then(|leg| leg.held());
        drop(state);
        if let Some(held) = held {
            self.node.stream_open(held);
        }
    }

    /// The context to which items go; `None` while that is this one.
    pub(super) fn destination(&self) -> Option<ContextId> {
        match &self.lock().reader {
            Reader::Away(leg) => Some(leg.peer),
            Reader::Here | Reader::Gone(_) => None,
        }
    }

    /// The one context from which items come; `None` if they come from several, or from this one: taking those may
    /// run user code, of a task that waits for room.
    pub(super) fn only_source(&self) -> Option<ContextId> {
        let state = self.lock();
        match &*state.legs {
            [leg] if state.writers == 0 => Some(leg.peer),
            _ => None,
        }
    }

    /// Whether nobody will take another item.
    pub(super) fn is_closed(&self) -> bool {
        let state = self.lock();
        state.failed.is_some() || matches!(state.reader, Reader::Gone(_))
    }

    /// Puts a parcel into the queue, or leaves `listener` there until there is room. For a thread that waits the link may
    /// come back that has no room for all of it.
    pub(super) fn poll_push(
        self: &Arc<Self>,
        parcel: &mut Option<Parcel>,
        ticket: &mut Ticket,
        listener: Option<&Listener>,
    ) -> Option<Result<Option<Stalled>, SendError>> {
        let mut state = self.lock();
        if let Reader::Gone(why) = &state.reader {
            return Some(Err(why.clone()));
        }
        if state.failed.is_some() {
            return Some(Err(SendError::Closed));
        }
        let cost = parcel.as_ref().map_or(0, Parcel::held);
        if state.held > 0 && state.held.saturating_add(cost) > HELD_MAX {
            let replaced = listener.and_then(|listener| state.want_room.register(ticket, listener));
            drop(state);
            drop(replaced);
            return None;
        }
        state.held = state.held.saturating_add(cost);
        state.queue.extend(parcel.take());
        let away = matches!(state.reader, Reader::Away(_));
        let woken = state.want_items.wake_all();
        drop(state);
        fire(woken);
        let then = if matches!(listener, Some(Listener::Thread(_))) { Then::Wait } else { Then::GoOn };
        Some(Ok(if away { self.pump(then) } else { None }))
    }

    /// Takes the next parcel, or leaves `listener` there until one comes. `Ok(None)` is the clean end.
    pub(super) fn poll_pull(
        &self,
        ticket: &mut Ticket,
        listener: Option<&Listener>,
    ) -> Option<Result<Option<Parcel>, RecvError>> {
        let mut state = self.lock();
        if !matches!(state.reader, Reader::Here) {
            let reason = "this receiver was sent to another context".to_owned();
            return Some(Err(RecvError::Failed { reason }));
        }
        match state.queue.pop_front() {
            Some(Parcel::Broken(error)) => {
                state.broken = Some(error.clone());
                Some(Err(error))
            }
            Some(parcel) => {
                let woken = state.release(parcel.held());
                drop(state);
                fire(woken);
                if let Parcel::Arrived { leg, cost, .. } = &parcel
                    && let Some(held) = leg.held()
                {
                    self.node.taken(held, *cost);
                }
                Some(Ok(Some(parcel)))
            }
            None if state.writers == 0 && state.legs.is_empty() => {
                Some(state.broken.clone().map_or(Ok(None), Err))
            }
            None => {
                let replaced = listener.and_then(|listener| state.want_items.register(ticket, listener));
                drop(state);
                drop(replaced);
                None
            }
        }
    }

    /// The link by which items leave, if the broker waits for room there: who waits for room in the pipe can do that.
    pub(super) fn stalled(&self) -> Option<Stalled> {
        let link = self.node.take_write(self.destination()?)?;
        Some(Stalled::new(&self.node, link))
    }

    /// Whoever waited for items or room does so no more.
    pub(super) fn stop_waiting(&self, direction: Direction, ticket: Ticket) {
        let mut state = self.lock();
        let waiters = match direction {
            Direction::Sends => &mut state.want_room,
            Direction::Receives => &mut state.want_items,
        };
        let left = waiters.leave(ticket);
        drop(state);
        drop(left);
    }

    /// A writer ends the stream badly, for all its writers here.
    pub(super) fn fail(self: &Arc<Self>, text: String) {
        let mut state = self.lock();
        if state.failed.is_some() || matches!(state.reader, Reader::Gone(_)) {
            return;
        }
        let here = matches!(state.reader, Reader::Here);
        let reason = if here {
            state.queue.push_back(Parcel::Broken(RecvError::Failed { reason: text }));
            None
        } else {
            Some(text)
        };
        state.failed = Some(Failure(reason));
        let woken = [state.want_items.wake_all(), state.want_room.wake_all()];
        drop(state);
        woken.into_iter().for_each(fire);
        self.pump_on();
    }

    /// Moves what waits into the machine, as far as it goes; closes the stream behind the last item. Never blocks.
    pub(super) fn pump_on(self: &Arc<Self>) {
        // Nothing is kept for who goes on.
        drop(self.pump(Then::GoOn));
    }

    /// The same, for a thread that can wait for room in a link.
    fn pump(self: &Arc<Self>, then: Then) -> Option<Stalled> {
        let mut stalled = None;
        loop {
            // Decided under the lock, done without it.
            let step = self.lock().next_step();
            let Some(step) = step else { return stalled };
            match step {
                Step::Send { leg, parcel } => {
                    if !self.send_by(&leg, parcel, then, &mut stalled) {
                        return stalled;
                    }
                }
                Step::Close { leg, fail } => leg.close(fail),
                Step::Discard(queue) => self.discard(queue),
            }
        }
    }

    /// Nobody takes these: the ends that they bring are closed.
    fn discard(&self, queue: VecDeque<Parcel>) {
        for parcel in queue {
            drop(parcel.open(&self.node));
        }
    }

    /// Sends one parcel; whether to look for the next.
    fn send_by(
        self: &Arc<Self>,
        leg: &Arc<Leg>,
        parcel: Parcel,
        then: Then,
        stalled: &mut Option<Stalled>,
    ) -> bool {
        let cost = parcel.held();
        let Some(held) = leg.held() else { return false };
        let sealed = match parcel {
            Parcel::Draft(draft) => draft.seal(&self.node, leg.peer, &carry::item_head),
            Parcel::Sealed { sealed, .. } => Ok(sealed),
            Parcel::Broken(RecvError::Failed { reason }) => Err(reason),
            Parcel::Broken(error) => Err(error.to_string()),
            // It came from elsewhere before the receiver went on its way.
            parcel @ Parcel::Arrived { .. } => parcel
                .open(&self.node)
                .and_then(|(value, halves)| Draft::relayed(&value, halves, &carry::item_head))
                .and_then(|draft| draft.seal(&self.node, leg.peer, &carry::item_head)),
        };
        let Sealed { body, ends, handed } = match sealed {
            Ok(sealed) => sealed,
            Err(text) => return self.break_off(leg, text),
        };
        match self.node.stream_send(held, body, ends.clone(), then) {
            Ok(link) => {
                handed.sent();
                let found = link.map(|link| Stalled::new(&self.node, link));
                *stalled = stalled.take().or(found);
                self.after_send(cost)
            }
            Err(StreamUnsent::Full(body)) => {
                let mut state = self.lock();
                state.queue.push_front(Parcel::Sealed { sealed: Sealed { body, ends, handed }, cost });
                state.pump.running = false;
                // The machine may have found room while we were about to say that there is none.
                state.pump.stalled = !std::mem::take(&mut state.pump.again);
                !state.pump.stalled
            }
            Err(StreamUnsent::Closed) => self.break_off(leg, "the stream has ended".to_owned()),
            Err(StreamUnsent::TooLarge) => {
                self.break_off(leg, "an item is over the limit for bodies".to_owned())
            }
        }
    }

    fn after_send(&self, cost: usize) -> bool {
        let mut state = self.lock();
        state.pump.running = false;
        let woken = state.release(cost);
        drop(state);
        self.wake(woken);
        true
    }

    /// The stream cannot go on: both sides learn it.
    fn break_off(&self, leg: &Arc<Leg>, text: String) -> bool {
        let mut state = self.lock();
        state.pump.running = false;
        if !matches!(state.reader, Reader::Gone(_)) {
            state.reader = Reader::Gone(SendError::Lost { reason: text.clone() });
        }
        let woken = state.want_room.wake_all();
        drop(state);
        leg.close(Some(text));
        self.wake(woken);
        true
    }

    /// The broker may do this, or a thread that reads or writes in its place: none of them runs the waker of a task.
    fn wake(&self, woken: Option<Wake>) {
        if let Some(wake) = woken {
            self.node.wake(wake);
        }
    }

    /// An item has come. Under the machine's lock.
    pub(super) fn on_item(&self, leg: Arc<Leg>, body: Body, cost: u32) -> Option<Wake> {
        let mut state = self.lock();
        let is_wanted = matches!(state.reader, Reader::Here);
        let to_discard = (!is_wanted).then(|| Wake::Run(Arc::clone(&leg) as _));
        state.queue.push_back(Parcel::Arrived { leg, body, cost });
        if is_wanted { state.want_items.wake_all() } else { to_discard }
    }

    /// The machine has room; whether to pump. Under its lock.
    pub(super) fn on_room(&self) -> bool {
        let mut state = self.lock();
        state.pump.stalled = false;
        if state.pump.running {
            state.pump.again = true;
        }
        !state.pump.running
    }

    /// One stream of the machine has ended from the other side. Under its lock: nothing is dropped here.
    pub(super) fn on_ended(&self, leg: &Leg, how: Ended) -> Option<Wake> {
        let mut state = self.lock();
        if matches!(&state.reader, Reader::Away(away) if ptr::eq(&**away, leg)) {
            state.reader = Reader::Gone(match how {
                Ended::Closed => SendError::Closed,
                Ended::Failed(reason) | Ended::Lost(reason) => SendError::Lost { reason },
                Ended::Stopped => SendError::Lost { reason: STOPPED.to_owned() },
            });
            return state.want_room.wake_all();
        }
        let before = state.legs.len();
        state.legs.retain(|other| !ptr::eq(&**other, leg));
        if state.legs.len() == before {
            return None;
        }
        let error = match how {
            Ended::Closed => None,
            Ended::Failed(reason) => Some(RecvError::Failed { reason }),
            Ended::Lost(reason) => Some(RecvError::Lost { reason }),
            Ended::Stopped => Some(RecvError::Lost { reason: STOPPED.to_owned() }),
        };
        state.queue.extend(error.map(Parcel::Broken));
        state.want_items.wake_all()
    }
}

const STOPPED: &str = "this context is ending";

/// On the thread of whoever sends or receives; what the broker may do as well goes by [`Pipe::wake`].
fn fire(woken: Option<Wake>) {
    if let Some(wake) = woken {
        wake.fire();
    }
}
