//! What becomes of what is said to the lost, and granted to them (rule 6), and of what is said where too much waits (rule 9).

use offshoot_core::{
    machine::{DropKind, Limits, Outgoing},
    wire::{ContextId, Dead, DeadCode, Frame, Handle, ReplyTo, codec},
};

use crate::bed::{Bed, ROOT, call_body, call_to, frame};

fn send_one_way(bed: &mut Bed, from: ContextId, to: ContextId, bytes: usize) {
    let now = bed.now;
    let sent = bed
        .at(from, |machine, out| machine.send_one_way(now, to, Handle::CALL_FUNCTION, call_body(bytes), out));
    assert!(sent.is_ok(), "there is room for it");
}

fn grant(bed: &mut Bed, by: ContextId, at: ContextId, to: ContextId) {
    let now = bed.now;
    let mut body = call_to("", Vec::new(), Vec::new(), 0).into_vec();
    codec::encode_into(&("any", to), &mut body).unwrap();
    let call =
        Outgoing { dst: at, handle: Handle::GRANT, body: body.into(), deadline: None, ends: Vec::new() };
    bed.at(by, |machine, out| machine.call(now, call, out)).unwrap();
    bed.settle();
}

/// What the first cost comes back after the news of the loss, and is not missed then.
#[test]
fn who_sends_without_an_answer_to_somebody_who_is_gone_keeps_no_window_of_his() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let (source, lost) = (bed.child(hop), bed.child(ROOT));
    bed.call(source, lost, call_body(0)).unwrap();
    bed.settle();
    send_one_way(&mut bed, source, lost, 100);
    assert!(bed.step(source, hop));
    let up = bed.link(hop, ROOT);
    let under_way = bed.at(hop, |machine, out| machine.pull(up, out)).unwrap();
    bed.stop(lost);
    let link = bed.link(ROOT, lost);
    bed.cut_at(ROOT, link);
    while bed.step(ROOT, hop) || bed.step(hop, source) {}
    assert!(!bed.machine(source).remembers().contains(&lost), "it has heard of it");
    send_one_way(&mut bed, source, lost, 200);
    assert!(bed.step(source, hop));
    bed.inject(hop, ROOT, under_way);
    bed.settle();
    assert!(!bed.machine(source).remembers().contains(&lost));
    assert!(!bed.machine(hop).remembers().contains(&lost));
}

/// Those above say so what became of what was sent to him, or handed on to him.
#[test]
fn what_comes_from_above_in_the_name_of_somebody_lost_below_is_not_forged() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let lost = bed.child(hop);
    bed.kill(lost);
    let dead = codec::encode(&Dead { code: DeadCode::Gone, text: String::new() }).unwrap();
    let dead = Frame { auth: ROOT, ..frame(lost, hop, Handle::new(1_234), ReplyTo::Dead, dead) };
    bed.inject(ROOT, hop, dead);
    assert_eq!(bed.machine(hop).dropped(DropKind::Source), 0);
    // What he would have sent himself is.
    bed.inject(ROOT, hop, frame(lost, hop, Handle::CALL_FUNCTION, ReplyTo::Nobody, vec![0; 20]));
    assert!(!bed.machine(hop).remembers().contains(&lost));
}

/// A hop that is hostile can say what it likes in the name of those whom it had below it.
#[test]
fn what_is_forged_in_the_name_of_the_lost_leaves_no_window() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let lost = bed.child(hop);
    bed.kill(lost);
    for to in [Handle::FORWARD_LOG, Handle::CALL_FUNCTION, Handle::new(1_234)] {
        bed.inject(hop, ROOT, frame(lost, ROOT, to, ReplyTo::Nobody, vec![0; 20]));
    }
    assert!(!bed.machine(ROOT).remembers().contains(&lost));
}

#[test]
fn a_grant_ends_with_him_to_whom_it_was_given_though_who_gave_it_never_spoke_with_him() {
    for is_late in [false, true] {
        let mut bed = Bed::new(Limits::default());
        let by = bed.child(ROOT);
        let hop = bed.child(by);
        let (at, to) = (bed.child(hop), bed.child(ROOT));
        if !is_late {
            grant(&mut bed, by, at, to);
            assert_eq!(bed.machine(at).sizes().grants, 1);
        }
        bed.kill(to);
        if is_late {
            grant(&mut bed, by, at, to);
        }
        assert_eq!(bed.machine(at).sizes().grants, 0, "given late: {is_late}");
        assert!(!bed.machine(by).remembers().contains(&to));
    }
}

/// Each costs those who read nothing a word that they are gone, which is longer.
#[test]
fn who_answers_many_who_are_gone_is_not_cut_for_it() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let source = bed.child(hop);
    let gone = [(); 2].map(|()| bed.child(ROOT));
    gone.iter().for_each(|lost| bed.kill(*lost));
    bed.stop(hop);
    for at in 0..10_000 {
        let handle = Handle::new(1000 + at);
        bed.inject(hop, ROOT, frame(source, gone[at as usize % 2], handle, ReplyTo::Nobody, vec![0; 30]));
    }
    bed.resume();
    bed.call(ROOT, source, call_body(0)).unwrap();
    bed.settle();
    assert!(bed.take(source).is_some(), "the way to it is there");
}

/// How many calls are refused where they come to.
const IN_VAIN: usize = 60;

/// A child to which nothing is delivered makes calls that a sibling refuses, and they leave it.
fn ask_in_vain(bed: &mut Bed, reader: ContextId, sibling: ContextId) {
    for _ in 0..IN_VAIN {
        bed.call(reader, sibling, call_to("ours", Vec::new(), Vec::new(), 0)).unwrap();
    }
    let up = bed.link(reader, ROOT);
    while let Some(question) = bed.at(reader, |machine, out| machine.pull(up, out)) {
        bed.inject(reader, ROOT, question);
    }
}

/// Each of these calls has one answer, that it is refused, and nobody says it twice.
#[test]
fn what_ends_a_call_reaches_a_child_of_which_too_much_waits() {
    let mut limits = Limits::default();
    limits.downlink = 32_000;
    let mut bed = Bed::new(limits);
    let (reader, other) = (bed.child(ROOT), bed.child(ROOT));
    let crowd: Vec<ContextId> = (0..3).map(|_| bed.child(ROOT)).collect();
    bed.stop(reader);
    for source in crowd {
        bed.call(source, reader, call_body(15_000)).unwrap();
    }
    bed.settle();
    ask_in_vain(&mut bed, reader, other);
    bed.settle();
    assert!(bed.take(other).is_none(), "a sibling may not call this");
    bed.settle();
    assert_eq!(bed.ended_calls(reader), 0, "it takes nothing yet");
    bed.resume();
    assert_eq!(bed.ended_calls(reader), IN_VAIN);
    assert_eq!(bed.machine(ROOT).sizes().waiting, 0);
}

/// What waits in front of it comes to wait for credit while it leaves: then it is said at once, since nobody asks again.
#[test]
fn what_ends_a_call_does_not_wait_for_those_who_wait_for_credit() {
    let mut limits = Limits::default();
    limits.downlink = 32_000;
    let mut bed = Bed::new(limits);
    let (reader, other) = (bed.child(ROOT), bed.child(ROOT));
    bed.stop(reader);
    for _ in 0..20 {
        bed.call(ROOT, reader, call_body(15_000)).unwrap();
    }
    ask_in_vain(&mut bed, reader, other);
    while bed.step(ROOT, other) || bed.step(other, ROOT) {}
    assert!(bed.take(other).is_none(), "a sibling may not call this");
    while bed.step(other, ROOT) {}
    let (down, mut refused) = (bed.link(ROOT, reader), 0);
    while let Some(frame) = bed.at(ROOT, |machine, out| machine.pull(down, out)) {
        refused += usize::from(frame.is_dead());
    }
    assert_eq!(refused, IN_VAIN);
}

/// A part of the call waits there already, and comes: nothing but this ends it.
#[test]
fn that_nobody_waits_for_a_call_any_more_reaches_a_child_of_which_too_much_waits() {
    let mut limits = Limits::default();
    limits.downlink = 32_000;
    limits.window_start = 20_000;
    let mut bed = Bed::new(limits);
    let [reader, caller, one, two] = [(); 4].map(|()| bed.child(ROOT));
    bed.stop(reader);
    // Together one and a half times what the link may hold, and more.
    let [handle, ..] = [(caller, 100_000), (one, 11_000), (two, 18_000)].map(|(source, bytes)| {
        let handle = bed.call(source, reader, call_body(bytes)).unwrap();
        bed.settle();
        handle
    });
    let now = bed.now;
    bed.at(caller, |machine, out| machine.cancel(now, handle, out));
    bed.settle();
    bed.resume();
    assert_eq!(bed.machine(reader).sizes().parts, 0);
    assert_eq!(bed.machine(caller).sizes().handles, 0, "it is answered");
    assert_eq!(bed.machine(ROOT).sizes().waiting, 0);
}
