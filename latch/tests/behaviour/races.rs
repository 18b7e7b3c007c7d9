//! The races and lessons of the latch's ancestor, each forced by hand.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch};

use crate::{LONG, asleep, frozen, frozen_until};

/// Long enough to be in line before, short enough to wait for.
fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(500))
}

/// R1 and R2: all sleepers are being woken, and there is more; who comes now must not sleep, as nobody would wake him.
#[test]
fn a_taker_does_not_sleep_while_there_is_surplus() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleepers = [(); 2].map(|()| frozen(scope, &latch));
        for item in [1, 2, 3] {
            latch.put(item).unwrap();
        }
        assert_eq!(latch.get_with(None, |_| panic!("sleeps beside an item")), Ok(3));
        assert_eq!(sleepers.map(|sleeper| sleeper.release()), [Ok(1), Ok(2)]);
    });
}

/// R3: the put comes between the end of the sleep and the look.
#[test]
fn a_late_put_is_not_lost_when_a_getter_times_out() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleeper = frozen_until(scope, &latch, soon());
        latch.put(1).unwrap();
        assert_eq!(sleeper.release(), Ok(1));
    });
}

#[test]
fn a_getter_that_timed_out_leaves_the_line() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let early = frozen_until(scope, &latch, soon());
        let late = asleep(scope, &latch);
        assert_eq!(early.release(), Err(GetError::TimedOut));
        latch.put(1).unwrap();
        assert_eq!(late.join(), Ok(1));
        latch.put(2).unwrap();
        assert_eq!(latch.try_get(), Ok(2));
    });
}

/// The ancestor's `waking` drifted with each time-out, until a later sleeper was never woken.
#[test]
fn a_time_out_between_slot_and_wake_leaves_the_latch_in_order() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let sleeper = frozen_until(scope, &latch, soon());
        let wake = latch.put_deferred(1).unwrap();
        assert_eq!(sleeper.release(), Ok(1));
        let next = asleep(scope, &latch);
        wake.fire();
        latch.put(2).unwrap();
        assert_eq!(next.join(), Ok(2));
    });
}

/// The ancestor's regression: the late wake of one latch broke the thread's next sleep, on another.
#[test]
fn a_late_wake_costs_the_next_sleep_of_its_thread_one_look() {
    let (first, second) = (Latch::new(), Latch::new());
    thread::scope(|scope| {
        let (tell, naps) = channel();
        let (go, gone) = channel();
        let (first_too, second_too) = (&first, &second);
        let sleeper = scope.spawn(move || {
            let frozen = |_: &_| {
                tell.send("first").unwrap();
                gone.recv_timeout(LONG).unwrap();
            };
            let got = first_too.get_with(None, frozen);
            let then = second_too.get_with(None, |sleeper| {
                tell.send("second").unwrap();
                sleeper.sleep(None);
            });
            (got, then)
        });
        let next = || naps.recv_timeout(LONG).unwrap();

        assert_eq!(next(), "first");
        let wake = first.put_deferred(1).unwrap();
        go.send(()).unwrap();
        assert_eq!(next(), "second");
        wake.fire();
        assert_eq!(next(), "second", "it wakes, looks, and sleeps on");
        second.put(2).unwrap();
        assert_eq!(sleeper.join().unwrap(), (Ok(1), Ok(2)));
    });
}

#[test]
fn a_wake_may_come_after_the_thread_has_ended() {
    let latch = Latch::new();
    let wake = thread::scope(|scope| {
        let sleeper = frozen(scope, &latch);
        let wake = latch.put_deferred(1).unwrap();
        assert_eq!(sleeper.release(), Ok(1));
        wake
    });
    wake.fire();
}

#[test]
fn a_sleeper_that_was_served_gets_its_item_though_the_latch_closes() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let [served, other] = [(); 2].map(|()| frozen(scope, &latch));
        latch.put(1).unwrap();
        latch.close();
        assert_eq!(other.release(), Err(GetError::Closed));
        assert_eq!(served.release(), Ok(1));
    });
}

#[test]
fn a_wait_that_panics_leaves_the_line() {
    let latch = Latch::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| latch.get_with(None, |_| panic!("interrupted"))));
    assert!(panicked.is_err());
    latch.put(1).unwrap();
    assert_eq!(latch.try_get(), Ok(1));
}

#[test]
fn a_wait_that_panics_after_it_was_served_hands_the_item_on() {
    let latch = Latch::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        latch.get_with(None, |_| {
            latch.put(1).unwrap();
            latch.put(2).unwrap();
            panic!("interrupted");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!([latch.try_get(), latch.try_get()], [Ok(1), Ok(2)]);
}

#[test]
fn a_thread_may_serve_itself_while_it_waits() {
    let latch = Latch::new();
    let mut naps = 0;
    let got = latch.get_with(None, |_| {
        naps += 1;
        latch.put(naps).unwrap();
    });
    assert_eq!((got, naps), (Ok(1), 1));
}

#[test]
fn a_wait_can_be_ended_from_outside_without_an_item() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let (tell, wakes) = channel();
        let mut naps = 0;
        let latch_too = &latch;
        let sleeper = scope.spawn(move || {
            let got = latch_too.get_with(None, |sleeper| {
                naps += 1;
                tell.send(sleeper.wake()).unwrap();
                sleeper.sleep(None);
            });
            (got, naps)
        });
        wakes.recv_timeout(LONG).unwrap().fire();
        let again = wakes.recv_timeout(LONG).unwrap();
        latch.put(1).unwrap();
        assert_eq!(sleeper.join().unwrap(), (Ok(1), 2));
        drop(again);
    });
}

#[test]
fn a_wait_within_a_wait_eats_no_wake() {
    let (outer, inner) = (Latch::new(), Latch::new());
    thread::scope(|scope| {
        let (tell, asleep) = channel();
        let (outer_too, inner_too) = (&outer, &inner);
        let sleeper = scope.spawn(move || {
            let mut within = None;
            let got = outer_too.get_with(None, |sleeper| {
                if within.is_none() {
                    tell.send(()).unwrap();
                    within = Some(inner_too.get());
                }
                sleeper.sleep(None);
            });
            (got, within)
        });
        asleep.recv_timeout(LONG).unwrap();
        outer.put(1).unwrap();
        inner.put(2).unwrap();
        assert_eq!(sleeper.join().unwrap(), (Ok(1), Some(Ok(2))));
    });
}
