//! `cargo xtask conformance`: any program as a leaf, tried against what docs/protocol.md asks of it.

use std::process::ExitCode;

use anyhow::Result;

use crate::{run, workspace::Workspace};

/// Try any program as a leaf: which claims of docs/protocol.md hold, and what was sent and came where one does not.
///
/// The program must serve a few functions: docs/protocol.md lists them at its end.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The program and its arguments, behind `--`
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    run::quietly(&mut run::programs(workspace.root(), &["conformance"]))?;
    let mut command = run::program(workspace.target_dir(), "conformance");
    let passed = command.current_dir(workspace.root()).args(&flags.command).status()?.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
