//! What the profiles `small` and `tiny` need: a compiler with the source of its std, and gcc and musl for each machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use offshoot_bootstrap::Machine;

use super::musl::Musl;
use crate::{run, workspace::Workspace};

/// What every machine needs: a file of each package, by which it is seen whether that is there, and the package.
const COMMON: [(&str, &str); 3] =
    [(SOURCE, "rust-web-src"), (RUSTC, "rustc-web"), ("/usr/lib/x86_64-linux-musl/libc.a", "musl-dev")];
/// Debian's compiler, and the source of the std that fits it.
const RUSTC: &str = "/usr/bin/rustc";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// What Debian has for another machine.
struct Other {
    gcc: (&'static str, &'static str),
    /// The program that runs its programs here; nothing where the processor does.
    emulator: Option<(&'static str, &'static str)>,
    musl: Musl,
}

fn other(machine: Machine) -> Option<Other> {
    let qemu = |program| Some((program, "qemu-user"));
    match machine {
        Machine::Aarch64 => Some(Other {
            gcc: ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-aarch64"),
            musl: Musl::Package("arm64"),
        }),
        Machine::Armv7 => Some(Other {
            gcc: ("/usr/bin/arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"),
            emulator: qemu("/usr/bin/qemu-arm"),
            musl: Musl::Package("armhf"),
        }),
        Machine::I686 => Some(Other {
            gcc: ("/usr/bin/i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
            emulator: None,
            musl: Musl::Package("i386"),
        }),
        Machine::Riscv64 => Some(Other {
            gcc: ("/usr/bin/riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-riscv64"),
            musl: Musl::Source("riscv64"),
        }),
        _ => None,
    }
}

/// Where musl for other machines is unpacked.
pub(super) fn sysroot(workspace: &Workspace) -> PathBuf {
    workspace.target_dir().join("payload-sysroot")
}

/// Installs what is not there, where that can be done: by apt, as root. What is missing afterwards is for the recipe
/// to say.
pub(super) fn install(workspace: &Workspace, machine: Machine) {
    let other = other(machine);
    let more = other.iter().flat_map(|other| [Some(other.gcc), other.emulator].into_iter().flatten());
    install_missing(COMMON.into_iter().chain(more));
    if let Some(other) = other {
        drop(other.musl.put(&sysroot(workspace)));
    }
}

/// A compiler that can build the std of other systems, or what to install.
pub(crate) fn compiler_with_source() -> Result<&'static str, String> {
    install_missing(COMMON.into_iter().take(2));
    let is_there = [RUSTC, SOURCE].iter().all(|file| Path::new(file).exists());
    is_there
        .then_some(RUSTC)
        .ok_or_else(|| "Debian's packages rustc-web and rust-web-src are not installed".to_owned())
}

fn install_missing(needed: impl Iterator<Item = (&'static str, &'static str)>) {
    let missing = needed.filter(|(file, _)| !Path::new(file).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| package).collect();
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        // Without apt, or without a network, there is nothing more to do.
        let _ = apt(&["update"]).is_ok()
            && apt(&[&["install", "--no-install-recommends"], &packages[..]].concat()).is_ok();
    }
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    run::quietly(command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(words))
}
