//! Several latches as one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use offshoot_latch::{GetError, Latch, Select, Wake};

use crate::{LONG, asleep};

#[derive(Debug, PartialEq)]
enum Event {
    Number(u8),
    Text(&'static str),
}

fn both<'a>(numbers: &'a Latch<u8>, texts: &'a Latch<&'static str>) -> Select<'a, Event> {
    let mut select = Select::new();
    select.add(numbers, Event::Number).add(texts, Event::Text);
    select
}

/// Puts until the item has gone to a sleeper's slot, whom nobody has woken yet.
fn serve<T: Send + Copy>(latch: &Latch<T>, item: T) -> Wake {
    let end = Instant::now() + LONG;
    loop {
        let wake = latch.put_deferred(item).unwrap();
        // Nobody is in line yet, or else it is gone from the latch.
        if latch.try_get().is_err() {
            return wake;
        }
        assert!(Instant::now() < end, "nobody came to sleep");
        thread::yield_now();
    }
}

#[test]
fn a_select_tells_by_which_latch_an_item_came() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    let mut select = both(&numbers, &texts);
    texts.put("one").unwrap();
    assert_eq!(select.get(), Ok(Event::Text("one")));
    numbers.put(1).unwrap();
    assert_eq!(select.try_get(), Ok(Event::Number(1)));
}

#[test]
fn a_select_sleeps_until_any_of_its_latches_has_an_item() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    thread::scope(|scope| {
        let getter = scope.spawn(|| {
            let mut select = both(&numbers, &texts);
            [select.get(), select.get_timeout(LONG)]
        });
        serve(&texts, "one").fire();
        serve(&numbers, 2).fire();
        assert_eq!(getter.join().unwrap(), [Ok(Event::Text("one")), Ok(Event::Number(2))]);
    });
}

#[test]
fn none_of_the_latches_is_starved() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    for _ in 0..3 {
        numbers.put(1).unwrap();
        texts.put("one").unwrap();
    }
    let mut select = both(&numbers, &texts);
    for _ in 0..3 {
        assert_eq!(select.get(), Ok(Event::Number(1)));
        assert_eq!(select.get(), Ok(Event::Text("one")));
    }
}

#[test]
fn a_select_that_was_served_is_passed_over_by_the_other_latches() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    thread::scope(|scope| {
        let getter = scope.spawn(|| both(&numbers, &texts).get());
        let wake = serve(&texts, "one");
        let next = asleep(scope, &numbers);
        numbers.put(2).unwrap();
        assert_eq!(next.join(), Ok(2), "the sleeper behind the select");
        numbers.put(3).unwrap();
        assert_eq!(numbers.try_get(), Ok(3), "who comes later");
        wake.fire();
        assert_eq!(getter.join().unwrap(), Ok(Event::Text("one")));
    });
}

#[test]
fn nothing_in_time_is_timed_out_and_leaves_the_lines() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    let mut select = both(&numbers, &texts);
    assert_eq!(select.try_get(), Err(GetError::TimedOut));
    assert_eq!(select.get_timeout(Duration::from_millis(5)), Err(GetError::TimedOut));
    assert_eq!(select.get_deadline(Instant::now()), Err(GetError::TimedOut));
    numbers.put(1).unwrap();
    texts.put("one").unwrap();
    assert_eq!((numbers.try_get(), texts.try_get()), (Ok(1), Ok("one")));
}

#[test]
fn a_closed_latch_is_passed_over_and_all_closed_is_closed() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    let mut select = both(&numbers, &texts);
    numbers.put(1).unwrap();
    numbers.close();
    assert_eq!(select.get(), Ok(Event::Number(1)));
    assert_eq!(select.try_get(), Err(GetError::TimedOut));
    texts.close();
    assert_eq!(select.get(), Err(GetError::Closed));
    assert_eq!(select.try_get(), Err(GetError::Closed));
    assert_eq!(Select::<()>::new().get(), Err(GetError::Closed));
}

#[test]
fn closing_one_latch_leaves_a_select_asleep_and_closing_all_wakes_it() {
    let (numbers, texts) = (Latch::new(), Latch::new());
    thread::scope(|scope| {
        let getter = scope.spawn(|| {
            let mut select = both(&numbers, &texts);
            [select.get(), select.get()]
        });
        numbers.close();
        serve(&texts, "one").fire();
        texts.close();
        assert_eq!(getter.join().unwrap(), [Ok(Event::Text("one")), Err(GetError::Closed)]);
    });
}

#[test]
fn a_select_over_one_latch_twice_takes_each_item_once() {
    let latch = Latch::new();
    let mut select = Select::new();
    select.add(&latch, |item| item).add(&latch, |item| item + 10);
    thread::scope(|scope| {
        let getter = scope.spawn(move || [select.get(), select.get()]);
        serve(&latch, 1).fire();
        serve(&latch, 2).fire();
        let got = getter.join().unwrap().map(|item| item.unwrap() % 10);
        assert_eq!(got, [1, 2]);
        assert!(latch.is_empty());
    });
}

#[test]
fn a_select_whose_closure_panics_leaves_the_lines() {
    let (numbers, texts) = (Latch::<u8>::new(), Latch::new());
    thread::scope(|scope| {
        let getter = scope.spawn(|| {
            let mut select = Select::new();
            select.add(&texts, |_: &str| -> u8 { panic!("a closure") }).add(&numbers, |number| number);
            let panicked = catch_unwind(AssertUnwindSafe(|| select.get())).is_err();
            (panicked, select.get_timeout(Duration::ZERO))
        });
        serve(&texts, "one").fire();
        assert_eq!(getter.join().unwrap(), (true, Err(GetError::TimedOut)));
        numbers.put(1).unwrap();
        assert_eq!(numbers.try_get(), Ok(1));
    });
}
