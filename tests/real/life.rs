//! Processes that are killed, stopped and resumed, and what a lost parent means: 26, 27, 31.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, eventually,
    flows::ENGAGE,
    is_gone, kill,
    life::PREPARE_UNDO,
    table::{ADD, PID, TALLY, WORK},
};

use crate::bed::{chain, ended, hop, leaf, pid, root, script, stubborn, watched};

crate::tests![
    a_child_has_no_descriptors_and_no_signal_settings_of_whoever_started_it,
    t26_a_root_that_is_killed_takes_every_descendant_with_it_within_two_seconds,
    t26_so_do_leaves_that_never_come_back_from_a_call,
    t26_and_leaves_that_ignore_sigterm,
    t27_a_killed_child_is_lost_with_the_reason_and_its_siblings_live_on,
    t27_a_stopped_child_is_not_lost_and_works_on_when_it_is_resumed,
    t27_a_call_whose_time_passed_while_its_context_was_stopped_is_not_run,
    t27_what_runs_below_a_lost_hop_for_somebody_above_is_called_off,
    t27_a_half_open_link_is_found_by_ping_and_its_process_ended,
    t27_a_half_open_link_below_a_hop_is_found_by_the_hop,
    t27_children_of_a_root_that_hangs_find_it_by_ping,
    t31_on_parent_lost_runs_once_and_without_the_link,
    t31_it_is_waited_for_as_long_as_its_grace,
    t31_and_no_longer,
    t31_it_does_not_run_when_the_process_is_told_to_end,
];

/// How long descendants may outlive the root.
const TWO_SECONDS: Duration = Duration::from_secs(2);

/// A root in a process of its own, and the processes below it.
struct Foreign {
    root: Child,
    below: Vec<u32>,
}

impl Foreign {
    fn grow(args: &[&str], leaves: &[PathBuf]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grow"));
        let mut root = command.args(args).args(leaves).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(root.stdout.take().unwrap()).lines().map(Result::unwrap);
        let below = lines.take_while(|line| !line.is_empty()).map(|line| line.parse().unwrap()).collect();
        Self { root, below }
    }

    /// Waits until every process below is gone, and tells how long that took.
    fn wait(&self, since: Instant) -> Duration {
        for pid in &self.below {
            eventually(&format!("{pid} is gone"), PATIENCE, || is_gone(*pid).then_some(()));
        }
        since.elapsed()
    }

    fn kill(mut self) -> Duration {
        let since = Instant::now();
        self.root.kill().unwrap();
        let took = self.wait(since);
        self.root.wait().unwrap();
        took
    }
}

fn leaf_file() -> PathBuf {
    env!("CARGO_BIN_EXE_leaf").into()
}

fn a_child_has_no_descriptors_and_no_signal_settings_of_whoever_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "trap '' USR1 CHLD\nexec 7</dev/null 9>/dev/null\nexec perl -e 'use POSIX; \
         sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGALRM)); exec \"{}\"'",
        env!("CARGO_BIN_EXE_leaf")
    );
    let router = root();
    let file = script(folder.path(), "leaky", &text);
    let leaf = router.connect(Local::new(Payload::file(file).unwrap())).unwrap();
    let pid = pid(&router, &leaf);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        // Signals 32 and 33 are the C library's own, which lets nobody touch them.
        u64::from_str_radix(line.trim(), 16).unwrap() & !(0b11 << 31)
    };
    let sigpipe = 1 << (Signal::PIPE.as_raw() - 1);
    assert_eq!((mask("SigBlk:"), mask("SigIgn:")), (0, sigpipe), "{status}");
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let null = links.filter(|link| {
        let link = link.as_ref().unwrap();
        fs::read_link(link.path()).is_ok_and(|file| file == Path::new("/dev/null"))
    });
    assert_eq!(null.count(), 1, "its own stdin alone");
    assert_eq!(leaf.call(ADD, (2, 3)).unwrap(), 5);
}

fn t26_a_root_that_is_killed_takes_every_descendant_with_it_within_two_seconds() {
    let foreign = Foreign::grow(&["10000"], &[leaf_file(), leaf_file()]);
    assert_eq!(foreign.below.len(), 3 + 8, "three hops, and two leaves below each of them and the root");
    let took = foreign.kill();
    assert!(took < TWO_SECONDS, "{took:?}");
}

fn t26_so_do_leaves_that_never_come_back_from_a_call() {
    let took = Foreign::grow(&["10000", "spin"], &[leaf_file()]).kill();
    assert!(took < TWO_SECONDS, "{took:?}");
}

fn t26_and_leaves_that_ignore_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let took = Foreign::grow(&["10000", "spin"], &[stubborn(folder.path())]).kill();
    assert!(took < TWO_SECONDS, "{took:?}");
}

fn t27_a_killed_child_is_lost_with_the_reason_and_its_siblings_live_on() {
    let router = root();
    let (a, b) = (router.connect(leaf("a")).unwrap(), router.connect(leaf("b")).unwrap());
    let below = router.connect(hop("hop")).unwrap().connect(leaf("below")).unwrap();
    let lost = a.lost();
    kill(pid(&router, &a), Signal::KILL);
    let reason = lost.wait_timeout(PATIENCE).unwrap();
    assert!(!reason.is_empty());
    assert!(!a.is_alive() && b.is_alive());
    assert_eq!((b.call(ADD, (1, 1)).unwrap(), below.call(ADD, (1, 2)).unwrap()), (2, 3));
    // The hop reaps what it made.
    let (lost, process) = (below.lost(), pid(&router, &below));
    kill(process, Signal::KILL);
    lost.wait_timeout(PATIENCE).unwrap();
    eventually("the hop has reaped it", PATIENCE, || {
        (!Path::new(&format!("/proc/{process}")).exists()).then_some(())
    });
}

fn t27_a_stopped_child_is_not_lost_and_works_on_when_it_is_resumed() {
    let router = root();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let pids = [pid(&router, &hop), pid(&router, &leaf)];
    for process in pids {
        kill(process, Signal::STOP);
        let waiting = leaf.call_async(ADD, (2, 3));
        assert!(!waiting.ready_timeout(Duration::from_millis(200)));
        assert!(leaf.is_alive());
        kill(process, Signal::CONT);
        assert_eq!(waiting.wait_timeout(PATIENCE).unwrap(), 5);
    }
    assert_eq!(leaf.call(PID, ()).unwrap(), pids[1]);
}

fn t27_a_call_whose_time_passed_while_its_context_was_stopped_is_not_run() {
    let router = root();
    let leaf = router.connect(leaf("leaf")).unwrap();
    let (_, before) = leaf.call(TALLY, ()).unwrap();
    let process = pid(&router, &leaf);
    kill(process, Signal::STOP);
    let since = Instant::now();
    let error = leaf.with_timeout(Duration::from_millis(100)).call(WORK, 1).unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    assert!(since.elapsed() >= Duration::from_millis(100));
    kill(process, Signal::CONT);
    // Whatever it read before this call it has dealt with when this answer comes.
    assert_eq!(leaf.call(TALLY, ()).unwrap(), (0, before));
}

fn t27_what_runs_below_a_lost_hop_for_somebody_above_is_called_off() {
    let folder = tempfile::tempdir().unwrap();
    let (method, status) = watched(folder.path());
    let router = root();
    let chain = chain(&router, 3);
    let deep = chain[2].connect(method).unwrap();
    let (begun, started) = router.channel();
    let working = deep.call_async(ENGAGE, (begun, 60_000));
    started.recv_timeout(PATIENCE).unwrap();
    kill(pid(&router, &chain[0]), Signal::KILL);
    assert!(working.wait_timeout(PATIENCE).unwrap_err().is_lost());
    // It was told to end, and could: nothing had to be made to.
    assert_eq!(ended(&status), 0);
}

fn t27_a_half_open_link_is_found_by_ping_and_its_process_ended() {
    let router = Router::builder().ping(Duration::from_millis(100)).build().unwrap();
    let (a, b) = (router.connect(leaf("a")).unwrap(), router.connect(leaf("b")).unwrap());
    let process = pid(&router, &a);
    let (lost, waiting) = (a.lost(), a.call_async(WORK, 60_000));
    kill(process, Signal::STOP);
    let reason = lost.wait_timeout(PATIENCE).unwrap();
    assert!(reason.contains("silent") || reason.contains("sign of life"), "{reason}");
    assert!(waiting.wait_timeout(PATIENCE).unwrap_err().is_lost());
    eventually("a stopped process is ended all the same", PATIENCE, || is_gone(process).then_some(()));
    assert_eq!(b.call(ADD, (1, 1)).unwrap(), 2);
}

fn t27_a_half_open_link_below_a_hop_is_found_by_the_hop() {
    let router = Router::builder().ping(Duration::from_millis(100)).build().unwrap();
    let hop = router.connect(hop("hop")).unwrap();
    let leaf = hop.connect(leaf("leaf")).unwrap();
    let (lost, process) = (leaf.lost(), pid(&router, &leaf));
    kill(process, Signal::STOP);
    lost.wait_timeout(PATIENCE).unwrap();
    eventually("a stopped process is ended all the same", PATIENCE, || is_gone(process).then_some(()));
    assert_eq!(hop.call(ADD, (1, 1)).unwrap(), 2);
}

fn t27_children_of_a_root_that_hangs_find_it_by_ping() {
    let foreign = Foreign::grow(&["100"], &[leaf_file()]);
    kill(foreign.root.id(), Signal::STOP);
    foreign.wait(Instant::now());
    // It acts when it is resumed: its tree is gone.
    kill(foreign.root.id(), Signal::CONT);
    assert!(foreign.kill() < TWO_SECONDS);
}

/// A leaf that does something about a lost parent, below a hop; what it did, once the hop is killed.
struct Undo {
    folder: tempfile::TempDir,
    router: Router,
    hop: Context,
    leaf: Context,
    process: u32,
}

impl Undo {
    fn taking(ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let router = root();
        let hop = router.connect(hop("hop")).unwrap();
        let method = Local::new(Payload::file(env!("CARGO_BIN_EXE_undo")).unwrap());
        let leaf = hop.connect(method).unwrap();
        let file = folder.path().join("undone").into_os_string().into_string().unwrap();
        leaf.call(PREPARE_UNDO, (file, ms)).unwrap();
        let process = pid(&router, &leaf);
        Self { folder, router, hop, leaf, process }
    }

    /// Kills the parent; how long the child lived on.
    fn lose_parent(&self) -> Duration {
        let since = Instant::now();
        kill(pid(&self.router, &self.hop), Signal::KILL);
        eventually("the leaf is gone", PATIENCE, || is_gone(self.process).then_some(()));
        since.elapsed()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("undone")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn t31_on_parent_lost_runs_once_and_without_the_link() {
    let undo = Undo::taking(0);
    undo.lose_parent();
    let lines = undo.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("begun: ") && lines[0] != "begun: up", "{lines:?}");
    assert_eq!(lines[1], "done");
}

fn t31_it_is_waited_for_as_long_as_its_grace() {
    // Longer than an orphan has that asked for nothing.
    let undo = Undo::taking(1500);
    let lived = undo.lose_parent();
    assert_eq!(undo.lines().last().map(String::as_str), Some("done"), "after {lived:?}");
    assert!(lived >= Duration::from_millis(1500), "{lived:?}");
}

fn t31_and_no_longer() {
    let undo = Undo::taking(60_000);
    let lived = undo.lose_parent();
    let lines = undo.lines();
    assert!(lines.len() == 1 && lines[0].starts_with("begun: "), "{lines:?}");
    // Its grace is three seconds; what is over it is for a busy machine.
    assert!(lived < Duration::from_secs(5), "{lived:?}");
}

fn t31_it_does_not_run_when_the_process_is_told_to_end() {
    let undo = Undo::taking(0);
    undo.leaf.shutdown().wait_timeout(PATIENCE).unwrap();
    eventually("the leaf is gone", PATIENCE, || is_gone(undo.process).then_some(()));
    assert_eq!(undo.lines(), Vec::<String>::new());
    // Nor in one that is told because its parent is.
    let undo = Undo::taking(0);
    undo.hop.shutdown().wait_timeout(PATIENCE).unwrap();
    eventually("the leaf is gone", PATIENCE, || is_gone(undo.process).then_some(()));
    assert_eq!(undo.lines(), Vec::<String>::new());
}
