//! The context itself: its handshake, what comes to it, and what an honest one would do about that.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{BufReader, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    cbor::{Cbor, Read as Values},
    frame::{ALLOCATED, CALL, CANCEL, CREDIT, DEAD, DEL_ROUTE, Frame, HELLO, PING, PONG, SETUP, SHUTDOWN},
    strings::Strings,
};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a window holds that was never used (protocol 8.1).
const FIRST_WINDOW: u64 = 16_384;
/// The longest piece of a body (protocol 3.1).
const LONGEST_PIECE: u64 = 131_072;
/// The root.
pub(crate) const ROOT: u32 = 0;

/// What it says that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Leaf,
    Parent,
    /// It says no HELLO, but waits for its orders.
    Mute,
    /// Its first frame is no HELLO.
    Early,
    /// Random bytes follow its marker.
    Babbler,
}

impl Part {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "leaf" => Self::Leaf,
            "parent" => Self::Parent,
            "mute" => Self::Mute,
            "early" => Self::Early,
            "babbler" => Self::Babbler,
            _ => panic!("there is no part {name:?}"),
        }
    }
}

/// A window of credit (protocol 5.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Window {
    Calls,
    Replies,
    Stream(u32),
}

/// What the thread that reads shares with the one that acts.
struct Shared {
    output: Mutex<File>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<Frame>,
    credit: BTreeMap<(u32, Window), u64>,
    /// It reads nothing.
    is_deaf: bool,
    /// It gives no credit.
    is_stingy: bool,
}

/// One who plays.
pub(crate) struct Actor {
    pub(crate) me: u32,
    pub(crate) parent: u32,
    pub(crate) strings: Strings,
    shared: Arc<Shared>,
    handles: u32,
}

impl Actor {
    /// Does the handshake on descriptors 0 and 1, as its part wants it.
    pub(crate) fn enter(part: Part, strings: Strings) -> Self {
        let file = |fd: BorrowedFd<'_>| File::from(fd.try_clone_to_owned().expect("a descriptor to spare"));
        let (mut input, mut output) = (file(std::io::stdin().as_fd()), file(std::io::stdout().as_fd()));
        let mut opening = [0; 42];
        input.read_exact(&mut opening).expect("the opening");
        output.write_all(&marker(&opening)).expect("the marker goes");
        let setup = Frame::read(&mut input).expect("SETUP");
        assert_eq!(setup.handle, SETUP);
        let mut values = Values(&setup.body);
        assert_eq!((values.array(), values.uint()), (10, 1), "ten fields, version 1");
        values.skip();
        let (me, _, parent) = (values.uint(), values.array(), values.uint());
        let shared =
            Arc::new(Shared { output: Mutex::new(output), state: Mutex::default(), changed: Condvar::new() });
        let actor = Self { me, parent, strings, shared, handles: 5000 };
        match part {
            Part::Leaf => actor.say_hello(0),
            Part::Parent => actor.say_hello(1),
            Part::Mute => {}
            Part::Early => actor.send(&actor.frame(parent, PONG).body(Cbor::new().null())),
            Part::Babbler => actor.send_bytes(&noise(64 << 10)),
        }
        let shared = Arc::clone(&actor.shared);
        std::thread::spawn(move || listen(&shared, BufReader::with_capacity(1 << 16, input)));
        actor
    }

    /// HELLO, as a leaf or a parent.
    pub(crate) fn say_hello(&self, role: u8) {
        let hello = Cbor::new().array(5).uint(1_u8).uint(0_u8).uint(role).uint(std::process::id()).uint(7_u8);
        self.send(&self.frame(self.parent, HELLO).body(hello));
    }

    /// A frame that tells the truth and says nothing.
    pub(crate) fn frame(&self, dst: u32, handle: u32) -> Frame {
        let me = self.me;
        Frame { dst, src: me, auth: me, handle, reply_to: 0, part: None, body: Vec::new() }
    }

    /// A call; its argument is what `argument` holds.
    pub(crate) fn call(&self, dst: u32, function: &str, argument: &[u8]) -> Frame {
        self.frame(dst, CALL).body(Cbor::call(function).and(argument))
    }

    /// A handle of its own that was not used before.
    pub(crate) fn handle(&mut self) -> u32 {
        self.handles += 1;
        self.handles
    }

    pub(crate) fn send(&self, frame: &Frame) {
        self.send_bytes(&frame.bytes());
    }

    /// Writes bytes; a link that is gone takes them too, and ends this process a moment later.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        write(&self.shared, bytes);
    }

    /// Writes the first bytes one by one, so many milliseconds apart, and the rest at once; nothing else is written in
    /// between.
    pub(crate) fn send_slowly(&self, bytes: &[u8], slow: usize, ms: u32) {
        let mut output = self.shared.output.lock().expect("no panic inside");
        let (slow, fast) = bytes.split_at(slow);
        for byte in slow {
            pause(ms);
            drop(output.write_all(&[*byte]));
        }
        drop(output.write_all(fast));
    }

    /// Sends a body of any length within its credit, in pieces where it must be (protocol 3.2).
    pub(crate) fn send_within_credit(&self, frame: &Frame, window: Window) {
        let total = u32::try_from(frame.body.len()).expect("a body has fewer than 4 GiB");
        let empty = Frame { body: Vec::new(), ..*frame };
        let mut rest = &frame.body[..];
        loop {
            let most = self.available(frame.dst, window, 1024.min(rest.len() as u64 + 128)) - 128;
            let (piece, later) = rest.split_at(rest.len().min(most.min(LONGEST_PIECE) as usize));
            let offset = total - u32::try_from(rest.len()).expect("less than all");
            let piece = empty.clone().body(piece);
            self.spend(frame.dst, window, piece.cost());
            let is_whole = offset == 0 && later.is_empty();
            self.send(&if is_whole { piece } else { piece.part(total, offset) });
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Waits until a window holds at least that much; what it holds.
    pub(crate) fn available(&self, dst: u32, window: Window, least: u64) -> u64 {
        let has = |state: &mut State| {
            let left = *state.credit.entry((dst, window)).or_insert(FIRST_WINDOW);
            (left >= least).then_some(left)
        };
        self.until(has).expect("credit comes")
    }

    /// Takes so much out of a window.
    pub(crate) fn spend(&self, dst: u32, window: Window, cost: u64) {
        self.available(dst, window, cost);
        *lock(&self.shared).credit.entry((dst, window)).or_insert(FIRST_WINDOW) -= cost;
    }

    /// Sends something that is answered, and waits for the answer: the news that it runs is none (protocol 6.3).
    pub(crate) fn ask(&mut self, frame: Frame) -> Frame {
        let handle = self.handle();
        self.send(&frame.reply_to(handle));
        let is_news = |answer: &Frame| answer.reply_to != DEAD && answer.body == [2];
        self.wait("an answer", |answer| answer.handle == handle && !is_news(answer))
    }

    /// Waits until the root has dealt with all that was sent.
    pub(crate) fn settle(&mut self) {
        let ping = self.frame(ROOT, PING).body(Cbor::call("").null());
        self.ask(ping);
    }

    /// The next frame that `pick` wants; what it does not want waits on.
    pub(crate) fn wait(&self, what: &str, pick: impl Fn(&Frame) -> bool) -> Frame {
        self.until(|state| {
            let at = state.inbox.iter().position(&pick)?;
            state.inbox.remove(at)
        })
        .unwrap_or_else(|| panic!("{what} comes in time"))
    }

    /// The next call to it, or to whom it plays, that fits a frame.
    pub(crate) fn next_call(&self) -> Frame {
        let is_call = |frame: &Frame| frame.handle < ALLOCATED && frame.reply_to >= ALLOCATED;
        self.wait("a call", |frame| is_call(frame) && frame.part.is_none())
    }

    /// All that has come and `pick` wants, without waiting.
    pub(crate) fn came(&self, pick: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let mut state = lock(&self.shared);
        let (picked, others) = std::mem::take(&mut state.inbox).into_iter().partition(pick);
        state.inbox = others;
        VecDeque::into(picked)
    }

    /// Answers a call with a value.
    pub(crate) fn answer(&self, call: &Frame, value: &[u8]) {
        self.send(&self.answer_to(call).body(Cbor::value().and(value)));
    }

    /// The frame in which a call is answered, by whom was called.
    pub(crate) fn answer_to(&self, call: &Frame) -> Frame {
        self.frame(call.src, call.reply_to).by(call.dst)
    }

    /// Reads nothing any more, or reads again.
    pub(crate) fn set_deaf(&self, is_deaf: bool) {
        lock(&self.shared).is_deaf = is_deaf;
        self.shared.changed.notify_all();
    }

    /// Gives no credit any more.
    pub(crate) fn set_stingy(&self) {
        lock(&self.shared).is_stingy = true;
    }

    /// Tells the test something.
    pub(crate) fn tell(&mut self, line: &str) {
        self.strings.tell(line);
    }

    /// Tells the test what an answer says.
    pub(crate) fn tell_answer(&mut self, answer: &Frame) {
        let line = told(answer);
        self.tell(&line);
    }

    fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut found = None;
        let state = lock(&self.shared);
        let waits = |state: &mut State| {
            found = look(state);
            found.is_none()
        };
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, waits).expect("no panic inside");
        drop(waited);
        found
    }
}

/// What an answer says, in one line.
pub(crate) fn told(answer: &Frame) -> String {
    let mut values = Values(&answer.body);
    if answer.reply_to == DEAD {
        values.array();
        let (code, text) = (values.uint() as usize, values.text());
        let code = DEAD_CODES[code];
        return format!("dead {code} by {}: {text}", answer.auth);
    }
    if answer.body == [2] {
        return "started".to_owned();
    }
    values.array();
    match values.uint() {
        0 => {
            values.skip();
            let bytes: String = values.0.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("value {bytes}")
        }
        _ => format!("failed {}: {}", FAILURES[values.uint() as usize], values.text()),
    }
}

/// Protocol 6.4.
const DEAD_CODES: [&str; 14] = [
    "no-route",
    "no-handle",
    "policy",
    "one-way",
    "too-large",
    "congested",
    "gone",
    "cancelled",
    "shutting-down",
    "busy",
    "would-wait",
    "malformed",
    "too-late",
    "unanswered",
];
/// Protocol 6.2.
const FAILURES: [&str; 6] = ["error", "panic", "no-such-function", "arguments", "result", "chain"];

fn write(shared: &Shared, bytes: &[u8]) {
    drop(shared.output.lock().expect("no panic inside").write_all(bytes));
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().expect("no panic inside")
}

/// Reads all that comes, until the link ends, and this process with it.
#[expect(clippy::disallowed_methods, reason = "its acts may hang in a write for ever")]
fn listen(shared: &Shared, mut input: impl Read) {
    loop {
        let state = lock(shared);
        let state = shared.changed.wait_while(state, |state| state.is_deaf).expect("no panic inside");
        drop(state);
        match Frame::read(&mut input) {
            None => std::process::exit(0),
            Some(frame) if frame.handle == SHUTDOWN => std::process::exit(0),
            Some(frame) => take(shared, frame),
        }
    }
}

/// Does what an honest context does about a frame, and keeps those that an act may wait for.
fn take(shared: &Shared, frame: Frame) {
    let back = Frame { dst: frame.src, src: frame.dst, auth: frame.dst, part: None, ..frame.clone() };
    match frame.handle {
        PING if frame.reply_to == 0 => {
            let pong = Frame { handle: PONG, ..back };
            return write(shared, &pong.bytes());
        }
        PONG | CANCEL => return,
        CREDIT => return earn(shared, &frame),
        _ => {}
    }
    if let Some(window) = window_of(&frame).filter(|_| !lock(shared).is_stingy) {
        let window = match window {
            Window::Calls => Cbor::new().uint(0_u8),
            Window::Replies => Cbor::new().uint(1_u8),
            Window::Stream(handle) => Cbor::new().array(2).uint(2_u8).uint(handle),
        };
        let body = Cbor::new().array(2).and(&Vec::from(window)).uint(frame.cost());
        write(shared, &Frame { handle: CREDIT, reply_to: 0, ..back }.body(body).bytes());
    }
    lock(shared).inbox.push_back(frame);
    shared.changed.notify_all();
}

/// The window that paid for a frame (protocol 8.1, 8.2).
fn window_of(frame: &Frame) -> Option<Window> {
    match frame.handle {
        _ if frame.reply_to == DEAD => None,
        DEL_ROUTE | 103 | 105 => None,
        handle if handle < ALLOCATED => Some(Window::Calls),
        _ if frame.reply_to == 0 => Some(Window::Replies),
        handle => Some(Window::Stream(handle)),
    }
}

/// CREDIT has come.
fn earn(shared: &Shared, frame: &Frame) {
    let mut values = Values(&frame.body);
    values.array();
    let window = match values.head() {
        (0, 0) => Window::Calls,
        (0, 1) => Window::Replies,
        _ => {
            values.skip();
            Window::Stream(values.uint())
        }
    };
    let more = u64::from(values.uint());
    *lock(shared).credit.entry((frame.src, window)).or_insert(FIRST_WINDOW) += more;
    shared.changed.notify_all();
}

/// What answers the opening: its nonce with every bit turned (protocol 1.2).
fn marker(opening: &[u8; 42]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a digit of the nonce");
    let turned = opening[9..41].iter().map(|byte| char::from_digit(15 - digit(byte), 16).expect("a digit"));
    format!("offshoot-up {}\n", turned.collect::<String>()).into_bytes()
}

#[expect(clippy::disallowed_methods, reason = "to be slow is what it is for")]
fn pause(ms: u32) {
    if ms > 0 {
        std::thread::sleep(Duration::from_millis(ms.into()));
    }
}

/// Bytes that look like nothing, and do not begin as a frame does.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut dice = Dice(0x9e37_79b9);
    std::iter::once(0x1b).chain((1..length).map(|_| dice.roll() as u8)).collect()
}

/// Numbers that look like chance, the same in every run.
pub(crate) struct Dice(pub(crate) u32);

impl Dice {
    pub(crate) fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}
