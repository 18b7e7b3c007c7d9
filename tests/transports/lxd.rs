//! Instances of LXD, entered by `lxc exec`.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use offshoot_parent::{Plan, prelude::*};
use offshoot_tests::{
    far::{Apart, Daemon, busybox_root, try_to},
    real::Signal,
};

use crate::far::{Missing, Planned, payload, program, run};

crate::tests![what_keeps_lxd_from_an_instance_is_told_by_kind];

/// With a network of its own it makes neither bridges nor rules here, and asks nobody for images.
const APART: Apart<'_> =
    Apart { namespaces: &["--mount", "--net"], hidden: &["/run"], end: (Signal::POWER, "PWR") };
/// What it is set up with: a folder for what it stores, and no network.
const SEED: &str = "storage_pools: [{name: default, driver: dir}]\n\
     profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]\n";

/// A daemon with one instance, `far`.
pub(crate) struct Lxd {
    daemon: Daemon,
}

impl Lxd {
    /// With an image that is made of that root folder.
    pub(crate) fn new(root: &Path) -> Result<Self, Missing> {
        let (lxd, _client) = (program("lxd")?, program("lxc")?);
        let mut engine = Self { daemon: Daemon::new("lxd")? };
        let at = |name: &str| engine.daemon.file(name);
        fs::create_dir(at("data")).unwrap();
        let [(name, folder), _] = engine.env();
        let words = ["env".to_owned(), format!("{name}={folder}"), lxd.display().to_string()];
        let flags = ["--group", "root", "--logfile", &at("lxd.log")].map(str::to_owned);
        let words = [&words[..], &flags].concat();
        let mut asked = engine.command("lxc", &["info"]);
        engine.daemon.start(APART, &words, || try_to(&mut asked).is_ok())?;
        engine.set_up(root)?;
        Ok(engine)
    }

    fn set_up(&self, root: &Path) -> Result<(), Missing> {
        let at = |name: &str| self.daemon.file(name);
        let mut init = self.command("lxd", &["init", "--preseed"]).stdin(Stdio::piped()).spawn().unwrap();
        init.stdin.take().unwrap().write_all(SEED.as_bytes()).unwrap();
        if !init.wait().unwrap().success() {
            return Err(Missing::because("lxd cannot be set up"));
        }
        fs::write(at("metadata.yaml"), "architecture: x86_64\ncreation_date: 1\n").unwrap();
        run(&["tar", "-C", &at(""), "-czf", &at("about.tgz"), "metadata.yaml"]);
        run(&["tar", "-C", root.to_str().unwrap(), "-czf", &at("root.tgz"), "."]);
        self.run(&["image", "import", &at("about.tgz"), &at("root.tgz"), "--alias", "far"])?;
        // It is to end at once when the daemon does.
        let settings = format!(
            "raw.lxc=lxc.init.cmd=/bin/sleep 1000\nlxc.signal.halt=SIGKILL\nlxc.cgroup.dir={}",
            self.daemon.group()
        );
        self.run(&["launch", "far", "far", "-c", "security.privileged=true", "-c", &settings])
    }

    /// The way to an instance, by this daemon.
    pub(crate) fn plan(&self, instance: Container) -> Plan {
        let mut plan = instance.plan();
        if let Some(transport) = &mut plan.transport {
            transport.env.extend(self.env().map(|(name, value)| (name.to_owned(), value)));
        }
        plan
    }

    /// By what its clients find it and their own files.
    fn env(&self) -> [(&'static str, String); 2] {
        [("LXD_DIR", self.daemon.file("data")), ("LXD_CONF", self.daemon.file("client"))]
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program(name).unwrap());
        command.args(words).envs(self.env()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Result<(), Missing> {
        try_to(&mut self.command("lxc", words))
    }
}

fn what_keeps_lxd_from_an_instance_is_told_by_kind() -> Result<(), Missing> {
    let (root, leaf) = (busybox_root()?, payload("leaf")?);
    let engine = Lxd::new(root.path())?;
    let there = |name: &str| Planned(engine.plan(Container::lxd(name).payload(leaf.clone())));
    let error = |name: &str| Router::new().unwrap().connect(there(name)).unwrap_err();
    assert_eq!(error("nosuch").code(), "no_container");
    engine.run(&["pause", "far"]).unwrap();
    assert_eq!(error("far").code(), "no_container");
    engine.run(&["start", "far"]).unwrap();
    engine.run(&["exec", "far", "--", "rm", "/bin/sh"]).unwrap();
    let no_shell = error("far");
    assert_eq!(no_shell.code(), "no_shell", "{no_shell}");
    engine.run(&["stop", "--force", "far"]).unwrap();
    assert_eq!(error("far").code(), "no_container");
    Ok(())
}
