//! A child written by hand, of frames alone: it links none of the router, and does what honest ones never do.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::AsFd,
};

use offshoot_wire::{
    ContextId, Credit, Dead, Decoded, Decoder, Frame, Handle, Hello, Nonce, OPENING_LEN, ReplyHead, ReplyTo,
    Role, Setup, VERSION, Window, codec, marker,
};
use serde::Serialize;

use super::call_body;

/// The memory that a body may take when it is decoded here, in bytes.
const BUDGET: usize = 1 << 20;

/// The child's side of a link, as bytes.
#[derive(Debug)]
pub struct Raw {
    input: File,
    output: File,
    decoder: Decoder,
    /// What the parent said of this context.
    pub setup: Setup,
}

impl Raw {
    /// Does the handshake on descriptors 0 and 1, as far as HELLO.
    ///
    /// # Panics
    /// If the parent does not.
    #[must_use]
    pub fn begin(role: Role) -> Self {
        let mut raw = Self::silent();
        raw.greet(role);
        raw
    }

    /// Says HELLO.
    ///
    /// # Panics
    /// If the link is gone.
    pub fn greet(&mut self, role: Role) {
        let hello = Hello { version: VERSION, features: 0, role, pid: std::process::id(), build: 0 };
        self.send(&self.control(Handle::HELLO, &hello));
    }

    /// Does the handshake without HELLO.
    ///
    /// # Panics
    /// If the parent does not.
    #[must_use]
    pub fn silent() -> Self {
        let file = |fd: std::os::fd::BorrowedFd<'_>| {
            File::from(fd.try_clone_to_owned().expect("a descriptor to spare"))
        };
        let (mut input, mut output) = (file(std::io::stdin().as_fd()), file(std::io::stdout().as_fd()));
        let mut line = [0; OPENING_LEN];
        input.read_exact(&mut line).expect("the opening comes");
        let nonce = Nonce::parse_opening(&line).expect("the first line is the opening");
        output.write_all(&marker(&nonce)).expect("the marker goes");
        let mut decoder = Decoder::new();
        let setup = read(&mut input, &mut decoder).expect("SETUP comes");
        let setup: Setup = codec::decode(&setup.body, BUDGET).expect("SETUP is readable");
        Self { input, output, decoder, setup }
    }

    /// This context.
    #[must_use]
    pub const fn me(&self) -> ContextId {
        self.setup.id
    }

    /// The context that made this one.
    ///
    /// # Panics
    /// If SETUP named none.
    #[must_use]
    pub fn parent(&self) -> ContextId {
        *self.setup.ancestors.first().expect("a child has a parent")
    }

    /// A frame from here.
    #[must_use]
    pub fn frame(&self, dst: ContextId, handle: Handle, reply_to: ReplyTo, body: Vec<u8>) -> Frame {
        let me = self.me();
        Frame { dst, src: me, auth: me, handle, reply_to, part: None, body: body.into() }
    }

    /// A control frame to the parent.
    ///
    /// # Panics
    /// If the body cannot be encoded.
    #[must_use]
    pub fn control<T: Serialize>(&self, handle: Handle, body: &T) -> Frame {
        let body = codec::encode(body).expect("a control body");
        self.frame(self.parent(), handle, ReplyTo::Nobody, body)
    }

    /// A call from here.
    ///
    /// # Panics
    /// If it cannot be encoded.
    #[must_use]
    pub fn call<A: Serialize>(&self, dst: ContextId, reply_to: Handle, function: &str, args: &A) -> Frame {
        let body = call_body(function, args);
        self.frame(dst, Handle::CALL_FUNCTION, ReplyTo::Handle(reply_to), body)
    }

    /// Writes a frame.
    ///
    /// # Panics
    /// If the link is gone.
    pub fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        self.send_bytes(&bytes);
    }

    /// Writes bytes that need not be a frame.
    ///
    /// # Panics
    /// If the link is gone.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.output.write_all(bytes).expect("the link takes bytes");
    }

    /// The next frame; `None` at the end of the link. Blocks.
    pub fn receive(&mut self) -> Option<Frame> {
        read(&mut self.input, &mut self.decoder)
    }

    /// The next frame that `pick` wants; others are passed over.
    ///
    /// # Panics
    /// If the link ends before.
    pub fn wait_for(&mut self, mut pick: impl FnMut(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.receive().expect("the frame that is awaited comes before the link ends");
            if pick(&frame) {
                return frame;
            }
        }
    }

    /// The next call to this context.
    ///
    /// # Panics
    /// If the link ends before.
    pub fn next_call(&mut self) -> Frame {
        self.wait_for(|frame| frame.handle == Handle::CALL_FUNCTION)
    }

    /// Gives back what a call has cost. In front of its answer: whoever has that has this too.
    ///
    /// # Panics
    /// If it was longer than any frame.
    pub fn pay_back(&mut self, call: &Frame) {
        let bytes = u32::try_from(call.cost()).expect("a frame has a bound");
        let credit = codec::encode(&Credit { window: Window::Calls, bytes }).expect("credit");
        self.send(&self.frame(call.src, Handle::CREDIT, ReplyTo::Nobody, credit));
    }

    /// Answers a call with a value.
    ///
    /// # Panics
    /// If it cannot be encoded, or the call wants no answer.
    pub fn answer<T: Serialize>(&mut self, call: &Frame, value: &T) {
        let mut body = codec::encode(&ReplyHead::Value(Vec::new())).expect("a head");
        codec::encode_into(value, &mut body).expect("a value");
        let handle = call.reply_to.handle().expect("the call wants an answer");
        self.send(&self.frame(call.src, handle, ReplyTo::Nobody, body));
    }

    /// Waits for the dead message to a handle of ours.
    ///
    /// # Panics
    /// If the link ends before, or it cannot be read.
    pub fn wait_for_dead(&mut self, handle: Handle) -> (Frame, Dead) {
        let frame = self.wait_for(|frame| frame.handle == handle && frame.is_dead());
        let dead = codec::decode(&frame.body, BUDGET).expect("a dead body");
        (frame, dead)
    }

    /// Reads and drops until the link ends.
    pub fn drain(&mut self) {
        while self.receive().is_some() {}
    }
}

fn read(input: &mut File, decoder: &mut Decoder) -> Option<Frame> {
    loop {
        if let Some(Decoded::Frame(frame)) = decoder.next_frame().expect("the parent speaks in frames") {
            return Some(frame);
        }
        match input.read(decoder.space()) {
            Ok(0) | Err(_) => return None,
            Ok(len) => decoder.filled(len),
        }
    }
}
