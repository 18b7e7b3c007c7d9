//! Containers and namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::{
    far::{busybox_root, try_to},
    real::{PATIENCE, descendants, eventually, is_gone, reap_orphans},
};
use tempfile::TempDir;

use crate::{
    beside::attacked,
    far::{ADD, Missing, as_root, payload, program, run},
};

crate::tests![
    a_root_with_busybox_alone_will_do,
    the_namespaces_of_a_process_are_entered,
    a_folder_becomes_a_container_by_nspawn,
    a_container_of_podman_is_entered,
    a_container_without_a_shell_is_entered_by_a_descriptor,
    attack_62_what_enters_a_hostile_image_has_the_rights_of_that_image_alone,
];

fn works(method: impl Method) {
    let router = Router::new().unwrap();
    assert_eq!(router.connect(method).unwrap().call(ADD, (2, 3)).unwrap(), 5);
}

fn a_root_with_busybox_alone_will_do() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    // Without /proc the file has a name until the end.
    let there = root.path().to_str().unwrap();
    works(Chroot::new(there).payload(leaf.clone()));
    assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);

    fs::remove_file(root.path().join("bin/sh")).unwrap();
    let error = Router::new().unwrap().connect(Chroot::new(there).payload(leaf)).unwrap_err();
    assert_eq!(error.code(), "no_shell", "{error}");
    Ok(())
}

/// A process in namespaces of its own while the value lives.
pub(crate) struct Namespaces {
    outer: Child,
    pub(crate) pid: u32,
}

impl Namespaces {
    pub(crate) fn new() -> Result<Self, Missing> {
        as_root()?;
        let words = ["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--mount-proc"];
        Self::of(Command::new(program("unshare")?).args(words).args(["sleep", "1000"]))
    }

    /// Those in which the child of a command becomes `sleep`.
    fn of(command: &mut Command) -> Result<Self, Missing> {
        let outer = command.spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let pid = eventually("it has its child", Duration::from_secs(5), || {
            let pid = fs::read_to_string(&children).ok()?.trim().parse().ok()?;
            // Until it has become the program, its namespaces are still being made.
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n").then_some(pid)
        });
        Ok(Self { outer, pid })
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.outer.kill());
        drop(self.outer.wait());
    }
}

fn the_namespaces_of_a_process_are_entered() -> Result<(), Missing> {
    let (leaf, namespaces) = (payload("leaf")?, Namespaces::new()?);
    let router = Router::new().unwrap();
    for (user, ids) in [(None, [0, 0]), (Some("1000:100"), [1000, 100]), (Some("65534"), [65534, 65534])] {
        let there = Container::nsenter(namespaces.pid).payload(leaf.clone());
        let there = if let Some(user) = user { there.user(user) } else { there };
        let child = router.connect(there).unwrap();
        assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
        let entered = entered(namespaces.pid);
        assert_same_namespaces(entered, namespaces.pid, &["ipc", "mnt", "net", "pid", "uts"]);
        let [uid, gid] = ids.map(|id| format!("{id}\t{id}\t{id}\t{id}"));
        assert_eq!([status(entered, "Uid:"), status(entered, "Gid:")], [uid, gid]);
        assert!(user.is_none() || status(entered, "Groups:").is_empty());
        child.shutdown().wait_timeout(PATIENCE).unwrap();
    }
    let gone = Container::nsenter(4_000_000).payload(leaf);
    assert_eq!(Router::new().unwrap().connect(gone).unwrap_err().code(), "no_container");
    Ok(())
}

fn a_folder_becomes_a_container_by_nspawn() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    program("systemd-nspawn")?;
    let there =
        || Nspawn::new(root.path().to_str().unwrap()).option(["--private-network"]).payload(leaf.clone());
    let error = Router::new().unwrap().connect(there()).unwrap_err();
    assert_eq!(error.code(), "no_container", "{error}");
    fs::create_dir(root.path().join("usr")).unwrap();
    fs::write(root.path().join("etc/os-release"), "ID=far\n").unwrap();
    let router = Router::new().unwrap();
    nspawn_makes_one_of(root.path())?;
    let inside = router.connect(there()).unwrap();
    assert_eq!(inside.call(ADD, (2, 3)).unwrap(), 5);
    Ok(())
}

/// Whether this machine lets one be made is not for us to say.
pub(crate) fn nspawn_makes_one_of(root: &Path) -> Result<(), Missing> {
    let mut alone = Command::new(program("systemd-nspawn")?);
    alone
        .args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--directory"])
        .arg(root)
        .args(["/bin/sh", "-c", "exit 0"]);
    let ended = alone.stdin(Stdio::null()).output().unwrap();
    let said = || Missing::because(format!("systemd-nspawn: {}", String::from_utf8_lossy(&ended.stderr)));
    ended.status.success().then_some(()).ok_or_else(said)
}

/// What is said of each container: neither a network nor more than this machine has.
pub(crate) const RUN: [&str; 8] =
    ["--network", "none", "--pull", "never", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"];

/// An engine of our own, with one image and one container.
pub(crate) struct Podman {
    folder: TempDir,
    pub(crate) words: Vec<String>,
}

impl Podman {
    pub(crate) fn new(root: &Path) -> Result<Self, Missing> {
        let podman = program("podman")?;
        let folder = tempfile::Builder::new().prefix("podman-").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let options = [
            ("--root", at("root")),
            ("--runroot", at("run")),
            ("--tmpdir", at("tmp")),
            ("--cgroup-manager", "cgroupfs".into()),
            ("--events-backend", "file".into()),
        ];
        let mut words = vec![podman.display().to_string()];
        // What podman takes by itself may want control groups of another kind than there are.
        words.extend(
            program("runc").into_iter().flat_map(|runc| ["--runtime".into(), runc.display().to_string()]),
        );
        words.extend(options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        let engine = Self { folder, words };
        run(&["tar", "-C", root.to_str().unwrap(), "-cf", &engine.file("image.tar"), "."]);
        engine.run(&["import", "-q", &engine.file("image.tar"), "far:1"])?;
        engine.run(&[&["run", "-d", "--name", "c"][..], &RUN, &["far:1", "/bin/sleep", "1000"]].concat())?;
        Ok(engine)
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, words: &[&str]) -> Result<(), Missing> {
        try_to(self.command().args(words))
    }

    /// Runs it until `end` at most. It waits for processes of containers that are gone, and dead ones of those that lost their
    /// parent are ours to reap.
    fn try_until(&self, words: &[&str], end: Instant) {
        let mut command = self.command();
        let Ok(mut process) = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            return;
        };
        let own = BTreeSet::from([process.id()]);
        while Instant::now() < end && matches!(process.try_wait(), Ok(None)) {
            rest(&own);
        }
        drop(process.kill());
        drop(process.wait());
    }

    /// Whether a process of it lives.
    fn is_at_work(&self) -> bool {
        let folder = self.file("");
        let words = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        descendants().iter().any(|pid| String::from_utf8_lossy(&words(pid)).contains(&folder))
    }

    fn has_no_container(&self) -> bool {
        let listed = self.command().args(["ps", "-a", "-q"]).output();
        listed.is_ok_and(|listed| listed.status.success() && listed.stdout.is_empty())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }
}

/// For a moment, in which others end; all but `these` are reaped.
fn rest(these: &BTreeSet<u32>) {
    reap_orphans(these);
    std::thread::park_timeout(Duration::from_millis(20));
}

impl Drop for Podman {
    fn drop(&mut self) {
        // One that ends by itself may be on its way out: then it can neither be removed nor is it gone.
        let end = Instant::now() + PATIENCE;
        while !self.has_no_container() && Instant::now() < end {
            self.try_until(&["rm", "-f", "-t", "0", "-a"], end);
        }
        self.try_until(&["rmi", "-f", "-a"], end);
        // What it has left behind to tidy up after a container mounts the store once more.
        while self.is_at_work() && Instant::now() < end {
            rest(&BTreeSet::new());
        }
        // What it has mounted below its folder.
        drop(Command::new("umount").arg(self.file("root/overlay")).stderr(Stdio::null()).status());
    }
}

fn error_of(method: impl Method) -> ConnectError {
    Router::new().unwrap().connect(method).unwrap_err()
}

fn a_container_of_podman_is_entered() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Podman::new(root.path())?;
    let by = |name: &str| {
        Container::podman(name).program(&engine.words[0]).option(&engine.words[1..]).payload(leaf.clone())
    };
    works(by("c"));
    works(by("c").user("1000"));
    works(Image::podman("far:1").program(&engine.words).option(RUN).payload(leaf.clone()));
    let error = |method: Container| error_of(method);
    assert_eq!(error(by("nosuch")).code(), "no_container");
    let sealed = ["--read-only", "--read-only-tmpfs=false"];
    let no_place = Image::podman("far:1").program(&engine.words).option(RUN).option(sealed);
    let no_place = error_of(no_place.payload(leaf.clone()));
    assert_eq!(no_place.code(), "no_place", "{no_place}");
    // Not every machine can pause one.
    if engine.run(&["pause", "c"]).is_ok() {
        assert_eq!(error(by("c")).code(), "no_container");
        engine.run(&["unpause", "c"])?;
    }
    engine.run(&["stop", "-t", "0", "c"])?;
    assert_eq!(error(by("c")).code(), "no_container");
    Ok(())
}

/// What the kernel says of a process, by the word.
fn status(pid: u32, word: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.trim().to_owned()
}

fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

/// Who has entered the namespaces of a process, beside the process itself.
fn entered(there: u32) -> u32 {
    let is_inside =
        |pid: &u32| *pid != there && !is_gone(*pid) && namespace(*pid, "pid") == namespace(there, "pid");
    descendants().into_iter().find(is_inside).unwrap()
}

/// Those of the process, of which `other` are other ones than ours.
#[track_caller]
fn assert_same_namespaces(entered: u32, there: u32, other: &[&str]) {
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        assert_eq!(namespace(entered, kind), namespace(there, kind));
        assert_eq!(
            namespace(entered, kind) != namespace(std::process::id(), kind),
            other.contains(&kind),
            "{kind}"
        );
    }
}

fn attack_62_what_enters_a_hostile_image_has_the_rights_of_that_image_alone() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    as_root()?;
    program("perl")?;
    // A process with namespaces of its own, which may read the files of all, and do nothing else as root.
    let (setpriv, unshare) = (program("setpriv")?, program("unshare")?);
    let script =
        format!("exec {} --bounding-set=-all,+dac_override --no-new-privs sleep 1000", setpriv.display());
    let words =
        "--fork --kill-child --user --map-root-user --cgroup --pid --mount --uts --ipc --net --mount-proc";
    let image = Namespaces::of(Command::new(unshare).args(words.split(' ')).args(["sh", "-c", &script]))?;
    let secret = tempfile::tempfile().unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    attacked(|root| {
        root.works(Container::nsenter(image.pid).without_shell().payload(leaf));
        let entered = entered(image.pid);
        assert_same_namespaces(entered, image.pid, &["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]);
        for word in ["CapBnd:", "CapEff:", "CapPrm:"] {
            assert_eq!(status(entered, word), "0000000000000002", "{word}");
        }
        assert_eq!(status(entered, "NoNewPrivs:"), "1");
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", image.pid)).unwrap();
        let is_mounted_there = |id: &str| mounts.lines().any(|mount| mount.split(' ').next() == Some(id));
        // A folder outside has the number of a mount that is none of those there.
        let mount_in = |about: &str| {
            about.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap().trim().to_owned()
        };
        let mount_of = |file: &str| {
            let open = fs::File::open(file).unwrap();
            mount_in(&fs::read_to_string(format!("/proc/self/fdinfo/{}", open.as_raw_fd())).unwrap())
        };
        for place in ["cwd", "root"] {
            assert!(
                is_mounted_there(&mount_of(&format!("/proc/{entered}/{place}"))),
                "its {place} is outside"
            );
        }
        assert!(!is_mounted_there(&mount_of("/proc/self/cwd")));
        // Nothing of ours is open there. It has its link, an end of two pipes; what is empty in place of that, from there; both ends of what it
        // prints into; and what it sleeps on.
        let files = fs::read_dir(format!("/proc/{entered}/fd")).unwrap().flatten();
        let open =
            files.map(|file| (file.file_name(), fs::read_link(file.path()).unwrap().display().to_string()));
        let open: BTreeMap<_, _> = open.collect();
        let kind = |front: &str| open.values().filter(|what| what.starts_with(front)).collect::<Vec<_>>();
        let pipes = kind("pipe:");
        let has_both_ends = |pipe: &&String| pipes.iter().filter(|other| *other == pipe).count() == 2;
        let printed = pipes.iter().filter(|pipe| has_both_ends(pipe)).count();
        let others = [kind("/dev/null"), kind("anon_inode:")].map(|kind| kind.len());
        assert_eq!((pipes.len() - printed, printed, others), (2, 4, [1, open.len() - 7]), "{open:?}");
        let empty = fs::read_to_string(format!("/proc/{entered}/fdinfo/0")).unwrap();
        assert!(open[OsStr::new("0")] == "/dev/null" && is_mounted_there(&mount_in(&empty)), "{open:?}");
    });
    Ok(())
}

fn a_container_without_a_shell_is_entered_by_a_descriptor() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    as_root()?;
    let root = tempfile::Builder::new().prefix("root-").tempdir().unwrap();
    fs::create_dir(root.path().join("bin")).unwrap();
    fs::copy(program("busybox")?, root.path().join("bin/sleep")).unwrap();
    let engine = Podman::new(root.path())?;
    let there =
        || Container::podman("c").program(&engine.words[0]).option(&engine.words[1..]).payload(leaf.clone());
    let error = |method| Router::new().unwrap().connect(method).unwrap_err();
    let no_shell = error(there());
    assert_eq!(no_shell.code(), "no_shell", "{no_shell}");
    let router = Router::new().unwrap();
    let inside = router.connect(there().without_shell()).unwrap();
    assert_eq!(inside.call(ADD, (2, 3)).unwrap(), 5);
    // It is there, beside the process that the container runs: the root folder of both is that of the image.
    let is_inside =
        |pid: &u32| fs::read_dir(format!("/proc/{pid}/root/bin")).is_ok_and(|files| files.count() == 1);
    let inside_now = descendants().iter().filter(|pid| is_inside(pid)).count();
    assert!(inside_now >= 2, "{inside_now}");
    drop(router);
    engine.run(&["stop", "-t", "0", "c"])?;
    assert!(["no_container", "exited"].contains(&error(there().without_shell()).code()));
    assert_eq!(error(Container::kubectl("p").without_shell().payload(leaf)).code(), "bad_place");
    Ok(())
}
