//! Credit for calls and replies: chapter 8 of the document.

use offshoot_wire::{Blob, Credit, DeadCode, Frame, Handle, ReplyTo, Window};

use super::{
    Claim, Fault, Peer,
    peer::{START, call_body, head},
};

// protocol 5.8 and 8.1 to 8.3
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("credit_for_calls_goes_back", &["8.3", "5.8"], back),
    Claim::up("a_call_without_credit_is_refused", &["8.1", "8.3"], overrun),
    Claim::up("replies_leave_as_their_window_allows", &["8.1", "3.1"], replies),
    Claim::up("what_is_outside_of_credit_costs_nothing", &["8.2"], outside),
    Claim::up("credit_that_no_window_can_hold_is_dropped", &["8.3"], too_much),
    Claim::up("what_is_refused_gives_its_credit_back", &["8.3"], refused),
];

fn back(peer: &mut Peer) -> Result<(), Fault> {
    // Ten windows of them, each sent when credit is there for it.
    for _ in 0..160 {
        let call = peer.call("echo_bytes", &Blob::from(vec![7; 1000]))?;
        peer.value::<Blob>(call)?;
    }
    Ok(())
}

fn overrun(peer: &mut Peer) -> Result<(), Fault> {
    let handle = peer.handle();
    let body = call_body(&head("echo_bytes"), &Blob::from(vec![7; START]));
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), body);
    peer.send(&frame)?;
    peer.dead(handle, DeadCode::Congested)?;
    peer.is_quiet()
}

fn replies(peer: &mut Peer) -> Result<(), Fault> {
    peer.generous = false;
    let calls = (0..3)
        .map(|_| peer.call("echo_bytes", &Blob::from(vec![7; 10_000])))
        .collect::<Result<Vec<_>, Fault>>()?;
    let is_reply = |frame: &&Frame| frame.handle.is_allocated();
    // Whatever comes before the child has shown that it read all of this.
    peer.control(Handle::PING, &())?;
    peer.wait_for("PONG", |frame| frame.handle == Handle::PONG)?;
    let first = peer.wait_for("a reply", |frame| is_reply(&frame))?;
    peer.control(Handle::PING, &())?;
    peer.wait_for("PONG", |frame| frame.handle == Handle::PONG)?;
    let sent = first.cost() + peer.passed().iter().filter(is_reply).map(Frame::cost).sum::<usize>();
    if sent > START {
        return Err(format!("{sent} bytes of replies come, and the window is {START}"));
    }
    peer.put_back(first);
    peer.control(Handle::CREDIT, &Credit { window: Window::Replies, bytes: 32 << 10 })?;
    for call in calls {
        if peer.value::<Blob>(call)?.len() != 10_000 {
            return Err("another length comes back".into());
        }
    }
    Ok(())
}

fn outside(peer: &mut Peer) -> Result<(), Fault> {
    // 200 times 128 bytes would be more than a window.
    for _ in 0..200 {
        let frame = peer.frame(Handle::CHAIN_END, ReplyTo::Nobody, vec![3]);
        peer.send(&frame)?;
    }
    peer.is_quiet()
}

fn too_much(peer: &mut Peer) -> Result<(), Fault> {
    // One that is in use.
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    for window in [Window::Replies, Window::Calls, Window::Stream(Handle::new(5000))] {
        for _ in 0..3 {
            peer.control(Handle::CREDIT, &Credit { window, bytes: u32::MAX })?;
        }
    }
    replies(peer)
}

fn refused(peer: &mut Peer) -> Result<(), Fault> {
    for _ in 0..40 {
        let handle = peer.handle();
        let frame = peer.frame(Handle::new(300), ReplyTo::Handle(handle), vec![7; 1000]);
        peer.spend(&frame)?;
        peer.dead(handle, DeadCode::NoHandle)?;
    }
    Ok(())
}
