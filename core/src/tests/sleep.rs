//! How long the broker sleeps.

use offshoot_wire::{Body, CallHead, Handle, codec};

use super::{LEAF, leaf};
use crate::machine::{Limits, Outgoing};

/// A call to us sets a timer, and clears it long before it is due. If that were forgotten, the next would ring again.
#[test]
fn a_timer_that_comes_and_goes_wakes_the_broker_once() {
    let shared = leaf(Limits { started_ms: 60_000, ..Limits::default() });
    let head =
        CallHead { function: "f".into(), left_ms: None, above: Vec::new(), chain: None, ends: Vec::new() };
    let body = Body::from(codec::encode(&head).unwrap());
    let call = Outgoing { dst: LEAF, handle: Handle::CALL_FUNCTION, body, deadline: None, ends: Vec::new() };

    assert_eq!(shared.sleep_until(), None);
    let taken = shared.with(|state, now| {
        state.machine.set_workers(1);
        state.machine.call(now, call, &mut state.out).unwrap();
        state.machine.take_call(now, 0, &mut state.out).unwrap()
    });
    let asked = shared.sleep_until();
    assert!(asked.is_some());
    shared.with(|state, now| {
        state.machine.answer(now, taken.key, Body::default(), &[], false, &mut state.out);
        assert_eq!(state.machine.next_due(), None);
    });
    assert_eq!(shared.sleep_until(), asked);
}
