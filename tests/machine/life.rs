//! Beginning and end of a link.

use offshoot_core::{
    machine::{Action, Event, Limits, Tick},
    wire::{Handle, ReplyTo},
};

use crate::bed::{Bed, ROOT, frame};

#[test]
fn nothing_passes_before_hello_though_it_is_addressed_to_its_handle() {
    let mut bed = Bed::new(Limits::default());
    let other = bed.child(ROOT);
    let (child, link) = bed.silent_child(ROOT);
    let call = frame(child, other, Handle::HELLO, ReplyTo::Handle(Handle::new(1000)), Vec::new());
    let now = bed.now;
    bed.at(ROOT, |machine, out| machine.handle(now, Event::Frame { link, frame: call }, out));
    assert!(bed.done(ROOT).iter().any(|action| matches!(action, Action::Cut(cut, _) if *cut == link)));
}

#[test]
fn a_shorter_order_to_end_counts() {
    let mut bed = Bed::new(Limits::default());
    let child = bed.child(ROOT);
    let now = bed.now;
    bed.at(ROOT, |machine, out| {
        machine.shutdown_context(now, child, 60_000, out).unwrap();
        machine.shutdown(now, 1000, out);
        machine.handle(Tick(10_000), Event::Due, out);
    });
    assert!(bed.done(ROOT).iter().any(|action| matches!(action, Action::Escalate(_))));
}
