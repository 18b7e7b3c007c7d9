//! How trees end: told to, dropped, killed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use rustix::process::Signal;

use crate::{
    ADD, HANG,
    harness::{PATIENCE, eventually, runs, signal},
    this_program,
};

crate::tests![
    a_dropped_router_waits_until_every_process_is_gone,
    a_tree_that_was_shut_down_refuses_what_comes_after,
    a_hop_that_is_shut_down_takes_its_children_along,
    a_stopped_child_does_not_hold_up_the_end,
    a_child_that_hangs_does_not_hold_up_the_end,
    a_connect_under_way_ends_when_the_tree_does,
    a_killed_root_leaves_no_orphan
];

fn a_dropped_router_waits_until_every_process_is_gone() {
    let router = Router::new().unwrap();
    let mut last = router.here();
    for name in ["a", "b", "c", "d"] {
        last = last.connect(this_program(name)).unwrap();
    }
    let pids: Vec<u32> = router.tree().iter().skip(1).map(|node| node.pid().unwrap()).collect();
    drop(router);
    assert_eq!(pids.len(), 4);
    assert!(!pids.iter().any(|pid| runs(*pid)), "{pids:?}");
}

fn a_tree_that_was_shut_down_refuses_what_comes_after() {
    let router = Router::new().unwrap();
    let child = router.connect(this_program("child")).unwrap();
    router.shutdown().wait_timeout(PATIENCE).unwrap();
    assert!(!child.is_alive());
    child.call(ADD, (1, 1)).unwrap_err();
    let error = router.connect(this_program("late")).unwrap_err();
    assert_eq!(error.code(), "shutting_down", "{error}");
    assert_eq!(router.tree().len(), 1);
}

fn a_hop_that_is_shut_down_takes_its_children_along() {
    let router = Router::new().unwrap();
    let hop = router.connect(this_program("hop")).unwrap();
    let deep = hop.connect(this_program("deep")).unwrap();
    let pid = router.tree().pid(deep.id()).unwrap();
    hop.shutdown().wait_timeout(PATIENCE).unwrap();
    assert!(!deep.is_alive() && !runs(pid));
    assert_eq!(router.tree().len(), 1);
}

fn a_stopped_child_does_not_hold_up_the_end() {
    let router = Router::new().unwrap();
    let child = router.connect(this_program("child")).unwrap();
    let pid = router.tree().pid(child.id()).unwrap();
    signal(pid, Signal::STOP);
    let start = Instant::now();
    drop(router);
    assert!(!runs(pid) && start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}

fn a_child_that_hangs_does_not_hold_up_the_end() {
    let router = Router::new().unwrap();
    let child = router.connect(this_program("child")).unwrap();
    let (begun, started) = router.channel();
    child.call_no_reply(HANG, begun).unwrap();
    let pid = started.recv().unwrap().unwrap();
    drop(router);
    assert!(!runs(pid));
}

fn a_connect_under_way_ends_when_the_tree_does() {
    let folder = crate::harness::Folder::new();
    let router = Router::new().unwrap();
    let script = folder.script("echo >&2; exec sleep 1000");
    let connecting = router.connect_async(Local::new(Payload::file(script).unwrap()).name("slow"));
    drop(router);
    let error = connecting.wait_timeout(PATIENCE).unwrap_err();
    assert_eq!(error.code(), "shutting_down", "{error}");
}

/// A root of its own, to be killed: grows a chain, tells its processes, and waits.
pub(crate) fn be_a_root() {
    let router = Router::new().unwrap();
    let mut last = router.here();
    for name in ["a", "b", "c", "d"] {
        last = last.connect(this_program(name)).unwrap();
    }
    let pids: Vec<String> = router.tree().iter().map(|node| node.pid().unwrap().to_string()).collect();
    println!("{}", pids.join(" "));
    loop {
        std::thread::park();
    }
}

fn a_killed_root_leaves_no_orphan() {
    let program = std::env::current_exe().unwrap();
    let mut root = Command::new(program).arg("root").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(root.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pids: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 5);
    root.kill().unwrap();
    let start = Instant::now();
    root.wait().unwrap();
    eventually("all are gone", || {
        let left: Vec<_> = pids.iter().filter(|pid| runs(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
