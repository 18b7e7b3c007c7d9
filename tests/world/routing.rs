//! Calls find their way: up, down, to siblings and cousins; and order holds.

use offshoot_tests::world::{Call, End, Job, Op, Scenario, check};

#[test]
fn calls_go_down_and_up_two_links() {
    check("0>1 1>2", |w| {
        for call in [w.call(0, 2), w.call(2, 0)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn siblings_call_each_other() {
    check("0>1 0>2", |w| {
        for call in [w.call(1, 2), w.call(2, 1)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn cousins_call_each_other() {
    check("0>1 0>2 1>3 2>4", |w| {
        for call in [w.call(3, 4), w.call(4, 3)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn a_context_calls_itself() {
    check("0>1", |w| {
        for call in [w.call(1, 1), w.call(0, 0)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn calls_of_one_source_run_in_their_order() {
    check("0>1 1>2", |w| {
        for call in [w.call(0, 2), w.call(0, 2), w.call(0, 2)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn calls_of_one_source_run_in_their_order_though_workers_are_slow() {
    Scenario::on("0>1 1>2").with(|s| s.slow_workers = true).check(|w| {
        for call in [w.call(0, 2), w.call(0, 2), w.call(1, 2)] {
            w.expect(call, &[End::Value]);
        }
    });
}

#[test]
fn a_handler_calls_back_to_its_caller() {
    check("0>1 1>2", |w| {
        let root = w.id(0);
        let call = w.start(Call::new(0, 2).job(Job::Nest(root, Box::new(Job::Answer(0)))));
        w.expect(call, &[End::Value]);
    });
}

#[test]
fn a_new_child_is_called_before_anybody_above_knows_it() {
    check("0>1 1>2p", |w| {
        let create = w.will(Op::Create(2, 3, false));
        w.then(create, Op::Start(Call::new(2, 3)));
        w.at_rest(|w| match &w.history.calls[0].end {
            Some(end) if End::Value.is(end) => Ok(()),
            other => Err(format!("the call to the new child ended as {other:?}")),
        });
    });
}

#[test]
fn a_new_child_calls_the_root_as_soon_as_it_is_there() {
    check("0>1 1>2p", |w| {
        let create = w.will(Op::Create(2, 3, false));
        w.then(create, Op::Start(Call::new(3, 0)));
        w.at_rest(|w| match w.history.calls.first().map(|call| &call.end) {
            Some(Some(end)) if !End::Value.is(end) => Err(format!("the call to the root ended as {end:?}")),
            _ => Ok(()),
        });
        w.sometimes("the call is answered", |w| w.history.calls.first().is_some_and(|call| call.runs == 1));
    });
}
