//! Channels within a context and between two.

use std::{sync::mpsc, thread, time::Duration};

use offshoot_wire::codec;
use serde::{Deserialize, Serialize};

use super::{SOON, block_on};
use crate::{
    CallError, Function, Functions, Outcome, Receiver, RecvError, SendError, Sender, channel::ambient,
    pair::Pair,
};

const COUNT: Function<(u32, Sender<u32>), ()> = Function::new("count");
const NUMBERS: Function<u32, Receiver<u32>> = Function::new("numbers");
const SUM: Function<Receiver<u32>, u32> = Function::new("sum");
const INBOX: Function<(), Sender<String>> = Function::new("inbox");
const KEEP: Function<Receiver<u32>, ()> = Function::new("keep");

fn functions() -> Functions {
    Functions::new()
        .serve(COUNT, |_call, (n, to)| (0..n).try_for_each(|i| to.send(i)))
        .serve(NUMBERS, |call, n| {
            let (numbers, stream) = call.channel();
            thread::spawn(move || (0..n).try_for_each(|i| numbers.send(i)));
            stream
        })
        .serve(SUM, |_call, numbers| -> Outcome<u32> {
            let mut sum = 0;
            for number in numbers {
                sum += number?;
            }
            Ok(sum)
        })
}

/// What is lost where nobody takes the other end.
fn untaken() -> RecvError {
    RecvError::Lost { reason: "nobody took this end of the channel".into() }
}

/// What comes until the end.
fn all<T: crate::Message>(receiver: Receiver<T>) -> Result<Vec<T>, RecvError> {
    receiver.into_iter().collect()
}

#[test]
fn items_of_a_local_channel_come_in_order_and_then_the_clean_end() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    for n in 0..3 {
        sender.send(n).expect("there is room");
    }
    drop(sender);
    assert_eq!(all(receiver), Ok(vec![0, 1, 2]));
    assert_eq!(pair.sinks(), [0, 0], "the machine has no part in it");
}

#[test]
fn a_slow_reader_stops_a_local_writer() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    let line = "x".repeat(1000);
    let mut sent = 0;
    while sender.try_send(line.clone()) == Ok(()) {
        sent += 1;
        assert!(sent < 1000, "it takes without bound");
    }
    assert_eq!(sender.send_timeout(line.clone(), Duration::from_millis(1)), Err(SendError::TimedOut));
    let writer = thread::spawn(move || sender.send(line));
    assert_eq!(all(receiver).map(|lines| lines.len()), Ok(sent + 1));
    assert_eq!(writer.join().expect("no panic"), Ok(()));
}

#[test]
fn a_channel_tells_a_sender_that_nobody_receives_and_a_receiver_that_nothing_is_there() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel::<u8>();
    assert_eq!(receiver.try_recv(), Err(RecvError::TimedOut));
    assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvError::TimedOut));
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(SendError::Closed));
}

#[test]
fn what_is_sent_by_a_sender_that_travelled_arrives_and_ends_cleanly() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    let call = pair.child.call_async(COUNT, (1000, sender));
    assert_eq!(all(receiver), Ok((0..1000).collect()));
    assert_eq!(call.wait(), Ok(()));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn several_senders_feed_one_receiver_that_ends_with_the_last() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    let calls = [10, 20].map(|n| pair.child.call_async(COUNT, (n, sender.clone())));
    sender.send(7).expect("it is still ours");
    for call in calls {
        assert_eq!(call.wait(), Ok(()));
    }
    drop(sender);
    assert_eq!(all(receiver).map(|items| items.len()), Ok(31));
}

#[test]
fn a_function_returns_a_stream() {
    let pair = Pair::new(functions());
    let stream = pair.child.call(NUMBERS, 5000).expect("it returns one");
    assert_eq!(all(stream), Ok((0..5000).collect()));
}

#[test]
fn a_receiver_takes_along_what_waits_in_it() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    for n in 1..=3 {
        sender.send(n).expect("there is room");
    }
    let sum = pair.child.call_async(SUM, receiver);
    sender.send(4).expect("it goes on");
    drop(sender);
    assert_eq!(sum.wait_timeout(SOON), Ok(10));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn what_came_from_elsewhere_goes_on_with_the_receiver() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    pair.child.call(COUNT, (4, sender)).expect("it counts to 3 and closes");
    assert_eq!(pair.child.call(SUM, receiver), Ok(6));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn a_slow_reader_elsewhere_stops_the_writer() {
    let (kept, keeps) = mpsc::channel();
    let pair = Pair::new(
        Functions::new().serve(KEEP, move |_call, receiver| kept.send(receiver).map_err(|_| "over")),
    );
    let (sender, receiver) = pair.root.channel();
    pair.child.call(KEEP, receiver).expect("it is kept");
    let kept: Receiver<u32> = keeps.recv_timeout(SOON).expect("it is there");
    assert_eq!(kept.try_recv(), Err(RecvError::TimedOut));
    let mut sent = 0;
    while sender.try_send(sent) == Ok(()) {
        sent += 1;
        assert!(sent < 100_000, "it takes without bound");
    }
    drop(sender);
    assert_eq!(all(kept), Ok((0..sent).collect()));
}

#[test]
fn dropping_the_receiver_elsewhere_closes_the_sender() {
    let pair = Pair::new(Functions::new().serve(KEEP, |_call, _receiver| ()));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(KEEP, receiver).expect("it is dropped");
    assert_eq!(sender.send(1), Err(SendError::Closed));
    assert!(sender.is_closed());
}

#[test]
fn who_would_receive_from_an_end_that_nobody_takes_learns_that() {
    const IGNORANT: Function<(u32, u32), ()> = Function::new("count");
    let pair = Pair::new(Functions::new().serve(IGNORANT, |_call, (_, _)| ()));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(COUNT, (3, sender)).expect("the place of the end is a number to it");
    assert_eq!(all(receiver), Err(untaken()));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn the_ends_in_arguments_that_cannot_be_read_are_refused() {
    const OTHER: Function<(u32, Sender<u32>, u32), ()> = Function::new("count");
    const ANOTHER: Function<(u32, Receiver<u32>, u32), ()> = Function::new("count");
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel::<u32>();
    assert!(pair.child.call(OTHER, (1, sender, 2)).is_err());
    assert_eq!(all(receiver), Err(untaken()));
    let (sender, receiver) = pair.root.channel::<u32>();
    assert!(pair.child.call(ANOTHER, (1, receiver, 2)).is_err());
    assert_eq!(sender.send(1), Err(SendError::Closed));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn the_ends_in_a_call_that_is_not_sent_are_closed() {
    let pair = Pair::new(functions());
    pair.cut("gone");
    let (sender, receiver) = pair.root.channel::<u32>();
    assert!(pair.child.call(COUNT, (1, sender)).is_err_and(|error| error.is_lost()));
    assert_eq!(all(receiver), Ok(vec![]));
    let (sender, receiver) = pair.root.channel::<u32>();
    assert!(pair.child.call(SUM, receiver).is_err_and(|error| error.is_lost()));
    assert_eq!(sender.send(1), Err(SendError::Closed));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn the_ends_in_an_answer_that_nobody_reads_are_closed() {
    let (told, tells) = mpsc::channel();
    let pair = Pair::new(Functions::new().serve(NUMBERS, move |call, _| {
        let (sender, receiver) = call.channel();
        told.send(sender).expect("the test waits for it");
        receiver
    }));
    let call = pair.child.call_async(NUMBERS, 1);
    assert!(call.ready_timeout(SOON));
    drop(call);
    let sender: Sender<u32> = tells.recv_timeout(SOON).expect("it ran");
    assert_eq!(sender.send(1), Err(SendError::Closed));
    pair.child.call_async(NUMBERS, 1).detach();
    let sender = tells.recv_timeout(SOON).expect("it ran");
    while !sender.is_closed() {
        thread::yield_now();
    }
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn a_loss_is_not_a_clean_end() {
    let (kept, keeps) = mpsc::channel();
    let pair = Pair::new(Functions::new().serve(COUNT, move |_call, (n, sender)| {
        sender.send(n).expect("the receiver waits");
        kept.send(sender).map_err(|_| "over")
    }));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(COUNT, (7, sender)).expect("it is kept");
    let sender = keeps.recv_timeout(SOON).expect("it is there");
    pair.cut("exit status 9");
    assert_eq!(receiver.recv(), Ok(Some(7)), "what came before is there");
    let lost = receiver.recv();
    assert!(
        matches!(&lost, Err(RecvError::Lost { reason }) if reason.ends_with("exit status 9")),
        "{lost:?}"
    );
    assert_eq!(receiver.recv(), lost, "it is not followed by a clean end");
    assert!(matches!(sender.send(1), Err(SendError::Lost { .. })));
}

#[test]
fn a_sender_that_fails_or_is_dropped_by_a_panic_is_told() {
    const BREAK: Function<(bool, Sender<u32>), ()> = Function::new("break");
    let pair = Pair::new(Functions::new().serve(BREAK, |_call, (panics, sender)| {
        sender.send(1).expect("the receiver waits");
        if panics {
            std::panic::panic_any("out of cheese");
        }
        sender.fail("no such file");
    }));
    for (panics, reason) in [(false, "no such file"), (true, "it was dropped by a panic")] {
        let (sender, receiver) = pair.root.channel();
        assert_eq!(pair.child.call(BREAK, (panics, sender)).is_err(), panics);
        assert_eq!(receiver.recv(), Ok(Some(1)));
        assert_eq!(receiver.recv(), Err(RecvError::Failed { reason: reason.into() }));
    }
    let (sender, receiver) = pair.root.channel::<u32>();
    sender.clone().fail("here");
    assert_eq!(sender.send(1), Err(SendError::Closed));
    assert_eq!(receiver.recv(), Err(RecvError::Failed { reason: "here".into() }));
}

#[test]
fn an_item_that_cannot_be_read_is_told_and_the_next_one_comes() {
    const TEXTS: Function<(u32, Sender<String>), ()> = Function::new("count");
    let pair = Pair::new(Functions::new().serve(TEXTS, |_call, (_, sender)| sender.send("text".into())));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(COUNT, (1, sender)).expect("it runs");
    assert!(matches!(receiver.recv(), Err(RecvError::Decode { .. })));
    assert_eq!(receiver.recv(), Ok(None));
}

#[test]
fn channels_travel_through_channels() {
    const LINES: Function<Sender<Receiver<u32>>, ()> = Function::new("lines");
    let pair = Pair::new(Functions::new().serve(LINES, |call, to| -> Outcome<()> {
        let (sender, receiver) = call.channel();
        to.send(receiver)?;
        sender.send(7)?;
        Ok(())
    }));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(LINES, sender).expect("it runs");
    let inner = receiver.recv().expect("it comes").expect("before the end");
    assert_eq!(all(inner), Ok(vec![7]));
    assert!(matches!(receiver.recv(), Ok(None)));

    let (outer, receiver) = pair.root.channel();
    let (sender, inner) = pair.root.channel();
    outer.send(inner).expect("there is room");
    sender.send(8).expect("there is room");
    drop(sender);
    assert_eq!(all(receiver.recv().expect("it is here").expect("before the end")), Ok(vec![8]));
    assert_eq!(pair.sinks(), [0, 0]);
}

#[test]
fn a_channel_whose_other_end_is_away_cannot_be_sent_and_says_why() {
    let pair = Pair::new(functions().serve(INBOX, |call, ()| call.channel().0));
    let inbox = pair.child.call(INBOX, ()).expect("it returns one");
    while inbox.send("lines".into()).is_ok() {}
    assert!(inbox.is_closed());
    let (sender, receiver) = pair.root.channel();
    let summing = pair.child.call_async(SUM, receiver);
    let error = pair.child.call(COUNT, (1, sender.clone())).expect_err("both would be away");
    assert!(error.to_string().contains("let one of the two contexts make the channel"), "{error}");
    drop(sender);
    assert_eq!(summing.wait_timeout(SOON), Ok(0));
}

/// Writes its receiver twice.
#[derive(Deserialize)]
struct Twice(Receiver<u32>);

impl Serialize for Twice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0, &self.0).serialize(serializer)
    }
}

#[test]
fn an_end_moves_and_is_not_written_twice() {
    const TWICE: Function<Twice, ()> = Function::new("twice");
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel::<u32>();
    let error = pair.child.call(TWICE, Twice(receiver)).expect_err("the second one is not there");
    assert!(matches!(error, CallError::EncodeArguments { .. }), "{error:?}");
    assert!(error.to_string().contains("this one was sent before"), "{error}");
    assert_eq!(sender.send(1), Err(SendError::Closed));
}

#[test]
fn ends_and_contexts_are_written_and_read_only_in_messages() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel::<u32>();
    assert!(codec::encode(&sender).is_err() && codec::encode(&receiver).is_err());
    assert!(codec::decode::<Sender<u32>>(&[0], 1000).is_err());
    let told = ambient::check_writing(pair.root.node()).expect_err("nothing is being written");
    assert!(told.contains("can be written only into a message: pass it in an argument"), "{told}");
    sender.send(1).expect("the attempt has not moved it");
    drop(sender);
    assert_eq!(all(receiver), Ok(vec![1]));
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Never(Sender<u32>, u64, u64),
    Always(Sender<u32>, u64),
}

#[test]
fn an_untagged_enum_reads_an_end_twice_and_it_stays_open() {
    const EITHER: Function<Either, ()> = Function::new("either");
    let pair = Pair::new(Functions::new().serve(EITHER, |_call, either| match either {
        Either::Never(..) => Ok(()),
        Either::Always(sender, n) => sender.send(u32::try_from(n).unwrap_or(0)),
    }));
    let (sender, receiver) = pair.root.channel();
    pair.child.call(EITHER, Either::Always(sender, 7)).expect("it runs");
    assert_eq!(all(receiver), Ok(vec![7]));
}

#[test]
fn channels_can_be_awaited() {
    let pair = Pair::new(functions());
    let (sender, receiver) = pair.root.channel();
    let line = "x".repeat(30_000);
    let lines = thread::spawn(move || {
        block_on(async {
            let mut n = 0;
            while receiver.recv_async().await?.is_some() {
                n += 1;
            }
            Ok::<_, RecvError>(n)
        })
    });
    block_on(async {
        for _ in 0..20 {
            sender.send_async(line.clone()).await?;
        }
        Ok::<_, SendError>(())
    })
    .expect("all are taken");
    drop(sender);
    assert_eq!(lines.join().expect("no panic"), Ok(20));
}

#[cfg(feature = "stream")]
#[test]
fn a_receiver_is_a_stream_that_ends_at_the_end_and_after_an_error() {
    use std::{future::poll_fn, pin::Pin};

    use futures_core::{Stream, stream::FusedStream as _};

    let pair = Pair::new(functions());
    let mut numbers = pair.child.call(NUMBERS, 500).expect("it returns one").into_stream();
    let mut next = || block_on(poll_fn(|task| Pin::new(&mut numbers).poll_next(task)));
    assert!((0..500).all(|number| next() == Some(Ok(number))));
    assert_eq!((next(), next()), (None, None));
    assert!(numbers.is_terminated());

    let (sender, receiver) = pair.root.channel::<u32>();
    sender.send(1).expect("there is room");
    sender.fail("broken");
    let mut failing = receiver.into_stream();
    let mut next = || block_on(poll_fn(|task| Pin::new(&mut failing).poll_next(task)));
    assert_eq!(next(), Some(Ok(1)));
    assert!(matches!(next(), Some(Err(RecvError::Failed { .. }))));
    assert_eq!(next(), None);
}
