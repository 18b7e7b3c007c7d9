//! What each verb does by itself: the scenarios of the latch's ancestor, with our words.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::{Closed, GetError, Latch, Wake};

use crate::{LONG, asleep};

#[test]
fn a_new_latch_is_empty_and_open() {
    let latch = Latch::<u8>::new();
    assert_eq!((latch.len(), latch.is_empty(), latch.is_closed()), (0, true, false));
}

#[test]
fn len_counts_what_nobody_was_given() {
    let latch = Latch::new();
    latch.put(1).unwrap();
    latch.put(2).unwrap();
    assert_eq!((latch.len(), latch.is_empty()), (2, false));
}

#[test]
fn nothing_in_time_is_timed_out() {
    let latch = Latch::<u8>::new();
    assert_eq!(latch.try_get(), Err(GetError::TimedOut));
    assert_eq!(latch.get_timeout(Duration::ZERO), Err(GetError::TimedOut));
    assert_eq!(latch.get_timeout(Duration::from_millis(1)), Err(GetError::TimedOut));
    assert_eq!(latch.get_deadline(Instant::now()), Err(GetError::TimedOut));
}

#[test]
fn a_time_out_does_not_come_early() {
    let before = Instant::now();
    let timeout = Duration::from_millis(20);
    assert_eq!(Latch::<u8>::new().get_timeout(timeout), Err(GetError::TimedOut));
    assert!(before.elapsed() >= timeout);
}

#[test]
fn every_get_takes_an_item_that_is_there() {
    let latch = Latch::new();
    for item in 0..5 {
        latch.put(item).unwrap();
    }
    assert_eq!(latch.get(), Ok(0));
    assert_eq!(latch.try_get(), Ok(1));
    assert_eq!(latch.get_timeout(Duration::ZERO), Ok(2));
    assert_eq!(latch.get_deadline(Instant::now()), Ok(3));
    assert_eq!(latch.get_with(None, |_| panic!("nothing to wait for")), Ok(4));
}

#[test]
fn a_time_out_beyond_the_clock_is_none() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let getter = scope.spawn(|| latch.get_timeout(Duration::MAX));
        latch.put(1).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_sleeper_gets_what_is_put() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let getter = scope.spawn(|| latch.get_timeout(LONG));
        latch.put(()).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(()));
    });
}

#[test]
fn what_was_put_before_closing_is_handed_out_then_it_is_closed() {
    let latch = Latch::new();
    latch.put(1).unwrap();
    latch.put(2).unwrap();
    latch.close();
    assert!(latch.is_closed());
    assert_eq!(latch.len(), 2);
    assert_eq!([latch.get(), latch.try_get()], [Ok(1), Ok(2)]);
    assert_eq!(latch.get(), Err(GetError::Closed));
    assert_eq!(latch.try_get(), Err(GetError::Closed));
    assert_eq!(latch.get_timeout(Duration::ZERO), Err(GetError::Closed));
}

#[test]
fn a_closed_latch_gives_the_item_back() {
    let latch = Latch::new();
    latch.close();
    latch.close();
    assert_eq!(latch.put("mine"), Err(Closed("mine")));
    assert!(matches!(latch.put_deferred("mine"), Err(Closed("mine"))));
}

#[test]
fn closing_wakes_everyone_who_sleeps() {
    let latch = Latch::<u8>::new();
    thread::scope(|scope| {
        let sleepers = [(); 5].map(|()| asleep(scope, &latch));
        latch.close();
        assert_eq!(sleepers.map(|sleeper| sleeper.join()), [Err(GetError::Closed); 5]);
    });
}

#[test]
fn a_deferred_wake_can_be_fired_or_dropped_but_not_before() {
    let latch = Latch::new();
    thread::scope(|scope| {
        for end in [Wake::fire as fn(Wake), drop] {
            let sleeper = asleep(scope, &latch);
            let wake = latch.put_deferred(1).unwrap();
            assert!(sleeper.looks.try_recv().is_err() && !sleeper.thread.is_finished());
            end(wake);
            assert_eq!(sleeper.join(), Ok(1));
        }
        let sleepers = [(); 2].map(|()| asleep(scope, &latch));
        latch.close_deferred().fire();
        assert_eq!(sleepers.map(|sleeper| sleeper.join()), [Err(GetError::Closed); 2]);
    });
}

#[test]
fn errors_say_what_happened() {
    let texts: [&dyn Error; 3] = [&Closed(()), &GetError::Closed, &GetError::TimedOut];
    assert_eq!(
        texts.map(ToString::to_string),
        ["the latch is closed", "the latch is closed", "nothing came in time"]
    );
}

#[test]
fn whatever_can_be_sent_can_be_put() {
    fn is_shared<T: Send + Sync + Unpin>(_: &T) {}
    is_shared(&Latch::<std::cell::Cell<u8>>::new());
}

#[test]
fn what_is_inside_does_not_show() {
    let latch = Latch::new();
    latch.put("a secret").unwrap();
    assert_eq!(format!("{latch:?}"), "Latch { len: 1, closed: false, .. }");
    assert_eq!(format!("{:?}", latch.close_deferred()), "Wake { owed: 0 }");
}
