//! Ways that lead to no shell: when they are given up, and what they ask before.

use std::time::{Duration, Instant};

use offshoot_bootstrap::{ConnectError, Launch, Method as _, Payload, Phase, Plan, Wrapped};

use crate::harness::{PATIENCE, all_have_gone, quiet};

/// What would be sent, if there were a shell that takes it.
pub(crate) fn payload() -> Payload {
    Payload::bytes("never", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec()).unwrap()
}

fn fails(plan: &Plan) -> ConnectError {
    Launch::new(plan).run().unwrap_err()
}

#[test]
fn whoever_never_stops_talking_is_given_up_at_the_deadline() {
    let _quiet = quiet();
    // So many that there is always something to read.
    let words = ["sh", "-c", "for n in 1 2 3 4 5 6; do yes '' & done; exec yes ''"];
    let since = Instant::now();
    let error = fails(&Wrapped::new(words).payload(payload()).timeout(Duration::from_millis(300)).plan());
    assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    all_have_gone();
}
