//! Credit: nobody is left without, nobody takes more (rule 9).

use offshoot_core::{
    machine::{Action, Ended, Limits},
    wire::{ContextId, Direction, End, Handle},
};

use crate::bed::{Bed, ROOT, call_body};

#[test]
fn closing_a_stream_leaves_the_windows_of_another_alone() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    // The handle of each stream here is the handle of the other one there.
    let held = bed.at(child, |machine, _| machine.watch(ROOT));
    let exported = [(); 2].map(|()| bed.at(ROOT, |machine, _| machine.export(child, Direction::Sends)));
    let import = |bed: &mut Bed, handle: Handle| {
        let end = End { home: ROOT, handle, direction: Direction::Receives };
        bed.at(child, |machine, out| {
            let handle = machine.import(ROOT, end).unwrap();
            machine.stream_open(handle, out);
            handle
        })
    };
    let first = import(&mut bed, exported[0]);
    bed.at(child, |machine, _| machine.unwatch(held));
    let second = import(&mut bed, exported[1]);
    assert_eq!([first, second], [exported[1], exported[0]], "the handles are crossed");
    bed.settle();
    for _ in 0..10 {
        bed.send_item(ROOT, exported[0], 1000);
    }
    bed.at(ROOT, |machine, out| machine.stream_close(exported[1], None, out));
    bed.settle();
    for _ in 0..10 {
        bed.send_item(ROOT, exported[0], 1000);
    }
    let broken = |action: &Action| matches!(action, Action::Ended { how: Ended::Lost(_), .. });
    assert!(!bed.done(ROOT).iter().chain(bed.done(child)).any(broken));
}

#[test]
fn what_is_sent_without_an_answer_is_bounded_while_a_link_stands_still() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    bed.stop(child);
    let now = bed.now;
    let mut send = |_| {
        bed.at(ROOT, |machine, out| {
            machine.send_one_way(now, child, Handle::CALL_FUNCTION, call_body(1000), out).is_ok()
        })
    };
    let taken = (0..1000).filter(|n| send(*n)).count();
    assert!(taken < 20, "{taken} calls of 1 KiB against a window of 16 KiB");
    bed.resume();
    assert!(bed.done(ROOT).contains(&Action::Room(child)), "who waited may go on once all has left");
}

#[test]
fn a_call_that_a_hop_refuses_gives_its_credit_back() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    for ended in 1..=300 {
        bed.call(child, ContextId::new(777_777), call_body(0)).unwrap();
        bed.settle();
        assert_eq!(bed.ended_calls(child), ended);
    }
}
