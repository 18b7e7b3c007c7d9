//! `cargo xtask demo`: builds the payloads and the demo program, and runs it.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{
    payload::{self, Profile},
    run,
    workspace::Workspace,
};

const PACKAGE: &str = "offshoot-tests";
const PROGRAM: &str = "demo";

/// Grow a tree of processes on this machine, call into it, break it, and show what is lost.
///
/// Everything that it needs is built first. It exits with 0 if all went as it says, and leaves no process behind.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
    /// What else the demo program is given
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let mut demo = prepare(workspace, run::pass_through)?;
    demo.args(flags.json.then_some("--json")).args(&flags.rest);
    run::pass_through(&mut demo)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is a demo to run.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace.member(PACKAGE).is_some_and(|package| package.target("bin", PROGRAM).is_some())
}

/// Builds what the demo needs, and the command that runs it; `run` runs cargo.
pub(crate) fn prepare(workspace: &Workspace, run: fn(&mut Command) -> Result<()>) -> Result<Command> {
    if !exists(workspace) {
        bail!("there is no demo yet: {PACKAGE} has no program `{PROGRAM}`");
    }
    let built = payload::build(workspace, Profile::Static, &payload::DEMO, run)?;
    let mut demo = Command::new(workspace.target_dir().join("debug").join(PROGRAM));
    demo.current_dir(workspace.root());
    for (flag, name) in ["--leaf", "--hop"].into_iter().zip(payload::DEMO) {
        if built.iter().all(|program| program.name != name) {
            bail!("the demo needs a payload program `{name}`, and there is none yet");
        }
        demo.arg(flag).arg(payload::path(workspace, name));
    }
    run(run::cargo(workspace.root()).args(["build", "--package", PACKAGE, "--bin", PROGRAM]))
        .context("cannot build the demo")?;
    Ok(demo)
}
