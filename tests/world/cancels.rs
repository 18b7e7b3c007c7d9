//! Calls given up: before they are sent, on their way, while they run.

use offshoot_tests::world::{Call, End, Job, Op, Scenario, check};

#[test]
fn a_call_is_given_up_at_any_step() {
    Scenario::on("0>1 1>2").with(|s| s.slow_workers = true).check(|w| {
        let call = w.start(Call::new(0, 2).job(Job::Hold(0)));
        w.expect(call, &[End::Value, End::Cancelled]);
        w.sometimes_ends(call, End::Value);
        w.sometimes("it was cancelled and has not run", |w| w.history.calls[0].runs == 0);
        w.sometimes("it was cancelled and has run", |w| {
            let call = &w.history.calls[0];
            call.runs == 1 && call.end.as_ref().is_some_and(|end| End::Cancelled.is(end))
        });
        w.may(Op::Cancel(call));
    });
}

#[test]
fn a_call_that_waits_for_a_worker_is_given_up() {
    check("0>1", |w| {
        let first = w.start(Call::new(0, 1).job(Job::Hold(0)));
        let second = w.call(0, 1);
        w.expect(first, &[End::Value]);
        w.expect(second, &[End::Value, End::Cancelled]);
        w.may(Op::Cancel(second));
    });
}

#[test]
fn a_call_that_was_never_written_is_not_sent() {
    // The window is used up by the first: the second waits here.
    check("0>1", |w| {
        let first = w.start(Call::new(0, 1).bytes(600).job(Job::Hold(0)));
        let second = w.call(0, 1);
        w.expect(first, &[End::Value]);
        w.expect(second, &[End::Value, End::Cancelled]);
        w.may(Op::Cancel(second));
        w.sometimes("the second was not sent", |w| {
            use offshoot_core::machine::Progress;
            w.history.calls[1].end.as_ref().and_then(|end| end.progress()) == Some(Progress::NotSent)
        });
    });
}

#[test]
fn a_large_call_is_given_up_between_its_pieces() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).bytes(900));
        w.expect(call, &[End::Value, End::Cancelled]);
        w.may(Op::Cancel(call));
    });
}

#[test]
fn the_slot_of_a_call_given_up_serves_the_next_only_after_its_answer() {
    check("0>1", |w| {
        let first = w.call(0, 1);
        let cancel = w.will(Op::Cancel(first));
        w.then(cancel, Op::Start(Call::new(0, 1)));
        w.at_rest(|w| match &w.history.calls[1].end {
            Some(end) if End::Value.is(end) => Ok(()),
            other => Err(format!("the second call ended as {other:?}")),
        });
    });
}

#[test]
fn a_caller_gives_up_while_the_callee_is_lost() {
    check("0>1 1>2", |w| {
        let call = w.start(Call::new(0, 2).job(Job::Hold(0)));
        w.expect(call, &[End::Value, End::Cancelled, End::Lost, End::Dead]);
        w.may(Op::Cancel(call));
        w.may(Op::Crash(2));
    });
}

#[test]
fn a_deadline_and_the_answer_meet() {
    Scenario::on("0>1").with_timers().check(|w| {
        let call = w.start(Call::new(0, 1).within(5));
        w.expect(call, &[End::Value, End::TimedOut]);
        w.sometimes_ends(call, End::TimedOut);
    });
}
