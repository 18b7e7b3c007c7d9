//! 100 MiB in one call, in one result, and crossing each other: 22.

use std::time::Duration;

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    flows::LENGTH,
    table::{ADD, BYTES, ECHO_BYTES},
};

use crate::bed::{chain, leaf, root};

crate::tests![
    t22_100_mib_travel_in_one_call_through_three_hops,
    t22_100_mib_travel_in_one_result_through_three_hops,
    t22_100_mib_cross_100_mib,
];

const MUCH: usize = 100 << 20;
/// For 100 MiB through three hops in a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(120);

fn deep(router: &Router) -> Context {
    chain(router, 3)[2].connect(leaf("deep")).unwrap()
}

/// So much that a piece lost, doubled or in the wrong place is seen.
fn much() -> Vec<u8> {
    (0..MUCH / 8).flat_map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).collect()
}

fn t22_100_mib_travel_in_one_call_through_three_hops() {
    let router = root();
    let deep = deep(&router);
    assert_eq!(deep.with_timeout(LONG).call(LENGTH, vec![7; MUCH].into()).unwrap(), MUCH as u64);
    assert_eq!(deep.call(ADD, (1, 2)).unwrap(), 3);
}

fn t22_100_mib_travel_in_one_result_through_three_hops() {
    let router = root();
    let deep = deep(&router);
    let bytes = deep.with_timeout(LONG).call(BYTES, MUCH as u64).unwrap();
    assert_eq!(bytes.len(), MUCH);
    assert!(bytes.iter().all(|byte| *byte == 7));
    assert_eq!(deep.call(ADD, (1, 2)).unwrap(), 3);
}

fn t22_100_mib_cross_100_mib() {
    let router = root();
    let deep = deep(&router);
    let much = much();
    // The answer to the first comes up while the second goes down.
    let calls: Vec<_> =
        (0..2).map(|_| deep.with_timeout(LONG).call_async(ECHO_BYTES, much.clone().into())).collect();
    for call in calls {
        assert!(*call.wait().unwrap() == *much, "it comes back as it went");
    }
    assert_eq!(deep.call(ADD, (1, 2)).unwrap(), 3);
}
