//! Runs tests one after the other in a program that is also their payload, and proves after each that nothing is left.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper};

/// Nothing that a test waits for takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A test: its name is what it claims.
pub(crate) type Test = (&'static str, fn());

/// Runs them in turn, since each looks for what it left.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    // What a child leaves behind becomes ours, and so is seen.
    set_child_subreaper(Some(getpid())).unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trial = |(name, test): &Test| {
        let (name, test) = (*name, *test);
        Trial::test(name, move || {
            let before = descriptors();
            test();
            nothing_is_left(&before);
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, tests.iter().map(trial).collect()).exit_code()
}

fn nothing_is_left(before: &BTreeMap<u64, String>) {
    // Threads end by themselves once their context has; a dead grandchild is ours to reap.
    eventually("the threads of the library are gone", || {
        let threads = threads();
        threads.is_empty().then_some(()).ok_or_else(|| format!("{threads:?}"))
    });
    eventually("no process is left", || match rustix::process::wait(WaitOptions::NOHANG) {
        Err(rustix::io::Errno::CHILD) => Ok(()),
        left => Err(format!("{left:?}")),
    });
    eventually("no descriptor is left", || {
        let now = descriptors();
        (now == *before).then_some(()).ok_or_else(|| format!("{now:?}\nbefore: {before:?}"))
    });
}

/// Looks until `claim` holds, within [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut claim: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + PATIENCE;
    while let Err(state) = claim() {
        assert!(Instant::now() < end, "not so: {what}: {state}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// The descriptors of this process, each with what it is.
pub(crate) fn descriptors() -> BTreeMap<u64, String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let named = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        // The descriptor that reads this very list is gone when it is looked at.
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        // A thread that has slept keeps its sleeper until it ends; that of the main thread stays.
        let is_own = target.ends_with("/fd") || target.contains("eventfd");
        (!is_own).then_some((entry.file_name().to_string_lossy().parse().unwrap(), target))
    });
    named.collect()
}

fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("offshoot")).collect()
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// A folder of the test's own.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// An executable script of these lines.
    pub(crate) fn script(&self, lines: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join("script");
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }
}
