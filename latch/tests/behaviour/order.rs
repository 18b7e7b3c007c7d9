//! Who gets what: strict order of items and of waiters.

use std::thread;

use offshoot_latch::{GetError, Latch};

use crate::{asleep, frozen};

#[test]
fn items_leave_in_the_order_they_came() {
    let latch = Latch::new();
    for item in 0..100 {
        latch.put(item).unwrap();
    }
    assert!((0..100).all(|item| latch.get() == Ok(item)));
}

#[test]
fn the_first_to_sleep_is_the_first_to_be_served() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleepers: Vec<_> = (0..10).map(|_| asleep(scope, &latch)).collect();
        for item in 0..10 {
            latch.put(item).unwrap();
        }
        let got: Vec<_> = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).collect();
        assert_eq!(got, (0..10).collect::<Vec<_>>());
    });
}

/// R4 of the ancestor: woken threads took the head in whatever order they ran.
#[test]
fn each_sleeper_gets_its_own_item_whatever_order_they_run_in() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let [first, second, third] = [(); 3].map(|()| frozen(scope, &latch));
        for item in [1, 2, 3] {
            latch.put(item).unwrap();
        }
        assert_eq!(third.release(), Ok(3));
        assert_eq!(second.release(), Ok(2));
        assert_eq!(first.release(), Ok(1));
    });
}

#[test]
fn a_late_caller_does_not_overtake_a_sleeper_that_has_not_run_yet() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleeper = frozen(scope, &latch);
        latch.put(1).unwrap();
        assert_eq!(latch.try_get(), Err(GetError::TimedOut));
        assert!(latch.is_empty());
        assert_eq!(sleeper.release(), Ok(1));
    });
}

#[test]
fn two_puts_before_the_sleeper_runs_leave_the_second_for_the_next() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleeper = frozen(scope, &latch);
        let _first = latch.put_deferred(1).unwrap();
        let second = latch.put_deferred(2).unwrap();
        assert_eq!(format!("{second:?}"), "Wake { owed: 0 }", "nobody is woken twice");
        assert_eq!(latch.try_get(), Ok(2));
        assert_eq!(sleeper.release(), Ok(1));
    });
}
