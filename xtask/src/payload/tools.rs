//! What the profiles `small` and `tiny` need: a compiler with the source of its std, and gcc and musl for each machine.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use offshoot_bootstrap::Machine;

use super::musl::Musl;
use crate::{
    apt::{self, Needed},
    workspace::Workspace,
};

/// What every machine needs: a file of each package, by which it is seen whether that is there, and the package.
const COMMON: [Needed; 4] = [
    (SOURCE, "rust-web-src"),
    (RUSTC, "rustc-web"),
    ("/usr/lib/x86_64-linux-musl/libc.a", "musl-dev"),
    ("/usr/bin/make", "make"),
];
/// Debian's compiler, and the source of the std that fits it.
const RUSTC: &str = "/usr/bin/rustc";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// What a machine needs.
struct Needs {
    gcc: Needed,
    /// The program that runs its programs here; nothing where the processor does.
    emulator: Option<Needed>,
    musl: Musl,
}

fn needs(machine: Machine) -> Option<Needs> {
    let qemu = |program| Some((program, "qemu-user"));
    let musl = |triple, folder, package| Musl { triple, folder, package };
    match machine {
        Machine::X86_64 => Some(Needs {
            gcc: ("/usr/bin/x86_64-linux-gnu-gcc", "gcc"),
            emulator: None,
            musl: musl("x86_64-linux-gnu", "x86_64-linux-musl", None),
        }),
        Machine::Aarch64 => Some(Needs {
            gcc: ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-aarch64"),
            musl: musl("aarch64-linux-gnu", "aarch64-linux-musl", Some("arm64")),
        }),
        Machine::Armv7 => Some(Needs {
            gcc: ("/usr/bin/arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"),
            emulator: qemu("/usr/bin/qemu-arm"),
            musl: musl("arm-linux-gnueabihf", "arm-linux-musleabihf", Some("armhf")),
        }),
        Machine::I686 => Some(Needs {
            gcc: ("/usr/bin/i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
            emulator: None,
            musl: musl("i686-linux-gnu", "i386-linux-musl", Some("i386")),
        }),
        Machine::Riscv64 => Some(Needs {
            gcc: ("/usr/bin/riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
            emulator: qemu("/usr/bin/qemu-riscv64"),
            musl: musl("riscv64-linux-gnu", "riscv64-linux-musl", None),
        }),
        _ => None,
    }
}

/// Whether musl for a machine is that which was built for size.
pub(super) fn has_small_musl(workspace: &Workspace, machine: Machine) -> bool {
    needs(machine).is_some_and(|needs| needs.musl.is_built(&sysroot(workspace)))
}

/// Where musl is put.
pub(super) fn sysroot(workspace: &Workspace) -> PathBuf {
    workspace.target_dir().join("payload-sysroot")
}

/// Installs what is not there, where that can be done: by apt, as root. What is missing afterwards is for the recipe
/// to say.
///
/// # Errors
/// In CI, if apt does not install what it knows.
pub(super) fn install(workspace: &Workspace, machine: Machine) -> Result<()> {
    /// Two profiles for one machine may be built at once.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let needs = needs(machine);
    let more = needs.iter().flat_map(|needs| [Some(needs.gcc), needs.emulator].into_iter().flatten());
    apt::install_missing(COMMON.into_iter().chain(more))?;
    if let Some(needs) = needs {
        drop(needs.musl.put(&sysroot(workspace)));
    }
    Ok(())
}

/// A compiler that can build the std of other systems, or what to install.
///
/// # Errors
/// In CI, if apt knows it and does not install it.
pub(crate) fn compiler_with_source() -> Result<Result<&'static str, String>> {
    apt::install_missing(COMMON.into_iter().take(2))?;
    let is_there = [RUSTC, SOURCE].iter().all(|file| Path::new(file).exists());
    Ok(is_there
        .then_some(RUSTC)
        .ok_or_else(|| "Debian's packages rustc-web and rust-web-src are not installed".to_owned()))
}
