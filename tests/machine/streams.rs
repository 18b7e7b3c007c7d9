//! Streams whose ends are handed on, and what becomes of them (rule 12).

use offshoot_core::{
    machine::{Action, DropKind, Ended, Limits},
    wire::{Dead, DeadCode, Direction, End, Handle, ReplyTo, StreamHead, codec},
};

use crate::bed::{Bed, ROOT, call_to, frame};

#[test]
fn a_home_hears_of_the_loss_of_a_holder_that_never_wrote_to_it() {
    let mut bed = Bed::new(Limits::default());
    let hop = bed.child(ROOT);
    let (home, holder) = (bed.child(hop), bed.child(ROOT));
    let handle = bed.at(home, |machine, _| machine.export(ROOT, Direction::Receives));
    let end = End { home, handle, direction: Direction::Sends };
    bed.at(ROOT, |machine, out| {
        let taken = machine.import(home, end).unwrap();
        machine.hand_on(taken, holder, out).unwrap()
    });
    bed.settle();
    bed.kill(holder);
    assert!(bed.done(home).iter().any(|action| matches!(action, Action::Ended { .. })));
}

/// Both are behind one link: each hop above would speak for the lost, in whose name nothing comes from above.
#[test]
fn that_an_end_was_handed_to_one_who_is_gone_is_said_where_the_ways_to_him_and_to_its_home_part() {
    let mut bed = Bed::new(Limits::default());
    let top = bed.child(ROOT);
    let low = bed.child(top);
    let fork = bed.child(low);
    let (home, holder) = (bed.child(fork), bed.child(fork));
    let handle = bed.at(home, |machine, _| machine.export(ROOT, Direction::Receives));
    let end = End { home, handle, direction: Direction::Sends };
    bed.stop(ROOT);
    bed.kill(holder);
    bed.at(ROOT, |machine, out| {
        let taken = machine.import(home, end).unwrap();
        machine.hand_on(taken, holder, out).unwrap()
    });
    bed.resume();
    assert!(bed.done(home).iter().any(|action| matches!(action, Action::Ended { .. })));
    for hop in [top, low, fork] {
        assert_eq!(bed.machine(hop).dropped(DropKind::Source), 0, "context {hop}");
    }
}

#[test]
fn a_stream_that_broke_here_keeps_its_handle_until_the_other_side_has_closed() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let old = bed.at(ROOT, |machine, _| machine.export(child, Direction::Sends));
    let end = End { home: ROOT, handle: old, direction: Direction::Receives };
    let held = bed.at(child, |machine, out| {
        let held = machine.import(ROOT, end).unwrap();
        machine.stream_open(held, out);
        held
    });
    bed.settle();
    // An item comes to the end that sends: this side breaks the stream, and tells the other side.
    let item = codec::encode(&StreamHead::Item(Vec::new())).unwrap();
    let item = frame(child, ROOT, old, ReplyTo::Handle(held), item);
    bed.inject(child, ROOT, item);
    bed.at(ROOT, |machine, out| machine.stream_close(old, None, out));
    let new = bed.at(ROOT, |machine, _| machine.export(child, Direction::Sends));
    bed.settle();
    assert_ne!(new, old, "the answer to the break was still to come");
    let ended = |action: &Action| matches!(action, Action::Ended { handle, .. } if *handle == new);
    assert!(!bed.done(ROOT).iter().any(ended));
    assert_eq!(bed.machine(ROOT).sizes().handles, 1, "the old handle is free once the answer is there");
}

/// Nothing of it has come: that is not all of it.
#[test]
fn who_would_receive_from_an_end_that_nobody_took_is_not_told_of_a_clean_end() {
    for (ours, is_clean) in [(Direction::Receives, false), (Direction::Sends, true)] {
        let mut bed = Bed::new(Limits::default());
        let child = bed.child(ROOT);
        let home = bed.at(ROOT, |machine, _| machine.export(child, ours));
        let refused = Dead { code: DeadCode::Gone, text: "nobody took this end of the channel".into() };
        let refused = codec::encode(&refused).unwrap();
        bed.inject(child, ROOT, frame(child, ROOT, home, ReplyTo::Dead, refused));
        let ends: Vec<&Ended> = bed.done(ROOT).iter().filter_map(how_ended).collect();
        assert!(matches!(ends[..], [how] if (*how == Ended::Closed) == is_clean), "{ours:?}: {ends:?}");
    }
}

fn how_ended(action: &Action) -> Option<&Ended> {
    if let Action::Ended { how, .. } = action { Some(how) } else { None }
}

#[test]
fn ends_of_a_caller_that_is_gone_leave_nothing_behind() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let before = bed.machine(ROOT).sizes().handles;
    let end = |n: u32| End { home: child, handle: Handle::new(2000 + n), direction: Direction::Sends };
    bed.call(child, ROOT, call_to("any", (0..100).map(end).collect(), Vec::new(), 0)).unwrap();
    bed.settle();
    bed.kill(child);
    assert_eq!(bed.machine(ROOT).sizes().handles, before);
}

#[test]
fn ends_in_refused_calls_make_no_state() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let end = |n: u32| End { home: child, handle: Handle::new(5000 + n), direction: Direction::Sends };
    for _ in 0..20 {
        bed.call(child, ROOT, call_to("ours", (0..100).map(end).collect(), Vec::new(), 0)).unwrap();
        bed.settle();
        assert!(bed.take(ROOT).is_none(), "a child may not call this");
        bed.settle();
    }
    assert_eq!(bed.machine(ROOT).sizes().handles, 0);
}
