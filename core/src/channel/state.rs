//! What a pipe decides under its lock: who may send, what comes next, what the pump does.

use std::{collections::VecDeque, sync::Arc};

use offshoot_wire::{Body, Direction, FRAME_COST, StreamHead, codec};

use super::{
    carry::{Draft, Sealed},
    freight::{Brought, Halves},
    leg::Leg,
};
use crate::{
    RecvError, SendError,
    here::Running,
    node::Node as _,
    wake::{Waiters, Wake},
};

/// A pipe, but for what it is connected to.
pub(super) struct State {
    pub(super) queue: VecDeque<Parcel>,
    /// Bytes in the queue, and on their way out of it, that writers of this context wait for.
    pub(super) held: usize,
    /// Shares of the sending end that are here.
    pub(super) writers: usize,
    /// Shares of the receiving end that are here.
    pub(super) readers: usize,
    pub(super) reader: Reader,
    /// Where items come in from other contexts.
    pub(super) legs: Vec<Arc<Leg>>,
    /// The end came in a message and was not used yet: it can be handed on.
    pub(super) unopened: bool,
    /// A writer has failed the stream: nothing more is taken.
    pub(super) failed: Option<Failure>,
    /// What the reader was told of a writer that was lost; after that there is no clean end.
    pub(super) broken: Option<RecvError>,
    pub(super) pump: Pump,
    pub(super) want_items: Waiters,
    pub(super) want_room: Waiters,
}

/// Where items go.
pub(super) enum Reader {
    /// Into the hands of this context.
    Here,
    /// To another.
    Away(Arc<Leg>),
    /// Nowhere, and this is why.
    Gone(SendError),
}

/// That a writer has failed the stream; the text until it is told to the reader.
pub(super) struct Failure(pub(super) Option<String>);

/// Who moves items from the queue into the machine.
#[derive(Default)]
pub(super) struct Pump {
    /// A thread does.
    pub(super) running: bool,
    /// Something happened since it looked.
    pub(super) again: bool,
    /// The machine has no room; it will say when.
    pub(super) stalled: bool,
}

/// What waits in a pipe.
pub(super) enum Parcel {
    /// An item of this context, with the ends that it hands over.
    Draft(Draft),
    /// The same, made for the context that takes it.
    Sealed { sealed: Sealed, cost: usize },
    /// An item from another context.
    Arrived { leg: Arc<Leg>, body: Body, cost: u32 },
    /// The end of one writer, and not a clean one.
    Broken(RecvError),
}

impl Parcel {
    /// The bytes of the item, and the ends that it brings.
    pub(super) fn open(self, node: &Arc<Running>) -> Result<(Body, Halves), String> {
        match self {
            Self::Draft(draft) => Ok(draft.open()),
            Self::Arrived { leg, body, .. } => match codec::decode_prefix(&body, node.body_limit()) {
                Ok((StreamHead::Item(ends), value_at)) => {
                    let halves = Brought::by(node, leg.peer, ends).into_halves()?;
                    Ok((body.slice(value_at, body.len()), halves))
                }
                Ok(_) => Err("what came is no item".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            Self::Broken(error) => Err(error.to_string()),
            Self::Sealed { .. } => Err("the item was made for another context".to_owned()),
        }
    }

    /// What a writer of this context waits for, in bytes.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Draft(draft) => draft.len().saturating_add(FRAME_COST),
            Self::Sealed { cost, .. } => *cost,
            Self::Arrived { .. } | Self::Broken(_) => 0,
        }
    }
}

/// What the pump does next, without the lock.
pub(super) enum Step {
    Send { leg: Arc<Leg>, parcel: Parcel },
    Close { leg: Arc<Leg>, fail: Option<String> },
    Discard(VecDeque<Parcel>),
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            held: 0,
            writers: 0,
            readers: 0,
            reader: Reader::Here,
            legs: Vec::new(),
            unopened: false,
            failed: None,
            broken: None,
            pump: Pump::default(),
            want_items: Waiters::default(),
            want_room: Waiters::default(),
        }
    }

    pub(super) fn shares(&mut self, direction: Direction) -> &mut usize {
        match direction {
            Direction::Sends => &mut self.writers,
            Direction::Receives => &mut self.readers,
        }
    }

    /// Gives room back to the writers of this context.
    pub(super) fn release(&mut self, held: usize) -> Option<Wake> {
        self.held = self.held.saturating_sub(held);
        if held > 0 { self.want_room.wake_all() } else { None }
    }

    /// Decides what the pump does; a step that sends is one thread's until it says so.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        if self.pump.running {
            self.pump.again = true;
            return None;
        }
        let leg = match &self.reader {
            Reader::Away(leg) => Arc::clone(leg),
            Reader::Gone(_) if !self.queue.is_empty() => {
                return Some(Step::Discard(std::mem::take(&mut self.queue)));
            }
            Reader::Here | Reader::Gone(_) => return None,
        };
        if self.pump.stalled || leg.handle().is_none() {
            return None;
        }
        if let Some(parcel) = self.queue.pop_front() {
            self.pump = Pump { running: true, again: false, stalled: false };
            return Some(Step::Send { leg, parcel });
        }
        if self.writers > 0 && self.failed.is_none() {
            return None;
        }
        let fail = self.failed.as_mut().and_then(|failure| failure.0.take());
        self.reader = Reader::Gone(SendError::Closed);
        Some(Step::Close { leg, fail })
    }
}
