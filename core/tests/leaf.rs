//! The reference leaf, run as a process by a parent that is played byte by byte.

#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use offshoot_core::wire::{
    Body, CallHead, ContextId, Dead, DeadCode, Decoded, Decoder, Failed, Frame, Handle, Hello, MARKER_LEN,
    MarkerScan, Nonce, ReplyHead, ReplyTo, Role, Setup, Shutdown, VERSION, codec, marker, opening,
};

const NONCE: Nonce = Nonce::new([0x5a; 16]);
const LEAF: ContextId = ContextId::new(7);
const PATIENCE: Duration = Duration::from_secs(10);

/// A parent with one child.
struct Parent {
    from: File,
    to: File,
    child: Child,
    decoder: Decoder,
    next_handle: u32,
}

impl Parent {
    /// Starts the leaf and waits until it is up.
    fn of_leaf() -> Self {
        Self::of(&mut Command::new(example("leaf")))
    }

    fn of_chatty_leaf() -> Self {
        Self::of(&mut Command::new(example("chatty")))
    }

    fn of(command: &mut Command) -> Self {
        let mut parent = Self::of_silent(command);
        parent.set_up();
        parent.read_marker();
        let hello = parent.frame_to(Handle::HELLO);
        let hello: Hello = codec::decode(&hello.body, 4096).expect("a HELLO");
        assert_eq!((hello.version, hello.role, hello.pid), (VERSION, Role::Leaf, parent.child.id()));
        parent
    }

    /// Starts the leaf and tells it nothing.
    fn of_silent_leaf() -> Self {
        Self::of_silent(&mut Command::new(example("leaf")))
    }

    fn of_silent(command: &mut Command) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        ours.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let from = File::from(OwnedFd::from(ours));
        let to = from.try_clone().expect("a copy");
        let stdin = OwnedFd::from(theirs);
        let stdout = stdin.try_clone().expect("a copy");
        let child = command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().expect("it starts");
        Self { from, to, child, decoder: Decoder::new(), next_handle: Handle::FIRST_ALLOCATED }
    }

    /// Starts the leaf with two pipes for a link, as behind ssh.
    fn of_silent_leaf_behind_pipes() -> Self {
        let mut command = Command::new(example("leaf"));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let to = File::from(OwnedFd::from(child.stdin.take().expect("piped")));
        let from = File::from(OwnedFd::from(child.stdout.take().expect("piped")));
        Self { from, to, child, decoder: Decoder::new(), next_handle: Handle::FIRST_ALLOCATED }
    }

    fn set_up(&mut self) {
        self.to.write_all(&opening(&NONCE)).expect("the leaf reads");
        self.send(Handle::SETUP, ReplyTo::Nobody, codec::encode(&setup()).expect("encodes"));
    }

    /// Closes the link.
    fn go(&mut self) {
        let null = File::open("/dev/null").expect("it is there");
        self.from = null.try_clone().expect("a copy");
        self.to = null;
    }

    fn read_marker(&mut self) {
        let mut scan = MarkerScan::new(&NONCE);
        let mut byte = [0];
        loop {
            let read = self.from.read(&mut byte).expect("the leaf answers in time");
            assert_ne!(read, 0, "the leaf has closed the link");
            if scan.push(&byte).is_some() {
                return assert_eq!(scan.last_words(), b"");
            }
        }
    }

    fn send(&mut self, handle: Handle, reply_to: ReplyTo, body: Vec<u8>) {
        let frame = Frame {
            dst: LEAF,
            src: ContextId::ROOT,
            auth: ContextId::ROOT,
            handle,
            reply_to,
            part: None,
            body: Body::from(body),
        };
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        self.to.write_all(&bytes).expect("the leaf reads");
    }

    /// Calls a function; `args` are encoded behind the head.
    fn call(&mut self, function: &'static str, args: &impl serde::Serialize) -> Handle {
        let head = CallHead {
            function: function.into(),
            left_ms: None,
            above: Vec::new(),
            chain: None,
            ends: Vec::new(),
        };
        let mut body = codec::encode(&head).expect("encodes");
        codec::encode_into(args, &mut body).expect("encodes");
        let handle = Handle::new(self.next_handle);
        self.next_handle += 1;
        self.send(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), body);
        handle
    }

    /// The next frame to this handle; others are passed over.
    fn frame_to(&mut self, handle: Handle) -> Frame {
        loop {
            let frame = self.frame();
            if frame.handle == handle {
                return frame;
            }
        }
    }

    /// The next frame.
    fn frame(&mut self) -> Frame {
        loop {
            match self.decoder.next_frame().expect("frames") {
                Some(Decoded::Frame(frame)) => return frame,
                Some(Decoded::Oversize(header)) => panic!("{header:?} is too long"),
                None => {}
            }
            let read = self.from.read(self.decoder.space()).expect("the leaf answers in time");
            assert_ne!(read, 0, "the leaf has closed the link");
            self.decoder.filled(read);
        }
    }

    /// The answer to a call; the news that it takes long is passed over.
    fn answer(&mut self, handle: Handle) -> (ReplyHead, Vec<u8>) {
        loop {
            let frame = self.frame_to(handle);
            assert!(!frame.is_dead(), "{:?}", codec::decode::<Dead>(&frame.body, 65_536));
            let (head, used) = codec::decode_prefix(&frame.body, 65_536).expect("a reply");
            if head != ReplyHead::Started {
                return (head, frame.body[used..].to_vec());
            }
        }
    }

    fn shut_down(&mut self, left_ms: u32) {
        self.send(Handle::SHUTDOWN, ReplyTo::Nobody, codec::encode(&Shutdown { left_ms }).expect("encodes"));
    }

    /// The next record: its level, its target and its text.
    fn record(&mut self) -> (u8, String, String) {
        codec::decode(&self.frame_to(Handle::FORWARD_LOG).body, 65_536).expect("a record")
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the leaf has not ended");
            std::thread::yield_now();
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn setup() -> Setup {
    Setup {
        version: VERSION,
        features: 0,
        id: LEAF,
        ancestors: vec![ContextId::ROOT],
        name: "leaf".into(),
        one_way: false,
        body_limit: 1 << 20,
        ping_ms: 0,
        grace_ms: 2000,
        log_level: 3,
    }
}

/// `cargo test` builds the examples of a package before it runs its tests, and puts them beside these.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let path = test.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("examples").join(name);
    assert!(path.exists(), "run `cargo build --examples` first: there is no {}", path.display());
    path
}

// protocol 1.1, 1.2, 1.3 and 5.3
#[test]
fn a_leaf_answers_the_opening_with_the_marker_and_its_first_frame_is_hello() {
    let mut parent = Parent::of_silent_leaf();
    parent.set_up();
    let mut line = [0; MARKER_LEN];
    parent.from.read_exact(&mut line).expect("the leaf answers in time");
    assert_eq!(line, marker(&NONCE));
    let first = parent.frame();
    assert_eq!((first.handle, first.src, first.dst), (Handle::HELLO, LEAF, ContextId::ROOT));
}

/// What a leaf says on stderr that gets this instead of SETUP.
fn last_words_of_a_leaf_that_gets(handle: Handle, body: Vec<u8>) -> String {
    let mut parent = Parent::of_silent_leaf();
    parent.to.write_all(&opening(&NONCE)).expect("the leaf reads");
    parent.send(handle, ReplyTo::Nobody, body);
    assert_eq!(parent.ended().code(), Some(70));
    let mut words = String::new();
    parent.child.stderr.take().expect("piped").read_to_string(&mut words).expect("text");
    words
}

// protocol 1.3
#[test]
fn a_leaf_takes_nothing_before_setup() {
    let words = last_words_of_a_leaf_that_gets(Handle::PING, codec::encode(&()).expect("encodes"));
    assert!(words.contains("did not begin with SETUP"), "{words}");
}

// protocol 5.2 and 5.3
#[test]
fn a_leaf_that_is_told_another_version_says_so_and_ends() {
    let newer = Setup { version: VERSION + 1, ..setup() };
    let words = last_words_of_a_leaf_that_gets(Handle::SETUP, codec::encode(&newer).expect("encodes"));
    assert!(words.contains("version 2") && words.contains("version 1"), "{words}");
}

// protocol 6.1 and 6.2
#[test]
fn a_call_is_answered_with_its_value() {
    let mut parent = Parent::of_leaf();
    let length = parent.call("length", &"four");
    let sum = parent.call("add", &(2_i64, -5_i64));
    let (head, value) = parent.answer(length);
    assert_eq!((head, codec::decode::<u64>(&value, 64)), (ReplyHead::Value(Vec::new()), Ok(4)));
    let (_, value) = parent.answer(sum);
    assert_eq!(codec::decode::<i64>(&value, 64), Ok(-3));
}

// protocol 1.1 and 1.3
#[test]
fn a_call_that_comes_right_behind_setup_is_answered() {
    let mut parent = Parent::of_silent_leaf();
    parent.set_up();
    let call = parent.call("length", &"early");
    parent.read_marker();
    let (_, value) = parent.answer(call);
    assert_eq!(codec::decode::<u64>(&value, 64), Ok(5));
}

#[test]
fn a_leaf_behind_pipes_is_as_good_as_one_behind_a_socket() {
    let mut parent = Parent::of_silent_leaf_behind_pipes();
    parent.set_up();
    parent.read_marker();
    // More together than what is written to a pipe in one go.
    let texts: Vec<String> = (0..4_usize).map(|i| "x".repeat(3000 + i)).collect();
    let calls: Vec<Handle> = texts.iter().map(|text| parent.call("length", text)).collect();
    for (text, call) in texts.iter().zip(calls) {
        let (_, value) = parent.answer(call);
        assert_eq!(codec::decode::<usize>(&value, 64), Ok(text.len()));
    }
    parent.go();
    assert_eq!(parent.ended().code(), Some(1));
}

// protocol 6.2
#[test]
fn a_function_that_is_not_served_is_an_error_that_names_it() {
    let mut parent = Parent::of_leaf();
    let call = parent.call("reboot", &());
    let (head, _) = parent.answer(call);
    assert!(
        matches!(&head, ReplyHead::Failed(Failed::NoSuchFunction, text) if text.contains("reboot")),
        "{head:?}"
    );
}

// protocol 6.4
#[test]
fn a_frame_to_a_handle_that_does_not_exist_gets_a_dead_reply() {
    let mut parent = Parent::of_leaf();
    let mine = Handle::new(4321);
    parent.send(Handle::new(5000), ReplyTo::Handle(mine), Vec::new());
    let frame = parent.frame_to(mine);
    assert!(frame.is_dead());
    let dead: Dead = codec::decode(&frame.body, 65_536).expect("a dead body");
    assert_eq!(dead.code, DeadCode::NoHandle);
}

// protocol 5.10
#[test]
fn a_leaf_that_is_told_to_end_exits_with_0() {
    let mut parent = Parent::of_leaf();
    let call = parent.call("length", &"held");
    let (_, value) = parent.answer(call);
    assert_eq!(codec::decode::<u64>(&value, 64), Ok(4));
    parent.shut_down(5000);
    let status = parent.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

// protocol 9.6
#[test]
fn a_leaf_that_loses_its_parent_ends_by_itself() {
    let mut parent = Parent::of_leaf();
    parent.go();
    let began = Instant::now();
    let status = parent.ended();
    assert_eq!(status.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_program_that_no_parent_has_started_says_so_and_exits_with_2() {
    let mut parent = Parent::of_silent_leaf();
    parent.to.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n-----------").expect("it reads");
    let status = parent.ended();
    let mut words = String::new();
    parent.child.stderr.take().expect("piped").read_to_string(&mut words).expect("text");
    assert_eq!((status.code(), words.lines().count()), (Some(2), 1), "{words}");
    assert!(words.contains("not by hand"), "{words}");
}

// protocol 6.7
#[test]
fn what_is_printed_and_logged_and_what_its_children_print_comes_as_records() {
    let mut parent = Parent::of_chatty_leaf();
    parent.call("say", &"hello");
    let mut records = [parent.record(), parent.record(), parent.record(), parent.record()];
    records.sort();
    let record = |level, target: &str, text: &str| (level, target.to_owned(), text.to_owned());
    assert_eq!(
        records,
        [
            record(2, "chatty", "logged hello"),
            record(3, "stderr", "complained hello"),
            record(3, "stdout", "echoed hello"),
            record(3, "stdout", "printed hello"),
        ]
    );
}

#[test]
fn what_was_printed_last_comes_before_the_end() {
    let mut parent = Parent::of_chatty_leaf();
    parent.call("say", &"bye");
    // The first word says that the call runs.
    let mut texts = vec![parent.record().2];
    parent.shut_down(5000);
    texts.extend((0..3).map(|_| parent.record().2));
    texts.sort();
    assert_eq!(texts, ["complained bye", "echoed bye", "logged bye", "printed bye"]);
    assert_eq!(parent.ended().code(), Some(0));
}

#[test]
fn a_process_that_holds_its_stdout_does_not_keep_a_leaf_from_ending() {
    let mut parent = Parent::of_chatty_leaf();
    let call = parent.call("linger", &());
    let (head, value) = parent.answer(call);
    assert_eq!(head, ReplyHead::Value(Vec::new()));
    let lingering: u32 = codec::decode(&value, 64).expect("a number");
    parent.shut_down(5000);
    let began = Instant::now();
    assert_eq!(parent.ended().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let killed = Command::new("kill").arg(lingering.to_string()).status().expect("kill runs");
    assert!(killed.success(), "the other process went with the leaf");
}

// protocol 5.2 and 5.10
#[test]
fn a_leaf_whose_main_thread_does_not_return_is_ended_by_sigterm() {
    let mut parent = Parent::of_chatty_leaf();
    parent.call("spin", &());
    // An answer to a PING behind the call says that the call has been taken in.
    let mine = Handle::new(9999);
    parent.send(Handle::PING, ReplyTo::Handle(mine), codec::encode(&()).expect("encodes"));
    parent.frame_to(mine);
    parent.shut_down(200);
    assert_eq!(parent.ended().signal(), Some(15));
}

// protocol 5.10
#[test]
fn a_leaf_that_waits_for_its_workers_is_hurried_by_a_shorter_order() {
    let mut parent = Parent::of(Command::new(example("chatty")).env("WORKERS", ""));
    let meeting = [parent.call("meet", &()), parent.call("meet", &())];
    let met = ReplyHead::Value(Vec::new());
    let is_met = |frame: &Frame| {
        let head = codec::decode_prefix(&frame.body, 65_536);
        meeting.contains(&frame.handle) && head.is_ok_and(|(head, _): (ReplyHead, _)| head == met)
    };
    while !is_met(&parent.frame()) {}
    parent.shut_down(600_000);
    let late = parent.call("say", &"late");
    assert!(parent.frame_to(late).is_dead(), "its end has begun");
    parent.shut_down(4000);
    let status = parent.ended();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}

#[test]
fn on_parent_lost_runs_before_the_end() {
    let path = std::env::temp_dir().join(format!("offshoot-farewell-{}", std::process::id()));
    let mut parent = Parent::of(Command::new(example("chatty")).env("FAREWELL", &path));
    parent.go();
    let status = parent.ended();
    let word = std::fs::read_to_string(&path);
    drop(std::fs::remove_file(&path));
    assert_eq!((status.code(), word.ok().as_deref()), (Some(1), Some("alone")));
}
