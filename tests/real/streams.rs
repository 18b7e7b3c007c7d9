//! Streams through three hops, and how they end: 22.

use std::time::Duration;

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    flows::{BLOBS, BLOBS_LATER, BLOBS_SENT, COUNT_OVER, FAILING, HERE, PANICKING, SWALLOW, TAKE_NONE},
    kill, rss_kib,
    table::{ASK, COUNT, FAIL, FEED, NAME, SUM},
};

use crate::bed::{chain, leaf, root};

crate::tests![
    t22_senders_receivers_and_contexts_travel_through_three_hops,
    t22_an_end_is_handed_on_by_a_hop_that_has_not_used_it,
    t22_a_clean_end_is_told_from_a_failure_and_a_panic,
    t22_a_stream_ends_with_a_loss_when_the_writer_goes,
    t22_a_stream_ends_with_a_loss_when_a_hop_between_goes,
    t22_a_stream_ends_for_the_writer_when_the_reader_lets_go,
    t22_a_stream_ends_for_the_writer_when_the_reader_is_lost,
    t22_an_end_in_arguments_that_nobody_reads_is_closed,
    t22_an_end_in_an_item_that_nobody_takes_is_closed,
    t22_an_end_in_a_result_that_nobody_awaits_any_more_is_closed,
    t22_what_was_sent_to_one_who_does_not_read_arrives_though_the_sender_does_nothing_more,
    t22_a_slow_reader_stops_the_writer_and_memory_stays_flat,
];

/// Three hops and a leaf below them.
fn deep(router: &Router) -> (Vec<Context>, Context) {
    let hops = chain(router, 3);
    let deep = hops[2].connect(leaf("deep")).unwrap();
    (hops, deep)
}

fn pid(router: &Router, context: &Context) -> u32 {
    router.tree().pid(context.id()).unwrap()
}

fn t22_senders_receivers_and_contexts_travel_through_three_hops() {
    let router = root();
    let (hops, deep) = deep(&router);
    let sibling = hops[2].connect(leaf("sibling")).unwrap();
    // A receiver comes up in a result.
    let numbers: Vec<u64> = deep.call(COUNT, 2000).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
    // A receiver goes down in arguments.
    let (sender, receiver) = router.channel();
    let sum = deep.call_async(SUM, receiver);
    (1..=2000).for_each(|number| sender.send(number).unwrap());
    drop(sender);
    assert_eq!(sum.wait_timeout(PATIENCE).unwrap(), 2000 * 2001 / 2);
    // A sender goes down, and a clone of it to somebody else.
    let (sender, receiver) = router.channel();
    let feeding = [&deep, &sibling].map(|context| context.call_async(FEED, (sender.clone(), 500)));
    drop(sender);
    let mut numbers: Vec<u64> = receiver.into_iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..500).flat_map(|number| [number, number]).collect::<Vec<_>>());
    feeding.into_iter().for_each(|pending| pending.wait_timeout(PATIENCE).unwrap());
    // A context goes down in arguments and comes up in a result.
    assert_eq!(deep.call(ASK, sibling).unwrap(), "sibling");
    assert_eq!(deep.call(ASK, router.here()).unwrap(), "root");
    let same = deep.call(HERE, ()).unwrap();
    assert_eq!((same.id(), same.name()), (deep.id(), "deep"));
    assert_eq!(same.call(NAME, ()).unwrap(), "deep");
}

fn t22_an_end_is_handed_on_by_a_hop_that_has_not_used_it() {
    let router = root();
    let (hops, deep) = deep(&router);
    let numbers = hops[0].call(COUNT_OVER, (deep, 2000)).unwrap();
    let numbers: Vec<u64> = numbers.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..2000).collect::<Vec<_>>());
}

fn t22_a_clean_end_is_told_from_a_failure_and_a_panic() {
    let router = root();
    let (_hops, deep) = deep(&router);
    let clean = deep.call(COUNT, 1).unwrap();
    assert_eq!(clean.recv_timeout(PATIENCE), Ok(Some(0)));
    assert_eq!(clean.recv_timeout(PATIENCE), Ok(None));
    assert_eq!(clean.recv_timeout(PATIENCE), Ok(None), "and it stays so");

    let failing = deep.call(FAILING, "disk full".into()).unwrap();
    assert_eq!(failing.recv_timeout(PATIENCE), Ok(Some(1)));
    let error = failing.recv_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&error, RecvError::Failed { reason, .. } if reason == "disk full"), "{error:?}");

    let panicking = deep.call(PANICKING, ()).unwrap();
    assert_eq!(panicking.recv_timeout(PATIENCE), Ok(Some(1)));
    let error = panicking.recv_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&error, RecvError::Failed { reason, .. } if reason.contains("panic")), "{error:?}");
}

fn t22_a_stream_ends_with_a_loss_when_the_writer_goes() {
    let router = root();
    let (_hops, deep) = deep(&router);
    let numbers = deep.call(COUNT, u64::MAX).unwrap();
    assert_eq!(numbers.recv_timeout(PATIENCE), Ok(Some(0)));
    kill(pid(&router, &deep), Signal::KILL);
    assert_lost(&numbers, "deep");
}

fn t22_a_stream_ends_with_a_loss_when_a_hop_between_goes() {
    let router = root();
    let (hops, deep) = deep(&router);
    let numbers = deep.call(COUNT, u64::MAX).unwrap();
    assert_eq!(numbers.recv_timeout(PATIENCE), Ok(Some(0)));
    kill(pid(&router, &hops[1]), Signal::KILL);
    assert_lost(&numbers, "hop1");
}

/// What was on its way comes, in order; then the loss, for good.
fn assert_lost(numbers: &Receiver<u64>, who: &str) {
    let mut next = 1;
    let error = loop {
        match numbers.recv_timeout(PATIENCE) {
            Ok(number) => assert_eq!(number, Some(next)),
            Err(error) => break error,
        }
        next += 1;
    };
    assert!(matches!(&error, RecvError::Lost { reason, .. } if reason.contains(who)), "{error:?}");
    let again = numbers.recv_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&again, RecvError::Lost { .. }), "a loss does not become a clean end: {again:?}");
}

fn t22_a_stream_ends_for_the_writer_when_the_reader_lets_go() {
    let router = root();
    let (_hops, deep) = deep(&router);
    let blobs = deep.call(BLOBS, (u64::MAX, 1000)).unwrap();
    assert_eq!(blobs.recv_timeout(PATIENCE).unwrap().unwrap().len(), 1000);
    drop(blobs);
    eventually("the writer learns it", PATIENCE, || {
        let (_, ended) = deep.call(BLOBS_SENT, ()).unwrap();
        ended.contains("closed").then_some(())
    });
    // The other way round: the writer is here.
    let (sender, receiver) = router.channel();
    let failing = deep.call_async(SUM, receiver);
    sender.send(u64::MAX).unwrap();
    sender.send(u64::MAX).unwrap();
    // The sum is too large, and so its reader goes.
    let error = failing.wait_timeout(PATIENCE).unwrap_err();
    assert!(matches!(&error, CallError::Failed { .. }), "{error:?}");
    let error = eventually("the sender here learns it", PATIENCE, || sender.send(1).err());
    assert_eq!(error, SendError::Closed);
    assert!(sender.is_closed());
}

fn t22_an_end_in_arguments_that_nobody_reads_is_closed() {
    const NOWHERE: Function<Receiver<u64>, u64> = Function::new("nowhere");
    const OTHER_TYPE: Function<(Receiver<u64>, u64), u64> = Function::new("sum");
    let router = root();
    let (_hops, deep) = deep(&router);
    let closes = |what: &str, sender: Sender<u64>| {
        let error = eventually(what, PATIENCE, || sender.send_timeout(1, PATIENCE).err());
        assert_eq!(error, SendError::Closed, "{what}");
    };
    let (sender, receiver) = router.channel();
    let error = deep.call(NOWHERE, receiver).unwrap_err();
    assert!(matches!(&error, CallError::NoSuchFunction { .. }), "{error:?}");
    closes("no such function", sender);
    let (sender, receiver) = router.channel();
    let error = deep.call(OTHER_TYPE, (receiver, 1)).unwrap_err();
    assert!(matches!(&error, CallError::DecodeArguments { .. }), "{error:?}");
    closes("other arguments", sender);
    let (sender, receiver) = router.channel();
    let chain = deep.chain();
    let failing = chain.call_async(FAIL, "on purpose".into());
    let skipped = chain.call_async(SUM, receiver);
    failing.wait().unwrap_err();
    skipped.wait().unwrap_err();
    closes("skipped in a chain", sender);
}

fn t22_an_end_in_an_item_that_nobody_takes_is_closed() {
    let router = root();
    let (_hops, deep) = deep(&router);
    let ((outer, items), (go, wait)) = (router.channel(), router.channel());
    let taking_none = deep.call_async(TAKE_NONE, (items, wait));
    // Some have arrived when the receiver goes, some are on their way, and some wait here for credit.
    let mut inner = Vec::new();
    loop {
        let (sender, receiver) = router.channel();
        inner.push(sender);
        if outer.send_timeout(receiver, Duration::from_millis(500)).is_err() {
            break;
        }
    }
    go.send(()).unwrap();
    taking_none.wait_timeout(PATIENCE).unwrap();
    for (place, sender) in inner.iter().enumerate() {
        let error = eventually("it is closed", PATIENCE, || sender.send_timeout(1, PATIENCE).err());
        assert!(matches!(&error, SendError::Closed | SendError::Lost { .. }), "{place}: {error:?}");
    }
}

fn t22_an_end_in_a_result_that_nobody_awaits_any_more_is_closed() {
    let router = root();
    let (_hops, deep) = deep(&router);
    let (ready, readies) = router.channel();
    let (go, wait) = router.channel();
    let pending = deep.call_async(BLOBS_LATER, (ready, wait));
    readies.recv_timeout(PATIENCE).unwrap().unwrap();
    drop(pending);
    go.send(()).unwrap();
    eventually("the writer learns it", PATIENCE, || {
        let (_, ended) = deep.call(BLOBS_SENT, ()).unwrap();
        (!ended.is_empty()).then_some(())
    });
}

fn t22_a_stream_ends_for_the_writer_when_the_reader_is_lost() {
    let router = root();
    let (hops, deep) = deep(&router);
    let (sender, receiver) = router.channel();
    let sum = deep.call_async(SUM, receiver);
    // More than can wait here: the reader is there.
    (0..5000).for_each(|number| sender.send(number).unwrap());
    kill(pid(&router, &hops[2]), Signal::KILL);
    let error = eventually("the sender here learns it", PATIENCE, || sender.send(0).err());
    assert!(matches!(&error, SendError::Lost { reason, .. } if reason.contains("hop2")), "{error:?}");
    assert!(sum.wait_timeout(PATIENCE).unwrap_err().is_lost());
}

/// The sender stays for a while where a link has no room, and leaves the rest to the broker.
fn t22_what_was_sent_to_one_who_does_not_read_arrives_though_the_sender_does_nothing_more() {
    const LEN: usize = 128 * 1024;
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (sender, receiver) = router.channel();
    let swallowed = leaf.call_async(SWALLOW, receiver);
    // So much has passed that the window holds what comes now.
    let blob = Blob::from(vec![7; LEN]);
    (0..100).for_each(|_| sender.send(blob.clone()).unwrap());
    let pid = pid(&router, &leaf);
    kill(pid, Signal::STOP);
    // More than a socket holds: the first of them fills it, the last stays here.
    let sent =
        (0..8).take_while(|_| sender.send_timeout(blob.clone(), Duration::from_secs(1)).is_ok()).count();
    assert!(sent < 8, "nothing is read, and all were taken");
    drop(sender);
    kill(pid, Signal::CONT);
    assert_eq!(swallowed.wait_timeout(PATIENCE).unwrap(), ((100 + sent) * LEN) as u64);
}

fn t22_a_slow_reader_stops_the_writer_and_memory_stays_flat() {
    const SIZE: u64 = 16 * 1024;
    const MIB: u64 = 1 << 20;
    let router = root();
    let (hops, deep) = deep(&router);
    let pids: Vec<u32> =
        hops.iter().chain([&deep]).map(|context| pid(&router, context)).chain([std::process::id()]).collect();
    let resident = || pids.iter().map(|pid| rss_kib(*pid)).collect::<Vec<_>>();
    let sent = || deep.call(BLOBS_SENT, ()).unwrap().0;
    let before = resident();

    let blobs = deep.call(BLOBS, (u64::MAX, SIZE)).unwrap();
    let mut read = 0_u64;
    let mut next = || {
        assert_eq!(blobs.recv_timeout(PATIENCE).unwrap().unwrap().len() as u64, SIZE);
        read += 1;
        read
    };
    // Windows grow while they are used: 48 MiB grow them as far as they may.
    while next() < 48 * MIB / SIZE {}
    for _ in 0..5 {
        let read = next();
        // Nobody reads: the writer comes to a stop, a bounded way ahead.
        let mut last = sent();
        let ahead = eventually("the writer stops", PATIENCE, || {
            std::thread::park_timeout(Duration::from_millis(300));
            let now = sent();
            (std::mem::replace(&mut last, now) == now).then_some(now - read)
        });
        assert!(ahead * SIZE <= 4 * MIB, "{ahead} items ahead");
        // It goes on as soon as somebody does.
        while next() < read + MIB / SIZE {}
    }
    let after = resident();
    for (before, after) in before.iter().zip(&after) {
        assert!(after.saturating_sub(*before) < 12 * 1024, "KiB before {before}, after {after}: {pids:?}");
    }

    // The same way down: the writer is here, and nobody reads there for a while.
    let (sender, receiver) = router.channel();
    let blob = || Blob::from(vec![7; SIZE as usize]);
    let mut put = 0;
    while sender.send_timeout(blob(), Duration::from_millis(300)).is_ok() {
        put += 1;
        assert!(put * SIZE <= 4 * MIB, "{put} items without a reader");
    }
    let swallowing = deep.call_async(SWALLOW, receiver);
    for _ in 0..16 * MIB / SIZE {
        sender.send_timeout(blob(), PATIENCE).unwrap();
        put += 1;
    }
    drop(sender);
    assert_eq!(swallowing.wait_timeout(PATIENCE).unwrap(), put * SIZE);
}
