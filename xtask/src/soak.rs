//! `cargo xtask soak`: builds the soak for speed and runs it; a short one is a suite of `cargo xtask test`.

use std::{
    process::{Command, ExitCode},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};

use crate::{run, workspace::Workspace};

/// How long the suite takes.
const SHORT: Duration = Duration::from_secs(20);

/// Grow and lose random trees of real processes under load and faults, and fail on anything that is left behind.
///
/// A line a minute, a table at the end. What the machine decides a seed does not give again; what the soak decides it does.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// How long, in minutes
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// What decides all that can be decided; another one each time if it is not said
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let time = Duration::try_from_secs_f64(flags.minutes * 60.0)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
    ensure!(build(workspace, &["--release"]).status()?.success(), "it does not build");
    let passed = command(workspace, &["--release"], time, flags.seed.unwrap_or_else(now)).status()?.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the suite runs, one after the other.
pub(crate) fn short(workspace: &Workspace) -> [Command; 2] {
    [build(workspace, &[]), command(workspace, &[], SHORT, 1)]
}

/// The programs of its trees, all of them.
fn build(workspace: &Workspace, profile: &[&str]) -> Command {
    let mut command = run::cargo(workspace.root());
    command.args(["build", "--quiet", "--package", "offshoot-tests", "--bin", "soak", "--bin", "leaf"]);
    command.args(profile);
    command
}

fn command(workspace: &Workspace, profile: &[&str], time: Duration, seed: u64) -> Command {
    let mut command = run::cargo(workspace.root());
    command.args(["run", "--quiet", "--package", "offshoot-tests", "--bin", "soak"]).args(profile);
    command.args(["--", "--seconds", &time.as_secs_f64().to_string(), "--seed", &seed.to_string()]);
    command
}
