//! How processes are ended: gently, then not, all at once, whatever fails on the way.

use std::{
    panic::panic_any,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use offshoot_bootstrap::{Escalation, Exit, Reaper, Spawned};
use rustix::process::{WaitOptions, waitpid};

use crate::harness::{PATIENCE, cat, exists, pid, quiet, shell, stop, threads_of_ours, until, with_room_for};

/// A grace that no test waits out.
const LONG: Duration = Duration::from_secs(600);
/// A grace that is soon over.
const SHORT: Duration = Duration::from_millis(20);

fn end(reaper: &Reaper, child: Spawned, grace: Duration) -> Receiver<Exit> {
    let (sender, receiver) = channel();
    reaper.end(child.process, grace, move |exit| drop(sender.send(exit)));
    receiver
}

fn outcome(receiver: &Receiver<Exit>) -> String {
    receiver.recv_timeout(PATIENCE).unwrap().to_string()
}

#[test]
fn who_goes_by_itself_is_not_signalled() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let exit = end(&reaper, shell("echo; read -r line; exit 3"), LONG);
    assert_eq!(outcome(&exit), "exit status 3");
}

#[test]
fn who_ended_before_is_reported_too() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let mut child = shell("echo; exit 4");
    while child.process.try_wait().unwrap().is_none() {}
    assert_eq!(outcome(&end(&reaper, child, LONG)), "exit status 4");
}

#[test]
fn who_stays_after_its_grace_gets_a_term() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = shell("echo; exec sleep 1000");
    assert_eq!(outcome(&end(&reaper, child, SHORT)), "killed by signal 15 (TERM), after SIGTERM");
}

#[test]
fn who_tidies_up_at_a_term_has_another_grace() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = shell("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done");
    let (sender, receiver) = channel();
    reaper.end(child.process, Duration::from_secs(1), move |exit| drop(sender.send(exit)));
    assert_eq!(outcome(&receiver), "exit status 7, after SIGTERM");
}

#[test]
fn who_ignores_a_term_is_killed() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = shell("trap '' TERM; echo; while :; do read -r line; done");
    assert_eq!(outcome(&end(&reaper, child, SHORT)), "killed by signal 9 (KILL), after SIGKILL");
}

#[test]
fn who_is_stopped_is_killed() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = cat();
    stop(&child);
    assert_eq!(outcome(&end(&reaper, child, SHORT)), "killed by signal 9 (KILL), after SIGKILL");
}

#[test]
fn kill_now_gives_no_grace() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = shell("trap '' TERM; echo; while :; do read -r line; done");
    let (sender, receiver) = channel();
    reaper.kill_now(child.process, move |exit| drop(sender.send(exit)));
    assert_eq!(outcome(&receiver), "killed by signal 9 (KILL), after SIGKILL");
}

#[test]
fn whoever_was_reaped_behind_our_back_is_reported_and_not_signalled() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = shell("echo; exit 5");
    waitpid(Some(pid(&child)), WaitOptions::empty()).unwrap();
    assert_eq!(outcome(&end(&reaper, child, SHORT)), "exit status not known, somebody else took it");
}

#[test]
fn a_report_comes_after_process_and_descriptor_are_gone() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let child = cat();
    let number = pid(&child);
    let (sender, receiver) = channel();
    reaper.kill_now(child.process, move |_| sender.send(exists(number)).unwrap());
    assert!(!receiver.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn two_hundred_end_at_once() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let children: Vec<Spawned> = (0..200).map(|_| cat()).collect();
    // Half of them go when their link does, half are stopped and must be killed.
    let (sender, receiver) = channel();
    for (n, child) in children.into_iter().enumerate() {
        let stopped = n % 2 == 1;
        if stopped {
            stop(&child);
        }
        let sender = sender.clone();
        let grace = if stopped { SHORT } else { LONG };
        reaper.end(child.process, grace, move |exit| sender.send((stopped, exit.escalated)).unwrap());
    }
    drop(sender);
    let exits: Vec<_> = receiver.iter().collect();
    let expected = |&(stopped, sent): &(bool, Escalation)| {
        sent == if stopped { Escalation::Kill } else { Escalation::None }
    };
    assert_eq!((exits.len(), exits.iter().all(expected)), (200, true), "{exits:?}");
}

#[test]
fn without_descriptors_processes_are_reaped_all_the_same() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let [willing, stubborn] = [cat(), shell("trap '' TERM; echo; while :; do read -r line; done")];
    let [mut willing_link, stubborn_link] = [willing.link, stubborn.link];
    let (sender, receiver) = channel();
    with_room_for(0, || {
        assert!(std::io::pipe().is_err());
        let own = sender.clone();
        reaper.end(willing.process, LONG, move |exit| drop(own.send(exit)));
        willing_link.close_stdin().unwrap();
        assert_eq!(outcome(&receiver), "exit status 0");
        reaper.end(stubborn.process, SHORT, move |exit| drop(sender.send(exit)));
        assert_eq!(outcome(&receiver), "killed by signal 9 (KILL), after SIGKILL");
    });
    drop(stubborn_link);
}

#[test]
fn dropping_the_reaper_ends_and_reports_all() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let stubborn = "trap '' TERM; echo; while :; do read -r line; done";
    let exits = [stubborn, "echo; exec sleep 1000"].map(|lines| end(&reaper, shell(lines), LONG));
    drop(reaper);
    for exit in exits {
        assert_eq!(exit.try_recv().unwrap().to_string(), "killed by signal 9 (KILL), after SIGKILL");
    }
}

/// Panics once more when it is dropped.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("and again, on purpose");
    }
}

#[test]
fn a_panic_in_one_report_does_not_keep_the_next_from_being_reaped() {
    let _quiet = quiet();
    let reaper = Reaper::new().unwrap();
    let (sender, receiver) = channel::<()>();
    reaper.kill_now(cat().process, move |_| {
        drop(sender);
        panic_any(Twice)
    });
    assert!(receiver.recv_timeout(PATIENCE).is_err());
    assert_eq!(outcome(&end(&reaper, cat(), LONG)), "exit status 0");
}

#[test]
fn a_report_may_drop_the_reaper() {
    let _quiet = quiet();
    let reaper = Arc::new(Reaper::new().unwrap());
    let (sender, receiver) = channel();
    let (last, child) = (Arc::clone(&reaper), cat());
    reaper.end(child.process, LONG, move |_| {
        let last = Arc::into_inner(last);
        sender.send(last.is_some()).unwrap();
        drop(last);
    });
    drop(reaper);
    // Only now does the child end, and with it comes the report.
    drop(child.link);
    assert!(receiver.recv_timeout(PATIENCE).unwrap());
    until("the thread of the reaper ends", || threads_of_ours().is_empty());
}
