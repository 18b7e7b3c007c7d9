//! What passes a saturated link, and what keeps its order on it: 32.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use offshoot_parent::{prelude::*, record::RecordedFrame};
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    flows::{AWAIT_FILE, BLOBS, NOTE, NOTE_BULKY, NOTES, SWALLOW},
    kill,
    table::{ADD, COUNT},
    ticks_of,
};
use offshoot_wire::{DelRoute, Handle, codec};

use crate::bed::{chain, hop, leaf, recorded, root};

crate::tests![
    t32_small_calls_pass_a_stream_that_saturates_the_way_up,
    t32_small_calls_pass_a_stream_that_saturates_the_way_down,
    t32_what_waits_at_a_hop_leaves_in_the_right_order,
    t32_order_holds_for_each_source_and_handle,
];

const SIZE: usize = 64 * 1024;

/// Small calls to another leaf on the same link end while the stream goes on.
fn calls_pass(other: &Context, moved: &AtomicU64) {
    let count = || moved.load(Ordering::SeqCst);
    eventually("the stream is at full speed", PATIENCE, || (count() > 100).then_some(()));
    for round in 0..30 {
        let before = count();
        assert_eq!(other.with_timeout(PATIENCE).call(ADD, (round, 1)).unwrap(), round + 1);
        other.ping().unwrap();
        eventually("the stream goes on", PATIENCE, || (count() > before).then_some(()));
    }
}

fn t32_small_calls_pass_a_stream_that_saturates_the_way_up() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (bulk, other) = (hop.connect(leaf("bulk")).unwrap(), hop.connect(leaf("other")).unwrap());
    let moved = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let blobs = bulk.call(BLOBS, (u64::MAX, SIZE as u64)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for blob in &blobs {
                assert_eq!(blob.unwrap().len(), SIZE);
                moved.fetch_add(1, Ordering::SeqCst);
                if done.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        let _done = Set(&done);
        calls_pass(&other, &moved);
        // And the one that sends it all.
        calls_pass(&bulk, &moved);
    });
}

fn t32_small_calls_pass_a_stream_that_saturates_the_way_down() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let (bulk, other) = (hop.connect(leaf("bulk")).unwrap(), hop.connect(leaf("other")).unwrap());
    let moved = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let (sender, receiver) = router.channel();
    let swallowing = bulk.call_async(SWALLOW, receiver);
    thread::scope(|scope| {
        let (moved, done) = (&moved, &done);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                sender.send(Blob::from(vec![7; SIZE])).unwrap();
                moved.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _done = Set(done);
        calls_pass(&other, moved);
    });
    assert_eq!(swallowing.wait_timeout(PATIENCE).unwrap(), moved.into_inner() * SIZE as u64);
}

/// Tells a thread to end, even when the test fails.
struct Set<'a>(&'a AtomicBool);

impl Drop for Set<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits until these processes have nothing more to do.
fn settle(pids: &[u32]) {
    let work = || pids.iter().map(|pid| ticks_of(*pid)).sum::<u64>();
    let mut last = work();
    eventually("nothing moves any more", PATIENCE, || {
        // Many times what a process that has work would need to show it.
        thread::park_timeout(Duration::from_millis(500));
        let now = work();
        (std::mem::replace(&mut last, now) == now).then_some(())
    });
}

/// Behind a stopped hop, another one holds much of four streams, then a reply, then a reply of a leaf that has died
/// since, and the news of that.
fn t32_what_waits_at_a_hop_leaves_in_the_right_order() {
    let (router, tape) = recorded(Router::builder());
    let hops = chain(&router, 2);
    let make = |name: &str| hops[1].connect(leaf(name)).unwrap();
    let (small, mortal) = (make("small"), make("mortal"));
    let bulk: Vec<_> = (0..4).map(|n| make(&format!("bulk{n}"))).collect();
    let pid = |context: &Context| router.tree().pid(context.id()).unwrap();
    let below: Vec<u32> = bulk.iter().chain([&hops[1], &small, &mortal]).map(pid).collect();

    let streams: Vec<_> =
        bulk.iter().map(|leaf| leaf.call(BLOBS, (u64::MAX, SIZE as u64)).unwrap()).collect();
    // Windows grow by being used.
    for stream in &streams {
        for _ in 0..100 {
            stream.recv_timeout(PATIENCE).unwrap().unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (go, last) = (dir.path().join("go"), dir.path().join("last"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let answer = small.call_async(AWAIT_FILE, text(&go));
    let last_words = mortal.call_async(AWAIT_FILE, text(&last));
    small.ping().unwrap();
    mortal.ping().unwrap();

    kill(pid(&hops[0]), Signal::STOP);
    // What has come until now makes room for more, which then stands before the stopped hop.
    for stream in &streams {
        while stream.recv_timeout(Duration::from_millis(200)).is_ok() {}
    }
    settle(&below);
    fs::write(&last, "").unwrap();
    settle(&below);
    kill(pid(&mortal), Signal::KILL);
    settle(&below);
    fs::write(&go, "").unwrap();
    settle(&below);
    let seen = tape.frames().len();
    kill(pid(&hops[0]), Signal::CONT);

    answer.wait_timeout(PATIENCE).unwrap();
    last_words.wait_timeout(PATIENCE).expect("a reply that a hop held is not lost to its sender's death");
    mortal.lost().wait_timeout(PATIENCE).unwrap();
    // The tape may lag a little.
    let at = |what: &str, pick: &dyn Fn(&RecordedFrame) -> bool| {
        eventually(&format!("{what} has come"), PATIENCE, || {
            tape.frames()[seen..].iter().position(|it| it.came_in && it.dst == ContextId::ROOT && pick(it))
        })
    };
    let lost = at("the loss", &|frame| {
        frame.handle == Handle::DEL_ROUTE
            && codec::decode::<DelRoute>(&frame.body, 1 << 16).is_ok_and(|del| del.ids.contains(&mortal.id()))
    });
    let reply = |src: ContextId| move |frame: &RecordedFrame| frame.src == src && frame.body.len() < 64;
    let (answer, last_words) =
        (at("the answer", &reply(small.id())), at("the last words", &reply(mortal.id())));
    assert!(last_words < lost, "the last words at {last_words}, the loss at {lost}");
    // All that was queued long before them comes behind them, but for what was in the socket.
    let behind = |place: usize| -> usize {
        let frames = tape.frames();
        let later = frames[seen + place..].iter().filter(|it| bulk.iter().any(|leaf| leaf.id() == it.src));
        later.map(|it| it.body.len()).sum()
    };
    for (what, place) in [("the answer", answer), ("the last words", last_words), ("the loss", lost)] {
        let passed = || (behind(place) > 512 * 1024).then_some(());
        eventually(&format!("{what} has passed 512 KiB"), PATIENCE, passed);
    }
}

fn t32_order_holds_for_each_source_and_handle() {
    const MANY: u64 = 2000;
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let make = |name| hop.connect(leaf(name)).unwrap();
    let (down, up, other) = (make("down"), make("up"), make("other"));
    let (sender, receiver) = router.channel();
    let swallowing = down.call_async(SWALLOW, receiver);
    let blobs = up.call(BLOBS, (u64::MAX, SIZE as u64)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (done, blobs) = (&done, &blobs);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                sender.send(Blob::from(vec![7; SIZE])).unwrap();
            }
        });
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                blobs.recv_timeout(PATIENCE).unwrap().unwrap();
            }
        });
        let _done = Set(done);
        // Calls of all sizes, cut into pieces or not, with and without a reply.
        let mut pending = Vec::new();
        for number in 0..MANY {
            if number % 3 == 0 {
                pending.push(other.call_async(NOTE, number));
            } else {
                other.call_no_reply(NOTE, number).unwrap();
            }
            if number % 100 == 0 {
                pending.push(other.call_async(NOTE_BULKY, (number, Blob::from(vec![7; 3 * SIZE]))));
            }
        }
        // And a stream, item by item.
        let numbers = other.call(COUNT, MANY).unwrap();
        let numbers: Vec<u64> = numbers.into_iter().map(Result::unwrap).collect();
        assert_eq!(numbers, (0..MANY).collect::<Vec<_>>());
        pending.into_iter().for_each(|pending| pending.wait_timeout(PATIENCE).unwrap());
        let noted = other.call(NOTES, ()).unwrap();
        let expected: Vec<u64> =
            (0..MANY).flat_map(|n| std::iter::repeat_n(n, if n % 100 == 0 { 2 } else { 1 })).collect();
        assert!(noted == expected, "calls ran in another order than they were made: {noted:?}");
    });
    assert!(swallowing.wait_timeout(PATIENCE).unwrap() > 0);
}
