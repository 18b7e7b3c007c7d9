//! Calls that the child makes itself: what chapter 6 of the document asks of a caller, and 9.2.
//!
//! `ask` has it ask a context for its name, `wait_for` has it wait for the work of one. This side plays whoever it calls.

use offshoot_wire::{
    CallHead, CallId, ContextId, Credit, Dead, DeadCode, DelRoute, Failed, Frame, Handle, Part, ReplyHead,
    ReplyTo, Window, codec,
};
use serde::Serialize;

use super::{
    Claim, Fault, Peer,
    peer::{CHILD, START, STRANGER, call_body, decoded, head, is_news},
};

// protocol 2.2, 3.3, 5.5, 6.1 to 6.5, 8.1, 8.3, 9.2 and 9.3
pub(super) const CLAIMS: &[Claim] = &[
    Claim::up("a_call_of_its_own_is_one", &["6.1", "2.2"], asks),
    Claim::up("an_answer_may_come_in_pieces_behind_the_news_that_it_began", &["3.3", "6.3"], pieces),
    Claim::up("an_answer_is_taken_from_the_context_that_was_called", &["9.2"], respondent),
    Claim::up("why_a_call_of_its_own_fails_is_told", &["6.2", "6.4"], fails),
    Claim::up("credit_for_answers_goes_back", &["8.3", "5.8"], credit),
    Claim::up("a_call_of_its_own_leaves_as_its_window_allows", &["8.1"], windowed),
    Claim::up(
        "a_call_of_its_own_is_given_up_at_the_deadline_of_whoever_waits",
        &["6.1", "6.5", "9.2"],
        given_up,
    ),
    Claim::up("a_call_that_would_wait_for_itself_is_refused", &["6.1", "6.4"], would_wait),
    Claim::up("who_is_lost_answers_nothing", &["9.3", "5.5"], lost),
];

/// Calls a function that makes the child call `whom`; the handle that waits, and what comes to `whom`.
fn have<A: Serialize>(
    peer: &mut Peer,
    whom: ContextId,
    head: &CallHead,
    arguments: &A,
) -> Result<(Handle, Frame), Fault> {
    let waits = peer.call_with(head, arguments)?;
    let is_own = |frame: &Frame| frame.handle == Handle::CALL_FUNCTION && frame.dst == whom;
    let call = peer.wait_for("a call of the child's own (6.1)", is_own)?;
    if !matches!(call.reply_to, ReplyTo::Handle(handle) if handle.is_allocated()) || call.auth != CHILD {
        return Err("who calls waits at a handle from 1000 on, on his own authority".into());
    }
    Ok((waits, call))
}

/// Has the child ask `whom` for its name.
fn ask(peer: &mut Peer, whom: ContextId) -> Result<(Handle, Frame), Fault> {
    have(peer, whom, &head("ask"), &whom)
}

/// What `whom` says to a call of the child.
fn from(peer: &Peer, whom: ContextId, call: &Frame, body: Vec<u8>) -> Frame {
    let handle = call.reply_to.handle().unwrap_or(Handle::new(0));
    Frame { src: whom, auth: whom, ..peer.frame(handle, ReplyTo::Nobody, body) }
}

fn value(text: &str) -> Vec<u8> {
    let mut body = codec::encode(&ReplyHead::Value(Vec::new())).expect("a head");
    codec::encode_into(&text, &mut body).expect("a text");
    body
}

/// The child has taken this answer.
fn takes(peer: &mut Peer, waits: Handle, text: &str) -> Result<(), Fault> {
    let is = peer.value::<String>(waits)?;
    if is == text { Ok(()) } else { Err(format!("{text:?} was answered, and {is:?} was taken")) }
}

fn asks(peer: &mut Peer) -> Result<(), Fault> {
    // As many as are kept: the outermost goes.
    let above = |n: u32| CallId { context: STRANGER, handle: Handle::new(2000 + n) };
    let deep = CallHead { above: (0..64).map(above).collect(), left_ms: Some(60_000), ..head("ask") };
    let (waits, call) = have(peer, ContextId::ROOT, &deep, &ContextId::ROOT)?;
    let (own, at) =
        codec::decode_prefix::<CallHead>(&call.body, 65_536).map_err(|error| error.to_string())?;
    decoded::<()>(&call.body[at..])?;
    let asker = CallId { context: ContextId::ROOT, handle: waits };
    let expected: Vec<_> = (1..64).map(above).chain([asker]).collect();
    if own.above != expected {
        return Err(format!("the 64 that wait last were awaited, this call's at the end: {:?}", own.above));
    }
    if *own.function != *"name" || !own.ends.is_empty() {
        return Err(format!("a call of `name` was awaited, and {own:?} came"));
    }
    let answer = from(peer, ContextId::ROOT, &call, value("root"));
    peer.send(&answer)?;
    takes(peer, waits, "root")?;
    // A second answer meets nobody, and is not answered.
    peer.send(&answer)?;
    peer.is_quiet()
}

fn pieces(peer: &mut Peer) -> Result<(), Fault> {
    let (waits, call) = ask(peer, ContextId::ROOT)?;
    let began = from(peer, ContextId::ROOT, &call, vec![2]);
    peer.send(&began)?;
    let text = "x".repeat(3000);
    let body = value(&text);
    let total = u32::try_from(body.len()).unwrap_or(u32::MAX);
    for (at, piece) in (0..).step_by(1000).zip(body.chunks(1000)) {
        let frame = from(peer, ContextId::ROOT, &call, piece.to_vec());
        peer.send(&Frame { part: Some(Part { total, offset: at }), ..frame })?;
    }
    takes(peer, waits, &text)?;
    peer.is_quiet()
}

fn respondent(peer: &mut Peer) -> Result<(), Fault> {
    let (waits, call) = ask(peer, STRANGER)?;
    let lie = from(peer, ContextId::ROOT, &call, value("a lie"));
    peer.send(&lie)?;
    let dead = codec::encode(&Dead { code: DeadCode::Gone, text: "a lie".into() }).expect("a body");
    let dead = Frame { reply_to: ReplyTo::Dead, ..from(peer, ContextId::ROOT, &call, dead) };
    peer.send(&dead)?;
    let truth = from(peer, STRANGER, &call, value("nine"));
    peer.send(&truth)?;
    takes(peer, waits, "nine")?;
    peer.is_quiet()
}

fn fails(peer: &mut Peer) -> Result<(), Fault> {
    let failed = codec::encode(&ReplyHead::Failed(Failed::Error, "no such name".into())).expect("a reply");
    let dead = codec::encode(&Dead { code: DeadCode::Policy, text: "no such name".into() }).expect("a body");
    for (body, reply_to) in [(failed, ReplyTo::Nobody), (dead, ReplyTo::Dead)] {
        let (waits, call) = ask(peer, ContextId::ROOT)?;
        let answer = Frame { reply_to, ..from(peer, ContextId::ROOT, &call, body) };
        peer.send(&answer)?;
        fails_with(peer, waits, "no such name")?;
    }
    // What is no reply ends the call all the same.
    for body in [&[0x81, 0][..], &[0x82, 0], &[9], &[0x83, 1, 0]] {
        let (waits, call) = ask(peer, ContextId::ROOT)?;
        let answer = from(peer, ContextId::ROOT, &call, body.to_vec());
        peer.send(&answer)?;
        fails_with(peer, waits, "")?;
    }
    peer.is_quiet()
}

fn fails_with(peer: &mut Peer, waits: Handle, why: &str) -> Result<(), Fault> {
    match peer.failure(waits)? {
        (Failed::Error, text) if text.contains(why) => Ok(()),
        other => Err(format!("the failure `error` with {why:?} was awaited, and {other:?} came")),
    }
}

fn credit_of(frame: &Frame) -> usize {
    let credit = decoded::<Credit>(&frame.body).ok().filter(|_| frame.handle == Handle::CREDIT);
    credit.filter(|credit| credit.window == Window::Replies).map_or(0, |credit| credit.bytes as usize)
}

fn credit(peer: &mut Peer) -> Result<(), Fault> {
    let mut left = START;
    // Three windows of answers, each sent when there is credit for it.
    for _ in 0..50 {
        let (waits, call) = ask(peer, ContextId::ROOT)?;
        repay(peer, &call)?;
        let answer = from(peer, ContextId::ROOT, &call, value(&"x".repeat(1000)));
        while left < answer.cost() {
            left += credit_of(&peer.wait_for("CREDIT for answers (8.3)", |frame| credit_of(frame) > 0)?);
        }
        left -= answer.cost();
        peer.send(&answer)?;
        peer.value::<String>(waits)?;
    }
    peer.is_quiet()
}

/// What a call of the child's has cost, given back.
fn repay(peer: &mut Peer, call: &Frame) -> Result<(), Fault> {
    let bytes = u32::try_from(call.cost()).unwrap_or(u32::MAX);
    peer.control(Handle::CREDIT, &Credit { window: Window::Calls, bytes })
}

fn windowed(peer: &mut Peer) -> Result<(), Fault> {
    let (mut left, mut cost) = (START, 0);
    while left >= cost {
        let (waits, call) = ask(peer, ContextId::ROOT)?;
        let answer = from(peer, ContextId::ROOT, &call, value("x"));
        peer.send(&answer)?;
        takes(peer, waits, "x")?;
        cost = call.cost();
        left = left.checked_sub(cost).ok_or("more comes than the window takes")?;
    }
    // For the next there is too little: it runs, and waits.
    let waits = peer.call("ask", &ContextId::ROOT)?;
    peer.wait_for("the news that it runs (6.3)", |frame| frame.handle == waits && is_news(frame))?;
    let is_own = |frame: &Frame| frame.handle == Handle::CALL_FUNCTION;
    let more = peer.sync()?.iter().filter(|frame| is_own(frame)).map(Frame::cost).sum::<usize>();
    if more > left {
        return Err("more comes than the window takes".into());
    }
    peer.control(Handle::CREDIT, &Credit { window: Window::Calls, bytes: 16 << 10 })?;
    let call = peer.wait_for("a call of the child's own (6.1)", is_own)?;
    let answer = from(peer, ContextId::ROOT, &call, value("x"));
    peer.send(&answer)?;
    takes(peer, waits, "x")
}

fn given_up(peer: &mut Peer) -> Result<(), Fault> {
    let brief = CallHead { left_ms: Some(300), ..head("wait_for") };
    let (waits, call) = have(peer, ContextId::ROOT, &brief, &(ContextId::ROOT, 600_000_u64))?;
    let cancel = peer.wait_for("CANCEL (6.5)", |frame| frame.handle == Handle::CANCEL)?;
    let own = CallId { context: CHILD, handle: call.reply_to.handle().unwrap_or(Handle::new(0)) };
    if decoded::<CallId>(&cancel.body)? != own || cancel.dst != ContextId::ROOT {
        return Err(format!("CANCEL names who waits and where: {own:?}"));
    }
    peer.end_of(waits)?;
    // It is answered all the same, and that meets nobody else.
    let (waits, next) = ask(peer, ContextId::ROOT)?;
    if next.reply_to == call.reply_to {
        return Err("a handle is given away again before its answer has come".into());
    }
    let late = from(peer, ContextId::ROOT, &call, vec![0x82, 0, 0x80, 0xf6]);
    peer.send(&late)?;
    let answer = from(peer, ContextId::ROOT, &next, value("root"));
    peer.send(&answer)?;
    takes(peer, waits, "root")?;
    peer.is_quiet()
}

fn would_wait(peer: &mut Peer) -> Result<(), Fault> {
    let (waits, call) = have(peer, ContextId::ROOT, &head("wait_for"), &(ContextId::ROOT, 600_000_u64))?;
    let (own, _) = codec::decode_prefix::<CallHead>(&call.body, 65_536).map_err(|error| error.to_string())?;
    let mut above = own.above;
    above.push(CallId { context: CHILD, handle: call.reply_to.handle().unwrap_or(Handle::new(0)) });
    let back = peer.handle();
    let body = call_body(&CallHead { above, ..head("echo") }, &"x");
    let frame = peer.frame(Handle::CALL_FUNCTION, ReplyTo::Handle(back), body);
    peer.spend(&frame)?;
    // One with workers to spare runs it.
    let end = peer.end_of(back)?;
    if end.is_dead() && decoded::<Dead>(&end.body)?.code != DeadCode::WouldWait {
        return Err("a dead message, and not `would wait`".into());
    }
    let answer = from(peer, ContextId::ROOT, &call, vec![0x82, 0, 0x80, 0xf6]);
    peer.send(&answer)?;
    peer.value::<()>(waits)?;
    peer.is_quiet()
}

fn lost(peer: &mut Peer) -> Result<(), Fault> {
    let (waits, _) = ask(peer, STRANGER)?;
    let gone = DelRoute { ids: vec![STRANGER], top: STRANGER, name: "x".into(), reason: "lost".into() };
    peer.control(Handle::DEL_ROUTE, &gone)?;
    fails_with(peer, waits, "")?;
    peer.is_quiet()
}
