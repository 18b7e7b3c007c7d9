//! Messages on their way: the ends of channels in a value become ends of streams of the machine, and back.

use std::sync::Arc;

use offshoot_wire::{
    Body, ContextId, Direction, End, StreamHead,
    codec::{self, EncodeError},
};
use serde::Serialize;

use super::{
    ambient,
    freight::{Halves, Handed, Leaving, has_carried},
    half::Half,
    leg::Leg,
    pipe::Pipe,
    state::Reader,
};
use crate::{
    SendError,
    here::Running,
    machine::{BadEnd, Ended},
    node::Node,
};

/// Writes the head of a body, which names the ends that its value hands over.
pub(crate) type HeadOf<'a> = &'a dyn Fn(Vec<End>, &mut Vec<u8>) -> Result<(), EncodeError>;

/// The head of an item of a stream.
pub(super) fn item_head(ends: Vec<End>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    codec::encode_into(&StreamHead::Item(ends), out)
}

/// What most bodies fit in, so that they are written without growing, in bytes.
const SMALL: usize = 64;

/// A body whose ends are still values of this context; dropping it closes them.
pub(crate) struct Draft {
    body: Body,
    /// Where in it the value begins.
    value_at: usize,
    halves: Halves,
}

impl Draft {
    /// Writes `value` behind a head without ends.
    pub(crate) fn new<T: Serialize + ?Sized>(
        node: &Arc<Running>,
        value: &T,
        head: HeadOf<'_>,
    ) -> Result<Self, String> {
        let front = front(head, Vec::new())?;
        let value_at = front.len();
        let (body, halves) = ambient::encode(node, value, front)?;
        Ok(Self { body, value_at, halves })
    }

    /// A value that came as an answer and goes on as it is.
    pub(crate) fn relayed(value: &Body, halves: Halves, head: HeadOf<'_>) -> Result<Self, String> {
        let front = front(head, Vec::new())?;
        let value_at = front.len();
        Ok(Self { body: value.behind(front), value_at, halves })
    }

    /// The length of the body, in bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The value and the ends in it, for a reader in this context.
    pub(super) fn open(self) -> (Body, Halves) {
        (self.body.slice(self.value_at, self.body.len()), self.halves)
    }

    /// Binds the ends to `to`. The value itself must have been dropped: what is handed over is counted.
    pub(crate) fn seal(self, node: &Arc<Running>, to: ContextId, head: HeadOf<'_>) -> Result<Sealed, String> {
        let Self { body, value_at, halves } = self;
        let Some(halves) = halves.filter(|_| has_carried()) else {
            return Ok(Sealed { body, ends: Vec::new(), handed: Handed::nothing() });
        };
        let (ends, handed) = halves.export(node, to)?;
        let body = body.slice(value_at, body.len()).behind(front(head, ends.clone())?);
        Ok(Sealed { body, ends, handed })
    }
}

/// The head of a body, with room for a short value.
fn front(head: HeadOf<'_>, ends: Vec<End>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(SMALL);
    head(ends, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// A body made for the context that it goes to.
pub(crate) struct Sealed {
    pub(crate) body: Body,
    pub(crate) ends: Vec<End>,
    pub(crate) handed: Handed,
}

/// The ends that a message hands over.
struct Legs {
    node: Arc<Running>,
    legs: Vec<Arc<Leg>>,
}

impl Leaving for Legs {
    fn sent(mut self: Box<Self>) {
        self.legs.clear();
    }
}

impl Drop for Legs {
    fn drop(&mut self) {
        for leg in self.legs.drain(..) {
            if let Some(held) = leg.held() {
                self.node.unexport(held);
            }
            if let Some(wake) = leg.pipe.on_ended(&leg, Ended::Closed) {
                self.node.wake(wake);
            }
            leg.pipe.pump_on();
        }
    }
}

/// Takes the ends that a message from `from` brought, as ends of pipes of this context.
pub(super) fn import(node: &Arc<Running>, from: ContextId, ends: &[End]) -> Result<Vec<Half>, String> {
    // All of them, even behind one that cannot be taken: what is dropped here is closed.
    let halves: Vec<_> = ends.iter().map(|end| import_one(node, from, *end)).collect();
    halves.into_iter().collect::<Result<_, BadEnd>>().map_err(|bad| bad.to_string())
}

fn import_one(node: &Arc<Running>, from: ContextId, end: End) -> Result<Half, BadEnd> {
    let pipe = Pipe::new(node);
    let leg = Leg::new(&pipe, from);
    {
        let mut state = pipe.lock();
        state.unopened = true;
        match end.direction {
            Direction::Sends => state.reader = Reader::Away(Arc::clone(&leg)),
            Direction::Receives => state.legs.push(Arc::clone(&leg)),
        }
    }
    match node.import(from, end, Arc::clone(&leg) as _) {
        Ok(handle) => {
            leg.set_handle(handle);
            Ok(Half::of(&pipe, end.direction))
        }
        Err(bad) => {
            // The pipe and its leg hold each other.
            drop(pipe.on_ended(&leg, Ended::Closed));
            Err(bad)
        }
    }
}

/// Binds ends of channels to the context that the message goes to.
pub(super) fn export(
    node: &Arc<Running>,
    to: ContextId,
    halves: Vec<Half>,
) -> Result<(Vec<End>, Handed), String> {
    let mut handed = Legs { node: Arc::clone(node), legs: Vec::new() };
    let mut ends = Vec::with_capacity(halves.len());
    for half in halves {
        let end = match plan(&half, to)? {
            Plan::Export { leg, ours, closed } => {
                let handle = node.export(to, ours, Arc::clone(&leg) as _);
                leg.set_handle(handle);
                if closed {
                    leg.close(None);
                } else {
                    leg.pipe.pump_on();
                    handed.legs.push(leg);
                }
                End { home: node.me(), handle, direction: half.direction() }
            }
            Plan::HandOn { leg } => {
                let held = leg.held().ok_or(BadEnd::Ended);
                held.and_then(|held| node.hand_on(held, to)).map_err(|bad| bad.to_string())?
            }
        };
        ends.push(end);
    }
    Ok((ends, Handed::of(Box::new(handed))))
}

/// How an end gets to another context.
enum Plan {
    /// It was here, and this context becomes its home. What remains here does `ours`.
    Export { leg: Arc<Leg>, ours: Direction, closed: bool },
    /// It came from elsewhere and goes on unused.
    HandOn { leg: Arc<Leg> },
}

fn plan(half: &Half, to: ContextId) -> Result<Plan, &'static str> {
    let pipe = half.pipe();
    let mut state = pipe.lock();
    let state = &mut *state;
    match (half.direction(), &state.reader) {
        (Direction::Sends, Reader::Here) => {
            let leg = Leg::new(pipe, to);
            state.legs.push(Arc::clone(&leg));
            Ok(Plan::Export { leg, ours: Direction::Receives, closed: false })
        }
        // Nobody will receive; whoever takes the sender learns it at its first use.
        (Direction::Sends, Reader::Gone(_)) => {
            Ok(Plan::Export { leg: Leg::new(pipe, to), ours: Direction::Receives, closed: true })
        }
        (Direction::Sends, Reader::Away(leg)) => {
            if !state.unopened {
                return Err(BOTH_AWAY);
            }
            if state.writers > 1 {
                return Err(
                    "a Sender that came from another context and has clones here cannot be handed on",
                );
            }
            let leg = Arc::clone(leg);
            state.reader = Reader::Gone(SendError::Closed);
            Ok(Plan::HandOn { leg })
        }
        (Direction::Receives, Reader::Here) => match (state.legs.as_slice(), state.unopened) {
            ([], _) => {
                let leg = Leg::new(pipe, to);
                state.reader = Reader::Away(Arc::clone(&leg));
                Ok(Plan::Export { leg, ours: Direction::Sends, closed: false })
            }
            ([leg], true) => {
                let leg = Arc::clone(leg);
                state.legs.clear();
                state.reader = Reader::Gone(SendError::Closed);
                Ok(Plan::HandOn { leg })
            }
            _ => Err(BOTH_AWAY),
        },
        (Direction::Receives, Reader::Away(_) | Reader::Gone(_)) => Err(MOVED),
    }
}

/// Why an end cannot be written a second time.
pub(super) const MOVED: &str =
    "the end of a channel moves with the message that carries it, and this one was sent before";

const BOTH_AWAY: &str = "the other end of this channel is in another context or was used already: an end can be sent \
     only from where the other one stays; let one of the two contexts make the channel";
