//! Steps in words: what a failure prints.

use offshoot_wire::{
    AddRoute, AllocateId, CallHead, ContextId, Credit, Dead, DelRoute, Frame, Handle, ReplyTo, StreamHead,
    codec,
};

use super::whole::{Step, World};

/// Says what a step does, before it is taken.
#[must_use]
pub fn describe(world: &World, step: Step) -> String {
    let name = |id: ContextId| world.label(id);
    match step {
        Step::Deliver(from, to) => {
            let frame = world.wires.get(&(from, to)).and_then(|wire| wire.frames.front());
            let what = frame.map_or_else(String::new, |frame| frame_in_words(world, frame));
            format!("deliver {}>{} {what}", name(from), name(to))
        }
        Step::Down(at, peer) => {
            let lost = world.wires.get(&(peer, at)).map_or(0, |wire| wire.frames.len());
            format!("{} finds its link to {} ended ({lost} frames lost)", name(at), name(peer))
        }
        Step::Work(id) => format!("a worker of {} takes a call", name(id)),
        Step::Finish(id, key) => format!("{} answers the call that it held in slot {}", name(id), key.slot),
        Step::Read(id, handle) => format!("{} takes an item from handle {handle}", name(id)),
        Step::Due(id) => format!("a timer of {} fires", name(id)),
        Step::Exit(id) => format!("{} ends", name(id)),
        Step::Op(op) => format!("{:?}", world.pending(op).op),
    }
}

/// Says what a frame is.
#[must_use]
pub fn frame_in_words(world: &World, frame: &Frame) -> String {
    let name = |id: ContextId| world.label(id);
    let mut text = format!("{} ({} to {}", kind(frame), name(frame.src), name(frame.dst));
    if frame.auth != frame.src {
        text += &format!(", by authority of {}", name(frame.auth));
    }
    if frame.handle.is_allocated() {
        text += &format!(", handle {}", frame.handle);
    }
    if let ReplyTo::Handle(handle) = frame.reply_to {
        text += &format!(", reply_to {handle}");
    }
    if let Some(part) = frame.part {
        text += &format!(", from {} of {}", part.offset, part.total);
    }
    text + &format!(", {} bytes)", frame.body.len())
}

fn kind(frame: &Frame) -> String {
    let read = |text: Option<String>, name: &str| text.unwrap_or_else(|| name.to_owned());
    match frame.handle {
        _ if frame.is_dead() => {
            read(body::<Dead>(frame).map(|dead| format!("DEAD {:?} `{}`", dead.code, dead.text)), "DEAD")
        }
        Handle::CALL_FUNCTION => {
            let head = codec::decode_prefix::<CallHead>(&frame.body, 4096).ok();
            read(head.map(|(head, _)| format!("CALL_FUNCTION `{}`", head.function)), "CALL_FUNCTION")
        }
        Handle::ADD_ROUTE => {
            read(body::<AddRoute>(frame).map(|add| format!("ADD_ROUTE {}", add.id)), "ADD_ROUTE")
        }
        Handle::DEL_ROUTE => {
            let ids = |del: DelRoute| del.ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            read(body::<DelRoute>(frame).map(|del| format!("DEL_ROUTE {}", ids(del))), "DEL_ROUTE")
        }
        Handle::ALLOCATE_ID => {
            read(body::<AllocateId>(frame).map(|ids| format!("ALLOCATE_ID {ids:?}")), "ALLOCATE_ID")
        }
        Handle::CREDIT => {
            let words = |credit: Credit| format!("CREDIT {} for {:?}", credit.bytes, credit.window);
            read(body::<Credit>(frame).map(words), "CREDIT")
        }
        Handle::FORWARD_LOG => "FORWARD_LOG".into(),
        Handle::SHUTDOWN => "SHUTDOWN".into(),
        Handle::SETUP => "SETUP".into(),
        Handle::HELLO => "HELLO".into(),
        Handle::PING => "PING".into(),
        Handle::PONG => "PONG".into(),
        Handle::CANCEL => "CANCEL".into(),
        Handle::REBIND => "REBIND".into(),
        Handle::CREATE_CHILD => "CREATE_CHILD".into(),
        Handle::GRANT => "GRANT".into(),
        Handle::CHAIN_END => "CHAIN_END".into(),
        _ if frame.reply_to == ReplyTo::Nobody => "answer".into(),
        _ => {
            let head = codec::decode_prefix::<StreamHead>(&frame.body, 4096).ok();
            read(head.map(|(head, _)| format!("stream {head:?}")), "stream")
        }
    }
}

fn body<T: serde::de::DeserializeOwned>(frame: &Frame) -> Option<T> {
    codec::decode(&frame.body, 1 << 16).ok()
}
