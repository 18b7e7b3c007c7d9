//! Whoever reads a link, main, a waiting thread or the broker: nothing is lost, and nothing waits for user code.

use std::{
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE,
    table::{ADD, ASK, COUNT, SPIN},
};

use crate::bed::{hop, leaf, root};

crate::tests![
    turns_a_ping_is_answered_while_main_spins,
    turns_a_shutdown_is_obeyed_while_main_spins,
    turns_no_call_is_lost_or_doubled_whoever_reads,
    turns_two_that_call_each_other_are_both_answered,
];

/// Within which the broker must have taken over; nothing waits for a timer.
const AT_ONCE: Duration = Duration::from_millis(5);

fn turns_a_ping_is_answered_while_main_spins() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    // It has waited for calls by reading its link itself.
    assert_eq!(leaf.call(ADD, (1, 1)).unwrap(), 2);
    leaf.call_no_reply(SPIN, ()).unwrap();
    let mut took: Vec<_> = (0..21).map(|_| leaf.ping().unwrap()).collect();
    took.sort_unstable();
    assert!(took[took.len() / 2] < AT_ONCE, "{took:?}");
}

fn turns_a_shutdown_is_obeyed_while_main_spins() {
    let router = root();
    // What the machine does beside can hold up one of them, not all.
    let took: Vec<_> = (0..7)
        .map(|_| {
            let up = router.connect(hop("up")).unwrap();
            let below = up.connect(leaf("below")).unwrap();
            let lost = below.lost();
            up.call_no_reply(SPIN, ()).unwrap();
            up.ping().unwrap();
            let since = Instant::now();
            let _shutdown = up.shutdown();
            // It is the broker of the hop that tells its child, and tells us of its end.
            lost.wait_timeout(PATIENCE).unwrap();
            since.elapsed()
        })
        .collect();
    assert!(took.iter().any(|took| *took < AT_ONCE), "{took:?}");
}

/// Calls that wait, with deadlines of every length, futures and a stream, all by one link.
fn turns_no_call_is_lost_or_doubled_whoever_reads() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    thread::scope(|threads| {
        for mine in 0..6_i64 {
            let leaf = leaf.clone();
            threads.spawn(move || {
                for at in 0..1000_i64 {
                    let patience = match at % 4 {
                        // From too short to just enough.
                        0 => Duration::from_micros(u64::try_from(at).unwrap()),
                        _ => PATIENCE,
                    };
                    match leaf.with_timeout(patience).call(ADD, (mine, at)) {
                        Ok(sum) => assert_eq!(sum, mine + at),
                        Err(CallError::TimedOut { .. }) if patience < PATIENCE => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..20 {
                let pending: Vec<_> = (0..50).map(|at| leaf.call_async(ADD, (at, at))).collect();
                for (at, pending) in (0..).zip(pending) {
                    assert_eq!(pending.wait_timeout(PATIENCE).unwrap(), at + at);
                }
            }
        });
        threads.spawn(|| {
            let numbers = leaf.with_timeout(PATIENCE).call(COUNT, 5000).unwrap();
            for expected in 0..5000 {
                assert_eq!(numbers.recv_timeout(PATIENCE).unwrap(), Some(expected));
            }
            assert_eq!(numbers.recv_timeout(PATIENCE).unwrap(), None);
        });
    });
    assert_eq!(leaf.with_timeout(PATIENCE).call(ADD, (20, 22)).unwrap(), 42);
}

/// Each waits for the other, by the same link that brings the other's question.
fn turns_two_that_call_each_other_are_both_answered() {
    let router = root();
    let (up, there) = (router.connect(hop("up")).unwrap(), router.connect(leaf("there")).unwrap());
    thread::scope(|threads| {
        for at in [&up, &there] {
            let (other, here) = (if at == &up { &there } else { &up }, &router);
            threads.spawn(move || {
                for _ in 0..300 {
                    assert_eq!(at.with_timeout(PATIENCE).call(ASK, other.clone()).unwrap(), other.name());
                    assert_eq!(at.with_timeout(PATIENCE).call(ASK, here.here()).unwrap(), "root");
                }
            });
        }
    });
}
