//! What the tests of ways to other places need on this machine: shells, an ssh server, su and its like.

use std::{path::Path, process::Command};

use crate::run;

/// A program of each package, by which it is seen whether that is there, and the package in Debian.
const NEEDED: [(&str, &str); 18] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
    ("/usr/bin/doas", "opendoas"),
    ("/bin/busybox", "busybox-static"),
    ("/bin/mksh", "mksh"),
    ("/bin/zsh", "zsh"),
    ("/usr/bin/fish", "fish"),
    ("/bin/tcsh", "tcsh"),
    ("/usr/bin/podman", "podman"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/sbin/slurmctld", "slurmctld"),
    ("/usr/sbin/slurmd", "slurmd"),
    ("/usr/bin/srun", "slurm-client"),
    ("/usr/bin/python3", "python3-minimal"),
    ("/usr/bin/unshare", "util-linux"),
];

/// Installs what the tests need.
pub(crate) fn install() {
    install_missing(&NEEDED);
}

/// Installs what is not there, where that can be done: by apt, as root. What is missing afterwards is for the tests to
/// say.
pub(crate) fn install_missing(needed: &[(&str, &str)]) {
    let missing = needed.iter().filter(|(program, _)| !Path::new(program).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() || !rustix::process::geteuid().is_root() {
        return;
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(words);
        // Without apt, or without a network, there is nothing more to do.
        run::capture(&mut command).is_ok_and(|captured| captured.success)
    };
    let _ = apt(&["update"]) && apt(&[&["install", "--no-install-recommends"], &packages[..]].concat());
}
