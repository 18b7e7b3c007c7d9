//! Calls: cancelled half-way, and waiting in a circle (rules 4 and 14).

use offshoot_core::{
    machine::{Action, Ended, Limits, Outcome, Outgoing, Progress},
    wire::{ContextId, DeadCode, Direction, End, Handle, ReplyHead, codec},
};

use crate::bed::{Bed, ROOT, call_body, call_to};

#[test]
fn cancelling_half_a_call_for_a_child_leaves_nothing_at_either_end() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let now = bed.now;
    let call = Outgoing {
        dst: child,
        handle: Handle::CREATE_CHILD,
        body: call_body(300_000),
        deadline: None,
        ends: Vec::new(),
    };
    let handle = bed.at(ROOT, |machine, out| machine.call(now, call, out)).unwrap();
    assert!(bed.step(ROOT, child), "the first piece leaves");
    bed.at(ROOT, |machine, out| machine.cancel(now, handle, out));
    bed.settle();
    assert_eq!(bed.machine(ROOT).sizes().handles, 0);
    assert_eq!(bed.machine(child).sizes().parts, 0);
}

#[test]
fn a_call_that_nobody_waits_for_does_not_wait_for_itself_unseen() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let now = bed.now;
    bed.at(ROOT, |machine, out| {
        machine.send_one_way(now, child, Handle::CALL_FUNCTION, call_body(0), out).unwrap();
    });
    bed.settle();
    let outer = bed.take(child).unwrap();
    bed.call(child, ROOT, call_to("any", Vec::new(), outer.above, 0)).unwrap();
    bed.settle();
    let inner = bed.take(ROOT).unwrap();
    bed.call(ROOT, child, call_to("any", Vec::new(), inner.above, 0)).unwrap();
    bed.settle();
    let refused = |action: &Action| matches!(action, Action::Answer { outcome: Outcome::Dead { dead, .. }, .. } if dead.code == DeadCode::WouldWait);
    assert!(bed.done(ROOT).iter().any(refused));
}

#[test]
fn a_call_that_never_left_for_a_child_that_died_surely_did_not_run() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let child = bed.child(hop);
    bed.stop(child);
    bed.call(ROOT, child, call_body(0)).unwrap();
    bed.settle();
    bed.kill(child);
    let answer = bed.done(ROOT).iter().find(|action| matches!(action, Action::Answer { .. }));
    let undelivered =
        |outcome: &Outcome| matches!(outcome, Outcome::Dead { progress: Progress::Undelivered, .. });
    assert!(matches!(answer, Some(Action::Answer { outcome, .. }) if undelivered(outcome)), "{answer:?}");
}

/// So many calls have arrived from a caller that takes nothing any more, behind a root that holds 8,000 bytes for it: the
/// tree, the caller and the callee.
fn called_by_the_crowded(calls: usize) -> (Bed, ContextId, ContextId) {
    let mut limits = Limits::default();
    (limits.downlink, limits.window_start) = (8_000, 1 << 16);
    let mut bed = Bed::new(limits);
    let (caller, callee) = (bed.child(ROOT), bed.child(ROOT));
    for _ in 0..calls {
        bed.call(caller, callee, call_body(0)).unwrap();
    }
    bed.settle();
    bed.stop(caller);
    (bed, caller, callee)
}

#[test]
fn an_answer_that_a_crowded_hop_refuses_ends_its_call() {
    let (mut bed, caller, callee) = called_by_the_crowded(3);
    for _ in 0..3 {
        bed.take_and_answer(callee, 9_000);
        bed.settle();
    }
    bed.resume();
    assert_eq!(bed.ended_calls(caller), 3);
}

/// Nobody has the other ends then, who could close them.
// protocol 6.4
#[test]
fn an_answer_that_a_crowded_hop_refuses_ends_the_streams_that_it_hands_over() {
    let (mut bed, caller, callee) = called_by_the_crowded(2);
    bed.take_and_answer(callee, 9_000);
    bed.settle();
    let call = bed.take(callee).unwrap();
    let ours = [Direction::Sends, Direction::Receives];
    let handles = ours.map(|ours| bed.at(callee, |machine, _| machine.export(caller, ours)));
    let theirs = [Direction::Receives, Direction::Sends].into_iter();
    let ends: Vec<End> =
        theirs.zip(handles).map(|(direction, handle)| End { home: callee, handle, direction }).collect();
    let body = codec::encode(&ReplyHead::Value(ends.clone())).unwrap();
    let now = bed.now;
    bed.at(callee, |machine, out| machine.answer(now, call.key, body.into(), &ends, out));
    bed.settle();
    bed.resume();
    assert_eq!(bed.ended_calls(caller), 2);
    let ended = bed.done(callee).iter().filter_map(|action| match action {
        Action::Ended { handle, how: Ended::Lost(_) } => Some(*handle),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), handles);
    bed.at(callee, |machine, out| handles.iter().for_each(|handle| machine.stream_close(*handle, None, out)));
    bed.settle();
    assert_eq!(bed.machine(callee).sizes().handles, 0);
}
