//! The latch under loom: every order of its steps, and for each model a mistake that it must find.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p offshoot-latch --release --test model`; in a target folder of its own it
//! leaves the other builds alone. `LOOM_MAX_PREEMPTIONS` (2 unless set) says how deep it goes.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::{
    env,
    future::Future,
    process::Command,
    sync::Arc,
    task::{Context, Waker},
};

use loom::{future::block_on, thread};
use offshoot_latch::{
    Closed, GetError, Latch, Select, Sleeper,
    model::{FLAW, Flaw, Instant},
};

/// Runs the model in every order, of at most two preemptions if not said otherwise.
fn holds(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.check(model);
}

/// Runs the test of that name with a mistake built in, which it must not survive.
///
/// In a process of its own: loom cannot unwind out of every deadlock that it finds.
fn finds(flaw: Flaw, test: &str) {
    let mut again = Command::new(env::current_exe().unwrap());
    let run = again.args(["--exact", test]).env(FLAW, format!("{flaw:?}")).output().unwrap();
    let said = String::from_utf8([run.stderr, run.stdout].concat()).unwrap();
    assert!(!run.status.success(), "{test} passes with {flaw:?}: {said}");
    assert!(said.contains(&format!("thread '{test}'")) && said.contains("panicked"), "{said}");
}

/// A shared latch, and an end of it for another thread. Counted by std: what loom counts is one more step to try in every
/// order.
fn two_ends<T>() -> (Arc<Latch<T>>, Arc<Latch<T>>) {
    let latch = Arc::new(Latch::new());
    (Arc::clone(&latch), latch)
}

/// A deadline of the calling thread that passes at any moment.
fn some_deadline() -> (Instant, thread::JoinHandle<()>) {
    let deadline = Instant::new();
    let timer = deadline.clone();
    (deadline, thread::spawn(move || timer.pass()))
}

#[test]
fn every_put_wakes_one_getter() {
    holds(|| {
        let latch = Arc::new(Latch::new());
        let getters = [0, 1].map(|_| {
            let latch = Arc::clone(&latch);
            thread::spawn(move || latch.get())
        });
        latch.put(1).unwrap();
        latch.put(2).unwrap();
        let mut got = getters.map(|getter| getter.join().unwrap().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn draining_after_the_look_loses_a_wake() {
    finds(Flaw::DrainAfterLook, "every_put_wakes_one_getter");
}

#[test]
fn items_leave_in_the_order_they_came() {
    holds(|| {
        let (latch, theirs) = two_ends();
        let putter = thread::spawn(move || [1, 2].map(|item| theirs.put(item)));
        assert_eq!([latch.get(), latch.get()], [Ok(1), Ok(2)]);
        assert_eq!(putter.join().unwrap(), [Ok(()), Ok(())]);
    });
}

#[test]
fn taking_the_next_item_before_ones_own_turns_the_order() {
    finds(Flaw::NextOverSlot, "items_leave_in_the_order_they_came");
}

#[test]
fn an_item_that_meets_a_time_out_is_taken_or_stays() {
    holds(|| {
        let (latch, theirs) = two_ends();
        let putter = thread::spawn(move || theirs.put(1));
        let (deadline, timer) = some_deadline();
        let got = latch.get_deadline(deadline);
        putter.join().unwrap().unwrap();
        timer.join().unwrap();
        match got {
            Ok(item) => assert_eq!((item, latch.try_get()), (1, Err(GetError::TimedOut))),
            Err(why) => assert_eq!((why, latch.try_get()), (GetError::TimedOut, Ok(1))),
        }
    });
}

#[test]
fn giving_up_without_a_look_loses_an_item() {
    finds(Flaw::LeaveWithoutLook, "an_item_that_meets_a_time_out_is_taken_or_stays");
}

/// The regression of the latch's ancestor: the wake comes after the sleeper has given up, and meets its next sleep.
#[test]
fn a_late_wake_disturbs_no_other_latch_of_its_thread() {
    holds(|| {
        let (first, first_too) = two_ends();
        let (second, second_too) = two_ends();
        let putter = thread::spawn(move || (first_too.put(1), second_too.put(2)));
        let (deadline, timer) = some_deadline();
        let got = first.get_deadline(deadline);
        assert_eq!(second.get(), Ok(2));
        timer.join().unwrap();
        putter.join().unwrap().0.unwrap();
        assert_eq!(got.or_else(|_| first.try_get()), Ok(1));
    });
}

#[test]
fn taking_a_wake_for_an_item_breaks_the_next_sleep() {
    finds(Flaw::WakeOverSlot, "a_late_wake_disturbs_no_other_latch_of_its_thread");
}

#[test]
fn closing_wakes_everyone() {
    holds(|| {
        let latch = Arc::new(Latch::<u8>::new());
        let getters = [0, 1].map(|_| {
            let latch = Arc::clone(&latch);
            thread::spawn(move || latch.get())
        });
        latch.close();
        assert_eq!(getters.map(|getter| getter.join().unwrap()), [Err(GetError::Closed); 2]);
    });
}

#[test]
fn closing_for_one_sleeper_leaves_the_others() {
    finds(Flaw::CloseWakesOne, "closing_wakes_everyone");
}

#[test]
fn what_was_put_before_closing_is_handed_out() {
    holds(|| {
        let latch = Arc::new(Latch::new());
        let [to_put, to_close] = [0, 1].map(|_| Arc::clone(&latch));
        let putter = thread::spawn(move || to_put.put(1));
        let closer = thread::spawn(move || to_close.close());
        let (deadline, timer) = some_deadline();
        let got = latch.get_deadline(deadline);
        let put = putter.join().unwrap();
        closer.join().unwrap();
        timer.join().unwrap();
        match put {
            Ok(()) => assert_eq!(got.or_else(|_| latch.try_get()), Ok(1)),
            Err(Closed(item)) => assert_eq!((item, latch.try_get()), (1, Err(GetError::Closed))),
        }
    });
}

#[test]
fn giving_up_without_a_look_loses_what_was_put_before_closing() {
    finds(Flaw::LeaveWithoutLook, "what_was_put_before_closing_is_handed_out");
}

/// The sleeper is woken by itself, which rings no bell, and by another thread at the same time.
#[test]
fn a_thread_that_serves_itself_misses_no_one_else() {
    holds(|| {
        let (latch, theirs) = two_ends();
        let putter = thread::spawn(move || theirs.put(1));
        let mut own = Some(1);
        let mut hook = |sleeper: &Sleeper| {
            while !sleeper.is_rung() {
                match own.take() {
                    Some(item) => latch.put(item).unwrap(),
                    None => sleeper.sleep(None),
                }
            }
        };
        assert_eq!(latch.get_with(None, &mut hook), Ok(1));
        if own.is_none() {
            assert_eq!(latch.get(), Ok(1));
        }
        putter.join().unwrap().unwrap();
        assert!(latch.is_empty());
    });
}

#[test]
fn a_thread_that_does_not_hear_itself_sleeps_on_what_it_has() {
    finds(Flaw::ServeSelfSilently, "a_thread_that_serves_itself_misses_no_one_else");
}

#[test]
fn a_put_wakes_a_task() {
    holds(|| {
        let (latch, theirs) = two_ends();
        let putter = thread::spawn(move || theirs.put(1));
        assert_eq!(block_on(latch.get_async()), Ok(1));
        putter.join().unwrap().unwrap();
    });
}

#[test]
fn a_task_that_joins_the_line_without_a_look_sleeps_on() {
    finds(Flaw::EnlistBlindly, "a_put_wakes_a_task");
}

#[test]
fn what_a_dropped_future_was_given_goes_to_the_next_in_line() {
    holds(|| {
        let (latch, theirs) = two_ends();
        let mut first = Box::pin(latch.get_async());
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let putter = thread::spawn(move || theirs.put(1));
        let next = thread::spawn({
            let latch = Arc::clone(&latch);
            move || latch.get()
        });
        drop(first);
        assert_eq!(next.join().unwrap(), Ok(1));
        putter.join().unwrap().unwrap();
    });
}

#[test]
fn a_future_dropped_without_a_look_leaves_the_next_without() {
    finds(Flaw::LeaveWithoutLook, "what_a_dropped_future_was_given_goes_to_the_next_in_line");
}

/// Which latch an item came by, and the item.
type Event = (char, u8);

fn select<'a>(a: &'a Latch<u8>, b: &'a Latch<u8>) -> Select<'a, Event> {
    let mut select = Select::new();
    select.add(a, |item| ('a', item)).add(b, |item| ('b', item));
    select
}

/// Two puts to two latches; one event is taken, so the other item must be there for anybody at once.
#[test]
fn a_select_takes_one_item_of_all() {
    holds(|| {
        let (a, a_too) = two_ends();
        let (b, b_too) = two_ends();
        let putter = thread::spawn(move || {
            a_too.put(1).unwrap();
            b_too.put(2).unwrap();
            b_too.try_get()
        });
        let event = select(&a, &b).get().unwrap();
        let second = putter.join().unwrap();
        match event {
            ('a', 1) => assert_eq!((second, a.len(), b.len()), (Ok(2), 0, 0)),
            ('b', 2) => assert_eq!((second, a.try_get()), (Err(GetError::TimedOut), Ok(1))),
            other => panic!("{other:?} was never put"),
        }
    });
}

#[test]
fn a_putter_that_ignores_the_claim_hides_an_item() {
    finds(Flaw::PutIgnoresClaim, "a_select_takes_one_item_of_all");
}

/// Two putters, one on each latch: two gets of the select take both.
#[test]
fn a_select_takes_everything_in_the_end() {
    holds(|| {
        let (a, a_too) = two_ends();
        let (b, b_too) = two_ends();
        let putters = [thread::spawn(move || a_too.put(1)), thread::spawn(move || b_too.put(2))];
        let mut select = select(&a, &b);
        let mut events = [select.get().unwrap(), select.get().unwrap()];
        events.sort_unstable();
        assert_eq!(events, [('a', 1), ('b', 2)]);
        assert_eq!(putters.map(|putter| putter.join().unwrap()), [Ok(()), Ok(())]);
    });
}

#[test]
fn a_select_that_looks_on_loses_what_it_found_first() {
    finds(Flaw::LookOn, "a_select_takes_everything_in_the_end");
}

#[test]
fn an_item_that_meets_the_time_out_of_a_select_is_taken_or_stays() {
    holds(|| {
        let (a, a_too) = two_ends();
        let b = Latch::new();
        let putter = thread::spawn(move || a_too.put(1));
        let (deadline, timer) = some_deadline();
        let event = select(&a, &b).get_deadline(deadline);
        putter.join().unwrap().unwrap();
        timer.join().unwrap();
        match event {
            Ok(event) => assert_eq!((event, a.try_get()), (('a', 1), Err(GetError::TimedOut))),
            Err(why) => assert_eq!((why, a.try_get()), (GetError::TimedOut, Ok(1))),
        }
    });
}

#[test]
fn a_select_that_gives_up_without_a_look_loses_an_item() {
    finds(Flaw::LeaveWithoutLook, "an_item_that_meets_the_time_out_of_a_select_is_taken_or_stays");
}

/// One latch closes while the other gives an item, then the other closes too.
#[test]
fn a_select_is_closed_when_all_its_latches_are() {
    holds(|| {
        let (a, a_too) = two_ends();
        let (b, b_too) = two_ends();
        let closer = thread::spawn(move || a_too.close());
        let putter = thread::spawn(move || {
            b_too.put(1).unwrap();
            b_too.close();
        });
        let mut select = select(&a, &b);
        assert_eq!([select.get(), select.get()], [Ok(('b', 1)), Err(GetError::Closed)]);
        closer.join().unwrap();
        putter.join().unwrap();
    });
}

#[test]
fn a_select_that_is_closed_by_one_latch_misses_the_others() {
    finds(Flaw::CloseByOne, "a_select_is_closed_when_all_its_latches_are");
}
