//! What the tests of ways to other places need on this machine: shells, an ssh server, su and its like, containers.

use anyhow::Result;

use crate::{
    apt::{self, Needed},
    run,
    workspace::Workspace,
};

/// A program of each package, by which it is seen whether that is there, and the package in Debian.
const NEEDED: [Needed; 25] = [
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
    ("/usr/bin/doas", "opendoas"),
    ("/usr/include/security/pam_appl.h", "libpam0g-dev"),
    ("/usr/bin/google-authenticator", "libpam-google-authenticator"),
    ("/bin/busybox", "busybox-static"),
    ("/bin/mksh", "mksh"),
    ("/bin/zsh", "zsh"),
    ("/usr/bin/fish", "fish"),
    ("/bin/tcsh", "tcsh"),
    ("/usr/bin/podman", "podman"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/usr/bin/buildah", "buildah"),
    ("/usr/bin/lxc-start", "lxc"),
    ("/usr/bin/lxd", "lxd"),
    ("/usr/bin/lxc", "lxd-client"),
    ("/usr/bin/systemd-nspawn", "systemd-container"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/sbin/slurmctld", "slurmctld"),
    ("/usr/sbin/slurmd", "slurmd"),
    ("/usr/bin/srun", "slurm-client"),
    ("/usr/bin/python3", "python3-minimal"),
    ("/usr/bin/unshare", "util-linux"),
];

/// What runs a root folder of another processor: an emulator that needs nothing of that folder, and whatever lists tools.
const EMULATED: [Needed; 2] =
    [("/usr/bin/qemu-aarch64-static", "qemu-user-static"), ("/bin/busybox", "busybox-static")];

/// A sudo of which Debian 12 has no package. The version is that whose words were seen.
const SUDO_RS: [&str; 3] = ["sudo-rs", "--version", "0.2.15"];

/// Installs what the tests need. What is missing afterwards is for whoever needs it to say.
///
/// # Errors
/// In CI, if something that can be had here is not.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    apt::install_missing(NEEDED)?;
    // Without PAM's headers, or what it is made of, there is nothing more to do.
    sudo_rs(workspace).or_else(|error| if run::is_ci() { Err(error) } else { Ok(()) })
}

/// Gets what the tests of a root folder for arm64 need. What is missing afterwards is for them to say.
///
/// # Errors
/// In CI, if something that can be had here is not.
pub(crate) fn install_arm64(workspace: &Workspace) -> Result<()> {
    apt::install_missing(EMULATED)?;
    let folder = workspace.target_dir().join("arm64-root");
    if folder.join("bin/busybox").is_file() {
        return Ok(());
    }
    let unpacked = apt::unpack("busybox-static", "arm64", &folder.join("apt"), &folder);
    unpacked.or_else(|error| if run::is_ci() { Err(error) } else { Ok(()) })
}

/// Built, and put where nobody but the tests looks for it. They alone give it the rights of root, for as long as they run.
fn sudo_rs(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target_dir().join("sudo-rs");
    if !rustix::process::geteuid().is_root() || folder.join("bin/sudo").is_file() {
        return Ok(());
    }
    let mut command = run::cargo(workspace.root());
    command.args(["install", "--debug", "--locked", "--quiet", "--root"]).arg(&folder).args(SUDO_RS);
    if !run::is_ci() {
        // Without a network nobody is to wait for it.
        command.env("CARGO_NET_RETRY", "0");
    }
    // Its own folder: what builds beside it would wait for it.
    run::quietly(command.env("CARGO_TARGET_DIR", folder.join("build")))
}
