//! What rests until it has company is written in time where none comes.

use std::{collections::VecDeque, time::Duration};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    eventually,
    table::{ADD, SPIN, SUM, WORK},
};

use crate::bed::{leaf, root};

crate::tests![
    rest_an_answer_does_not_wait_for_the_call_behind_it,
    rest_a_call_among_many_leaves_though_nobody_waits,
    rest_many_calls_in_flight_are_answered_each_with_its_own,
];

/// Before anything else would have it written: an idle link is asked for a sign of life after ten seconds.
const SOON: Duration = Duration::from_secs(5);

/// The leaf answers a short call while another is queued, and that one never ends.
fn rest_an_answer_does_not_wait_for_the_call_behind_it() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (gate, numbers) = router.channel();
    let held = leaf.call_async(SUM, numbers);
    let short = leaf.call_async(ADD, (1, 2));
    leaf.call_no_reply(SPIN, ()).unwrap();
    drop(gate);
    assert_eq!(held.wait_timeout(SOON).unwrap(), 0);
    assert_eq!(short.wait_timeout(SOON).unwrap(), 3);
}

/// The leaf is busy with the first, so that the others are in flight all at once.
fn rest_a_call_among_many_leaves_though_nobody_waits() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let busy = leaf.call_async(WORK, 200);
    let many: Vec<_> = (0..30).map(|at| leaf.call_async(ADD, (at, 1))).collect();
    eventually("all are answered", SOON, || many.iter().all(Pending::is_ready).then_some(()));
    busy.wait_timeout(SOON).unwrap();
    for (at, call) in (0..).zip(many) {
        assert_eq!(call.wait_timeout(SOON).unwrap(), at + 1);
    }
}

fn rest_many_calls_in_flight_are_answered_each_with_its_own() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let mut open = VecDeque::new();
    for at in 0..20_000 {
        if open.len() == 300 {
            let (expected, call): (i64, Pending<i64>) = open.pop_front().unwrap();
            assert_eq!(call.wait_timeout(SOON).unwrap(), expected);
        }
        open.push_back((at + 1, leaf.call_async(ADD, (at, 1))));
    }
    for (expected, call) in open {
        assert_eq!(call.wait_timeout(SOON).unwrap(), expected);
    }
}
