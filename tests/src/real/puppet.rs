//! A child that is moved by hand: the test says what it writes, and asks what has come to it.
//!
//! Both sides are here: [`play`] runs in the process (`raw-puppet`, `raw-puppet-parent`), [`Puppet`] in the test.

use std::cell::RefCell;

use offshoot_core::{
    CallError, Context, ContextId, Function,
    wire::{Blob, CallHead, Dead, Failed, Frame, Handle, ReplyHead, ReplyTo, Role, codec},
};
use serde::{Deserialize, Serialize};

use super::{PATIENCE, call_body, eventually, raw::Raw};

/// Writes these bytes as they are, and so many zeros behind them.
pub const PUT: Function<(Blob, u32), ()> = Function::new("put");
/// The frames that came since the last time; what orders the puppet about, and what keeps its link alive, left out.
pub const SEEN: Function<(), Vec<Seen>> = Function::new("seen");
/// A context by its number, whether there is one or not.
pub const NUMBERED: Function<u32, Context> = Function::new("numbered");

/// The memory that a body may take when it is decoded, in bytes.
const BUDGET: usize = 1 << 20;

/// A frame that came to a puppet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where it goes.
    pub dst: ContextId,
    /// Who sends it.
    pub src: ContextId,
    /// On whose authority.
    pub auth: ContextId,
    /// To which mailbox.
    pub handle: Handle,
    /// The number that says what becomes of the answer.
    pub reply_to: u32,
    /// Its body, or its piece of one.
    pub body: Blob,
}

impl Seen {
    /// What it says, if it is a dead message.
    ///
    /// # Panics
    /// If it says it in no way that can be read.
    #[must_use]
    pub fn dead(&self) -> Option<Dead> {
        (self.reply_to == ReplyTo::Dead.number())
            .then(|| codec::decode(&self.body, BUDGET).expect("a dead body is readable"))
    }

    /// What a body of this type says.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn body<T: serde::de::DeserializeOwned>(&self) -> T {
        codec::decode(&self.body, BUDGET).expect("the body is of this type")
    }
}

impl From<&Frame> for Seen {
    fn from(frame: &Frame) -> Self {
        Self {
            dst: frame.dst,
            src: frame.src,
            auth: frame.auth,
            handle: frame.handle,
            reply_to: frame.reply_to.number(),
            body: Blob::from(frame.body.to_vec()),
        }
    }
}

/// A puppet as its test holds it.
#[derive(Debug)]
pub struct Puppet {
    context: Context,
    seen: RefCell<Vec<Seen>>,
}

impl Puppet {
    /// Takes the strings of a context that runs [`play`].
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self { context, seen: RefCell::new(Vec::new()) }
    }

    /// The context.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ContextId {
        self.context.id()
    }

    /// A frame from it, that tells the truth: change what shall be a lie.
    #[must_use]
    pub fn frame(&self, dst: ContextId, handle: Handle, reply_to: ReplyTo, body: Vec<u8>) -> Frame {
        let me = self.id();
        Frame { dst, src: me, auth: me, handle, reply_to, part: None, body: body.into() }
    }

    /// A frame with a body that is encoded.
    ///
    /// # Panics
    /// If it cannot be.
    #[must_use]
    pub fn frame_of<T: Serialize>(
        &self,
        dst: ContextId,
        handle: Handle,
        reply_to: ReplyTo,
        body: &T,
    ) -> Frame {
        self.frame(dst, handle, reply_to, codec::encode(body).expect("it can be encoded"))
    }

    /// A call from it, whose answer goes to the handle `reply_to` of it.
    ///
    /// # Panics
    /// If it cannot be encoded.
    #[must_use]
    pub fn call<A: Serialize, R>(
        &self,
        dst: ContextId,
        reply_to: Handle,
        function: Function<A, R>,
        args: &A,
    ) -> Frame {
        let body = call_body(function.name(), args);
        self.frame(dst, Handle::CALL_FUNCTION, ReplyTo::Handle(reply_to), body)
    }

    /// The answer to a call that came to it.
    ///
    /// # Panics
    /// If the call wants none, or it cannot be encoded.
    #[must_use]
    pub fn answer<T: Serialize>(&self, call: &Seen, value: &T) -> Frame {
        let mut body = codec::encode(&ReplyHead::Value(Vec::new())).expect("a head");
        codec::encode_into(value, &mut body).expect("a value");
        self.frame(call.src, Handle::new(call.reply_to), ReplyTo::Nobody, body)
    }

    /// The answer to a call that came to it, that it has failed.
    ///
    /// # Panics
    /// If the call wants none.
    #[must_use]
    pub fn refuse(&self, call: &Seen, why: &str) -> Frame {
        let head = ReplyHead::Failed(Failed::Error, why.to_owned());
        self.frame_of(call.src, Handle::new(call.reply_to), ReplyTo::Nobody, &head)
    }

    /// Waits for a call to it from `from`.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn until_called(&self, from: ContextId) -> Seen {
        self.until(&format!("a call from {from}"), |seen| {
            seen.handle == Handle::CALL_FUNCTION && seen.src == from
        })
    }

    /// Has it write frames.
    ///
    /// # Panics
    /// If it does not say that it did.
    #[track_caller]
    pub fn put(&self, frames: &[Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode_into(&mut bytes);
        }
        self.put_bytes(bytes, 0).expect("the puppet writes");
    }

    /// Has it write bytes, and so many zeros behind them.
    ///
    /// # Errors
    /// It is gone, perhaps because of what it wrote.
    pub fn put_bytes(&self, bytes: Vec<u8>, zeros: u32) -> Result<(), CallError> {
        self.context.call(PUT, (Blob::from(bytes), zeros))
    }

    /// All that has come to it.
    ///
    /// # Panics
    /// If it does not say.
    #[track_caller]
    pub fn seen(&self) -> Vec<Seen> {
        let new = self.context.call(SEEN, ()).expect("the puppet tells what it has seen");
        let mut seen = self.seen.borrow_mut();
        seen.extend(new);
        seen.clone()
    }

    /// Waits for a frame to it.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn until(&self, what: &str, pick: impl Fn(&Seen) -> bool) -> Seen {
        eventually(what, PATIENCE, || self.seen().into_iter().find(&pick))
    }

    /// Waits for the dead message to one of its handles.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn until_dead(&self, handle: Handle) -> (Seen, Dead) {
        let seen = self.until(&format!("a dead message to handle {handle}"), |seen| {
            seen.handle == handle && seen.dead().is_some()
        });
        let dead = seen.dead().expect("it is a dead message");
        (seen, dead)
    }
}

/// The child's side: does as it is told until its link ends.
///
/// # Panics
/// If an order cannot be read.
pub fn play(role: Role) {
    play_on(Raw::begin(role));
}

/// The same, of one that has said who it is.
///
/// # Panics
/// If an order cannot be read.
pub fn play_on(mut raw: Raw) {
    let mut seen = Vec::new();
    while let Some(frame) = raw.receive() {
        match frame.handle {
            Handle::PING if frame.reply_to == ReplyTo::Nobody => raw.send(&raw.control(Handle::PONG, &())),
            Handle::SHUTDOWN => return,
            Handle::PONG | Handle::CREDIT => {}
            Handle::CALL_FUNCTION if obey(&mut raw, &frame, &mut seen) => {}
            _ => seen.push(Seen::from(&frame)),
        }
    }
}

/// Does what a call orders; whether it is an order.
fn obey(raw: &mut Raw, call: &Frame, seen: &mut Vec<Seen>) -> bool {
    if call.part.is_some() {
        return false;
    }
    let (head, at) = codec::decode_prefix::<CallHead>(&call.body, BUDGET).expect("the head is readable");
    let args = call.body.get(at..).expect("arguments follow");
    if head.function == PUT.name() {
        let (bytes, zeros): (Blob, u32) = codec::decode(args, BUDGET).expect("bytes");
        raw.pay_back(call);
        raw.send_bytes(&bytes);
        raw.send_bytes(&vec![0; zeros as usize]);
        raw.answer(call, &());
    } else if head.function == SEEN.name() {
        raw.pay_back(call);
        raw.answer(call, &std::mem::take(seen));
    } else if head.function == NUMBERED.name() {
        let number: ContextId = codec::decode(args, BUDGET).expect("a number");
        raw.pay_back(call);
        raw.answer(call, &number);
    } else {
        return false;
    }
    true
}
