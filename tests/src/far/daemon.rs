//! A daemon of a test's own: it stands apart from this machine, and ends with its owner.

use std::{
    fs::{self, File},
    iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{Missing, as_root, program};
use crate::real::{PATIENCE, Signal, signalled};

/// Hides the folders up to a `--`: what is there is somebody else's, and what comes there goes with the daemon.
const HIDE: &str =
    "until [ \"$1\" = -- ]; do mount -t tmpfs none \"$1\" || exit; shift; done; shift; exec \"$@\"";
/// Where the hierarchies of control groups are, or the one that there is.
const GROUPS: &str = "/sys/fs/cgroup";

/// How a daemon stands apart from this machine.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// Its namespaces, by the options of unshare.
    pub namespaces: &'a [&'a str],
    /// Folders that are empty for it.
    pub hidden: &'a [&'a str],
    /// The signal that ends it, with all that it has begun, and its name.
    pub end: (Signal, &'a str),
}

/// A daemon with a folder of its own. It is told to end when this is dropped, or the thread ends that has started it, and is
/// killed if it does not.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    process: Option<(Child, Signal)>,
}

impl Daemon {
    /// One that has not been started.
    ///
    /// # Errors
    /// If this is not root.
    ///
    /// # Panics
    /// If there can be no folder for it.
    pub fn new(name: &str) -> Result<Self, Missing> {
        as_root()?;
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().unwrap();
        Ok(Self { folder, process: None })
    }

    /// A file of its own.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The control group below which it is to make its own.
    ///
    /// # Panics
    /// Never: the folder has a name.
    #[must_use]
    pub fn group(&self) -> String {
        self.folder.path().file_name().unwrap().to_string_lossy().into_owned()
    }

    /// Starts it by a command, and waits until it answers what it is asked.
    ///
    /// # Errors
    /// What it has said last, if it does not come up: whether this machine lets one run is not for a test to say.
    ///
    /// # Panics
    /// If the system does not start it.
    pub fn start(
        &mut self,
        apart: Apart<'_>,
        command: &[String],
        mut is_up: impl FnMut() -> bool,
    ) -> Result<(), Missing> {
        let log = File::create(self.file("log")).unwrap();
        let process = Command::new(program("setpriv")?)
            .args(["--pdeathsig", apart.end.1])
            .arg(program("unshare")?)
            .args(apart.namespaces)
            .args(["--propagation", "private", "sh", "-c", HIDE, "sh"])
            .args(apart.hidden)
            .arg("--")
            .args(command)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let (process, _) = self.process.insert((process, apart.end.0));
        let end = Instant::now() + PATIENCE;
        while !is_up() {
            if Instant::now() >= end || process.try_wait().unwrap().is_some() {
                let said = fs::read_to_string(self.file("log")).unwrap_or_default();
                let last = said.lines().next_back().unwrap_or("it said nothing");
                return Err(Missing::because(format!("{} does not come up: {last}", self.group())));
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends it, at the latest when its patience is over.
    fn end(&mut self) {
        let Some((mut process, signal)) = self.process.take() else { return };
        // It fails if it has ended by itself.
        signalled(process.id(), signal);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && matches!(process.try_wait(), Ok(None)) {
            thread::park_timeout(Duration::from_millis(10));
        }
        drop(process.kill());
        drop(process.wait());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        let below = fs::read_dir(GROUPS).into_iter().flatten().flatten().map(|hierarchy| hierarchy.path());
        let hierarchies = iter::once(PathBuf::from(GROUPS)).chain(below);
        let groups: Vec<_> = hierarchies.map(|hierarchy| hierarchy.join(self.group())).collect();
        // What it had in them may still be on its way out.
        let end = Instant::now() + PATIENCE;
        while !groups.iter().all(|group| remove_group(group)) {
            if Instant::now() >= end {
                assert!(thread::panicking(), "{groups:?} are in use");
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// Removes a control group with those below it; whether there is none any more.
fn remove_group(group: &Path) -> bool {
    let below = fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
    let below: Vec<PathBuf> = below.filter(|path| path.is_dir()).collect();
    for path in &below {
        remove_group(path);
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}
