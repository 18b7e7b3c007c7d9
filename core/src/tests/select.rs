//! Waiting for many at once.

use std::{sync::mpsc, time::Duration};

use super::SOON;
use crate::{CallError, Function, Functions, Receiver, RecvError, Select, TimedOut, pair::Pair};

const ADD: Function<(i64, i64), i64> = Function::new("add");
const NUMBERS: Function<u32, Receiver<u32>> = Function::new("numbers");

#[derive(Debug, PartialEq)]
enum Event {
    Sum(Result<i64, CallError>),
    Number(Result<Option<u32>, RecvError>),
    Lost(String),
}

#[test]
fn a_select_waits_for_calls_items_and_losses() {
    let pair = Pair::new(Functions::new().serve(ADD, |_call, (a, b)| a + b));
    let (sender, receiver) = pair.root.channel();
    let mut select = Select::new();
    select.add(receiver, Event::Number);
    assert_eq!(select.wait_timeout(Duration::ZERO), Err(TimedOut));
    sender.send(1).expect("there is room");
    assert_eq!(select.wait_timeout(SOON), Ok(Some(Event::Number(Ok(Some(1))))));
    select.add(pair.child.call_async(ADD, (2, 3)), Event::Sum);
    assert_eq!(select.wait_timeout(SOON), Ok(Some(Event::Sum(Ok(5)))));
    select.add(pair.child.lost(), Event::Lost);
    pair.cut("gone");
    assert_eq!(select.wait_timeout(SOON), Ok(Some(Event::Lost("gone".into()))));
    drop(sender);
    assert_eq!(select.wait(), Some(Event::Number(Ok(None))));
    assert_eq!(select.wait(), None);
    assert!(select.is_empty());
}

#[test]
fn a_channel_that_is_always_ready_takes_turns() {
    let pair = Pair::new(Functions::new());
    let mut select = Select::new();
    for channel in 0..3 {
        let (sender, receiver) = pair.root.channel();
        for item in 0..100_u32 {
            sender.send(item).expect("there is room");
        }
        select.add(receiver, move |item| item.map(|item| item.map(|item| (channel, item))));
    }
    let first: Vec<_> =
        select.by_ref().take(9).map(|item| item.map(|item| item.map(|(from, _)| from))).collect();
    assert_eq!(first, [0, 1, 2, 0, 1, 2, 0, 1, 2].map(|from| Ok(Some(from))));
    assert_eq!(select.count(), 3 * 101 - 9);
}

#[test]
fn what_is_removed_is_given_up() {
    let pair = Pair::new(Functions::new());
    let (sender, receiver) = pair.root.channel::<u32>();
    let mut select = Select::new();
    let key = select.add(receiver, |item| item);
    assert!(select.remove(key) && !select.remove(key));
    assert!(sender.is_closed());
    assert_eq!(select.wait(), None);
}

#[test]
fn an_event_wakes_a_thread_that_waits_in_a_select() {
    let pair = Pair::new(Functions::new().serve(NUMBERS, |call, n| {
        let (sender, receiver) = call.channel();
        std::thread::spawn(move || (0..n).try_for_each(|i| sender.send(i)));
        receiver
    }));
    let (done, is_done) = mpsc::channel();
    let mut select = Select::new();
    for _ in 0..4 {
        select.add(pair.child.call(NUMBERS, 500).expect("it returns one"), |item| item);
    }
    std::thread::spawn(move || {
        let items = select.filter(|item| matches!(item, Ok(Some(_)))).count();
        done.send(items).expect("the test waits for it");
    });
    assert_eq!(is_done.recv_timeout(SOON), Ok(2000));
}
