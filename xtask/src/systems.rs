//! Whether the crates for others compile for systems that this machine is not.

use std::process::Command;

use anyhow::Result;

use crate::{payload, run, workspace::Workspace};

/// Systems for which there is no std to be installed everywhere: it is built as well.
const SYSTEMS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

/// The checks, one command a system; or why there can be none.
pub(crate) fn checks(workspace: &Workspace) -> Result<Result<Vec<Command>, String>> {
    let rustc = payload::compiler_with_source()?;
    Ok(rustc.map(|rustc| SYSTEMS.iter().map(|system| check(workspace, rustc, system)).collect()))
}

fn check(workspace: &Workspace, rustc: &str, system: &str) -> Command {
    let mut command = run::cargo(workspace.root());
    command.args(["check", "-Zbuild-std=std,panic_abort", "--target", system, "--target-dir"]);
    command.arg(workspace.target_dir().join("systems"));
    for member in workspace.members().filter(|member| member.is_published()) {
        command.args(["--package", &member.name]);
    }
    // This compiler is no nightly one, but its std is built by no other.
    command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "");
    command
}
