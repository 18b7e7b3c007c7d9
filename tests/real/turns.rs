//! Whoever reads a link, main, a waiting thread or the broker: nothing is lost, and nothing waits for user code.

use std::{
    fs,
    future::Future as _,
    path::PathBuf,
    pin::pin,
    sync::{Arc, mpsc},
    task, thread,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, kill, logs,
    table::{ADD, ASK, BLOBS, COUNT, SPIN, SUM},
};

use crate::bed::{hop, leaf, root};

crate::tests![
    turns_a_ping_is_answered_while_main_spins,
    turns_a_shutdown_is_obeyed_while_main_spins,
    turns_no_call_is_lost_or_doubled_whoever_reads,
    turns_two_that_call_each_other_are_both_answered,
    turns_whoever_keeps_the_turn_and_stays_away_is_relieved,
    turns_the_broker_of_a_leaf_sleeps_while_a_call_is_short,
    turns_a_task_is_not_woken_by_the_broker,
    turns_what_fails_without_a_caller_is_not_logged_by_the_broker,
];

/// Within which the broker must have taken over; nothing waits for a timer.
const AT_ONCE: Duration = Duration::from_millis(5);

fn turns_a_ping_is_answered_while_main_spins() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    // It has waited for calls by reading its link itself.
    assert_eq!(leaf.call(ADD, (1, 1)).unwrap(), 2);
    leaf.call_no_reply(SPIN, ()).unwrap();
    let mut took: Vec<_> = (0..21).map(|_| leaf.ping().unwrap()).collect();
    took.sort_unstable();
    assert!(took[took.len() / 2] < AT_ONCE, "{took:?}");
}

fn turns_a_shutdown_is_obeyed_while_main_spins() {
    let router = root();
    let obeyed = || {
        let up = router.connect(hop("up")).unwrap();
        let below = up.connect(leaf("below")).unwrap();
        let (lost, gone, pid) = (below.lost(), up.lost(), router.tree().pid(up.id()).unwrap());
        up.call_no_reply(SPIN, ()).unwrap();
        up.ping().unwrap();
        let since = Instant::now();
        let _shutdown = up.shutdown();
        // It is the broker of the hop that tells its child, and tells us of its end.
        lost.wait_timeout(PATIENCE).unwrap();
        let took = since.elapsed();
        // What spins is in nobody's way in the next round.
        kill(pid, Signal::KILL);
        gone.wait_timeout(PATIENCE).unwrap();
        took
    };
    // What the machine does beside can hold up many of them; who waits for a timer is held up each time.
    let mut took = Vec::new();
    while took.last().is_none_or(|took| *took >= AT_ONCE) {
        assert!(took.len() < 50, "{took:?}");
        took.push(obeyed());
    }
}

/// Calls that wait, with deadlines of every length, futures and a stream, all by one link.
fn turns_no_call_is_lost_or_doubled_whoever_reads() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    thread::scope(|threads| {
        for mine in 0..6_i64 {
            let leaf = leaf.clone();
            threads.spawn(move || {
                for at in 0..1000_i64 {
                    let patience = match at % 4 {
                        // From too short to just enough.
                        0 => Duration::from_micros(u64::try_from(at).unwrap()),
                        _ => PATIENCE,
                    };
                    match leaf.with_timeout(patience).call(ADD, (mine, at)) {
                        Ok(sum) => assert_eq!(sum, mine + at),
                        Err(CallError::TimedOut { .. }) if patience < PATIENCE => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..20 {
                let pending: Vec<_> = (0..50).map(|at| leaf.call_async(ADD, (at, at))).collect();
                for (at, pending) in (0..).zip(pending) {
                    assert_eq!(pending.wait_timeout(PATIENCE).unwrap(), at + at);
                }
            }
        });
        threads.spawn(|| {
            let numbers = leaf.with_timeout(PATIENCE).call(COUNT, 5000).unwrap();
            for expected in 0..5000 {
                assert_eq!(numbers.recv_timeout(PATIENCE).unwrap(), Some(expected));
            }
            assert_eq!(numbers.recv_timeout(PATIENCE).unwrap(), None);
        });
    });
    assert_eq!(leaf.with_timeout(PATIENCE).call(ADD, (20, 22)).unwrap(), 42);
}

/// Each waits for the other, by the same link that brings the other's question.
fn turns_two_that_call_each_other_are_both_answered() {
    let router = root();
    let (up, there) = (router.connect(hop("up")).unwrap(), router.connect(leaf("there")).unwrap());
    thread::scope(|threads| {
        for at in [&up, &there] {
            let (other, here) = (if at == &up { &there } else { &up }, &router);
            threads.spawn(move || {
                for _ in 0..300 {
                    assert_eq!(at.with_timeout(PATIENCE).call(ASK, other.clone()).unwrap(), other.name());
                    assert_eq!(at.with_timeout(PATIENCE).call(ASK, here.here()).unwrap(), "root");
                }
            });
        }
    });
}

/// Each call has a moment at which its caller is told that it has begun. A broker that sleeps is not woken to hear of it,
/// and not when it comes either, where the call has long been answered.
fn turns_the_broker_of_a_leaf_sleeps_while_a_call_is_short() {
    const CALLS: u64 = 20;
    /// Longer than a call is not told of.
    const APART: Duration = Duration::from_millis(50);

    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let pid = router.tree().pid(leaf.id()).unwrap();
    let call = || {
        assert_eq!(leaf.call(ADD, (1, 1)).unwrap(), 2);
        leaf.lost().wait_timeout(APART).unwrap_err();
    };
    call();
    let before = naps(pid, BROKER);
    (0..CALLS).for_each(|_| call());
    let naps = naps(pid, BROKER) - before;
    assert!(naps < CALLS / 4, "it went to sleep {naps} times in {CALLS} calls");
}

/// How often the thread of this name in a process has gone to sleep.
fn naps(pid: u32, name: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let of_name =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|it| it.trim_end() == name);
    let status = fs::read_to_string(tasks.filter(of_name).last().unwrap().join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// Woken as a task; says by which thread.
struct Bell(mpsc::Sender<Option<String>>);

impl task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        // The test may be over.
        drop(self.0.send(thread::current().name().map(str::to_owned)));
    }
}

/// The name of the thread of a broker.
const BROKER: &str = "offshoot-broker";

/// Its name, once it is known that there is one in this process.
fn broker() -> &'static str {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    let names: Vec<String> = tasks.filter_map(|comm| fs::read_to_string(comm).ok()).collect();
    assert!(names.iter().any(|comm| comm.trim_end() == BROKER), "{names:?}");
    BROKER
}

/// Bytes lie in the link, and its reader has gone off with the turn: what comes behind them is read all the same.
fn turns_whoever_keeps_the_turn_and_stays_away_is_relieved() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let mut took: Vec<_> = (0..7)
        .map(|_| {
            let blobs: Receiver<Blob> = leaf.call(BLOBS, (64, 128 * 1024)).unwrap();
            let read = || {
                for _ in 0..32 {
                    assert_eq!(blobs.recv_timeout(PATIENCE).unwrap().unwrap().len(), 128 * 1024);
                }
            };
            // It waits for nothing more that could make it give the turn back.
            thread::scope(|threads| threads.spawn(read).join().unwrap());
            let (bell, rings) = mpsc::channel();
            let waker = Arc::new(Bell(bell)).into();
            let since = Instant::now();
            let mut sum = pin!(leaf.call_async(ADD, (1, 2)));
            // On a busy machine it may have been answered before.
            if sum.as_mut().poll(&mut task::Context::from_waker(&waker)).is_pending() {
                rings.recv_timeout(PATIENCE).unwrap();
            }
            since.elapsed()
        })
        .collect();
    took.sort_unstable();
    assert!(took[took.len() / 2] < AT_ONCE, "{took:?}");
}

fn turns_a_task_is_not_woken_by_the_broker() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (numbers, received) = router.channel::<u64>();
    let sum = leaf.call_async(SUM, received);
    let (bell, rings) = mpsc::channel();
    let waker = Arc::new(Bell(bell)).into();
    let mut task = task::Context::from_waker(&waker);
    let mut sent = 0;
    for _ in 0..3 {
        let mut sending = loop {
            let mut sending = Box::pin(numbers.send_async(1));
            match sending.as_mut().poll(&mut task) {
                task::Poll::Ready(done) => done.unwrap(),
                task::Poll::Pending => break sending,
            }
            sent += 1;
            assert!(sent < 100_000_000, "there is always room");
        };
        let waker = rings.recv_timeout(PATIENCE).unwrap();
        assert_ne!(waker.as_deref(), Some(broker()));
        if let task::Poll::Ready(done) = sending.as_mut().poll(&mut task) {
            done.unwrap();
            sent += 1;
        }
    }
    drop(numbers);
    assert_eq!(sum.wait().unwrap(), sent);
}

/// A call one way is answered by a call to another, which is lost: the broker is the first to know.
fn turns_what_fails_without_a_caller_is_not_logged_by_the_broker() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    leaf.call_no_reply(SPIN, ()).unwrap();
    let mark = logs::mark();
    router.here().call_no_reply(ASK, leaf.clone()).unwrap();
    // The one worker of the root has asked by then.
    assert_eq!(router.here().call(ADD, (1, 1)).unwrap(), 2);
    kill(router.tree().pid(leaf.id()).unwrap(), Signal::KILL);
    mark.until(&["ask was called without a reply and failed"]);
    assert!(mark.threads().iter().all(|thread| thread != broker()), "{:?}", mark.threads());
}
