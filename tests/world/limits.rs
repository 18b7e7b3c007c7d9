//! Bounds: credit, queues, controls.

use offshoot_tests::world::{Call, End, Job, Op, Scenario};
use offshoot_wire::DeadCode;

#[test]
fn a_child_is_not_read_while_too_much_of_it_waits_for_the_uplink() {
    Scenario::on("0>1 1>2").with(|s| s.limits.uplink_child = 200).check(|w| {
        for _ in 0..4 {
            let call = w.call(2, 0);
            w.expect(call, &[End::Value]);
        }
        let pause = w.will(Op::Pause(0));
        w.then(pause, Op::Resume(0));
    });
}

#[test]
fn more_calls_than_may_be_in_flight_are_busy() {
    Scenario::on("0>1").with(|s| s.limits.calls_in_flight = 2).check(|w| {
        for _ in 0..2 {
            let call = w.start(Call::new(0, 1).job(Job::Hold(0)));
            w.expect(call, &[End::Value]);
        }
        let third = w.call(0, 1);
        w.expect(third, &[End::Code(DeadCode::Busy)]);
    });
}

#[test]
fn large_answers_wait_for_credit_and_all_arrive() {
    Scenario::on("0>1").check(|w| {
        for _ in 0..3 {
            let call = w.start(Call::new(0, 1).job(Job::Answer(600)));
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn large_calls_from_two_sides_wait_for_credit_and_all_arrive() {
    Scenario::on("0>1 1>2").in_flight(1).check(|w| {
        let one = w.start(Call::new(0, 2).bytes(900));
        let two = w.start(Call::new(1, 2).bytes(900));
        for call in [one, two] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn a_body_over_the_share_of_a_link_is_refused_while_another_is_in_the_making() {
    Scenario::on("0>1 1>2 1>3").with(|s| s.limits.partial_bytes = 1000).in_flight(1).check(|w| {
        for src in [2, 3] {
            let call = w.start(Call::new(src, 0).bytes(700));
            w.expect(call, &[End::Value, End::Code(DeadCode::Congested)]);
            w.sometimes_ends(call, End::Value);
            w.sometimes_ends(call, End::Code(DeadCode::Congested));
        }
    });
}
