//! What a hostile context writes: frames that make sense up to a point.

use std::borrow::Cow;

use offshoot_core::machine::Limits;
use offshoot_wire::{
    AddRoute, AllocateId, Blob, Body, CallHead, CallId, ContextId, Credit, Dead, DeadCode, DelRoute,
    Direction, End, Failed, Frame, Handle, Hello, IdRange, Part, Rebind, ReplyHead, ReplyTo, Role, Shutdown,
    StreamHead, VERSION, Window, codec,
};
use serde::Serialize;

use super::{birth, dice::Dice, invariants::Whole, job};

/// What a hostile context writes to its parent.
pub fn frame(world: &impl Whole, dice: &mut Dice, me: ContextId) -> Frame {
    let mut somebody = |usual: ContextId| match dice.below(6) {
        0 => world.some(dice).unwrap_or(usual),
        1 => ContextId::new(dice.next() as u32),
        _ => usual,
    };
    let (src, auth) = (somebody(me), somebody(me));
    let parent = world.context(me).and_then(|context| context.ancestors().first().copied());
    let dst = match dice.below(3) {
        0 => parent.unwrap_or(ContextId::ROOT),
        1 => ContextId::ROOT,
        _ => world.some(dice).unwrap_or(me),
    };
    let (handle, mut body) = content(world, dice, me);
    let reply_to = match dice.below(4) {
        0 => ReplyTo::Dead,
        1 => ReplyTo::Handle(some_handle(dice)),
        _ => ReplyTo::Nobody,
    };
    if reply_to == ReplyTo::Dead && dice.once_in(2) {
        body = encoded(&Dead { code: DeadCode::Gone, text: "gone".into() });
    }
    let part = dice.once_in(8).then(|| Part {
        total: [0, 10, 300_000, u32::MAX][dice.below(4) as usize],
        offset: [0, 0, 7, u32::MAX][dice.below(4) as usize],
    });
    Frame { dst, src, auth, handle, reply_to, part, body }
}

/// How often it writes a frame: at times what must be answered so often that answers which nothing bounds show.
pub fn times(dice: &mut Dice, frame: &Frame) -> usize {
    let is_asked = matches!(frame.handle, Handle::PING | Handle::CALL_FUNCTION) && frame.part.is_none();
    let is_answered = matches!(frame.reply_to, ReplyTo::Handle(_));
    if is_asked && is_answered && dice.once_in(4) { 100 } else { 1 }
}

fn some_handle(dice: &mut Dice) -> Handle {
    Handle::new(1000 + dice.below(12) as u32)
}

/// Any at all, and as often one of the few that mean something.
fn any_handle(dice: &mut Dice) -> Handle {
    let number = dice.next() as u32;
    Handle::new(if number.is_multiple_of(2) { number } else { 100 + number / 2 % 110 })
}

fn some_id(world: &impl Whole, dice: &mut Dice, me: ContextId) -> ContextId {
    match dice.below(4) {
        0 => me,
        1 => ContextId::new(dice.next() as u32),
        2 => ContextId::new(me.number().wrapping_add(dice.below(4) as u32)),
        _ => world.some(dice).unwrap_or(me),
    }
}

/// A mailbox, and what might be said to it.
fn content(world: &impl Whole, dice: &mut Dice, me: ContextId) -> (Handle, Body) {
    let id = some_id(world, dice, me);
    let handle = some_handle(dice);
    let number = [0, 1, 1 << 20, u32::MAX][dice.below(4) as usize];
    let end = End { home: id, handle, direction: Direction::Sends };
    match dice.below(36) {
        0 => (Handle::ADD_ROUTE, encoded(&AddRoute { id, parent: me, name: "\u{1b}]0;x\u{7}".into() })),
        1 => (
            Handle::DEL_ROUTE,
            encoded(&DelRoute { ids: vec![id], top: id, name: "x".into(), reason: "gone".into() }),
        ),
        2 => (Handle::ALLOCATE_ID, encoded(&AllocateId::Ask)),
        3 => (Handle::CREDIT, encoded(&Credit { window: Window::Calls, bytes: number })),
        4 => (Handle::CREDIT, encoded(&Credit { window: Window::Stream(handle), bytes: number })),
        5 => (Handle::CANCEL, encoded(&CallId { context: id, handle })),
        6 => (Handle::SHUTDOWN, encoded(&Shutdown { left_ms: number })),
        7 => (Handle::HELLO, encoded(&hello(dice))),
        8 => (Handle::REBIND, encoded(&Rebind { handle, holder: id })),
        9 => (Handle::PING, Body::default()),
        10 => (Handle::GRANT, job::grant_body(["parents", "nobody's"][dice.below(2) as usize], id)),
        11..=13 | 30..=33 => (Handle::CALL_FUNCTION, call(dice, id)),
        14 => (Handle::CREATE_CHILD, call(dice, id)),
        15 => (handle, encoded(&ReplyHead::Value(vec![end]))),
        16 => (handle, encoded(&StreamHead::Item(vec![end]))),
        17 => (handle, encoded(&Dead { code: DeadCode::Gone, text: "gone".into() })),
        18 => (any_handle(dice), Body::from(dice.next().to_be_bytes().to_vec())),
        19 => (handle, encoded(&ReplyHead::Started)),
        20 => (handle, encoded(&ReplyHead::Failed(Failed::Panic, "\u{1b}[2J".into()))),
        21 => (handle, encoded(&StreamHead::Open)),
        22 => (handle, encoded(&StreamHead::Close)),
        23 => (handle, encoded(&StreamHead::Fail("it failed".into()))),
        24 => (Handle::FORWARD_LOG, encoded(&(1_u8, "target", "text"))),
        25 => (Handle::CHAIN_END, encoded(&1_u32)),
        26 => (Handle::ALLOCATE_ID, encoded(&AllocateId::Refused)),
        27 => (Handle::ALLOCATE_ID, encoded(&grant(dice))),
        28 => (Handle::SETUP, encoded(&birth::root(&Limits::default(), false))),
        // The head of a call, or what a grant says, is something else.
        29 => (
            [Handle::CALL_FUNCTION, Handle::GRANT][dice.below(2) as usize],
            Body::from(dice.next().to_be_bytes().to_vec()),
        ),
        // More than a window, and more than a frame may have.
        _ => (handle, encoded(&Blob::from(vec![0; [2000, 140_000][dice.below(2) as usize]]))),
    }
}

/// Of ids that nobody else has.
fn grant(dice: &mut Dice) -> AllocateId {
    let far = IdRange::LAST.number() - dice.below(1000) as u32;
    IdRange::new(far).map_or(AllocateId::Refused, AllocateId::Grant)
}

fn hello(dice: &mut Dice) -> Hello {
    let role = if dice.once_in(2) { Role::Parent } else { Role::Leaf };
    Hello { version: VERSION, features: 0, role, pid: 1, build: 0 }
}

fn call(dice: &mut Dice, id: ContextId) -> Body {
    let function = ["anyone", "parents", "children", "nobody's"][dice.below(4) as usize];
    let above = vec![CallId { context: id, handle: some_handle(dice) }];
    let ends = vec![End { home: id, handle: some_handle(dice), direction: Direction::Sends }];
    let chain = dice.once_in(2).then_some(1);
    encoded(&CallHead { function: Cow::Borrowed(function), left_ms: Some(100), above, chain, ends })
}

fn encoded(value: &impl Serialize) -> Body {
    codec::encode(value).expect("control bodies can be encoded").into()
}
