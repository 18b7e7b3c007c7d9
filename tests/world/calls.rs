//! What becomes of calls: values, failures, chains, deadlines, self-waiting, large bodies.

use offshoot_tests::world::{Call, End, Job, Op, Scenario, check};
use offshoot_wire::DeadCode;

#[test]
fn a_function_fails() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).job(Job::Fail));
        w.expect(call, &[End::Failed]);
    });
}

#[test]
fn the_later_calls_of_a_chain_fail_with_its_first_error() {
    check("0>1 1>2", |w| {
        let first = w.start(Call::new(0, 2).job(Job::Fail).chain(1));
        let second = w.start(Call::new(0, 2).chain(1));
        let other = w.start(Call::new(0, 2).chain(2));
        w.expect(first, &[End::Failed]);
        w.expect(second, &[End::Failed]);
        w.expect(other, &[End::Value]);
    });
}

#[test]
fn a_chain_that_was_ended_is_forgotten() {
    for slow in [false, true] {
        Scenario::on("0>1 1>2").with(|s| s.slow_workers = slow).check(|w| {
            let first = w.start(Call::new(0, 2).job(Job::Fail).chain(1));
            w.now_do(&Op::EndChain(0, 2, 1));
            w.expect(first, &[End::Failed]);
            w.at_rest(|w| match w.context(w.id(2)).unwrap().router.sizes().chains {
                0 => Ok(()),
                n => Err(format!("{n} chains are remembered")),
            });
        });
    }
}

#[test]
fn one_way_calls_more_than_a_window_holds_all_arrive() {
    check("0>1", |w| {
        for _ in 0..6 {
            w.start(Call::new(0, 1).bytes(60).one_way());
        }
        w.at_rest(|w| match w.history.calls.iter().filter(|call| call.runs == 1).count() {
            6 => Ok(()),
            n => Err(format!("{n} of 6 ran")),
        });
    });
}

#[test]
fn a_call_that_would_wait_for_itself_is_refused() {
    check("0>1 1>2", |w| {
        let (one, two) = (w.id(1), w.id(2));
        let back = Job::Nest(two, Box::new(Job::Nest(one, Box::new(Job::Answer(0)))));
        let call = w.start(Call::new(0, 1).job(back));
        w.expect(call, &[End::Value]);
        w.at_rest(|w| match &w.history.calls[2].end {
            Some(end) if End::Code(DeadCode::WouldWait).is(end) => Ok(()),
            other => Err(format!("the innermost call ended as {other:?}")),
        });
    });
}

#[test]
fn with_a_second_worker_it_does_not_wait() {
    Scenario::on("0>1 1>2").with(|s| s.workers = 2).check(|w| {
        let (one, two) = (w.id(1), w.id(2));
        let back = Job::Nest(two, Box::new(Job::Nest(one, Box::new(Job::Answer(0)))));
        w.start(Call::new(0, 1).job(back));
        w.at_rest(|w| match &w.history.calls[2].end {
            Some(end) if End::Value.is(end) => Ok(()),
            other => Err(format!("the innermost call ended as {other:?}")),
        });
    });
}

#[test]
fn of_two_activities_that_cross_one_ends_by_its_deadline_and_lets_the_other_go_on() {
    Scenario::on("0>1 0>2").with_timers().in_flight(1).check(|w| {
        let (one, two) = (w.id(1), w.id(2));
        let a = w.start(Call::new(0, 1).job(Job::Nest(two, Box::new(Job::Answer(0)))).within(50));
        let b = w.start(Call::new(0, 2).job(Job::Nest(one, Box::new(Job::Answer(0)))));
        w.expect(a, &[End::Value, End::TimedOut, End::Dead]);
        w.sometimes_ends(a, End::TimedOut);
        w.expect(b, &[End::Value]);
    });
}

#[test]
fn large_arguments_travel_in_pieces() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).bytes(1500));
        w.expect(call, &[End::Value]);
    });
}

#[test]
fn a_large_call_and_a_large_answer_cross_each_other() {
    check("0>1", |w| {
        let down = w.start(Call::new(0, 1).bytes(700).job(Job::Answer(700)));
        let up = w.start(Call::new(1, 0).bytes(700));
        for call in [down, up] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn small_calls_to_others_pass_a_large_one() {
    check("0>1 1>2 1>3", |w| {
        let large = w.start(Call::new(0, 2).bytes(900));
        let small = w.call(0, 3);
        for call in [large, small] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_at_its_source() {
    Scenario::on("0>1").with(|s| s.limits.body = 300).check(|w| {
        let call = w.start(Call::new(0, 1).bytes(301));
        w.expect(call, &[End::Code(DeadCode::TooLarge)]);
        let answer = w.start(Call::new(0, 1).job(Job::Answer(301)));
        w.expect(answer, &[End::Code(DeadCode::TooLarge)]);
    });
}

#[test]
fn a_deadline_ends_a_call_that_is_held() {
    Scenario::on("0>1 1>2").with_timers().check(|w| {
        let call = w.start(Call::new(0, 2).job(Job::Hold(0)).within(10));
        w.expect(call, &[End::Value, End::TimedOut]);
        w.sometimes_ends(call, End::Value);
        w.sometimes_ends(call, End::TimedOut);
    });
}

#[test]
fn a_call_tells_that_it_has_started() {
    Scenario::on("0>1").with_timers().with(|s| s.limits.started_ms = 20).check(|w| {
        let call = w.start(Call::new(0, 1).job(Job::Hold(0)));
        w.expect(call, &[End::Value, End::Lost]);
        w.may(Op::Crash(1));
        w.sometimes("the caller of a lost call knows that it had started", |w| {
            use offshoot_core::machine::Progress;
            w.history.calls[0].end.as_ref().and_then(|end| end.progress()) == Some(Progress::Started)
        });
    });
}
