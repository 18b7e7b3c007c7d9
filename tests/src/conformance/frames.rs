//! Frames and fragments: chapters 2 and 3 of the document, and what a leaf routes.

use offshoot_wire::{Blob, ContextId, DeadCode, Frame, Handle, Part, ReplyTo};

use super::{
    Claim, Fault, Peer,
    peer::{CHILD, LIMIT, STRANGER, call_body, encoded, head},
};

// protocol 2.1 to 2.5, 3.1 to 3.3, 6.4, 9.1 and 9.6
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("another_magic_ends_the_link_and_frames_before_it_count", &["2.4"], bad_magic),
    Claim::up("the_magic_of_a_relative_ends_the_link", &["2.4"], relative),
    Claim::up("a_reply_to_between_1_and_998_ends_the_link", &["2.3"], bad_reply_to),
    Claim::up("a_frame_that_is_too_long_is_skipped_and_refused", &["2.5", "6.4"], too_long),
    Claim::up("a_control_frame_that_is_too_long_is_skipped", &["2.5"], control_too_long),
    Claim::up("an_unknown_handle_is_answered", &["2.2", "6.4"], unknown_handle),
    Claim::up("nobody_is_answered_who_does_not_wait", &["2.3", "6.4"], nobody_waits),
    Claim::up("a_dead_message_is_never_answered", &["6.4"], dead),
    Claim::up("what_is_for_another_context_is_answered_in_its_name", &["9.1", "6.4"], not_mine),
    Claim::up("a_frame_in_the_name_of_the_leaf_is_dropped", &["9.1"], forged),
    Claim::up("a_long_body_goes_and_comes_in_pieces", &["3.1", "3.2", "3.3", "8.1", "8.3"], pieces),
    Claim::up("a_piece_that_does_not_continue_breaks_the_body", &["3.3", "6.4"], broken),
    Claim::up("a_piece_behind_nothing_is_dropped", &["3.3"], stray),
    Claim::up("a_total_over_the_limit_is_refused_at_once", &["3.3", "5.2"], over_the_limit),
    Claim::up("a_fragment_under_8_bytes_ends_the_link", &["3.1"], short),
    Claim::up("half_a_frame_and_the_end_of_the_link_end_the_leaf", &["9.6"], half),
];

fn adds(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("add", &(2, 3))?;
    match peer.value::<i64>(call)? {
        5 => Ok(()),
        other => Err(format!("2 and 3 are {other}")),
    }
}

fn call_frame(peer: &mut Peer) -> (Handle, Frame) {
    let handle = peer.handle();
    let body = call_body(&head("add"), &(2, 3));
    (handle, peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), body))
}

/// A frame whose header is not as it should be, by its place there.
fn bent(peer: &mut Peer, at: usize, bytes: &[u8]) -> Result<(), Fault> {
    let mut frame = encoded(&call_frame(peer).1);
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    peer.say("a frame with a bad header", &frame)
}

fn bad_magic(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    bent(peer, 0, &[0, 0])?;
    peer.ends().map(drop)
}

fn relative(peer: &mut Peer) -> Result<(), Fault> {
    bent(peer, 0, &[0x4d, 0x4a])?;
    peer.ends().map(drop)
}

fn bad_reply_to(peer: &mut Peer) -> Result<(), Fault> {
    bent(peer, 18, &[0, 0, 3, 0xe6])?;
    peer.ends().map(drop)
}

fn too_long(peer: &mut Peer) -> Result<(), Fault> {
    let (handle, frame) = call_frame(peer);
    let frame = Frame { body: vec![0x60; 131_081].into(), ..frame };
    peer.send(&frame)?;
    peer.dead(handle, DeadCode::TooLarge)?;
    adds(peer)
}

fn control_too_long(peer: &mut Peer) -> Result<(), Fault> {
    let frame = peer.frame(Handle::DEL_ROUTE, ReplyTo::Nobody, vec![0x84; 4097]);
    peer.send(&frame)?;
    adds(peer)?;
    peer.is_quiet()
}

fn unknown_handle(peer: &mut Peer) -> Result<(), Fault> {
    for handle in [106, 119, 206, 300, 5000, u32::MAX] {
        let reply_to = peer.handle();
        let frame = peer.frame(Handle::new(handle), ReplyTo::Handle(reply_to), vec![1, 2, 3]);
        peer.send(&frame)?;
        peer.dead(reply_to, DeadCode::NoHandle)?;
    }
    adds(peer)
}

fn nobody_waits(peer: &mut Peer) -> Result<(), Fault> {
    let frame = peer.frame(Handle::new(5000), ReplyTo::Nobody, vec![1, 2, 3]);
    peer.send(&frame)?;
    peer.is_quiet()
}

fn dead(peer: &mut Peer) -> Result<(), Fault> {
    for handle in [Handle::CALL_FUNCTION, Handle::SHUTDOWN, Handle::new(5000)] {
        let frame = peer.frame(handle, ReplyTo::Dead, vec![0x82, 6, 0x60]);
        peer.send(&frame)?;
    }
    peer.is_quiet()
}

fn not_mine(peer: &mut Peer) -> Result<(), Fault> {
    let (handle, frame) = call_frame(peer);
    peer.send(&Frame { dst: ContextId::new(77), ..frame })?;
    peer.dead(handle, DeadCode::NoRoute)?;
    adds(peer)
}

fn forged(peer: &mut Peer) -> Result<(), Fault> {
    let (_, frame) = call_frame(peer);
    peer.send(&Frame { src: CHILD, auth: CHILD, ..frame })?;
    peer.is_quiet()
}

fn pieces(peer: &mut Peer) -> Result<(), Fault> {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
    let call = peer.call("echo_bytes", &Blob::from(bytes.clone()))?;
    let back = peer.value::<Blob>(call)?;
    if *back == bytes[..] { Ok(()) } else { Err("other bytes come back".into()) }
}

/// A piece of a call of so many bytes in all.
fn piece(peer: &mut Peer, handle: Handle, total: u32, offset: u32, len: usize) -> Result<(), Fault> {
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), vec![0x60; len]);
    peer.send(&Frame { part: Some(Part { total, offset }), ..frame })
}

fn broken(peer: &mut Peer) -> Result<(), Fault> {
    for (total, offset, len) in [(3000, 1500, 500), (4000, 1000, 500), (3000, 1000, 2500), (3000, 1000, 0)] {
        let handle = peer.handle();
        piece(peer, handle, 3000, 0, 1000)?;
        piece(peer, handle, total, offset, len)?;
        peer.dead(handle, DeadCode::Malformed)?;
    }
    adds(peer)
}

fn stray(peer: &mut Peer) -> Result<(), Fault> {
    let handle = peer.handle();
    piece(peer, handle, 3000, 1000, 500)?;
    adds(peer)?;
    peer.is_quiet()
}

fn over_the_limit(peer: &mut Peer) -> Result<(), Fault> {
    let handle = peer.handle();
    piece(peer, handle, LIMIT + 1, 0, 1000)?;
    peer.dead(handle, DeadCode::TooLarge)?;
    adds(peer)
}

fn short(peer: &mut Peer) -> Result<(), Fault> {
    let (_, frame) = call_frame(peer);
    let mut bytes = encoded(&Frame { body: vec![0; 7].into(), src: STRANGER, auth: STRANGER, ..frame });
    bytes[..2].copy_from_slice(&[0x4f, 0x46]);
    peer.say("a fragment of 7 bytes", &bytes)?;
    peer.ends().map(drop)
}

fn half(peer: &mut Peer) -> Result<(), Fault> {
    let bytes = encoded(&call_frame(peer).1);
    peer.say("half a frame", &bytes[..20])?;
    peer.hang_up()?;
    peer.ends().map(drop)
}
