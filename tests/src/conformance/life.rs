//! Control frames, silence and the end: chapter 5 of the document, and 9.6.

use offshoot_wire::{ContextId, Credit, DeadCode, Frame, Handle, ReplyTo, Setup, Shutdown, Window, codec};

use super::{
    Claim, Fault, Peer,
    peer::{STRANGER, call_body, encoded, head, setup},
};

// protocol 5.1, 5.4 to 5.8, 5.10 and 9.6
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("a_ping_is_answered_by_a_pong", &["5.7"], pong),
    Claim::up("a_control_frame_that_means_nothing_is_dropped", &["5.1", "5.4", "5.5", "5.6"], dropped),
    Claim::up("a_control_frame_with_a_reply_to_is_none", &["5.1", "6.4"], with_reply_to),
    Claim::up("a_neighbours_frame_of_another_is_dropped", &["5.1"], not_neighbour),
    Claim::silent("silence_is_asked_about_and_then_ends_the_leaf", &["5.7", "9.6"], silence),
    Claim::up("shutdown_ends_the_leaf_behind_its_calls", &["5.10"], shutdown),
    Claim::up("of_several_orders_to_end_the_shortest_counts", &["5.10"], shortest_counts),
    Claim::up("a_leaf_that_ends_takes_no_calls", &["5.10", "6.4"], no_calls),
    Claim::up("a_stranger_cannot_end_it", &["5.10"], no_shutdown),
    Claim::up("the_end_of_the_link_ends_it", &["9.6"], |peer| {
        peer.hang_up()?;
        peer.ends().map(drop)
    }),
    Claim::up("the_end_of_the_link_ends_it_while_a_call_runs", &["9.6"], |peer| {
        peer.call("work", &600_000_u64)?;
        peer.sync()?;
        peer.hang_up()?;
        peer.ends().map(drop)
    }),
];

fn pong(peer: &mut Peer) -> Result<(), Fault> {
    peer.control(Handle::PING, &())?;
    let pong = peer.wait_for("PONG", |frame| frame.handle == Handle::PONG)?;
    if *pong.body == [0xf6] && pong.reply_to == ReplyTo::Nobody { Ok(()) } else { Err("PONG is null".into()) }
}

fn dropped(peer: &mut Peer) -> Result<(), Fault> {
    let handles = [Handle::ADD_ROUTE, Handle::DEL_ROUTE, Handle::ALLOCATE_ID, Handle::CREDIT, Handle::REBIND];
    for handle in handles.into_iter().chain([Handle::SHUTDOWN, Handle::PONG]) {
        for body in [&[][..], &[0xff], &[0x80], &[0x82, 0, 0], &[0x82, 1, 1, 0], &[0; 4096]] {
            let frame = peer.frame(handle, ReplyTo::Nobody, body.to_vec());
            peer.send(&frame)?;
        }
    }
    peer.is_quiet()
}

fn with_reply_to(peer: &mut Peer) -> Result<(), Fault> {
    for handle in [Handle::CREDIT, Handle::DEL_ROUTE, Handle::SETUP, Handle::SHUTDOWN, Handle::PONG] {
        let waits = peer.handle();
        let frame = peer.frame(handle, ReplyTo::Handle(waits), vec![0xf6]);
        peer.spend(&frame)?;
        peer.dead(waits, DeadCode::NoHandle)?;
    }
    Ok(())
}

fn not_neighbour(peer: &mut Peer) -> Result<(), Fault> {
    for handle in [Handle::PING, Handle::SETUP, Handle::HELLO, Handle::DEL_ROUTE] {
        let frame = peer.frame(handle, ReplyTo::Nobody, vec![0xf6]);
        peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame })?;
    }
    peer.is_quiet()
}

fn silence(peer: &mut Peer) -> Result<(), Fault> {
    let mut bytes = Peer::opening();
    bytes.extend(encoded(&peer.setup_frame(&Setup { ping_ms: 50, ..setup() })));
    peer.say("the opening and a SETUP with PINGs after 50 ms", &bytes)?;
    peer.meet()?;
    for _ in 0..9 {
        peer.wait_for("PING", |frame| frame.handle == Handle::PING)?;
    }
    peer.ends().map(drop)
}

fn shutdown(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("work", &100_u64)?;
    peer.sync()?;
    peer.control(Handle::SHUTDOWN, &Shutdown { left_ms: 4000 })?;
    peer.value::<()>(call)?;
    let status = peer.ends()?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
}

fn shortest_counts(peer: &mut Peer) -> Result<(), Fault> {
    peer.call("work", &600_000_u64)?;
    peer.sync()?;
    for left_ms in [600_000, 200, 600_000] {
        peer.control(Handle::SHUTDOWN, &Shutdown { left_ms })?;
    }
    peer.ends().map(drop)
}

fn no_calls(peer: &mut Peer) -> Result<(), Fault> {
    let running = peer.call("work", &200_u64)?;
    peer.sync()?;
    // At once: the leaf may be gone in a moment.
    let order = codec::encode(&Shutdown { left_ms: 4000 }).expect("a body");
    let mut bytes = encoded(&peer.frame(Handle::SHUTDOWN, ReplyTo::Nobody, order));
    let call = peer.handle();
    let body = call_body(&head("add"), &(2, 3));
    bytes.extend(encoded(&peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(call), body)));
    peer.say("SHUTDOWN and a call", &bytes)?;
    peer.dead(call, DeadCode::ShuttingDown)?;
    peer.value::<()>(running)?;
    peer.ends().map(drop)
}

fn no_shutdown(peer: &mut Peer) -> Result<(), Fault> {
    let body = codec::encode(&Shutdown { left_ms: 0 }).expect("a body");
    let frame = peer.frame(Handle::SHUTDOWN, ReplyTo::Nobody, body);
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame.clone() })?;
    // The authority of a stranger is not better for coming from an ancestor.
    peer.send(&Frame { src: ContextId::ROOT, auth: STRANGER, ..frame })?;
    peer.control(Handle::CREDIT, &Credit { window: Window::Replies, bytes: 1 })?;
    peer.is_quiet()
}
