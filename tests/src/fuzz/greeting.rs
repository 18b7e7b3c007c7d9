//! What is said before all else: a child's marker wherever it stands, its HELLO, and a parent's opening and SETUP.

use offshoot_core::machine::{Action, Actions, Config, Event, Limits, Machine, NewChild, Tick, UpOnly};
use offshoot_parent::table::Table;
use offshoot_wire::{
    ContextId, Decoded, Decoder, Handle, Hello, MARKER_LEN, MAX_LAST_WORDS, MarkerScan, Nonce, OPENING_LEN,
    Role, Setup, VERSION, codec, marker, opening,
};

use super::{
    Peak,
    seeds::example,
    sliced::{Sliced, cut},
};

const NONCE: [u8; 16] = *b"0123456789abcdef";

pub(super) fn run(input: &[u8], _: Peak) {
    let sliced = Sliced::of(input);
    a_child_says(sliced);
    a_parent_says(sliced.stream);
}

/// The marker is found where it stands, by any slicing, and what follows brings the link up or ends it. Behind an opening that
/// came back there is none.
fn a_child_says(sliced: Sliced<'_>) {
    let (marker, opening) = (marker(&Nonce::new(NONCE)), opening(&Nonce::new(NONCE)));
    let marked = sliced.stream.windows(MARKER_LEN).position(|window| window == marker);
    let echo = sliced.stream.windows(OPENING_LEN).position(|window| window == opening);
    let echo = echo.filter(|echo| marked.is_none_or(|marked| *echo < marked));
    let at = marked.filter(|_| echo.is_none());
    let mut scan = MarkerScan::new(&Nonce::new(NONCE));
    let mut frames = None::<Vec<u8>>;
    for slice in sliced.slices() {
        match &mut frames {
            Some(frames) => frames.extend_from_slice(slice),
            None => frames = scan.push(slice).map(|end| slice[end..].to_vec()),
        }
    }
    let noise = &sliced.stream[..echo.or(at).unwrap_or(sliced.stream.len())];
    assert_eq!(scan.is_echo(), echo.is_some());
    assert_eq!(scan.last_words(), &noise[noise.len().saturating_sub(MAX_LAST_WORDS)..]);
    assert_eq!(frames.as_deref(), at.map(|at| &sliced.stream[at + MARKER_LEN..]));
    comes_up(&frames.unwrap_or_default());
}

/// A link is up once, by a HELLO in our version that comes first, and takes nothing before.
fn comes_up(stream: &[u8]) {
    let mut root = Machine::new(config(ContextId::ROOT, Vec::new()), Table::root());
    let mut out = Actions::new();
    let id = root.take_id(&mut out).expect("the first id");
    let setup = codec::decode(&example_setup(), 4096).expect("an example");
    let child = NewChild { id, name: "child".into(), stamped: false, deadline: Tick(u64::MAX), setup };
    let link = root.add_child(Tick(0), child, &mut out);
    let mut decoder = Decoder::new();
    decoder.push(stream);
    let mut is_up = false;
    while let Ok(Some(decoded)) = decoder.next_frame() {
        let Decoded::Frame(frame) = decoded else { continue };
        let hello = codec::decode::<Hello>(&frame.body, 4096).ok();
        let greets = frame.handle == Handle::HELLO && hello.is_some_and(|it| it.version == VERSION);
        let is_another = frame.handle != Handle::HELLO;
        root.handle(Tick(0), Event::Frame { link, frame }, &mut out);
        let mut is_cut = false;
        while let Some(action) = out.pop() {
            match action {
                Action::Up(..) => {
                    assert!(greets && !is_up, "a link is up by something else than the first HELLO");
                    is_up = true;
                }
                Action::Cut(..) => is_cut = true,
                _ => {}
            }
        }
        assert!(is_up || is_cut || !is_another, "a link that was not greeted goes on");
        if is_cut {
            break;
        }
    }
}

/// A child reads its opening and SETUP, and can be made of whatever that says.
fn a_parent_says(stream: &[u8]) {
    let Some((line, behind)) = stream.split_first_chunk::<OPENING_LEN>() else { return };
    if let Ok(nonce) = Nonce::parse_opening(line) {
        assert_eq!(opening(&nonce), *line);
    }
    let mut decoder = Decoder::new();
    decoder.push(behind);
    let Ok(Some(Decoded::Frame(frame))) = decoder.next_frame() else { return };
    let Ok(setup) = codec::decode::<Setup>(&frame.body, 64 * 1024) else { return };
    assert_eq!(codec::encode(&setup).as_deref(), Ok(&*frame.body));
    let mut limits = Limits::default();
    (limits.body, limits.ping_ms, limits.grace_ms) = (setup.body_limit, setup.ping_ms, setup.grace_ms);
    let config = Config { limits, one_way: setup.one_way, ..config(setup.id, setup.ancestors) };
    let mut leaf = Machine::new(config, UpOnly::new(setup.id));
    let mut out = Actions::new();
    let hello = Hello { version: VERSION, features: 0, role: Role::Leaf, pid: 1, build: 0 };
    if let Some(link) = leaf.add_parent(Tick(0), &hello, &mut out) {
        assert_eq!(leaf.pull(link, &mut out).map(|frame| frame.handle), Some(Handle::HELLO));
        while let Ok(Some(Decoded::Frame(frame))) = decoder.next_frame() {
            leaf.handle(Tick(1), Event::Frame { link, frame }, &mut out);
        }
    }
}

fn config(me: ContextId, ancestors: Vec<ContextId>) -> Config {
    let (functions, limits) = (Vec::new(), Limits::default());
    Config { me, ancestors, role: Role::Parent, one_way: false, functions, build: 0, limits }
}

fn example_setup() -> Vec<u8> {
    example("SETUP")
}

fn framed(handle: Handle, src: u32, dst: u32, body: &[u8]) -> Vec<u8> {
    let (dst, src) = (ContextId::new(dst), ContextId::new(src));
    let reply_to = offshoot_wire::ReplyTo::Nobody;
    let frame = offshoot_wire::Frame { dst, src, auth: src, handle, reply_to, part: None, body: body.into() };
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    bytes
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let hello = framed(Handle::HELLO, 1, 0, &example("HELLO"));
    let child = [b"Welcome\n", &example("marker")[..], &hello, &hello].concat();
    let setup = framed(Handle::SETUP, 5, 1005, &example("SETUP"));
    let parent = [&example("opening")[..], &setup, &example("frame")].concat();
    cut(&child).chain(cut(&parent)).collect()
}
