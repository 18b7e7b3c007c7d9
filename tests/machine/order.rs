//! The order in which things leave (rule 10).

use std::time::{Duration, Instant};

use offshoot_core::{
    machine::{DropKind, Limits},
    wire::{Credit, DelRoute, Handle, ReplyTo, Window, codec},
};

use crate::bed::{Bed, ROOT, call_body, frame};

#[test]
fn shutdown_does_not_wait_for_credit() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    for _ in 0..30 {
        bed.call(ROOT, child, call_body(100_000)).unwrap();
    }
    let now = bed.now;
    bed.at(ROOT, |machine, out| machine.shutdown_context(now, child, 1000, out)).unwrap();
    bed.settle();
    assert!(bed.machine(child).is_closing());
}

#[test]
fn shutdown_leaves_behind_what_was_queued_before_it_even_if_a_later_call_is_taken_back() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let now = bed.now;
    bed.call(ROOT, child, call_body(0)).unwrap();
    bed.call(ROOT, child, call_body(0)).unwrap();
    bed.at(ROOT, |machine, out| machine.shutdown_context(now, child, 1000, out)).unwrap();
    let late = bed.call(ROOT, child, call_body(0)).unwrap();
    bed.at(ROOT, |machine, out| machine.cancel(now, late, out));
    let link = bed.link(ROOT, child);
    let order: Vec<Handle> = std::iter::from_fn(|| bed.at(ROOT, |machine, out| machine.pull(link, out)))
        .map(|f| f.handle)
        .collect();
    assert_eq!(order, [Handle::CALL_FUNCTION, Handle::CALL_FUNCTION, Handle::SHUTDOWN]);
}

#[test]
fn a_crowd_of_new_flows_does_not_starve_a_frame_that_waits() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let (honest, crowd) = (bed.child(hop), bed.child(hop));
    let up = bed.link(hop, ROOT);
    let to = |src, handle| frame(src, ROOT, Handle::new(handle), ReplyTo::Nobody, vec![0; 1000]);
    bed.inject(crowd, hop, to(crowd, 9_998));
    bed.inject(crowd, hop, to(crowd, 9_999));
    bed.inject(honest, hop, to(honest, 5_000));
    let turns = (10_000..10_100).position(|handle| {
        bed.inject(crowd, hop, to(crowd, handle));
        bed.at(hop, |machine, out| machine.pull(up, out)).is_some_and(|frame| frame.src == honest)
    });
    assert!(turns.is_some_and(|turns| turns < 5), "it left after {turns:?} turns");
}

#[test]
fn a_context_that_loses_its_parent_tells_of_the_lost_behind_what_they_sent() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let leaf = bed.child(hop);
    bed.stop(leaf);
    for _ in 0..2 {
        bed.call(ROOT, leaf, call_body(0)).unwrap();
    }
    bed.settle();
    let up = bed.link(hop, ROOT);
    bed.cut_at(hop, up);
    let down = bed.link(hop, leaf);
    let order: Vec<Handle> = std::iter::from_fn(|| bed.at(hop, |machine, out| machine.pull(down, out)))
        .map(|f| f.handle)
        .collect();
    assert_eq!(order, [Handle::CALL_FUNCTION, Handle::CALL_FUNCTION, Handle::DEL_ROUTE]);
}

/// The answer that somebody is gone passes what he has sent before, and the news of his loss do not: until these come he
/// has the credit that he was given.
#[test]
fn what_the_lost_have_sent_has_its_credit_though_an_answer_says_first_that_they_are_gone() {
    let mut bed = Bed::new(Limits::default());
    let (source, reader) = (bed.child(ROOT), bed.child(ROOT));
    for _ in 0..12 {
        bed.call(source, reader, call_body(15_000)).unwrap();
        bed.settle();
        bed.take_and_answer(reader, 0);
        bed.settle();
    }
    bed.stop(reader);
    for _ in 0..5 {
        bed.call(source, reader, call_body(15_000)).unwrap();
    }
    bed.settle();
    bed.kill(source);
    bed.call(reader, source, call_body(0)).unwrap();
    let up = bed.link(reader, ROOT);
    while let Some(question) = bed.at(reader, |machine, out| machine.pull(up, out)) {
        bed.inject(reader, ROOT, question);
    }
    bed.resume();
    assert_eq!(bed.ended_calls(reader), 1, "it is told that he is gone");
    assert_eq!(bed.machine(reader).dropped(DropKind::Credit), 0);
    assert!(!bed.machine(reader).remembers().contains(&source));
}

/// One child sends what another does not take, and credit that it does take, or perhaps not: neither may cost the
/// context between them more the more of it waits. The quickest of some frames counts.
#[test]
fn a_control_frame_costs_no_more_where_much_data_waits() {
    let quickest = |waiting: u32| -> Duration {
        let mut bed = Bed::new(Limits::default());
        let [from, to] = [bed.child(ROOT), bed.child(ROOT)];
        for handle in 0..waiting {
            let handle = Handle::new(Handle::FIRST_ALLOCATED + handle);
            bed.inject(from, ROOT, frame(from, to, handle, ReplyTo::Nobody, Vec::new()));
        }
        let pass = |stream: u32| {
            let credit = Credit { window: Window::Stream(Handle::new(stream)), bytes: 1 };
            let credit =
                frame(from, to, Handle::CREDIT, ReplyTo::Nobody, codec::encode(&credit).expect("a body"));
            let since = Instant::now();
            bed.inject(from, ROOT, credit);
            since.elapsed()
        };
        (5000..5020).map(pass).min().unwrap()
    };
    let (few, many) = (quickest(100), quickest(50_000));
    assert!(many < few * 10, "{few:?} behind 100 frames, {many:?} behind 50,000");
}

/// Contexts that have spoken with somebody who takes nothing are lost one by one.
#[test]
fn news_of_a_loss_cost_no_more_where_many_others_wait() {
    let quickest = |lost: usize| -> Duration {
        let mut bed = Bed::new(Limits::default());
        let [hop, to] = [bed.child(ROOT), bed.child(ROOT)];
        let below: Vec<_> = (0..lost).map(|_| bed.child(hop)).collect();
        for from in &below {
            bed.inject(hop, ROOT, frame(*from, to, Handle::new(5000), ReplyTo::Nobody, Vec::new()));
        }
        let lose = |top| {
            let del = DelRoute { ids: vec![top], top, name: "child".into(), reason: "killed".into() };
            let del = codec::encode(&del).expect("a body");
            let since = Instant::now();
            bed.inject(hop, ROOT, frame(hop, ROOT, Handle::DEL_ROUTE, ReplyTo::Nobody, del));
            since.elapsed()
        };
        below.into_iter().map(lose).skip(lost - 20).min().unwrap()
    };
    let (few, many) = (quickest(20), quickest(400));
    assert!(many < few * 20, "{few:?} behind 20 others, {many:?} behind 400");
}
