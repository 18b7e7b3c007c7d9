//! Streams whose ends are handed on, and what becomes of them (rule 12).

use offshoot_core::{
    machine::{Action, Limits},
    wire::{Direction, End},
};

use crate::bed::{Bed, ROOT};

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
