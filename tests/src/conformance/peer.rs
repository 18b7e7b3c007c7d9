//! The parent's side of a link to a child that may be written in any language: frames, and an account of all of them.

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use offshoot_wire::{
    CallHead, ContextId, Credit, Dead, DeadCode, Decoded, Decoder, End, FRAME_COST, Failed, Frame, Handle,
    Hello, MARKER_LEN, Nonce, Part, ReplyHead, ReplyTo, Role, Setup, VERSION, Window, codec, marker, opening,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Fault, PATIENCE, Program};
pub(super) use crate::real::above::{BODY_LIMIT as LIMIT, CHILD, setup};

/// A context that is no ancestor of it.
pub(super) const STRANGER: ContextId = ContextId::new(9);
/// What every window begins with, in bytes (8.1).
pub(super) const START: usize = 16 << 10;
const BUDGET: usize = 4 << 20;

/// A parent that says what it is told to.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    link: UnixStream,
    decoder: Decoder,
    /// Frames that came while another was awaited.
    passed: Vec<Frame>,
    story: Vec<String>,
    next: u32,
    /// What is left of the window for calls.
    pub(super) left: usize,
    /// Replies are given back at once.
    pub(super) generous: bool,
    /// What the child said it is.
    pub(super) role: Role,
}

impl Peer {
    /// Starts the program with the link as its descriptors 0 and 1.
    pub(super) fn start(program: &Program) -> Result<Self, Fault> {
        let failed = |error: io::Error| format!("the program cannot be started: {error}");
        let (link, theirs) = UnixStream::pair().map_err(failed)?;
        link.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        link.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let other = OwnedFd::from(theirs.try_clone().map_err(failed)?);
        let mut command = program.command();
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(other)).stderr(Stdio::null());
        let process = command.spawn().map_err(failed)?;
        Ok(Self {
            process,
            link,
            decoder: Decoder::new(),
            passed: Vec::new(),
            story: Vec::new(),
            next: 1000,
            left: START,
            generous: true,
            role: Role::Leaf,
        })
    }

    /// Opening and SETUP, marker and HELLO.
    pub(super) fn greet(&mut self) -> Result<(), Fault> {
        let mut bytes = Self::opening();
        bytes.extend(encoded(&self.setup_frame(&setup())));
        self.say("the opening and SETUP", &bytes)?;
        self.meet()
    }

    pub(super) fn opening() -> Vec<u8> {
        opening(&Nonce::new([7; 16])).to_vec()
    }

    /// Awaits marker and HELLO.
    pub(super) fn meet(&mut self) -> Result<(), Fault> {
        let mut line = [0; MARKER_LEN];
        (&self.link).read_exact(&mut line).map_err(|error| format!("the marker does not come: {error}"))?;
        self.story.push(format!("came the line {:?}", String::from_utf8_lossy(&line)));
        if line != marker(&Nonce::new([7; 16])) {
            return Err("the marker is wrong".into());
        }
        let frame = self.read()?;
        if frame.handle != Handle::HELLO || frame.src != CHILD || frame.dst != ContextId::ROOT {
            return Err("the first frame is not HELLO to the parent".into());
        }
        let hello: Hello = decoded(&frame.body)?;
        self.role = hello.role;
        if hello.version == VERSION { Ok(()) } else { Err("HELLO names another version".into()) }
    }

    pub(super) fn setup_frame(&self, setup: &Setup) -> Frame {
        self.frame(Handle::SETUP, ReplyTo::Nobody, codec::encode(setup).expect("SETUP"))
    }

    /// A frame from the root to the child.
    #[expect(clippy::unused_self, reason = "reads as what it is: a frame of this parent")]
    pub(super) fn frame(&self, handle: Handle, reply_to: ReplyTo, body: Vec<u8>) -> Frame {
        let root = ContextId::ROOT;
        Frame { dst: CHILD, src: root, auth: root, handle, reply_to, part: None, body: body.into() }
    }

    /// A handle that waits for something new.
    pub(super) const fn handle(&mut self) -> Handle {
        self.next += 1;
        Handle::new(self.next)
    }

    /// Writes bytes that need not be a frame.
    pub(super) fn say(&mut self, what: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.story.push(format!("sent {what}: {}", hex(bytes)));
        (&self.link).write_all(bytes).map_err(|error| format!("the link does not take {what}: {error}"))
    }

    /// Writes a frame.
    pub(super) fn send(&mut self, frame: &Frame) -> Result<(), Fault> {
        self.story.push(format!("sent {}", told(frame)));
        (&self.link).write_all(&encoded(frame)).map_err(|error| format!("the link does not take it: {error}"))
    }

    /// Sends a control frame.
    pub(super) fn control<T: Serialize>(&mut self, handle: Handle, body: &T) -> Result<(), Fault> {
        let frame = self.frame(handle, ReplyTo::Nobody, codec::encode(body).expect("a control body"));
        self.send(&frame)
    }

    /// Calls a function, as credit allows; the handle at which the answer is awaited.
    pub(super) fn call<A: Serialize>(&mut self, function: &str, arguments: &A) -> Result<Handle, Fault> {
        self.call_with(&head(function), arguments)
    }

    pub(super) fn call_with<A: Serialize>(
        &mut self,
        head: &CallHead,
        arguments: &A,
    ) -> Result<Handle, Fault> {
        let handle = self.handle();
        let frame = self.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), call_body(head, arguments));
        self.spend(&frame)?;
        Ok(handle)
    }

    /// Sends a frame in the window for calls, in pieces where it must be.
    pub(super) fn spend(&mut self, frame: &Frame) -> Result<(), Fault> {
        let total = frame.body.len();
        let mut at = 0;
        loop {
            let rest = total - at;
            while self.left < FRAME_COST + rest.min(1024) {
                let credit = |frame: &Frame| frame.handle == Handle::CREDIT;
                self.wait_for("CREDIT for calls (8.3)", credit)?;
            }
            let size = rest.min(self.left - FRAME_COST).min(128 << 10);
            let part = (size < total).then(|| Part {
                total: u32::try_from(total).unwrap_or(u32::MAX),
                offset: u32::try_from(at).unwrap_or(0),
            });
            let body = frame.body[at..at + size].to_vec().into();
            self.left -= size + FRAME_COST;
            self.send(&Frame { part, body, ..frame.clone() })?;
            at += size;
            if at == total {
                return Ok(());
            }
        }
    }

    /// The value that a call ends in.
    pub(super) fn value<T: DeserializeOwned>(&mut self, handle: Handle) -> Result<T, Fault> {
        let (head, value) = self.reply(handle)?;
        match head {
            ReplyHead::Value(_) => decoded(&value),
            other => Err(format!("a value was awaited, and {other:?} came")),
        }
    }

    /// The failure that a call ends in.
    pub(super) fn failure(&mut self, handle: Handle) -> Result<(Failed, String), Fault> {
        match self.reply(handle)?.0 {
            ReplyHead::Failed(how, text) => Ok((how, text)),
            other => Err(format!("a failure was awaited, and {other:?} came")),
        }
    }

    /// A reply, put together, but for the news that the call began.
    pub(super) fn reply(&mut self, handle: Handle) -> Result<(ReplyHead, Vec<u8>), Fault> {
        let (mut body, mut began) = (Vec::new(), false);
        loop {
            let frame = self.wait_for("a reply (6.2)", |frame| frame.handle == handle)?;
            if frame.is_dead() {
                return Err(format!("a reply was awaited, and {} came", told(&frame)));
            }
            let total = frame.part.map_or(frame.body.len(), |part| part.total as usize);
            if frame.part.is_some_and(|part| part.offset as usize != body.len()) {
                return Err("a piece does not begin where the last one ended".into());
            }
            body.extend_from_slice(&frame.body);
            if body.len() < total {
                continue;
            }
            let (head, at) = codec::decode_prefix::<ReplyHead>(&body, BUDGET)
                .map_err(|error| format!("the reply does not decode: {error}"))?;
            if head == ReplyHead::Started {
                if std::mem::replace(&mut began, true) {
                    return Err("the news that a call began comes once (6.3)".into());
                }
                body.clear();
                continue;
            }
            return Ok((head, body.split_off(at)));
        }
    }

    /// The first frame of what ends a call, in whatever form: a reply or a dead message.
    pub(super) fn end_of(&mut self, handle: Handle) -> Result<Frame, Fault> {
        let ends = |frame: &Frame| frame.handle == handle && !is_news(frame);
        let end = self.wait_for("the answer to a call (6.2)", ends)?;
        self.passed.retain(|frame| frame.handle != handle || !is_news(frame));
        Ok(end)
    }

    /// Awaits a dead message to `handle` of this code, which the child made itself.
    pub(super) fn dead(&mut self, handle: Handle, code: DeadCode) -> Result<(), Fault> {
        let frame = self.wait_for("a dead message (6.4)", |frame| frame.handle == handle)?;
        if !frame.is_dead() {
            return Err(format!("a dead message was awaited, and {} came", told(&frame)));
        }
        let dead: Dead = decoded(&frame.body)?;
        if frame.auth != CHILD {
            return Err("auth of a dead message is the context that makes it".into());
        }
        if dead.code == code {
            Ok(())
        } else {
            Err(format!("{code:?} was awaited, and {:?} came", dead.code))
        }
    }

    /// The next frame that `pick` wants; the others are kept.
    pub(super) fn wait_for(&mut self, what: &str, pick: impl Fn(&Frame) -> bool) -> Result<Frame, Fault> {
        if let Some(at) = self.passed.iter().position(&pick) {
            return Ok(self.passed.remove(at));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let frame = self.read().map_err(|why| format!("{what} was awaited: {why}"))?;
            if pick(&frame) {
                return Ok(frame);
            }
            self.passed.push(frame);
            if Instant::now() > until {
                return Err(format!("{what} was awaited, and other frames come"));
            }
        }
    }

    /// Sees that the child lives, and all that it sent before it answered.
    pub(super) fn sync(&mut self) -> Result<&[Frame], Fault> {
        let handle = self.handle();
        let frame = self.frame(Handle::PING, ReplyTo::Handle(handle), call_body(&head(""), &()));
        self.spend(&frame)?;
        self.value::<()>(handle)?;
        Ok(&self.passed)
    }

    /// Frames that have come and were not awaited.
    pub(super) fn passed(&self) -> &[Frame] {
        &self.passed
    }

    /// A frame that was looked at, and is awaited once more.
    pub(super) fn put_back(&mut self, frame: Frame) {
        self.passed.insert(0, frame);
    }

    /// The child lives, and has said nothing that was not awaited but credit and records for the log.
    pub(super) fn is_quiet(&mut self) -> Result<(), Fault> {
        let is_known = |frame: &&Frame| !matches!(frame.handle, Handle::CREDIT | Handle::FORWARD_LOG);
        let stray = self.sync()?.iter().find(is_known).map(told);
        stray.map_or(Ok(()), |frame| Err(format!("nothing was awaited, and {frame} came")))
    }

    /// The child closes its link and ends.
    pub(super) fn ends(&mut self) -> Result<ExitStatus, Fault> {
        let until = Instant::now() + PATIENCE;
        while self.read().is_ok() && Instant::now() < until {}
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < until => thread::park_timeout(PATIENCE / 1000),
                Ok(None) => return Err("it should have ended the link and itself, and has not".into()),
                Err(error) => return Err(format!("it cannot be waited for: {error}")),
            }
        }
    }

    /// Writes nothing more; the child still may.
    pub(super) fn hang_up(&mut self) -> Result<(), Fault> {
        self.story.push("closed the link".into());
        self.link.shutdown(std::net::Shutdown::Write).map_err(|error| error.to_string())
    }

    /// What was sent and came.
    pub(super) fn into_story(mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }

    fn read(&mut self) -> Result<Frame, Fault> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(Decoded::Frame(frame))) => {
                    self.story.push(format!("came {}", told(&frame)));
                    self.book(&frame)?;
                    return Ok(frame);
                }
                Ok(Some(_)) => return Err("it sends a frame that is too long (2.5)".into()),
                Ok(None) => {}
                Err(error) => return Err(format!("it does not speak in frames: {error}")),
            }
            match (&self.link).read(self.decoder.space()) {
                Ok(0) => return Err("the link has ended".into()),
                Ok(len) => self.decoder.filled(len),
                Err(error) => return Err(format!("nothing comes: {error}")),
            }
        }
    }

    /// Credit for calls that came, and credit for a reply.
    fn book(&mut self, frame: &Frame) -> Result<(), Fault> {
        if frame.src != CHILD && !(frame.auth == CHILD && (frame.is_dead() || frame.handle == Handle::CREDIT))
        {
            return Err("the child speaks as another (9.1)".into());
        }
        if frame.handle == Handle::CREDIT {
            let credit: Credit = decoded(&frame.body)?;
            if credit.window == Window::Calls && frame.dst == ContextId::ROOT {
                self.left += credit.bytes as usize;
            }
            return Ok(());
        }
        let is_reply = frame.handle.is_allocated() && frame.reply_to == ReplyTo::Nobody;
        if is_reply && self.generous && frame.dst == ContextId::ROOT {
            let bytes = u32::try_from(frame.cost()).unwrap_or(u32::MAX);
            // One that was told to end may have ended behind its answer.
            drop(self.control(Handle::CREDIT, &Credit { window: Window::Replies, bytes }));
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Whether it says that a call runs (6.3).
pub(super) fn is_news(frame: &Frame) -> bool {
    !frame.is_dead() && frame.part.is_none() && *frame.body == [2]
}

/// A call of nothing special.
pub(super) fn head(function: &str) -> CallHead {
    let function = function.to_owned().into();
    CallHead { function, left_ms: None, above: Vec::new(), chain: None, ends: Vec::<End>::new() }
}

pub(super) fn call_body<A: Serialize>(head: &CallHead, arguments: &A) -> Vec<u8> {
    let mut body = codec::encode(head).expect("a head");
    codec::encode_into(arguments, &mut body).expect("arguments");
    body
}

pub(super) fn encoded(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    bytes
}

pub(super) fn decoded<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    codec::decode(body, BUDGET).map_err(|error| format!("{} is not what was awaited: {error}", hex(body)))
}

/// A frame in a line.
fn told(frame: &Frame) -> String {
    let Frame { dst, src, auth, handle, reply_to, part, body } = frame;
    let part = part.map_or_else(String::new, |part| format!(", at {} of {}", part.offset, part.total));
    format!("{src} ({auth}) to {dst}, handle {handle}, {reply_to:?}{part}: {}", hex(body))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(48) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x} ");
    }
    if bytes.len() > 48 {
        let _ = write!(text, "... ({} bytes)", bytes.len());
    }
    text
}
