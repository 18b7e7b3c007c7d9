//! Bounds: credit, queues, controls.

use offshoot_tests::world::{Call, End, Job, Op, Scenario, Settings, World};
use offshoot_wire::DeadCode;

/// What waits in a context for the link of which most does, in bytes.
fn waiting(w: &World, label: u32) -> u64 {
    w.context(w.id(label)).map_or(0, |context| context.router.sizes().data_bytes)
}

#[test]
fn a_child_is_not_read_while_too_much_of_it_waits_for_the_uplink() {
    const SHARE: u64 = 300;
    /// What a message of 100 bytes takes, with what it costs and the room that its body was made with.
    const FRAME: u64 = 256;
    /// What is counted for those that have a flow to wait in.
    const FLOW: u64 = 512;
    const MESSAGES: usize = 5;
    let roomy = |s: &mut Settings| {
        s.limits.uplink_child = SHARE;
        (s.limits.window_start, s.limits.window_max) = (4096, 4096);
    };
    Scenario::on("0>1 1>2").with(roomy).in_flight(1).check(|w| {
        // Nobody answers: what waits in 1 waits for its uplink.
        for _ in 0..MESSAGES {
            w.start(Call::new(2, 0).bytes(100).one_way());
        }
        let pause = w.will(Op::Pause(0));
        w.then(pause, Op::Resume(0));
        w.always(|w| match waiting(w, 1) {
            bytes if bytes > SHARE + FRAME + FLOW => Err(format!("{bytes} bytes wait for the uplink")),
            bytes if bytes > SHARE + FLOW && !w.is_unread(1, 2) => {
                Err(format!("2 is read though {bytes} bytes wait"))
            }
            _ => Ok(()),
        });
        w.meets("2 is not read, and has more to say", |w| w.is_unread(1, 2) && w.wires_are_full(2, 1));
        w.at_rest(|w| match w.history.calls.iter().filter(|call| call.runs == 1).count() {
            MESSAGES if !w.is_unread(1, 2) => Ok(()),
            come => Err(format!("{come} of {MESSAGES} have come, and 2 is read: {}", !w.is_unread(1, 2))),
        });
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
