//! Whatever is lost, at whatever step: every waiter learns it, and nothing about the dead stays.

use offshoot_tests::world::{Call, End, Job, Op, Report, Scenario, Taste, Then, World, check};

/// How a call may end when something on its way is lost.
const LOST: [End; 4] = [End::Value, End::Lost, End::Dead, End::Refused];

fn calls(w: &mut World, calls: &[(u32, u32)]) {
    for (src, dst) in calls {
        let call = w.call(*src, *dst);
        w.expect(call, &[LOST.as_slice(), &[End::CallerGone]].concat());
    }
}

#[test]
fn losing_a_branch_ends_every_call_into_it() {
    check("0>1 1>2 1>3", |w| {
        for call in [w.call(0, 2), w.call(3, 2)] {
            w.expect(call, &LOST);
            w.sometimes_ends(call, End::Lost);
            w.sometimes_ends(call, End::Value);
        }
        w.may(Op::Cut(1, 2));
    });
}

#[test]
fn a_child_crashes_under_its_parents_call() {
    check("0>1", |w| {
        let call = w.call(0, 1);
        w.expect(call, &LOST);
        w.sometimes_ends(call, End::Lost);
        w.may(Op::Crash(1));
    });
}

#[test]
fn a_grandchild_crashes_under_calls_of_all_above() {
    check("0>1 1>2 2>3", |w| {
        calls(w, &[(0, 3), (1, 3)]);
        w.may(Op::Crash(3));
    });
}

#[test]
fn a_hop_crashes_under_calls_through_it_both_ways() {
    check("0>1 1>2", |w| {
        calls(w, &[(0, 2), (2, 0)]);
        w.may(Op::Crash(1));
    });
}

#[test]
fn a_sibling_crashes_under_a_siblings_call() {
    check("0>1 0>2", |w| {
        calls(w, &[(1, 2), (2, 1)]);
        w.may(Op::Crash(2));
    });
}

#[test]
fn a_cousin_crashes_under_a_cousins_call() {
    check("0>1 0>2 1>3 2>4", |w| {
        calls(w, &[(3, 4)]);
        w.may(Op::Crash(4));
    });
}

#[test]
fn the_branch_of_a_cousin_is_cut_off_under_a_cousins_call() {
    check("0>1 0>2 1>3 2>4", |w| {
        let call = w.start(Call::new(3, 4).job(Job::Hold(0)));
        w.expect(call, &LOST);
        w.sometimes_ends(call, End::Lost);
        w.may(Op::Cut(0, 2));
    });
}

#[test]
fn a_caller_is_lost_and_its_call_is_called_off() {
    check("0>1 0>2", |w| {
        let call = w.start(Call::new(1, 2).job(Job::Hold(0)));
        w.expect(call, &[End::Value, End::CallerGone]);
        w.may(Op::Crash(1));
    });
}

#[test]
fn a_hop_is_paused_and_goes_on() {
    check("0>1 1>2", |w| {
        for call in [w.call(0, 2), w.call(2, 0)] {
            w.expect(call, &[End::Value]);
        }
        let pause = w.will(Op::Pause(1));
        w.then(pause, Op::Resume(1));
    });
}

#[test]
fn a_paused_hop_is_lost() {
    check("0>1 1>2", |w| {
        calls(w, &[(0, 2), (2, 0)]);
        let pause = w.will(Op::Pause(1));
        w.then(pause, Op::Crash(1));
    });
}

#[test]
fn a_call_to_a_context_that_is_gone_is_answered_by_whoever_meets_it() {
    check("0>1 0>2 1>3", |w| {
        w.now_do(&Op::Crash(2));
        w.settle();
        for (src, end) in [(0, End::Refused), (1, End::Dead), (3, End::Dead)] {
            let call = w.call(src, 2);
            w.expect(call, &[end]);
        }
    });
}

#[test]
fn calls_without_end_to_a_context_that_is_gone_are_all_answered() {
    // More than one window of them: what a hop refuses gives its credit back.
    Scenario::on("0>1 0>2").in_flight(1).check(|w| {
        w.now_do(&Op::Crash(2));
        w.settle();
        for _ in 0..8 {
            let call = w.call(1, 2);
            w.expect(call, &[End::Dead]);
        }
    });
}

#[test]
fn a_large_call_to_a_context_that_is_gone_does_not_block_the_next() {
    check("0>1 0>2", |w| {
        w.now_do(&Op::Crash(2));
        w.settle();
        let large = w.start(Call::new(1, 2).bytes(2000));
        let small = w.call(1, 2);
        for call in [large, small] {
            w.expect(call, &[End::Dead]);
        }
    });
}

#[test]
fn whoever_watches_a_context_learns_its_end() {
    for tree in ["0>1 0>2", "0>1 0>3 3>2"] {
        check(tree, |w| {
            w.now_do(&Op::Watch(1, 2));
            w.now_do(&Op::Watch(0, 2));
            // Who has never spoken to it is not told: a watcher asks first.
            w.call(1, 2);
            w.will(Op::Crash(2));
        });
    }
}

#[test]
fn a_parent_is_lost_while_frames_of_its_children_wait_for_it() {
    let small = |s: &mut offshoot_tests::world::Settings| s.limits.uplink_child = 200;
    let report: Report = Scenario::on("0>1 1>2").with(small).check(|w| {
        calls(w, &[(2, 0), (2, 0), (2, 1)]);
        w.may(Op::Cut(0, 1));
    });
    assert!(report.at_rest > 1);
}

#[test]
fn a_stream_through_hops_ends_at_both_ends_when_either_is_lost() {
    for lost in [Op::Crash(2), Op::Cut(0, 1), Op::Crash(0)] {
        check("0>1 1>2", |w| {
            let plan = offshoot_tests::world::Plan { items: 2, bytes: 10, then: Then::Close };
            w.start(Call::new(0, 2).job(Job::Source(plan)).receiving(Taste::default()));
            w.may(lost.clone());
        });
    }
}

#[test]
fn what_waits_behind_a_call_that_is_given_up_leaves() {
    check("0>1", |w| {
        w.start(Call::new(0, 1).bytes(300));
        // It finds no credit, and behind it waits what needs none.
        let second = w.start(Call::new(0, 1).bytes(300).chain(1));
        w.now_do(&Op::EndChain(0, 1, 1));
        w.may(Op::Cancel(second));
    });
}

#[test]
fn a_message_that_waits_for_room_behind_a_call_to_who_is_lost_is_not_forgotten() {
    check("0>1 0>2", |w| {
        w.will(Op::Start(Call::new(1, 2).bytes(1500)));
        w.will(Op::Start(Call::new(1, 2).one_way()));
        w.may(Op::Crash(2));
    });
}

#[test]
fn nobody_keeps_an_account_with_who_was_lost_before_he_was_written_to() {
    check("0>1 0>2", |w| {
        w.will(Op::Start(Call::new(1, 2).one_way()));
        w.may(Op::Crash(2));
    });
}

#[test]
fn a_grant_that_names_who_is_lost_is_not_kept() {
    check("0>1 1>2 0>3", |w| {
        // The grant finds no credit.
        w.start(Call::new(0, 2).bytes(300));
        w.start(Call::new(0, 2).bytes(300));
        let grant = w.grant(0, 2, 3, "parents");
        w.will(Op::Start(grant));
        w.may(Op::Crash(3));
    });
}
