//! What a test must not leave behind: descriptors, threads, processes, files.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitOptions, set_child_subreaper, waitpid};

use super::descendants;

/// How long what a test has ended may take to be gone.
const LIMIT: Duration = Duration::from_secs(10);

/// What was there before a test.
#[derive(Debug)]
pub struct Watch {
    descriptors: BTreeSet<u32>,
    threads: usize,
    processes: BTreeSet<u32>,
    files: BTreeSet<PathBuf>,
}

/// What a test has left: each thing with what it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Processes below this one, by pid; dead ones that nobody has reaped included.
    pub processes: Vec<(u32, String)>,
    /// Open descriptors of this process.
    pub descriptors: Vec<(u32, PathBuf)>,
    /// Files where a context could leave some.
    pub files: Vec<PathBuf>,
    /// How many threads more this process has.
    pub threads: usize,
}

impl Watch {
    /// Looks round before a test. Orphans come to this process from now on.
    ///
    /// # Panics
    /// If the kernel does not make this process a subreaper.
    #[must_use]
    pub fn begin() -> Self {
        adopt_orphans();
        Self {
            descriptors: descriptors(),
            threads: threads(),
            processes: descendants().into_iter().collect(),
            files: files(),
        }
    }

    /// Looks round after a test.
    ///
    /// # Panics
    /// If anything is left that was not there before; says what.
    pub fn end(self) {
        let end = Instant::now() + LIMIT;
        let mut rest = Duration::from_millis(2);
        loop {
            reap_orphans(&self.processes);
            let left = self.left();
            if left == Left::default() {
                return;
            }
            assert!(Instant::now() < end, "left behind after {LIMIT:?}: {left:?}");
            // Looking takes its time too.
            std::thread::park_timeout(rest);
            rest = (2 * rest).min(Duration::from_millis(40));
        }
    }

    /// What is there now and was not before.
    #[must_use]
    pub fn left(&self) -> Left {
        let processes = descendants().into_iter().filter(|pid| !self.processes.contains(pid));
        let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let target = |fd: &u32| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        Left {
            processes: processes.map(|pid| (pid, name(pid).trim().to_owned())).collect(),
            descriptors: descriptors().difference(&self.descriptors).map(|fd| (*fd, target(fd))).collect(),
            files: files().difference(&self.files).cloned().collect(),
            threads: threads().saturating_sub(self.threads),
        }
    }
}

/// Reaps dead orphans that came to this process: they are nobody else's to reap. Of the `others` somebody wants to know how
/// they end.
pub fn reap_orphans(others: &BTreeSet<u32>) {
    for pid in descendants().into_iter().filter(|pid| !others.contains(pid)) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // One that lives, or is somebody else's child, is looked at again.
            let _looked = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Whatever is started below this process and loses its parent comes to this one from now on.
///
/// # Panics
/// If the kernel does not make this process a subreaper.
pub fn adopt_orphans() {
    set_child_subreaper(Some(rustix::process::getpid())).expect("this process becomes a subreaper");
}

/// The open descriptors of this process.
#[must_use]
pub fn descriptors() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The one by which the folder itself was read is gone when it is looked at.
    numbers.into_iter().filter(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok()).collect()
}

/// How many threads this process has.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Files where a context could leave some.
#[must_use]
pub fn files() -> BTreeSet<PathBuf> {
    let places = [std::env::temp_dir(), "/dev/shm".into(), "/var/tmp".into()];
    let names = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    names.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("offshoot")).collect()
}
