//! How a context ends that is told to: 24, 25, 28, 29.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually, is_gone, kill,
    life::{END_SELF, START_SLEEPER, TICK},
    table::{ADD, ECHO_BYTES, SPIN},
};

use crate::bed::{chain, ended, hop, leaf, pid, root, stubborn, until_begun, watched};

crate::tests![
    t24_a_tree_that_is_told_to_end_ends_at_once_and_whole,
    t24_dropping_a_router_is_the_same_and_waits,
    t24_a_hop_takes_what_is_below_it_along_and_nothing_else,
    t24_a_context_that_is_told_to_end_finishes_what_it_is_at,
    t24_a_context_can_end_itself,
    t24_telling_it_twice_or_when_it_is_gone_is_no_error,
    t25_sigterm_ends_an_endless_loop_with_100_mib_waiting_for_it,
    t25_sigkill_ends_one_that_ignores_sigterm,
    t25_a_hop_leaves_no_child_behind_that_ignores_everything,
    t25_dropping_the_router_ends_both,
    t28_a_process_that_holds_the_stdout_of_a_leaf_does_not_hold_up_its_end,
    t29_a_program_that_came_as_bytes_leaves_no_file,
];

fn pids(router: &Router) -> Vec<u32> {
    router.tree().iter().skip(1).filter_map(offshoot_parent::tree::Node::pid).collect()
}

#[track_caller]
fn all_gone(pids: &[u32]) {
    for pid in pids {
        eventually(&format!("{pid} is gone"), PATIENCE, || is_gone(*pid).then_some(()));
    }
}

/// A tree four levels deep, with leaves at every level.
fn tree() -> (Router, Vec<Context>) {
    let router = root();
    let mut all = chain(&router, 3);
    let parents: Vec<_> = [router.here()].into_iter().chain(all.clone()).collect();
    let leaves = parents.iter().flat_map(|at| [at.connect_async(leaf("a")), at.connect_async(leaf("b"))]);
    let leaves: Vec<_> = leaves.collect();
    all.extend(leaves.into_iter().map(|leaf| leaf.wait().unwrap()));
    (router, all)
}

fn t24_a_tree_that_is_told_to_end_ends_at_once_and_whole() {
    let (router, contexts) = tree();
    let pids = pids(&router);
    assert_eq!(pids.len(), 11);
    let since = Instant::now();
    router.shutdown().wait_timeout(PATIENCE).unwrap();
    let took = since.elapsed();
    // Nobody had to be made to: the first grace is two seconds.
    assert!(took < Duration::from_secs(2), "{took:?}");
    // It ends when every process has.
    let left: Vec<_> = pids.iter().filter(|pid| !is_gone(**pid)).collect();
    assert!(left.is_empty(), "{left:?} live on");
    for context in contexts {
        let error = context.call(ADD, (1, 1)).unwrap_err();
        assert!(!error.may_have_run(), "{error}");
    }
    // Each was reaped by its parent before that ended: none has come to the subreaper.
    let reaped = pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    assert!(reaped, "{pids:?}");
}

fn t24_dropping_a_router_is_the_same_and_waits() {
    let (router, _contexts) = tree();
    let pids = pids(&router);
    drop(router);
    let left: Vec<_> = pids.iter().filter(|pid| !is_gone(**pid)).collect();
    assert!(left.is_empty(), "{left:?} live on");
}

fn t24_a_hop_takes_what_is_below_it_along_and_nothing_else() {
    let router = root();
    let chain = chain(&router, 3);
    let (deep, beside) = (chain[2].connect(leaf("deep")).unwrap(), router.connect(leaf("beside")).unwrap());
    let below: Vec<_> = [&chain[1], &chain[2], &deep].map(|context| pid(&router, context)).into();
    let lost = deep.lost();
    chain[1].shutdown().wait_timeout(PATIENCE).unwrap();
    lost.wait_timeout(PATIENCE).unwrap();
    all_gone(&below);
    assert_eq!((chain[0].call(ADD, (1, 1)).unwrap(), beside.call(ADD, (1, 2)).unwrap()), (2, 3));
    assert_eq!(router.tree().iter().count(), 3);
}

fn t24_a_context_that_is_told_to_end_finishes_what_it_is_at() {
    let router = root();
    let up = router.connect(hop("up")).unwrap();
    let leaf = up.connect(leaf("leaf")).unwrap();
    let (working, ticks) = until_begun(&leaf, |sender| leaf.call_async(TICK, (sender, 500)));
    let shutdown = up.shutdown();
    let last = working.wait_timeout(PATIENCE).unwrap();
    // The stream that it wrote to came whole, and ended in order.
    let rest: Vec<u64> = ticks.into_iter().map(Result::unwrap).collect();
    assert_eq!(rest.last(), Some(&last));
    shutdown.wait_timeout(PATIENCE).unwrap();
}

fn t24_a_context_can_end_itself() {
    let router = root();
    for method in [leaf("leaf"), hop("hop")] {
        let context = router.connect(method).unwrap();
        let (lost, process) = (context.lost(), pid(&router, &context));
        // Its answer is held when it ends, and goes out.
        context.call(END_SELF, ()).unwrap();
        lost.wait_timeout(PATIENCE).unwrap();
        all_gone(&[process]);
    }
}

fn t24_telling_it_twice_or_when_it_is_gone_is_no_error() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (first, second) = (leaf.shutdown(), leaf.shutdown());
    first.wait_timeout(PATIENCE).unwrap();
    second.wait_timeout(PATIENCE).unwrap();
    leaf.shutdown().wait_timeout(PATIENCE).unwrap();
    router.shutdown().wait_timeout(PATIENCE).unwrap();
    router.shutdown().wait_timeout(PATIENCE).unwrap();
}

/// Keeps the main thread of a leaf busy for ever, and lets 100 MiB wait for it.
fn burden(leaf: &Context) -> Pending<Blob> {
    leaf.call_no_reply(SPIN, ()).unwrap();
    leaf.call_async(ECHO_BYTES, vec![7_u8; 100 << 20].into())
}

fn t25_sigterm_ends_an_endless_loop_with_100_mib_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (method, status) = watched(folder.path());
    let router = root();
    let leaf = router.connect(method).unwrap();
    let waiting = burden(&leaf);
    let since = Instant::now();
    leaf.shutdown().wait_timeout(PATIENCE).unwrap();
    let took = since.elapsed();
    let error = waiting.wait_timeout(PATIENCE).unwrap_err();
    assert!(error.is_lost(), "{error}");
    let sigterm = 128 + 15;
    assert_eq!(ended(&status), sigterm);
    // It had its grace.
    assert!(took >= Duration::from_millis(1900), "{took:?}");
}

fn t25_sigkill_ends_one_that_ignores_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let router = root();
    let leaf = router.connect(Local::new(Payload::file(stubborn(folder.path())).unwrap())).unwrap();
    let process = pid(&router, &leaf);
    let waiting = burden(&leaf);
    let since = Instant::now();
    leaf.shutdown().wait_timeout(PATIENCE).unwrap();
    let took = since.elapsed();
    assert!(waiting.wait_timeout(PATIENCE).unwrap_err().is_lost());
    all_gone(&[process]);
    // Two graces: one to go by itself, one after SIGTERM.
    assert!(took >= Duration::from_millis(3900), "{took:?}");
}

fn t25_a_hop_leaves_no_child_behind_that_ignores_everything() {
    let folder = tempfile::tempdir().unwrap();
    let router = root();
    let up = router.connect(hop("up")).unwrap();
    let leaf = up.connect(Local::new(Payload::file(stubborn(folder.path())).unwrap())).unwrap();
    let processes = [pid(&router, &up), pid(&router, &leaf)];
    leaf.call_no_reply(SPIN, ()).unwrap();
    up.shutdown().wait_timeout(PATIENCE).unwrap();
    let up_gone = Instant::now();
    all_gone(&processes);
    let after = up_gone.elapsed();
    assert!(after < Duration::from_millis(500), "the child outlived its parent by {after:?}");
}

fn t25_dropping_the_router_ends_both() {
    let folder = tempfile::tempdir().unwrap();
    let router = root();
    let stubborn = Local::new(Payload::file(stubborn(folder.path())).unwrap());
    let leaves = [router.connect(stubborn).unwrap(), router.connect(leaf("leaf")).unwrap()];
    let processes = leaves.each_ref().map(|leaf| pid(&router, leaf));
    let waiting = leaves.each_ref().map(burden);
    let since = Instant::now();
    drop(router);
    let took = since.elapsed();
    assert!(processes.into_iter().all(is_gone), "gone when the router is");
    assert!(took < Duration::from_secs(9), "{took:?}");
    for waiting in waiting {
        let error = waiting.wait_timeout(PATIENCE).unwrap_err();
        assert!(error.is_lost() || matches!(error, CallError::Stopped { .. }), "{error}");
    }
}

fn t28_a_process_that_holds_the_stdout_of_a_leaf_does_not_hold_up_its_end() {
    let router = root();
    for (name, how) in [("told", None), ("killed", Some(Signal::KILL))] {
        let leaf = router.connect(leaf(name)).unwrap();
        let sleeper = leaf.call(START_SLEEPER, ()).unwrap();
        let held = fs::read_dir(format!("/proc/{sleeper}/fd")).unwrap();
        // It has just started, and may be closing what it has read.
        let held: Vec<_> = held.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok()).collect();
        assert!(
            !held.iter().any(|held| held.to_string_lossy().starts_with("socket:")),
            "of the link: {held:?}"
        );
        let (lost, process) = (leaf.lost(), pid(&router, &leaf));
        let since = Instant::now();
        match how {
            None => drop(leaf.shutdown()),
            Some(signal) => kill(process, signal),
        }
        lost.wait_timeout(PATIENCE).unwrap();
        all_gone(&[process]);
        let took = since.elapsed();
        assert!(took < Duration::from_secs(1), "{name}: {took:?}");
        // Who was killed could not see to what he had started: that goes with him.
        if how.is_none() {
            assert!(!is_gone(sleeper), "the sleeper of one who ends by himself is nobody's to end");
            kill(sleeper, Signal::KILL);
        }
        all_gone(&[sleeper]);
    }
}

fn t29_a_program_that_came_as_bytes_leaves_no_file() {
    let bytes = fs::read(env!("CARGO_BIN_EXE_leaf")).unwrap();
    let router = root();
    let leaf = router.connect(Local::new(Payload::bytes("leaf", bytes).unwrap())).unwrap();
    assert_eq!(leaf.call(ADD, (2, 3)).unwrap(), 5);
    // While it runs there is none either: it could be killed at any moment.
    for folder in [std::env::temp_dir(), "/dev/shm".into(), "/var/tmp".into()] {
        let names = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let ours: Vec<_> = names.filter(|name| name.to_string_lossy().contains("offshoot")).collect();
        assert!(ours.is_empty(), "{}: {ours:?}", folder.display());
    }
    let process = pid(&router, &leaf);
    assert!(!Path::new(&format!("/proc/{process}/exe")).canonicalize().is_ok_and(|exe| exe.exists()));
}
