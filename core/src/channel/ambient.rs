//! What a `Sender`, `Receiver` or `Context` needs to know while serde writes or reads it: which message it is in.

use std::{borrow::Cow, cell::RefCell, sync::Arc};

use offshoot_wire::{Body, Direction, codec};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    freight::{Brought, Halves, carrier},
    half::Half,
};
use crate::{here::Running, node::Node};

/// How much memory a decoded value may take, as a multiple of the limit for bodies: the decoder's estimate is on
/// the safe side, and values are larger than their bytes.
const VALUE_PER_BODY: usize = 4;

/// One message that is being written or read on this thread.
struct Frame {
    node: Arc<Running>,
    /// While writing: what was handed over so far.
    halves: Halves,
    /// While reading: what can be taken.
    brought: Option<Brought>,
    /// Why a value of ours refused; the codec keeps no texts.
    refusal: Option<Cow<'static, str>>,
}

thread_local! {
    /// Innermost last: the `Serialize` of a user may make a call of its own.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Takes the frame away again, even when the code of the user panics.
struct Entered;

impl Entered {
    fn new(node: &Arc<Running>, brought: Option<Brought>) -> Self {
        let frame = Frame { node: Arc::clone(node), halves: None, brought, refusal: None };
        FRAMES.with_borrow_mut(|frames| frames.push(frame));
        Self
    }

    fn leave(self) -> Option<Frame> {
        std::mem::forget(self);
        FRAMES.with_borrow_mut(Vec::pop)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropping a half closes it and may run code of ours that looks here: not while it is borrowed.
        drop(FRAMES.with_borrow_mut(Vec::pop));
    }
}

/// Writes `value` behind `front`; with it come the ends that it hands over, which close unless they are sent.
pub(crate) fn encode<T: Serialize + ?Sized>(
    node: &Arc<Running>,
    value: &T,
    front: Vec<u8>,
) -> Result<(Body, Halves), String> {
    let entered = Entered::new(node, None);
    let written = codec::encode_body(value, front);
    let frame = entered.leave();
    match written {
        Ok(body) => Ok((body, frame.and_then(|frame| frame.halves))),
        Err(error) => Err(told(frame, &error)),
    }
}

/// Reads a value that must fill `body` and may take any end that was brought; those that nobody took are refused.
pub(crate) fn decode<T: DeserializeOwned>(body: &Body, brought: Brought) -> Result<T, String> {
    let node = Arc::clone(brought.node());
    let budget = node.body_limit().saturating_mul(VALUE_PER_BODY);
    let entered = Entered::new(&node, Some(brought));
    let read = codec::decode_body(body, budget);
    // Each end that was taken is counted apart from the frame's own: what only the frame holds closes here, after
    // the whole value is read, since an untagged enum reads an end and drops it before it reads it again.
    let frame = entered.leave();
    read.map_err(|error| told(frame, &error))
}

fn told(frame: Option<Frame>, error: &dyn std::fmt::Display) -> String {
    match frame.and_then(|frame| frame.refusal) {
        Some(refusal) => refusal.into_owned(),
        None => error.to_string(),
    }
}

/// Hands an end over to the message that is being written; its place among the ends of that message.
pub(super) fn give(
    node: &Arc<Running>,
    half: impl FnOnce() -> Result<Half, &'static str>,
) -> Result<u32, &'static str> {
    FRAMES.with_borrow_mut(|frames| {
        let frame = writing(frames, node)?;
        let half = half().inspect_err(|refusal| frame.refusal = Some((*refusal).into()))?;
        let place = frame.halves.get_or_insert_with(|| carrier(Vec::new())).add(half);
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    })
}

/// Takes the end at `place` of the message that is being read.
pub(super) fn take(place: u32, direction: Direction) -> Result<Half, &'static str> {
    // What goes wrong with an end may close others, and so run code of ours that looks here: not while it is borrowed.
    let mut brought = FRAMES.with_borrow_mut(|frames| reading(frames).map(|frame| frame.brought.take()))?;
    let taken = brought.as_mut().map_or(Ok(None), |brought| brought.get(place as usize));
    let refusal = match taken {
        Ok(Some(half)) if half.direction() == direction => Ok(half.clone()),
        Ok(Some(_)) => Err("a sender came where a receiver is expected, or the reverse".into()),
        Ok(None) => Err("the message does not carry the end of a channel that it names".into()),
        Err(bad) => Err(Cow::from(bad)),
    };
    FRAMES.with_borrow_mut(|frames| {
        let frame = frames.last_mut().ok_or(NOT_READING)?;
        frame.brought = brought;
        refusal.map_err(|refusal| {
            frame.refusal = Some(refusal);
            "the end of a channel cannot be taken"
        })
    })
}

/// Whether a message of `node` is being written on this thread: only there does the id of a context mean something.
pub(crate) fn check_writing(node: &Arc<Running>) -> Result<(), &'static str> {
    FRAMES.with_borrow_mut(|frames| writing(frames, node).map(drop))
}

/// The context that reads the message that is being read on this thread.
pub(crate) fn reader() -> Result<Arc<Running>, &'static str> {
    FRAMES.with_borrow_mut(|frames| reading(frames).map(|frame| Arc::clone(&frame.node)))
}

fn writing<'a>(frames: &'a mut [Frame], node: &Arc<Running>) -> Result<&'a mut Frame, &'static str> {
    let frame = frames.last_mut().filter(|frame| frame.brought.is_none()).ok_or(
        "a Sender, Receiver or Context can be written only into a message: pass it in an argument, a result or an item",
    )?;
    if !Arc::ptr_eq(&frame.node, node) {
        frame.refusal = Some(FOREIGN.into());
        return Err(FOREIGN);
    }
    Ok(frame)
}

/// Several routers can live in one process, and to each the ids of another name contexts of its own.
pub(crate) const FOREIGN: &str = "it belongs to another router of this process, and means nothing in this one's tree: \
     make it with the router of the context that gets it";

fn reading(frames: &mut [Frame]) -> Result<&mut Frame, &'static str> {
    frames.last_mut().filter(|frame| frame.brought.is_some()).ok_or(NOT_READING)
}

const NOT_READING: &str = "a Sender, Receiver or Context can be read only from a message: take it from an argument, a result or an item";
