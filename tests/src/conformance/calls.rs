//! Calls: chapter 6 of the document, and who may make them.

use offshoot_wire::{CallHead, CallId, ContextId, DeadCode, Failed, Frame, Handle, Part, ReplyTo, Role};

use super::{
    Claim, Fault, Peer,
    peer::{CHILD, STRANGER, call_body, head, is_news},
};

// protocol 5.7, 6.1 to 6.7, 9.4 and 9.5
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("a_call_is_answered_with_its_value", &["6.1", "6.2"], answered),
    Claim::up("an_error_is_told", &["6.2"], failed),
    Claim::up("a_missing_function_is_told", &["6.2"], missing),
    Claim::up("a_call_that_nobody_waits_for_is_not_answered", &["6.1", "2.3"], unanswered),
    Claim::up("a_call_whose_deadline_has_passed_is_not_run", &["6.1", "6.4"], late),
    Claim::up("what_follows_a_failed_call_in_its_chain_fails_with_it", &["6.1", "6.2", "6.5"], chain),
    Claim::up("a_call_whose_deadline_passes_while_it_runs_is_cancelled", &["6.1", "6.2"], overdue),
    Claim::up("who_waits_for_a_call_learns_once_that_it_runs", &["6.3", "8.1"], began),
    Claim::up("a_call_that_runs_can_be_cancelled_and_is_answered", &["6.2", "6.5"], cancelled),
    Claim::up("a_call_that_has_not_arrived_can_be_cancelled", &["6.5", "3.3"], cancelled_half),
    Claim::up("a_late_or_foreign_cancel_does_nothing", &["6.5"], cancelled_late),
    Claim::up("a_stranger_may_not_call", &["9.5", "6.4"], stranger),
    Claim::up("a_stranger_may_call_what_was_granted_to_it", &["6.6", "9.5"], granted),
    Claim::up("a_stranger_may_grant_nothing", &["6.6"], no_grant),
    Claim::up("a_leaf_can_have_no_children", &["6.6", "5.3"], no_children),
    Claim::up("a_ping_with_a_reply_to_is_a_call", &["5.7"], |peer| peer.is_quiet()),
    Claim::up("log_records_go_to_the_root_in_order", &["6.7", "9.4"], logged),
];

fn answered(peer: &mut Peer) -> Result<(), Fault> {
    let calls = (0..50).map(|n| Ok((n, peer.call("add", &(n, 1000))?))).collect::<Result<Vec<_>, Fault>>()?;
    for (n, call) in calls {
        let sum = peer.value::<i64>(call)?;
        if sum != n + 1000 {
            return Err(format!("{n} and 1000 are {sum}"));
        }
    }
    let call = peer.call("echo", &"\u{1f331} grün")?;
    if peer.value::<String>(call)? != "\u{1f331} grün" {
        return Err("another text comes back".into());
    }
    peer.is_quiet()
}

fn fails(peer: &mut Peer, call: Handle, how: Failed, text: &str) -> Result<(), Fault> {
    let (is, told) = peer.failure(call)?;
    if is == how && told.contains(text) {
        return Ok(());
    }
    Err(format!("{how:?} with {text:?} was awaited, and {is:?} with {told:?} came"))
}

fn failed(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("fail", &"no such host")?;
    fails(peer, call, Failed::Error, "no such host")?;
    peer.is_quiet()
}

fn missing(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("no_such_thing", &())?;
    fails(peer, call, Failed::NoSuchFunction, "no_such_thing")
}

fn unanswered(peer: &mut Peer) -> Result<(), Fault> {
    for (function, text) in [("echo", "x"), ("fail", "x"), ("no_such_thing", "x")] {
        let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Nobody, call_body(&head(function), &text));
        peer.spend(&frame)?;
    }
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    peer.is_quiet()
}

fn late(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call_with(&CallHead { left_ms: Some(0), ..head("add") }, &(2, 3))?;
    peer.dead(call, DeadCode::TooLate)?;
    let call = peer.call_with(&CallHead { left_ms: Some(60_000), ..head("add") }, &(2, 3))?;
    peer.value::<i64>(call).map(drop)
}

fn overdue(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call_with(&CallHead { left_ms: Some(300), ..head("work") }, &600_000_u64)?;
    peer.end_of(call)?;
    peer.is_quiet()
}

fn began(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("work", &600_000_u64)?;
    let news = peer.wait_for("the news that it runs (6.3)", |frame| frame.handle == call)?;
    if !is_news(&news) || news.reply_to != ReplyTo::Nobody || news.auth != CHILD {
        return Err("`2` was awaited, of a call that is not answered yet".into());
    }
    // Nobody else is told: this one ends without a word.
    let untold = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Nobody, call_body(&head("work"), &100_u64));
    peer.spend(&untold)?;
    cancel(peer, ContextId::ROOT, call)?;
    peer.end_of(call)?;
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    peer.is_quiet()
}

fn chain(peer: &mut Peer) -> Result<(), Fault> {
    let in_chain = |chain, function| CallHead { chain: Some(chain), ..head(function) };
    let first = peer.call_with(&in_chain(7, "fail"), &"the first")?;
    let second = peer.call_with(&in_chain(7, "add"), &(2, 3))?;
    let other = peer.call_with(&in_chain(8, "add"), &(2, 3))?;
    fails(peer, first, Failed::Error, "the first")?;
    // Who waited for the first knows why; the text is for those who did not.
    fails(peer, second, Failed::Chain, "")?;
    peer.value::<i64>(other)?;
    let untold = call_body(&in_chain(9, "fail"), &"the third");
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Nobody, untold);
    peer.spend(&frame)?;
    let behind = peer.call_with(&in_chain(9, "add"), &(2, 3))?;
    fails(peer, behind, Failed::Chain, "the third")?;
    // What leaves in the place of one that was given up.
    let lapsed = call_body(&CallHead { left_ms: Some(0), ..in_chain(10, "add") }, &(2, 3));
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Nobody, lapsed);
    peer.spend(&frame)?;
    let behind = peer.call_with(&in_chain(10, "add"), &(2, 3))?;
    fails(peer, behind, Failed::Chain, "")?;
    let frame = peer.frame(Handle::CHAIN_END, ReplyTo::Nobody, vec![7]);
    peer.send(&frame)?;
    let call = peer.call_with(&in_chain(7, "add"), &(2, 3))?;
    peer.value::<i64>(call)?;
    peer.is_quiet()
}

fn cancel(peer: &mut Peer, context: ContextId, handle: Handle) -> Result<(), Fault> {
    peer.control(Handle::CANCEL, &CallId { context, handle })
}

fn cancelled(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("work", &600_000_u64)?;
    cancel(peer, ContextId::ROOT, call)?;
    // Dead if it was faster than the worker, else as the function ends.
    let frame = peer.end_of(call)?;
    if frame.is_dead() && frame.body.get(1) != Some(&7) {
        return Err("a dead message, and not `cancelled`".into());
    }
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    peer.is_quiet()
}

fn cancelled_half(peer: &mut Peer) -> Result<(), Fault> {
    let handle = peer.handle();
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(handle), vec![0; 1000]);
    peer.send(&Frame { part: Some(Part { total: 3000, offset: 0 }), ..frame })?;
    cancel(peer, ContextId::ROOT, handle)?;
    peer.dead(handle, DeadCode::Cancelled)?;
    peer.is_quiet()
}

fn cancelled_late(peer: &mut Peer) -> Result<(), Fault> {
    let call = peer.call("add", &(2, 3))?;
    peer.value::<i64>(call)?;
    cancel(peer, ContextId::ROOT, call)?;
    let call = peer.call("work", &300_u64)?;
    let frame = peer.frame(Handle::CANCEL, ReplyTo::Nobody, vec![0x82, 0, 0x19, 3, 0xe8]);
    // By whom the call is not.
    let body =
        offshoot_wire::codec::encode(&CallId { context: ContextId::ROOT, handle: call }).expect("a body");
    peer.send(&Frame { src: STRANGER, auth: STRANGER, body: body.into(), ..frame })?;
    peer.value::<()>(call)?;
    peer.is_quiet()
}

/// What a stranger is answered when it calls `add`.
fn by_stranger(peer: &mut Peer, handle: Handle, body: Vec<u8>) -> Result<Frame, Fault> {
    let reply_to = peer.handle();
    let frame = peer.frame(handle, ReplyTo::Handle(reply_to), body);
    peer.send(&Frame { src: STRANGER, auth: STRANGER, ..frame })?;
    peer.wait_for("the answer to a stranger", |frame| frame.handle == reply_to && frame.dst == STRANGER)
}

fn refused(frame: &Frame) -> Result<(), Fault> {
    let is_policy = frame.is_dead() && frame.body.get(1) == Some(&2);
    if is_policy { Ok(()) } else { Err("a dead message with `policy` was awaited".into()) }
}

fn stranger(peer: &mut Peer) -> Result<(), Fault> {
    refused(&by_stranger(peer, Handle::CALL_FUNCTION, call_body(&head("add"), &(2, 3)))?)
}

fn granted(peer: &mut Peer) -> Result<(), Fault> {
    let reply_to = peer.handle();
    let body = call_body(&head(""), &("add", STRANGER));
    let frame = peer.frame(Handle::GRANT, ReplyTo::Handle(reply_to), body);
    peer.spend(&frame)?;
    peer.value::<()>(reply_to)?;
    let answer = by_stranger(peer, Handle::CALL_FUNCTION, call_body(&head("add"), &(2, 3)))?;
    if *answer.body != [0x82, 0, 0x80, 5] {
        return Err("5 was awaited".into());
    }
    refused(&by_stranger(peer, Handle::CALL_FUNCTION, call_body(&head("echo"), &"x"))?)
}

fn no_grant(peer: &mut Peer) -> Result<(), Fault> {
    refused(&by_stranger(peer, Handle::GRANT, call_body(&head(""), &("add", STRANGER)))?)?;
    stranger(peer)
}

fn no_children(peer: &mut Peer) -> Result<(), Fault> {
    refused(&by_stranger(peer, Handle::CREATE_CHILD, call_body(&head(""), &()))?)?;
    if peer.role == Role::Parent {
        return Ok(());
    }
    let handle = peer.handle();
    let frame = peer.frame(Handle::CREATE_CHILD, ReplyTo::Handle(handle), call_body(&head(""), &()));
    peer.spend(&frame)?;
    peer.dead(handle, DeadCode::NoHandle)
}

fn logged(peer: &mut Peer) -> Result<(), Fault> {
    let texts: Vec<String> = (0..20).map(|n| format!("number {n}")).collect();
    let calls = texts.iter().map(|text| peer.call("log", text)).collect::<Result<Vec<_>, Fault>>()?;
    for call in calls {
        peer.value::<()>(call)?;
    }
    for text in &texts {
        let awaited = offshoot_wire::codec::encode(&(2, "tests", text)).expect("a record");
        let is_record = |frame: &Frame| frame.handle == Handle::FORWARD_LOG;
        let record = peer.wait_for("a record", is_record)?;
        if record.reply_to != ReplyTo::Nobody || *record.body != awaited[..] {
            return Err(format!("the record of level 2 and target `tests` with {text:?} was awaited"));
        }
    }
    Ok(())
}
