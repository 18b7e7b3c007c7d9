//! How long the broker sleeps.

use std::sync::Arc;

use offshoot_wire::{Body, CallHead, ContextId, Handle, Role, codec};

use crate::{
    Policy,
    machine::{Config, Limits, Outgoing, UpOnly},
    shared::Shared,
};

/// A call to us sets a timer, and clears it long before it is due. If that were forgotten, the next would ring again.
#[test]
fn a_timer_that_comes_and_goes_wakes_the_broker_once() {
    let me = ContextId::new(7);
    let config = Config {
        me,
        ancestors: vec![ContextId::ROOT],
        role: Role::Leaf,
        one_way: false,
        functions: vec![("f".to_owned(), Policy::Anyone)],
        build: 0,
        limits: Limits { started_ms: 60_000, ..Limits::default() },
    };
    let shared = Shared::new(config, "leaf".to_owned(), UpOnly::new(me), Arc::new(())).unwrap();
    let head =
        CallHead { function: "f".into(), left_ms: None, above: Vec::new(), chain: None, ends: Vec::new() };
    let body = Body::from(codec::encode(&head).unwrap());
    let call = Outgoing { dst: me, handle: Handle::CALL_FUNCTION, body, deadline: None, ends: Vec::new() };

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
