//! Waiting for something that must become true, with a bound.

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `probe` gives something.
///
/// # Panics
/// If it does not within `limit`; says `what` was awaited.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), limit, probe)
}

/// The same, where what is said of it is to be as things are when it is given up.
#[track_caller]
pub(super) fn eventually_or<T>(
    what: impl Fn() -> String,
    limit: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {}", what());
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
