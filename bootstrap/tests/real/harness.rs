//! What the tests share: scripts to start, a link to talk by, and the proof that nothing was left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::AsFd as _,
        unix::{fs::PermissionsExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, Local, Method as _, Payload, Spawned, spawn};
use rustix::{
    io::Errno,
    process::{
        Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process, set_child_subreaper,
        setrlimit, waitpid,
    },
};

/// Nothing that a test waits for takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Held by a test while it runs: tests take turns, since descriptors, children and limits belong to the process.
/// At its end no descriptor, process, thread of ours or file may be there that was not there before.
pub(crate) struct Quiet {
    before: BTreeMap<u64, String>,
    files: BTreeSet<PathBuf>,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) fn quiet() -> Quiet {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // What a child leaves behind becomes ours, and so is seen.
    set_child_subreaper(Some(getpid())).unwrap();
    Quiet { before: descriptors("self"), files: files(), _turn: turn }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        assert_eq!(descriptors("self"), self.before, "descriptors");
        assert_eq!(files(), self.files, "files in the temporary folders");
        assert!(threads_of_ours().is_empty(), "threads: {:?}", threads_of_ours());
        let left = rustix::process::wait(WaitOptions::NOHANG);
        assert_eq!(left.unwrap_err(), Errno::CHILD, "a child was left");
    }
}

/// The descriptors of a process, each with what it is.
pub(crate) fn descriptors(pid: &str) -> BTreeMap<u64, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let named = entries.map(|entry| entry.unwrap()).filter_map(|entry| {
        // The descriptor that reads this very list is gone when it is looked at.
        let target = fs::read_link(entry.path()).ok()?;
        let target = target.to_string_lossy().into_owned();
        let number = entry.file_name().to_string_lossy().parse().unwrap();
        (!target.ends_with("/fd")).then_some((number, target))
    });
    named.collect()
}

pub(crate) fn threads_of_ours() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("offshoot")).collect()
}

fn files() -> BTreeSet<PathBuf> {
    let folders = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".offshoot-")).collect()
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

    /// An executable file with that content.
    pub(crate) fn program(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }
}

pub(crate) fn start(payload: Payload) -> Result<Spawned, ConnectError> {
    spawn(&Local::new(payload).name("child").plan())
}

/// A child that runs these lines of shell.
pub(crate) fn shell(lines: &str) -> Spawned {
    let folder = Folder::new();
    let script = folder.program("script", format!("#!/bin/sh\n{lines}\n"));
    let mut spawned = start(Payload::file(script).unwrap()).unwrap();
    // The shell has opened its script once it speaks; only then may the folder go.
    let mut byte = [0];
    read(&mut spawned, &mut byte);
    assert_eq!(byte, *b"\n", "the first line of the script must be `echo`");
    spawned
}

/// A child that ends when its link does.
pub(crate) fn cat() -> Spawned {
    start(Payload::file("/bin/cat").unwrap()).unwrap()
}

fn socket(spawned: &Spawned) -> UnixStream {
    let socket = UnixStream::from(spawned.link.as_fd().try_clone_to_owned().unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(crate) fn read(spawned: &mut Spawned, buffer: &mut [u8]) {
    socket(spawned).read_exact(buffer).unwrap();
}

pub(crate) fn write(spawned: &Spawned, bytes: &[u8]) {
    socket(spawned).write_all(bytes).unwrap();
}

/// Ends the child's input, and reads its output to the end.
pub(crate) fn rest(spawned: &Spawned) -> String {
    let mut socket = socket(spawned);
    socket.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

/// Reads the child's stderr to the end.
pub(crate) fn stderr(spawned: &Spawned) -> String {
    let mut text = String::new();
    fs::File::from(spawned.stderr.try_clone().unwrap()).read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn pid(spawned: &Spawned) -> Pid {
    Pid::from_raw(i32::try_from(spawned.process.pid()).unwrap()).unwrap()
}

/// Waits until the child has loaded its program, which must be `cat`: a start returns a little earlier.
pub(crate) fn loaded(cat: &mut Spawned) {
    write(cat, b"?");
    read(cat, &mut [0]);
}

/// Stops the child. A stop that is only on its way would be overtaken by a signal of a smaller number.
pub(crate) fn stop(spawned: &Spawned) {
    kill_process(pid(spawned), Signal::STOP).unwrap();
    let (_, status) = waitpid(Some(pid(spawned)), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
}

/// Whether a process of that number is there, a zombie included.
pub(crate) fn exists(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid).is_ok()
}

/// Waits for what a child has left behind, which is ours now.
pub(crate) fn all_have_gone() {
    let has_none = || rustix::process::wait(WaitOptions::NOHANG).is_err_and(|error| error == Errno::CHILD);
    until("all have gone", has_none);
}

/// Looks again and again until it holds: for what nobody announces.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}

/// Runs `body` with room for so many more descriptors.
pub(crate) fn with_room_for<T>(more: u64, body: impl FnOnce() -> T) -> T {
    struct Restore(Rlimit);
    impl Drop for Restore {
        fn drop(&mut self) {
            setrlimit(Resource::Nofile, self.0).unwrap();
        }
    }
    // The kernel compares numbers, not counts: those below the highest that are free count as room too.
    let numbers: Vec<u64> = descriptors("self").into_keys().collect();
    let mut limit = 0;
    let mut room = 0;
    while room < more || numbers.iter().any(|number| *number < 3 && *number >= limit) {
        room += u64::from(!numbers.contains(&limit));
        limit += 1;
    }
    let old = getrlimit(Resource::Nofile);
    let maximum = old.maximum;
    let _restore = Restore(old);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
    body()
}
