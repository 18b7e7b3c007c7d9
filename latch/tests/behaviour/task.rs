//! Futures stand in the same line as threads.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use offshoot_latch::{Get, GetError, Latch};

use crate::{Got, asleep};

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that runs a closure.
struct Run<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Run<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn poll<T>(future: impl Future<Output = Got<T>> + Unpin) -> Poll<Got<T>> {
    poll_with(future, Waker::noop())
}

fn poll_with<T>(mut future: impl Future<Output = Got<T>> + Unpin, waker: &Waker) -> Poll<Got<T>> {
    Pin::new(&mut future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_future_is_woken_by_the_put_that_serves_it() {
    let (latch, count) = (Latch::new(), Arc::new(Count::default()));
    let mut get = latch.get_async();
    assert_eq!(poll_with(&mut get, &count.clone().into()), Poll::Pending);
    latch.put(1).unwrap();
    assert_eq!(count.wakes(), 1);
    assert_eq!(poll(&mut get), Poll::Ready(Ok(1)));
}

#[test]
fn a_future_takes_what_is_there_and_then_waits_for_the_next() {
    let latch = Latch::new();
    latch.put(1).unwrap();
    let mut get = latch.get_async();
    assert_eq!(poll(&mut get), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut get), Poll::Pending);
    latch.put(2).unwrap();
    assert_eq!(poll(&mut get), Poll::Ready(Ok(2)));
}

#[test]
fn closing_wakes_a_future() {
    let (latch, count) = (Latch::<u8>::new(), Arc::new(Count::default()));
    let mut get = latch.get_async();
    assert_eq!(poll_with(&mut get, &count.clone().into()), Poll::Pending);
    latch.close();
    assert_eq!(count.wakes(), 1);
    assert_eq!(poll(&mut get), Poll::Ready(Err(GetError::Closed)));
    assert_eq!(poll(&mut get), Poll::Ready(Err(GetError::Closed)));
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let latch = Latch::new();
    let [old, new] = [(); 2].map(|()| Arc::new(Count::default()));
    let mut get = latch.get_async();
    assert_eq!(poll_with(&mut get, &old.clone().into()), Poll::Pending);
    assert_eq!(poll_with(&mut get, &new.clone().into()), Poll::Pending);
    latch.put(1).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert_eq!(Arc::strong_count(&old), 1, "the old waker is let go");
}

#[test]
fn futures_and_threads_are_served_in_one_order() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let mut first = latch.get_async();
        assert_eq!(poll(&mut first), Poll::Pending);
        let second = asleep(scope, &latch);
        let mut third = latch.get_async();
        assert_eq!(poll(&mut third), Poll::Pending);
        for item in [1, 2, 3] {
            latch.put(item).unwrap();
        }
        assert_eq!(poll(&mut third), Poll::Ready(Ok(3)));
        assert_eq!(second.join(), Ok(2));
        assert_eq!(poll(&mut first), Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_future_that_is_dropped_leaves_the_line() {
    let latch = Latch::new();
    let [mut first, mut second] = [latch.get_async(), latch.get_async()];
    assert_eq!([poll(&mut first), poll(&mut second)], [Poll::Pending, Poll::Pending]);
    drop(first);
    latch.put(1).unwrap();
    assert_eq!(poll(&mut second), Poll::Ready(Ok(1)));
}

#[test]
fn what_a_dropped_future_was_given_goes_to_the_next_in_line_and_wakes_it() {
    let latch = Latch::new();
    thread::scope(|scope| {
        let mut first = latch.get_async();
        assert_eq!(poll(&mut first), Poll::Pending);
        let second = asleep(scope, &latch);
        latch.put(1).unwrap();
        drop(first);
        assert_eq!(second.join(), Ok(1));
    });
}

#[test]
fn what_a_dropped_future_was_given_is_first_again() {
    let latch = Latch::new();
    let mut get = latch.get_async();
    assert_eq!(poll(&mut get), Poll::Pending);
    latch.put(1).unwrap();
    latch.put(2).unwrap();
    latch.close();
    drop(get);
    assert_eq!([latch.get(), latch.get()], [Ok(1), Ok(2)]);
    assert_eq!(latch.get(), Err(GetError::Closed));
}

#[test]
fn a_future_may_own_its_latch_and_travel() {
    let latch = Arc::new(Latch::new());
    let mut get = Get::new(Arc::clone(&latch));
    assert_eq!(poll(&mut get), Poll::Pending);
    latch.put(1).unwrap();
    let got = thread::spawn(move || poll(pin!(get))).join().unwrap();
    assert_eq!(got, Poll::Ready(Ok(1)));
}

#[test]
fn a_waker_may_use_the_latch() {
    let latch = Arc::new(Latch::new());
    let waker = Waker::from(Arc::new(Run({
        let latch = Arc::clone(&latch);
        move || assert_eq!(latch.try_get(), Ok(2))
    })));
    let mut get = latch.get_async();
    assert_eq!(poll_with(&mut get, &waker), Poll::Pending);
    let wake = latch.put_deferred(1).unwrap();
    latch.put(2).unwrap();
    wake.fire();
    assert_eq!(poll(&mut get), Poll::Ready(Ok(1)));
    assert!(latch.is_empty());
}

#[test]
fn a_waker_that_panics_takes_no_other_wake_with_it() {
    let (latch, count) = (Latch::<u8>::new(), Arc::new(Count::default()));
    let [mut first, mut second] = [latch.get_async(), latch.get_async()];
    let panics = Waker::from(Arc::new(Run(|| panic!("a waker"))));
    assert_eq!(poll_with(&mut first, &panics), Poll::Pending);
    assert_eq!(poll_with(&mut second, &count.clone().into()), Poll::Pending);
    assert!(catch_unwind(AssertUnwindSafe(|| latch.close())).is_err());
    assert_eq!(count.wakes(), 1);
}
