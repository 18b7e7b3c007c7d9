//! What calls of the small world ask for: the argument of a call says what its handler is to do.

use offshoot_wire::{Blob, CallHead, CallId, ContextId, End, ReplyHead, StreamHead, codec};
use offshoot_wire::{Body, codec::DecodeError};
use serde::{Deserialize, Serialize};

/// The memory that decoding any body of the small world may take, in bytes.
const BUDGET: usize = 1 << 20;
/// What a function says that was told to fail.
pub(super) const FAILED: &str = "it was told to";
/// Why a child cannot be made that finds no id.
pub(super) const NO_ID: &str = "there are no more ids";

/// What a handler does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Job {
    /// Answers at once, with so many bytes.
    Answer(u32),
    /// The same at some later step.
    Hold(u32),
    /// Fails.
    Fail,
    /// Calls that context for the given job, and answers when that call has ended, however.
    Nest(ContextId, Box<Self>),
    /// Answers with an end from which the caller receives what is sent here.
    Source(Plan),
    /// Takes the end that came as an argument and receives from it.
    Sink(Taste),
    /// Takes the end that came as an argument and sends to it.
    Feed(Plan),
    /// Hands the end that came as an argument on to that context, for the given job there.
    HandOn(ContextId, Box<Self>),
}

/// What a sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// How many items.
    pub items: u8,
    /// Of how many bytes each.
    pub bytes: u32,
    /// What comes after the last.
    pub then: Then,
}

/// How a sender ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Then {
    /// It closes.
    Close,
    /// It says that it failed.
    Fail,
    /// It waits for the other side.
    Keep,
}

/// How a receiver receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Taste {
    /// It takes items at steps of their own.
    pub slow: bool,
    /// It closes after so many.
    pub enough: Option<u8>,
}

/// The arguments of every call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Args {
    /// Which call it is: an index of the ledger.
    pub call: u32,
    /// What is to be done.
    pub job: Job,
    /// The stream whose end the call hands over.
    pub stream: Option<u32>,
    /// Bytes that make it longer.
    pub pad: Blob,
}

/// The value of every answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Value {
    /// The call that it answers.
    pub call: u32,
    /// The stream whose end the answer hands over.
    pub stream: Option<u32>,
    /// Bytes that make it longer.
    pub pad: Blob,
}

/// An item of every stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Which stream it belongs to: an index of the ledger.
    pub stream: u32,
    /// Its place in it.
    pub number: u8,
    /// Bytes that make it longer.
    pub pad: Blob,
}

/// So many bytes that tell whether pieces of them were lost or changed places.
#[must_use]
pub fn pad(bytes: u32) -> Blob {
    (0..bytes).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect::<Vec<_>>().into()
}

/// Whether these are the bytes of [`pad`], all of them.
#[must_use]
pub fn is_pad(bytes: &Blob) -> bool {
    *bytes == pad(bytes.len() as u32)
}

/// The body of a call.
#[must_use]
pub fn call_body(
    function: &str,
    left_ms: Option<u32>,
    above: Vec<CallId>,
    chain: Option<u32>,
    ends: Vec<End>,
    args: &Args,
) -> Body {
    let head = CallHead { function: function.to_owned().into(), left_ms, above, chain, ends };
    joined(&head, args)
}

/// The body of a GRANT: `to` may call `function`.
#[must_use]
pub fn grant_body(function: &str, to: ContextId) -> Body {
    let head =
        CallHead { function: "".into(), left_ms: None, above: Vec::new(), chain: None, ends: Vec::new() };
    joined(&head, &(function, to))
}

/// Which function a GRANT lets whom call.
#[must_use]
pub fn granted(body: &[u8]) -> Option<(String, ContextId)> {
    let (_, at) = codec::decode_prefix::<CallHead>(body, BUDGET).ok()?;
    codec::decode(body.get(at..)?, BUDGET).ok()
}

/// The body of an answer.
#[must_use]
pub fn reply_body(ends: Vec<End>, value: &Value) -> Body {
    joined(&ReplyHead::Value(ends), value)
}

/// The body of an item.
#[must_use]
pub fn item_body(item: &Item) -> Body {
    joined(&StreamHead::Item(Vec::new()), item)
}

/// The arguments that begin at `at`.
///
/// # Errors
/// What was not sent by [`call_body`].
pub fn args(body: &[u8], at: usize) -> Result<Args, DecodeError> {
    codec::decode(&body[at..], BUDGET)
}

/// The head of an answer, and its value if it has one.
///
/// # Errors
/// What was not sent by [`reply_body`] or as a failure.
pub fn reply(body: &[u8]) -> Result<(ReplyHead, Option<Value>), DecodeError> {
    let (head, at) = codec::decode_prefix::<ReplyHead>(body, BUDGET)?;
    let value = match head {
        ReplyHead::Value(_) => Some(codec::decode(&body[at..], BUDGET)?),
        ReplyHead::Failed(..) | ReplyHead::Started => None,
    };
    Ok((head, value))
}

/// An item.
///
/// # Errors
/// What was not sent by [`item_body`].
pub fn item(body: &[u8]) -> Result<Item, DecodeError> {
    let (_, at) = codec::decode_prefix::<StreamHead>(body, BUDGET)?;
    codec::decode(&body[at..], BUDGET)
}

fn joined(head: &impl Serialize, value: &impl Serialize) -> Body {
    let mut body = encoded(head);
    codec::encode_into(value, &mut body).expect("the shape of every body here can be encoded");
    body.into()
}

/// A value by itself.
#[must_use]
pub fn encoded(value: &impl Serialize) -> Vec<u8> {
    codec::encode(value).expect("the shape of every body here can be encoded")
}
