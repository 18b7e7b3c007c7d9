//! Which compiler builds a profile for a machine, and with which flags.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{BuildError, Profile, linker::Linker};
use crate::{Machine, Text};

/// The oldest compiler that has immediate abort as a way to panic.
const OLDEST: (u32, u32) = (1, 92);
/// Where Debian's `rustc-web` puts a compiler beside that of rustup; `rust-web-src` is the source of its std.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// Leaves out of a program what nothing reads in one that is static and does not unwind: its name for debuggers, where
/// tables would begin, what a loader would protect, and the room that keeps text and constants on pages of their own.
const BARE: &str = "-Wl,--build-id=none -Wl,--no-eh-frame-hdr -Wl,-z,norelro -Wl,-z,noseparate-code";

/// What LLVM does for speed alone: values that are computed or loaded ahead, as constants are for loops, are kept in memory
/// where a large function has no register left for them, and each use of that is longer than what it spares.
const AS_WRITTEN: &str = "-disable-machine-licm -disable-constant-hoisting -enable-load-pre=0";

/// A compiler for one profile and machine.
pub(super) struct Toolchain {
    profile: Profile,
    triple: String,
    /// What builds std as well: nothing for the std that is installed.
    source: Option<Source>,
}

/// A compiler with the source of its own std, and what links for musl.
struct Source {
    rustc: PathBuf,
    linker: Linker,
}

impl Toolchain {
    /// Looks for what is needed; the error says what is missing, and how to get it.
    pub(super) fn find(profile: Profile, machine: Machine, sysroots: &[PathBuf]) -> Result<Self, Text> {
        if profile == Profile::Static {
            return Ok(Self { profile, triple: installed(machine)?, source: None });
        }
        let source = Source { rustc: with_source()?, linker: Linker::find(machine, sysroots)? };
        Ok(Self { profile, triple: machine.musl().to_owned(), source: Some(source) })
    }

    /// The target as rustc calls it.
    pub(super) fn triple(&self) -> &str {
        &self.triple
    }

    /// The compiler with its version, as it says it.
    pub(super) fn version(&self) -> String {
        let rustc = self.source.as_ref().map_or_else(rustc, |source| source.rustc.clone());
        ask(&rustc, &["-V"]).unwrap_or_default().trim().to_owned()
    }

    /// The flags of rustc; helpers of the linker are made in `work`.
    pub(super) fn flags(&self, work: &Path) -> Result<Vec<String>, BuildError> {
        let codegen = |flag: &str| format!("-C{flag}");
        let mut flags = vec![codegen("target-feature=+crt-static"), codegen("relocation-model=static")];
        let Some(source) = &self.source else { return Ok(flags) };
        let script = source.linker.prepare(work, self.profile)?;
        flags.extend([
            codegen("link-self-contained=no"),
            codegen("linker-flavor=gcc"),
            codegen(&format!("linker={}", script.display())),
        ]);
        if self.profile == Profile::Tiny {
            // Nothing unwinds: no tables for it, and no texts for whoever would print a panic.
            flags.extend([codegen("force-unwind-tables=no"), codegen("panic=immediate-abort")]);
            flags.extend(
                ["-Zunstable-options", "-Zlocation-detail=none", "-Zfmt-debug=none"].map(str::to_owned),
            );
            flags.push(codegen(&format!("llvm-args={AS_WRITTEN}")));
            flags.push(codegen(&format!("link-args={BARE}")));
        }
        Ok(flags)
    }

    /// What cargo must be told beside the flags.
    pub(super) fn set_up(&self, cargo: &mut Command) {
        // Two values of this setting cannot be said at once, so it is said where the profile is known.
        let panic = if self.profile == Profile::Tiny { "abort" } else { "unwind" };
        cargo.args(["--config", &format!("profile.payload.panic='{panic}'")]);
        if let Some(source) = &self.source {
            let runtime = if self.profile == Profile::Tiny { "panic_abort" } else { "panic_unwind" };
            cargo.arg(format!("-Zbuild-std=std,{runtime}")).arg("-Zbuild-std-features=optimize_for_size");
            cargo.env("RUSTC", &source.rustc).env("RUSTC_BOOTSTRAP", "1");
        }
    }
}

/// The target whose std is installed: musl where rustup has it, else what this machine's programs are.
fn installed(machine: Machine) -> Result<String, Text> {
    let rustc = rustc();
    let musl = machine.musl();
    let sysroot = ask(&rustc, &["--print", "sysroot"]).unwrap_or_default();
    if Path::new(sysroot.trim()).join("lib/rustlib").join(musl).join("lib").is_dir() {
        return Ok(musl.to_owned());
    }
    let version = ask(&rustc, &["-vV"]).ok_or_else(|| Text::from("there is no rustc"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let here = Machine::here().is_some_and(|here| here == machine);
    if here && host.contains("linux") {
        return Ok(host.to_owned());
    }
    Err(format!("rustup has no std for {musl}: `rustup target add {musl}`, or use the profile `small`")
        .into())
}

/// A compiler that is new enough and has the source of its own std: no other source fits it.
fn with_source() -> Result<PathBuf, Text> {
    let mut reasons = Vec::new();
    for rustc in [rustc(), PathBuf::from(SYSTEM_RUSTC)] {
        match has_source(&rustc) {
            Ok(()) => return Ok(rustc),
            Err(reason) => reasons.push(format!("{} {reason}", rustc.display())),
        }
    }
    let how = "install Debian's packages rustc-web and rust-web-src, or the component rust-src for rustup";
    Err(format!("std must be built anew, and {}; {how}", reasons.join(", ")).into())
}

fn has_source(rustc: &Path) -> Result<(), &'static str> {
    let version = ask(rustc, &["-V"]).ok_or("is not there")?;
    if parse_version(&version).is_none_or(|version| version < OLDEST) {
        return Err("is too old");
    }
    let sysroot = ask(rustc, &["--print", "sysroot"]).ok_or("has no sysroot")?;
    let std = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    if std.is_file() { Ok(()) } else { Err("has no source of its std") }
}

/// The first two numbers of `rustc 1.96.0 (…)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The compiler that is in use.
fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from)
}

/// What `program` prints; nothing if it fails.
pub(super) fn ask(program: &Path, words: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(words).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_two_numbers() {
        assert_eq!(parse_version("rustc 1.96.0 (ac68faa20 2026-05-25)"), Some((1, 96)));
        assert_eq!(parse_version("rustc 1.99.0-nightly"), Some((1, 99)));
        assert_eq!(parse_version("gcc 12"), None);
    }
}
