//! A machine of systemd. Whoever enters one asks the systemd of his own machine for it, and this one may have another init: so the
//! machine is in another, which is booted for the test. Both have the programs of this one, and what they write is lost.

use std::{
    fs,
    process::{Command, Stdio},
};

use offshoot_parent::prelude::*;
use offshoot_tests::{
    far::{Apart, Daemon, try_to},
    real::{Signal, descendants},
};

use crate::far::{ADD, Missing, payload, program, run};

crate::tests![a_unit_of_the_same_machine_can_have_bounds, what_keeps_systemd_from_a_machine_is_told_by_kind,];

/// With the first of its processes all others go.
const APART: Apart<'_> = Apart {
    namespaces: &["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
    hidden: &[],
    end: (Signal::KILL, "KILL"),
};

/// Boots, in a control group of its own, a machine in whose place nothing else is started than another one.
const BOOT: &str = "set -e; group=$0; cd $1\n\
    for all in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do\n\
    [ ! -e $all/cgroup.procs ] || { mkdir $all/$group; echo 0 >$all/$group/cgroup.procs; }\n\
    done\n\
    mount -t tmpfs -o mode=755 none .; cd .\n\
    for it in outer inner; do\n\
    mkdir -p $it $it.work $it.upper/etc/systemd/system\n\
    printf '%s\\n' [Unit] Wants=dbus.socket After=dbus.socket [Service] \"ExecStart=$2\" >$it.upper/etc/systemd/system/far.service\n\
    mount -t overlay -o lowerdir=/,upperdir=$it.upper,workdir=$it.work none $it\n\
    done\n\
    exec systemd-nspawn --quiet --directory=outer --bind=$PWD/inner:/mnt --register=no --keep-unit --private-network --boot \
    systemd.unit=far.service";

/// What the outer one starts: the inner one, `far`.
const INNER: &str =
    "systemd-nspawn --quiet --directory=/mnt --machine=far --private-network --boot systemd.unit=dbus.socket";

/// The two.
pub(crate) struct Machines {
    daemon: Daemon,
}

impl Machines {
    pub(crate) fn new() -> Result<Self, Missing> {
        for tool in ["systemd-nspawn", "systemd-run", "dbus-daemon"] {
            program(tool)?;
        }
        let mut machines = Self { daemon: Daemon::new("machines")? };
        let (at, group, client) =
            (machines.file("fs"), machines.daemon.group(), machines.file("systemd-run"));
        fs::create_dir(&at).unwrap();
        let words = ["sh", "-c", BOOT, &group, &at, INNER].map(str::to_owned);
        let is_up = || {
            let Some(outer) = outer() else { return false };
            fs::write(&client, format!("#!/bin/sh\nexec nsenter -t {outer} -m -p systemd-run \"$@\"\n"))
                .unwrap();
            run(&["chmod", "700", &client]);
            let mut asked = Command::new(&client);
            asked.args(["-M", "far", "--pipe", "--wait", "true"]).stdin(Stdio::null());
            try_to(&mut asked).is_ok()
        };
        machines.daemon.start(APART, &words, is_up)?;
        Ok(machines)
    }

    /// One of that name, which the outer one knows.
    pub(crate) fn enter(&self, name: &str, payload: &Payload) -> Container {
        Container::machine(name).program(self.file("systemd-run")).payload(payload.clone())
    }

    fn file(&self, name: &str) -> String {
        self.daemon.file(name)
    }
}

/// The first process of the outer machine, once it is systemd.
fn outer() -> Option<u32> {
    let is_it = |pid: &u32| {
        let of = |what| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        of("comm") == "systemd\n" && of("cmdline").ends_with("\0systemd.unit=far.service\0")
    };
    descendants().into_iter().find(is_it)
}

fn a_unit_of_the_same_machine_can_have_bounds() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let machines = Machines::new()?;
    let router = Router::new().unwrap();
    let here = machines.enter(".host", &leaf).option(["--property=LimitNOFILE=77"]);
    let child = router.connect(here).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    let is_child = |pid: &u32| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        limits.lines().any(|line| line.starts_with("Max open files") && line.contains(" 77 "))
    };
    assert_eq!(descendants().iter().filter(|pid| is_child(pid)).count(), 1);
    Ok(())
}

fn what_keeps_systemd_from_a_machine_is_told_by_kind() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let machines = Machines::new()?;
    let error = |method: Container| Router::new().unwrap().connect(method).unwrap_err();
    // Here, unless this machine has it as its init.
    let nowhere = Container::machine("far").payload(leaf.clone());
    assert!(["no_engine", "no_container"].contains(&error(nowhere).code()));
    let unknown = error(machines.enter("nosuch", &leaf));
    assert_eq!(unknown.code(), "no_container", "{unknown}");
    // systemd says it by a number alone.
    let nobody = error(machines.enter("far", &leaf).user("nosuch"));
    assert!(nobody.code() == "exited" && nobody.to_string().contains("exit status 217"), "{nobody}");
    Ok(())
}
