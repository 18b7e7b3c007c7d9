//! A parent written by hand, above a child that is real: it says what a parent never says, and sees every frame.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use offshoot_bootstrap::{ConnectError, Method, Plan, Process, Told, spawn};
use offshoot_core::wire::{
    AddRoute, AllocateId, ContextId, Decoded, Decoder, DelRoute, Frame, Handle, Hello, IdRange, MARKER_LEN,
    Nonce, ReplyHead, ReplyTo, Role, Setup, VERSION, codec, marker, opening,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{PATIENCE, call_body};

/// The child that was made: its id, its pid and its role, and what has become of each of its passwords.
type Made = (ContextId, (u32, Role), Vec<Told>);

/// The memory that a body may take when it is decoded here, in bytes.
const BUDGET: usize = 1 << 20;
/// The child.
pub const CHILD: ContextId = ContextId::new(1);

/// What the child is told it is.
#[must_use]
pub fn setup() -> Setup {
    Setup {
        version: VERSION,
        features: 0,
        id: CHILD,
        ancestors: vec![ContextId::ROOT],
        name: "child".into(),
        one_way: false,
        body_limit: BODY_LIMIT,
        ping_ms: 0,
        grace_ms: 2000,
        log_level: 3,
    }
}

/// The longest body that the child may be sent, in bytes.
pub const BODY_LIMIT: u32 = 1 << 20;

/// The root's side of the only link of its tree, as frames.
#[derive(Debug)]
pub struct Above {
    link: UnixStream,
    decoder: Decoder,
    process: Process,
    /// Frames that came while another was awaited.
    passed: Vec<Frame>,
    /// What the child said it is.
    pub hello: Hello,
}

impl Above {
    /// Starts a child and greets it.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn begin(method: &impl Method) -> Self {
        let spawned = spawn(&method.plan()).expect("the child starts");
        let mut link = UnixStream::from(spawned.link.into_parts().0);
        link.set_read_timeout(Some(PATIENCE)).expect("a bound for every wait");
        let nonce = Nonce::new([7; 16]);
        link.write_all(&opening(&nonce)).expect("the opening goes");
        let hello = Hello { version: 0, features: 0, role: Role::Leaf, pid: 0, build: 0 };
        let mut above =
            Self { link, decoder: Decoder::new(), process: spawned.process, passed: Vec::new(), hello };
        above.send(&above.frame_of(Handle::SETUP, ReplyTo::Nobody, &setup()));
        let mut line = [0; MARKER_LEN];
        (&above.link).read_exact(&mut line).expect("the marker comes");
        assert_eq!(line, marker(&nonce));
        let frame = above.until("HELLO", |frame| frame.handle == Handle::HELLO);
        above.hello = body(&frame);
        above
    }

    /// The process of the child.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A frame from the root to the child.
    #[must_use]
    pub fn frame(&self, handle: Handle, reply_to: ReplyTo, body: Vec<u8>) -> Frame {
        let root = ContextId::ROOT;
        Frame { dst: CHILD, src: root, auth: root, handle, reply_to, part: None, body: body.into() }
    }

    /// A frame from the root to the child, with a body that is encoded.
    ///
    /// # Panics
    /// If it cannot be.
    #[must_use]
    pub fn frame_of<T: Serialize>(&self, handle: Handle, reply_to: ReplyTo, body: &T) -> Frame {
        self.frame(handle, reply_to, codec::encode(body).expect("it can be encoded"))
    }

    /// A call of the root to the child.
    ///
    /// # Panics
    /// If it cannot be encoded.
    #[must_use]
    pub fn call<A: Serialize>(&self, handle: Handle, reply_to: Handle, function: &str, args: &A) -> Frame {
        self.frame(handle, ReplyTo::Handle(reply_to), call_body(function, args))
    }

    /// Writes a frame.
    ///
    /// # Panics
    /// If the link is gone.
    pub fn send(&self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        (&self.link).write_all(&bytes).expect("the link takes bytes");
    }

    /// The next frame that `pick` wants; the others are kept for later.
    ///
    /// # Panics
    /// If none comes in time.
    #[track_caller]
    pub fn until(&mut self, what: &str, pick: impl Fn(&Frame) -> bool) -> Frame {
        if let Some(at) = self.passed.iter().position(&pick) {
            return self.passed.remove(at);
        }
        loop {
            let frame = self.read().unwrap_or_else(|| panic!("{what} comes; instead: {:?}", self.passed));
            if pick(&frame) {
                return frame;
            }
            self.passed.push(frame);
        }
    }

    /// Every frame that has come and was not awaited.
    #[must_use]
    pub fn passed(&self) -> &[Frame] {
        &self.passed
    }

    /// Asks the child for its answer to a PING, and so sees all that it sent before.
    pub fn sync(&mut self) {
        let handle = Handle::new(9_999_999);
        self.send(&self.call(Handle::PING, handle, "", &()));
        self.until("the answer to PING", |frame| frame.handle == handle);
    }

    /// Has the child make a child of its own, as far as its announcement: ids come out of `range` if it asks.
    pub fn create(&mut self, reply_to: Handle, plan: &Plan, range: u32) -> AddRoute {
        /// As `offshoot-parent` writes it.
        #[derive(Serialize)]
        enum Ask<'a> {
            Child { plan: &'a Plan, ticket: u64 },
        }

        self.send(&self.call(Handle::CREATE_CHILD, reply_to, "", &Ask::Child { plan, ticket: 0 }));
        let frame = self.until("ALLOCATE_ID or ADD_ROUTE", |frame| {
            matches!(frame.handle, Handle::ALLOCATE_ID | Handle::ADD_ROUTE)
        });
        if frame.handle == Handle::ADD_ROUTE {
            return body(&frame);
        }
        let range = IdRange::new(range).expect("there is such a range");
        self.send(&self.frame_of(Handle::ALLOCATE_ID, ReplyTo::Nobody, &AllocateId::Grant(range)));
        body(&self.until("ADD_ROUTE", |frame| frame.handle == Handle::ADD_ROUTE))
    }

    /// What became of a child that was to be made: its process.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    /// If there is no answer, or none that can be read.
    pub fn created(&mut self, reply_to: Handle) -> Result<u32, ConnectError> {
        let frame = self
            .until("the answer to CREATE_CHILD", |frame| frame.handle == reply_to && frame.body.len() > 1);
        let answer: Result<Made, ConnectError> = value(&frame);
        answer.map(|(_, (pid, _), _)| pid)
    }

    /// Says that a context is gone, or refused.
    pub fn withdraw(&self, id: ContextId, reason: &str) {
        let del = DelRoute { ids: vec![id], top: id, name: String::new(), reason: reason.to_owned() };
        self.send(&self.frame_of(Handle::DEL_ROUTE, ReplyTo::Nobody, &del));
    }

    fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(Decoded::Frame(frame)) =
                self.decoder.next_frame().expect("the child speaks in frames")
            {
                return Some(frame);
            }
            match (&self.link).read(self.decoder.space()) {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.decoder.filled(len),
            }
        }
    }
}

/// What a body of this type says.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn body<T: DeserializeOwned>(frame: &Frame) -> T {
    codec::decode(&frame.body, BUDGET).expect("the body is of this type")
}

/// The value of a reply.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn value<T: DeserializeOwned>(frame: &Frame) -> T {
    let (head, at) = codec::decode_prefix::<ReplyHead>(&frame.body, BUDGET).expect("a head of a reply");
    assert_eq!(head, ReplyHead::Value(Vec::new()));
    codec::decode(frame.body.get(at..).expect("a value follows"), BUDGET).expect("the value is of this type")
}
