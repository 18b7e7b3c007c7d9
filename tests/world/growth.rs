//! New contexts: ids, announcements, and losses meanwhile.

use offshoot_tests::world::{Call, End, Job, Op, check};
use offshoot_wire::Handle;

#[test]
fn two_hops_make_their_first_children_at_once() {
    check("0>1p 0>2p", |w| {
        w.will(Op::Create(1, 3, false));
        w.will(Op::Create(2, 4, false));
        w.at_rest(|w| if w.is_alive(3) && w.is_alive(4) { Ok(()) } else { Err("not both live".into()) });
    });
}

#[test]
fn a_hop_makes_a_child_while_it_is_lost() {
    check("0>1 1>2p", |w| {
        w.will(Op::Create(2, 3, true));
        w.may(Op::Cut(1, 2));
    });
}

#[test]
fn a_child_is_lost_while_it_is_announced() {
    check("0>1 1>2p", |w| {
        let create = w.will(Op::Create(2, 3, false));
        w.then(create, Op::Crash(3));
        w.at_rest(|w| if w.is_alive(3) { Err("3 lives".into()) } else { Ok(()) });
    });
}

#[test]
fn a_chain_of_four_contexts_each_made_by_the_one_before() {
    check("0>1p", |w| {
        w.will(Op::Create(1, 2, true));
        w.will(Op::Create(2, 3, true));
        w.at_rest(|w| if w.is_alive(3) { Ok(()) } else { Err("3 is not there".into()) });
    });
}

#[test]
fn a_hop_is_asked_to_make_a_child() {
    check("0>1 1>2p", |w| {
        let call = w.start(Call::new(0, 2).mailbox(Handle::CREATE_CHILD).job(Job::Answer(7)));
        w.expect(call, &[End::Value]);
        w.at_rest(|w| if w.is_alive(7) { Ok(()) } else { Err("7 is not there".into()) });
    });
}

#[test]
fn a_hop_is_asked_to_make_a_child_and_is_lost() {
    check("0>1 1>2p", |w| {
        let call = w.start(Call::new(0, 2).mailbox(Handle::CREATE_CHILD).job(Job::Answer(7)));
        w.expect(call, &[End::Value, End::Lost, End::Dead]);
        w.may(Op::Crash(2));
    });
}
