//! What the tests of ways to other places need on this machine: shells, an ssh server, su and its like.

use crate::apt::{self, Needed};

/// A program of each package, by which it is seen whether that is there, and the package in Debian.
const NEEDED: [Needed; 18] = [
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
    apt::install_missing(NEEDED);
}
