//! The latch under loom: every order of its steps, and for each model a mistake that it must find.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p offshoot-latch --release --test model`; in a target folder of its own it
//! leaves the other builds alone. `LOOM_MAX_PREEMPTIONS` (2 unless set) says how deep it goes.
#![cfg(loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::{sync::Arc, thread};
use offshoot_latch::{
    Closed, GetError, Latch, Select,
    model::{Flaw, Instant, with},
};

/// Runs the model in every order.
fn holds(model: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(model);
}

/// Runs the model with the mistake built in, which it must not survive.
fn finds(flaw: Flaw, model: fn()) {
    let mut found = false;
    with(flaw, || found = catch_unwind(AssertUnwindSafe(|| holds(model))).is_err());
    assert!(found, "the model passes with {flaw:?}");
}

/// Two getters, two puts: each gets one item, and both wake.
fn two_getters_two_puts() {
    let latch = Arc::new(Latch::new());
    let getters = [0, 1].map(|_| {
        let latch = Arc::clone(&latch);
        thread::spawn(move || latch.get())
    });
    latch.put(1).unwrap();
    latch.put(2).unwrap();
    let mut got = getters.map(|getter| getter.join().unwrap().unwrap());
    got.sort_unstable();
    assert_eq!(got, [1, 2]);
}

#[test]
fn every_put_reaches_one_getter() {
    holds(two_getters_two_puts);
}
