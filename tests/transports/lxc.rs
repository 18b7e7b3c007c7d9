//! Containers of LXC, entered by lxc-attach.

use std::{fs, path::Path, process::Command};

use offshoot_parent::prelude::*;
use offshoot_tests::{
    far::{Apart, Daemon, busybox_root, try_to},
    real::Signal,
};

use crate::far::{Missing, payload, program};

crate::tests![what_keeps_lxc_from_a_container_is_told_by_kind];

/// Its clients find it by a name that each network has for itself, so that it shares ours. The container goes with what
/// watches it.
const APART: Apart<'_> = Apart { namespaces: &["--mount"], hidden: &["/run"], end: (Signal::KILL, "KILL") };
/// Where the clients keep their locks, by the paths of containers.
const LOCKS: &str = "/run/lxc/lock";

/// A container, `far`, and who watches it.
pub(crate) struct Lxc {
    daemon: Daemon,
}

impl Lxc {
    /// With that root folder.
    pub(crate) fn new(root: &Path) -> Result<Self, Missing> {
        let start = program("lxc-start")?;
        let mut engine = Self { daemon: Daemon::new("lxc")? };
        let at = engine.daemon.file("");
        fs::create_dir(engine.daemon.file("far")).unwrap();
        fs::create_dir_all(root.join("sys")).unwrap();
        let config = format!(
            "lxc.rootfs.path = dir:{}\nlxc.uts.name = far\nlxc.net.0.type = empty\nlxc.init.cmd = /bin/sleep 1000\n\
             lxc.apparmor.profile = unconfined\nlxc.mount.auto = proc:rw sys:ro\nlxc.cgroup.dir = {}\n",
            root.display(),
            engine.daemon.group()
        );
        fs::write(engine.daemon.file("far/config"), config).unwrap();
        let words = ["-F", "-P", &at, "-n", "far"].map(str::to_owned);
        let words = [&[start.display().to_string()][..], &words].concat();
        let mut asked = engine.attach();
        asked.args(["-n", "far", "--", "true"]);
        engine.daemon.start(APART, &words, || try_to(&mut asked).is_ok())?;
        Ok(engine)
    }

    /// A container of that name.
    pub(crate) fn enter(&self, name: &str, payload: &Payload) -> Container {
        let there = ["-P".to_owned(), self.daemon.file("")];
        Container::lxc(name).option(there).payload(payload.clone())
    }

    fn attach(&self) -> Command {
        let mut command = Command::new("lxc-attach");
        command.args(["-P", &self.daemon.file("")]);
        command
    }
}

impl Drop for Lxc {
    fn drop(&mut self) {
        let locks = format!("{LOCKS}{}", self.daemon.file(""));
        drop(fs::remove_dir_all(&locks));
        // Those that nobody else uses.
        let above = Path::new(&locks).ancestors().skip(1).take_while(|path| path.starts_with("/run/lxc"));
        above.for_each(|path| drop(fs::remove_dir(path)));
    }
}

fn what_keeps_lxc_from_a_container_is_told_by_kind() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Lxc::new(root.path())?;
    let error = |name: &str| Router::new().unwrap().connect(engine.enter(name, &leaf)).unwrap_err();
    assert_eq!(error("nosuch").code(), "no_container");
    fs::remove_file(root.path().join("bin/sh")).unwrap();
    let no_shell = error("far");
    assert_eq!(no_shell.code(), "no_shell", "{no_shell}");
    Ok(())
}
