//! What may not pass or cannot be delivered gets a dead reply with its code.

use offshoot_tests::world::{Call, End, Job, Op, Scenario, check};
use offshoot_wire::{DeadCode, Handle};

#[test]
fn a_call_to_an_id_that_never_existed_is_answered() {
    check("0>1 1>2", |w| {
        w.name(99, 4_000_000);
        for (src, end) in
            [(0, End::Refused), (1, End::Code(DeadCode::NoRoute)), (2, End::Code(DeadCode::NoRoute))]
        {
            let call = w.call(src, 99);
            w.expect(call, &[end]);
        }
    });
}

#[test]
fn a_call_to_a_mailbox_that_nobody_has_is_answered() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).mailbox(Handle::new(100)));
        w.expect(call, &[End::Code(DeadCode::NoHandle)]);
    });
}

#[test]
fn a_policy_refuses() {
    check("0>1 0>2", |w| {
        let sibling = w.start(Call::new(1, 2).function("parents"));
        let parent = w.start(Call::new(0, 2).function("parents"));
        let child = w.start(Call::new(1, 0).function("children"));
        w.expect(sibling, &[End::Code(DeadCode::Policy)]);
        w.expect(parent, &[End::Value]);
        w.expect(child, &[End::Value]);
    });
}

#[test]
fn a_leaf_has_no_children() {
    check("0>1", |w| {
        let call = w.start(Call::new(0, 1).mailbox(Handle::CREATE_CHILD).job(Job::Answer(9)));
        w.expect(call, &[End::Code(DeadCode::NoHandle)]);
    });
}

#[test]
fn nobody_but_an_ancestor_makes_children() {
    check("0>1p 0>2", |w| {
        let call = w.start(Call::new(2, 1).mailbox(Handle::CREATE_CHILD).job(Job::Answer(9)));
        w.expect(call, &[End::Code(DeadCode::Policy)]);
    });
}

#[test]
fn a_one_way_tree_passes_nothing_between_its_branches() {
    Scenario::on("0>1 0>2 1>3").with(|s| s.one_way = true).check(|w| {
        for (src, dst) in [(1, 2), (3, 2)] {
            let call = w.call(src, dst);
            w.expect(call, &[End::Code(DeadCode::OneWay)]);
        }
        for (src, dst) in [(3, 0), (0, 3)] {
            let call = w.call(src, dst);
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn refusals_in_a_one_way_tree_give_their_credit_back() {
    Scenario::on("0>1 0>2").with(|s| s.one_way = true).in_flight(1).check(|w| {
        for _ in 0..8 {
            let call = w.call(1, 2);
            w.expect(call, &[End::Code(DeadCode::OneWay)]);
        }
        let large = w.start(Call::new(1, 2).bytes(1200));
        w.expect(large, &[End::Code(DeadCode::OneWay)]);
        let next = w.call(1, 2);
        w.expect(next, &[End::Code(DeadCode::OneWay)]);
    });
}

#[test]
fn a_stamped_context_speaks_to_all_of_a_one_way_tree() {
    Scenario::on("0>1s 0>2").with(|s| s.one_way = true).check(|w| {
        let there = w.start(Call::new(1, 2).function("parents"));
        let back = w.call(2, 1);
        for call in [there, back] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn a_grant_lets_a_sibling_call() {
    check("0>1 0>2", |w| {
        let grant = w.grant(0, 2, 1, "parents");
        w.start(grant);
        w.settle();
        let call = w.start(Call::new(1, 2).function("parents"));
        w.expect(call, &[End::Value]);
    });
}

#[test]
fn a_stamped_context_cannot_use_a_grant_by_its_id() {
    check("0>1s 0>2", |w| {
        let children = w.start(Call::new(1, 0).function("children"));
        // The authority is the root's own.
        w.expect(children, &[End::Value]);
    });
}

#[test]
fn a_downlink_that_holds_too_much_refuses() {
    Scenario::on("0>1 1>2").with(|s| s.limits.downlink = 300).check(|w| {
        let pause = w.will(Op::Pause(2));
        w.then(pause, Op::Resume(2));
        for _ in 0..3 {
            let call = w.start(Call::new(0, 2).bytes(20));
            w.expect(call, &[End::Value, End::Code(DeadCode::Congested)]);
        }
    });
}
