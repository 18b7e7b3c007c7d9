//! What the profiles `small` and `tiny` need: a compiler with the source of its std, and gcc and musl for each machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use offshoot_bootstrap::Machine;

use crate::{run, workspace::Workspace};

/// What every machine needs: a file of each package, by which it is seen whether that is there, and the package.
const COMMON: [(&str, &str); 3] = [
    ("/usr/lib/rustlib/src/rust/library/std/Cargo.toml", "rust-web-src"),
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/lib/x86_64-linux-musl/libc.a", "musl-dev"),
];

/// What Debian has for another machine.
struct Other {
    gcc: (&'static str, &'static str),
    /// The program that runs its programs here; nothing where the processor does.
    emulator: Option<(&'static str, &'static str)>,
    /// What Debian calls the machine; nothing where its stable release has no musl for it.
    architecture: Option<&'static str>,
}

fn other(machine: Machine) -> Option<Other> {
    let qemu = |program| Some((program, "qemu-user"));
    match machine {
        Machine::Aarch64 => Some(Other {
            gcc: ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-aarch64"),
            architecture: Some("arm64"),
        }),
        Machine::Armv7 => Some(Other {
            gcc: ("/usr/bin/arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"),
            emulator: qemu("/usr/bin/qemu-arm"),
            architecture: Some("armhf"),
        }),
        Machine::I686 => Some(Other {
            gcc: ("/usr/bin/i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
            emulator: None,
            architecture: Some("i386"),
        }),
        Machine::Riscv64 => Some(Other {
            gcc: ("/usr/bin/riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-riscv64"),
            architecture: None,
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
    let missing = COMMON.into_iter().chain(more).filter(|(file, _)| !Path::new(file).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| package).collect();
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        // Without apt, or without a network, there is nothing more to do.
        let _ = apt(&["update"]).is_ok()
            && apt(&[&["install", "--no-install-recommends"], &packages[..]].concat()).is_ok();
    }
    if let Some(other) = other {
        drop(unpack_musl(&sysroot(workspace), other.architecture));
    }
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    run::quietly(command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(words))
}

/// Unpacks the files of musl for an architecture that this system does not have, beside the system: by an apt with
/// lists of its own.
fn unpack_musl(sysroot: &Path, architecture: Option<&str>) -> Result<()> {
    let Some(architecture) = architecture else { return Ok(()) };
    let done = sysroot.join(format!("{architecture}.done"));
    if done.is_file() {
        return Ok(());
    }
    let private = sysroot.join(format!("apt-{architecture}"));
    for folder in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(private.join(folder))?;
    }
    let option = |name: &str, value: &Path| format!("{name}={}", value.display());
    let options = [
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        option("Dir::State::lists", &private.join("lists")),
        option("Dir::Cache", &private.join("cache")),
        "Dir::State::status=/dev/null".to_owned(),
        // It may not enter the folder of the one who builds.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(&private).arg("-q").args(options.iter().flat_map(|option| ["-o", option]));
        run::quietly(command.args(words))
    };
    apt(&["update"])?;
    apt(&["download", "musl-dev"])?;
    let package = fs::read_dir(&private)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt has downloaded nothing")?;
    run::quietly(Command::new("dpkg").arg("-x").arg(package).arg(sysroot))?;
    fs::write(done, "")?;
    Ok(())
}
