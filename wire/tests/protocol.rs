//! `docs/protocol.md` and this crate say the same: every example there is the value that is named here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use offshoot_wire::{
    AddRoute, AllocateId, Body, CallHead, CallId, ContextId, Credit, Dead, DeadCode, Decoded, Decoder,
    DelRoute, Direction, End, Failed, Frame, Handle, Hello, IdRange, Nonce, Part, Rebind, ReplyHead, ReplyTo,
    Role, Setup, Shutdown, StreamHead, VERSION, Window, codec, marker, opening,
};
use serde::{Serialize, de::DeserializeOwned};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// The blocks that begin with ```` ```hex NAME ````: what stands behind `;` in a line is a comment.
fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let mut examples = BTreeMap::new();
    for block in DOCUMENT.split("```hex ").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let (name, lines) = block.split_once('\n').unwrap();
        let digits = lines.lines().filter_map(|line| line.split(';').next()).flat_map(str::split_whitespace);
        let bytes = digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert!(examples.insert(name.trim(), bytes).is_none(), "two examples are named {name}");
    }
    examples
}

struct Document {
    left: BTreeMap<&'static str, Vec<u8>>,
    wrong: Vec<String>,
}

impl Document {
    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        if self.left.remove(name).as_deref() != Some(bytes) {
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            self.wrong.push(format!("{name} is {}", hex.join(" ")));
        }
    }

    fn body<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(&mut self, name: &str, value: &T) {
        let bytes = codec::encode(value).unwrap();
        assert_eq!(codec::decode::<T>(&bytes, 4096).as_ref(), Ok(value), "{name}");
        self.bytes(name, &bytes);
    }

    fn body_with<H, T>(&mut self, name: &str, head: &H, value: &T)
    where
        H: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let mut bytes = codec::encode(head).unwrap();
        codec::encode_into(value, &mut bytes).unwrap();
        let (read, at) = codec::decode_prefix::<H>(&bytes, 4096).unwrap();
        assert_eq!((&read, codec::decode::<T>(bytes.get(at..).unwrap(), 4096).as_ref()), (head, Ok(value)));
        self.bytes(name, &bytes);
    }

    fn frame(&mut self, name: &str, frame: Frame) {
        let mut bytes = Vec::new();
        frame.encode_into(&mut bytes);
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        assert_eq!(decoder.next_frame(), Ok(Some(Decoded::Frame(frame))));
        self.bytes(name, &bytes);
    }
}

#[test]
fn every_example_is_the_value_it_is_said_to_be() {
    let mut document = Document { left: examples(), wrong: Vec::new() };
    let doc = &mut document;

    let nonce = Nonce::new(*b"0123456789abcdef");
    doc.bytes("opening", &opening(&nonce));
    doc.bytes("marker", &marker(&nonce));

    let (root, hop, leaf) = (ContextId::ROOT, ContextId::new(5), ContextId::new(1005));
    let stream = Handle::new(1003);
    let frame = |handle, reply_to, part, body: &[u8]| Frame {
        dst: leaf,
        src: root,
        auth: root,
        handle,
        reply_to,
        part,
        body: Body::from(body),
    };
    doc.frame("frame", frame(Handle::PING, ReplyTo::Nobody, None, b"\xf6"));
    let part = Part { total: 200_000, offset: 199_998 };
    doc.frame(
        "fragment",
        frame(Handle::CALL_FUNCTION, ReplyTo::Handle(Handle::new(1000)), Some(part), &[1, 2]),
    );

    doc.body(
        "SETUP",
        &Setup {
            version: VERSION,
            features: 0,
            id: leaf,
            ancestors: vec![hop, root],
            name: "web1".into(),
            one_way: false,
            body_limit: 128 << 20,
            ping_ms: 10_000,
            grace_ms: 2_000,
            log_level: 3,
        },
    );
    let build = 0x0123_4567_89ab_cdef;
    doc.body("HELLO", &Hello { version: VERSION, features: 0, role: Role::Parent, pid: 4711, build });
    doc.body("ADD_ROUTE", &AddRoute { id: leaf, parent: hop, name: "web1".into() });
    let reason = "its process was killed".into();
    doc.body("DEL_ROUTE", &DelRoute { ids: vec![hop, leaf], top: hop, name: "hop".into(), reason });
    doc.body("ALLOCATE_ID ask", &AllocateId::Ask);
    doc.body("ALLOCATE_ID grant", &AllocateId::Grant(IdRange::new(1).unwrap()));
    doc.body("ALLOCATE_ID refused", &AllocateId::Refused);
    doc.body("PING", &());
    doc.body("CREDIT calls", &Credit { window: Window::Calls, bytes: 8192 });
    doc.body("CREDIT replies", &Credit { window: Window::Replies, bytes: 8192 });
    doc.body("CREDIT stream", &Credit { window: Window::Stream(stream), bytes: 524_288 });
    doc.body("REBIND", &Rebind { handle: stream, holder: leaf });
    doc.body("SHUTDOWN", &Shutdown { left_ms: 5000 });

    let outer = CallId { context: root, handle: Handle::new(1000) };
    let end = End { home: root, handle: stream, direction: Direction::Sends };
    let call = |function: &'static str| CallHead {
        function: function.into(),
        left_ms: Some(5000),
        above: vec![outer],
        chain: None,
        ends: Vec::new(),
    };
    doc.body_with("call", &call("add"), &(2, 3));
    doc.body_with(
        "call with an end",
        &CallHead { left_ms: None, above: vec![], ends: vec![end], ..call("tail") },
        &0,
    );
    doc.body("CANCEL", &outer);
    doc.body("CHAIN_END", &3_u32);
    doc.body_with("GRANT", &CallHead { above: vec![], ..call("") }, &("add".to_string(), ContextId::new(7)));
    doc.body("FORWARD_LOG", &(3_u8, "app".to_string(), "ready".to_string()));
    doc.body_with("reply", &ReplyHead::Value(Vec::new()), &5);
    doc.body("failed", &ReplyHead::Failed(Failed::Panic, "index out of bounds".into()));
    doc.body("started", &ReplyHead::Started);
    doc.body("dead", &Dead { code: DeadCode::Gone, text: "context 1005 is gone".into() });

    doc.body("stream open", &StreamHead::Open);
    doc.body_with("stream item", &StreamHead::Item(Vec::new()), &"line".to_string());
    doc.body("stream close", &StreamHead::Close);
    doc.body("stream fail", &StreamHead::Fail("disk full".into()));

    conversation(doc);

    assert!(document.wrong.is_empty(), "the document says something else:\n{}", document.wrong.join("\n"));
    assert!(document.left.is_empty(), "no test for {:?}", document.left.keys());
}

fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(value).unwrap()
}

/// The frames that a root and its child say to each other.
// protocol 10.1
fn conversation(doc: &mut Document) {
    let (root, child) = (ContextId::ROOT, ContextId::new(1));
    let frame = |src, dst, handle, reply_to, body: Vec<u8>| Frame {
        dst,
        src,
        auth: src,
        handle,
        reply_to,
        part: None,
        body: body.into(),
    };
    let down = |handle, reply_to, body| frame(root, child, handle, reply_to, body);
    let up = |handle, reply_to, body| frame(child, root, handle, reply_to, body);
    let at = |number| ReplyTo::Handle(Handle::new(number));

    let setup = Setup {
        version: VERSION,
        features: 0,
        id: child,
        ancestors: vec![root],
        name: "a".into(),
        one_way: false,
        body_limit: 128 << 20,
        ping_ms: 10_000,
        grace_ms: 2_000,
        log_level: 3,
    };
    doc.frame("frame SETUP", down(Handle::SETUP, ReplyTo::Nobody, bytes_of(&setup)));
    let hello = Hello { version: VERSION, features: 0, role: Role::Leaf, pid: 4711, build: 0 };
    doc.frame("frame HELLO", up(Handle::HELLO, ReplyTo::Nobody, bytes_of(&hello)));

    let head =
        CallHead { function: "add".into(), left_ms: None, above: vec![], chain: None, ends: Vec::new() };
    let call = [bytes_of(&head), bytes_of(&(2, 3))].concat();
    doc.frame("frame call", down(Handle::CALL_FUNCTION, at(1000), call));
    let value = ReplyHead::Value(Vec::new());
    doc.frame(
        "frame reply",
        up(Handle::new(1000), ReplyTo::Nobody, [bytes_of(&value), bytes_of(&5)].concat()),
    );
    doc.frame("frame no handle", down(Handle::new(300), at(1001), bytes_of(&())));
    let dead = Dead { code: DeadCode::NoHandle, text: "no handle 300".into() };
    doc.frame("frame dead", up(Handle::new(1001), ReplyTo::Dead, bytes_of(&dead)));

    let (home, holder) = (1007, 1002);
    doc.frame("frame open", down(Handle::new(home), at(holder), bytes_of(&StreamHead::Open)));
    let item = [bytes_of(&StreamHead::Item(Vec::new())), bytes_of(&7)].concat();
    doc.frame("frame item", up(Handle::new(holder), at(home), item));
    let credit = Credit { window: Window::Stream(Handle::new(holder)), bytes: 132 };
    doc.frame("frame credit", down(Handle::CREDIT, ReplyTo::Nobody, bytes_of(&credit)));
    doc.frame("frame close", up(Handle::new(holder), at(home), bytes_of(&StreamHead::Close)));
    doc.frame("frame close back", down(Handle::new(home), at(holder), bytes_of(&StreamHead::Close)));
    doc.frame(
        "frame SHUTDOWN",
        down(Handle::SHUTDOWN, ReplyTo::Nobody, bytes_of(&Shutdown { left_ms: 5000 })),
    );
}

/// The numbers of handles and codes are in tables: `| 101 | CALL_FUNCTION |`.
// protocol 2.2, 6.2 and 6.4
#[test]
fn the_tables_hold_the_numbers_of_this_crate() {
    let says = |number: u32, name: &str| {
        let row = format!("| {number} | {name} |");
        assert!(DOCUMENT.contains(&row), "no row `{row}`");
    };
    let handles = [
        (Handle::CALL_FUNCTION, "CALL_FUNCTION"),
        (Handle::FORWARD_LOG, "FORWARD_LOG"),
        (Handle::ADD_ROUTE, "ADD_ROUTE"),
        (Handle::DEL_ROUTE, "DEL_ROUTE"),
        (Handle::ALLOCATE_ID, "ALLOCATE_ID"),
        (Handle::SHUTDOWN, "SHUTDOWN"),
        (Handle::SETUP, "SETUP"),
        (Handle::HELLO, "HELLO"),
        (Handle::PING, "PING"),
        (Handle::PONG, "PONG"),
        (Handle::CREDIT, "CREDIT"),
        (Handle::CANCEL, "CANCEL"),
        (Handle::REBIND, "REBIND"),
        (Handle::CREATE_CHILD, "CREATE_CHILD"),
        (Handle::GRANT, "GRANT"),
        (Handle::CHAIN_END, "CHAIN_END"),
    ];
    for (handle, name) in handles {
        says(handle.number(), name);
    }
    let codes = [
        (DeadCode::NoRoute, "no route"),
        (DeadCode::NoHandle, "no handle"),
        (DeadCode::Policy, "policy"),
        (DeadCode::OneWay, "one way"),
        (DeadCode::TooLarge, "too large"),
        (DeadCode::Congested, "congested"),
        (DeadCode::Gone, "gone"),
        (DeadCode::Cancelled, "cancelled"),
        (DeadCode::ShuttingDown, "shutting down"),
        (DeadCode::Busy, "busy"),
        (DeadCode::WouldWait, "would wait"),
        (DeadCode::Malformed, "malformed"),
        (DeadCode::TooLate, "too late"),
        (DeadCode::Unanswered, "unanswered"),
    ];
    for (code, name) in codes {
        says(u32::from(*codec::encode(&code).unwrap().first().unwrap()), name);
    }
    let failures = [
        (Failed::Error, "error"),
        (Failed::Panic, "panic"),
        (Failed::NoSuchFunction, "no such function"),
        (Failed::Arguments, "arguments"),
        (Failed::Result, "result"),
        (Failed::Chain, "chain"),
    ];
    for (failure, name) in failures {
        says(u32::from(*codec::encode(&failure).unwrap().first().unwrap()), name);
    }
}
