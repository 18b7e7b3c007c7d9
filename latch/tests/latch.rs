//! The latch as its users see it.
#![cfg(not(loom))]

use std::{sync::Arc, thread, time::Duration};

use offshoot_latch::{Closed, GetError, Latch};

#[test]
fn a_sleeper_gets_what_is_put() {
    let latch = Arc::new(Latch::new());
    let getter = thread::spawn({
        let latch = Arc::clone(&latch);
        move || latch.get_timeout(Duration::from_secs(3))
    });
    latch.put(7).unwrap();
    assert_eq!(getter.join().unwrap(), Ok(7));
}

#[test]
fn a_closed_latch_gives_the_item_back() {
    let latch = Latch::new();
    latch.close();
    assert_eq!(latch.put(1), Err(Closed(1)));
    assert_eq!(latch.get(), Err(GetError::Closed));
}
