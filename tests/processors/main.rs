//! Leaves for other processors: each keeps to docs/protocol.md, by qemu where this machine does not run it, and one is sent to a
//! machine that is told from this one by its `uname` alone.
//!
//! `cargo xtask test --only processors` builds them first; what cannot be had is skipped, with the reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod arm64;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};
use offshoot_tests::{
    conformance::{Claim, Program, claims},
    far::{Missing, program},
};

/// The processors besides the usual one, each with what emulates it.
const PROCESSORS: [(&str, &str); 4] =
    [("aarch64", "qemu-aarch64"), ("armv7l", "qemu-arm"), ("i686", "qemu-i386"), ("riscv64", "qemu-riscv64")];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let kept = PROCESSORS.iter().flat_map(|(name, emulator)| tried(name, emulator)).collect();
    let claims = libtest_mimic::run(&arguments, kept);
    // It looks for what was left behind, so nothing else may run.
    arguments.test_threads = Some(1);
    let sent = libtest_mimic::run(&arguments, arm64::tests());
    if claims.has_failed() || sent.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn tried(processor: &str, emulator: &str) -> Vec<Trial> {
    match leaf(processor, emulator) {
        Ok(leaf) => claims().into_iter().map(|claim| trial(processor, claim, leaf.clone())).collect(),
        Err(missing) => {
            let name = format!("{processor}::leaf");
            let said = format!("SKIPPED {name}: {missing}");
            let skip = move || {
                println!("{said}");
                Ok(())
            };
            vec![Trial::test(name, skip)]
        }
    }
}

fn trial(processor: &str, claim: Claim, leaf: Program) -> Trial {
    Trial::test(format!("{processor}::{}", claim.name), move || {
        claim.check(&leaf).map_err(|complaint| Failed::from(complaint.to_string()))
    })
}

/// The words that run the leaf for a processor here.
fn leaf(processor: &str, emulator: &str) -> Result<Program, Missing> {
    let file = payloads().join(processor);
    if !file.is_file() {
        return Err(Missing::because(format!(
            "it is not built; `cargo xtask payload conforming --profile tiny --target {processor}` builds it"
        )));
    }
    let mut words = vec![file.display().to_string()];
    let runs_here = matches!((env::consts::ARCH, processor), ("aarch64", "aarch64") | ("x86_64", "i686"));
    if !runs_here {
        words.insert(0, program(emulator)?.display().to_string());
    }
    Ok(Program(words))
}

/// The set of the leaf that is tried.
fn payloads() -> PathBuf {
    built("payloads/tiny/conforming")
}

/// Something in the target folder.
fn built(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}
