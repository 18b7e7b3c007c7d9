//! How long the broker sleeps.

use offshoot_wire::{Body, CallHead, Handle, codec};

use super::{LEAF, leaf};
use crate::{
    machine::{Limits, Outgoing},
    node::{Node as _, Pace},
};

/// A call to us whose caller waits for so long.
fn call(left_ms: Option<u32>) -> Outgoing {
    let head = CallHead { function: "f".into(), left_ms, above: Vec::new(), chain: None, ends: Vec::new() };
    let body = Body::from(codec::encode(&head).unwrap());
    Outgoing { dst: LEAF, handle: Handle::CALL_FUNCTION, body, deadline: None, ends: Vec::new() }
}

/// A call to us sets a timer, and clears it long before it is due. If that were forgotten, the next would ring again.
#[test]
fn a_timer_that_comes_and_goes_wakes_the_broker_once() {
    let shared = leaf(Limits { started_ms: 60_000, ..Limits::default() });
    assert_eq!(shared.sleep_until(), None);
    let taken = shared.with(|state, now| {
        state.machine.set_workers(1);
        state.machine.call(now, call(None), &mut state.out).unwrap();
        state.machine.take_call(now, 0, &mut state.out).unwrap()
    });
    let asked = shared.sleep_until();
    assert!(asked.is_some());
    shared.with(|state, now| {
        state.machine.answer(now, taken.key, Body::default(), &[], &mut state.out);
        assert_eq!(state.machine.next_due(), None);
    });
    assert_eq!(shared.sleep_until(), asked);
}

#[test]
fn with_an_answer_the_alarm_is_put_off_to_what_is_due_next_and_no_further() {
    let shared = leaf(Limits { started_ms: 60_000, ..Limits::default() });
    let called = |left_ms| {
        shared.with(|state, now| {
            state.machine.set_workers(3);
            state.machine.call(now, call(Some(left_ms)), &mut state.out).unwrap();
            state.machine.take_call(now, 0, &mut state.out).unwrap().key
        })
    };
    let due = || shared.with(|state, _| state.machine.next_due());
    let asked = || shared.sleep_until().map(|at| shared.tick(at));
    let answer = |key| assert!(shared.answer(key, Body::default(), Vec::new(), Pace::AtOnce).is_none());
    let (soon, later) = (called(10_000), called(30_000));
    let soonest = due();
    assert_eq!(asked(), soonest);
    answer(soon);
    assert!(due() > soonest);
    assert_eq!(asked(), due());
    // Who asks for less is heard.
    called(5_000);
    assert!(due() < soonest);
    assert_eq!(asked(), due());
    // Soon after the last one nothing is put off.
    answer(later);
    assert_eq!(asked(), due());
}
