//! `cargo xtask soak`: builds the soak for speed and runs it; a short one is a suite of `cargo xtask test`.

use std::{
    process::{Command, ExitCode},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, ensure};

use crate::{run, workspace::Workspace};

/// The program, and those of its trees.
const PROGRAMS: [&str; 2] = [SOAK, "leaf"];
const SOAK: &str = "soak";
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
    let mut build = run::cargo(workspace.root());
    build.args(["build", "--quiet", "--release", "--package", "offshoot-tests"]);
    build.args(PROGRAMS.iter().flat_map(|name| ["--bin", name]));
    ensure!(build.status()?.success(), "it does not build");
    let mut soak = Command::new(workspace.target_dir().join("release").join(SOAK));
    let passed = soak.args(words(time, flags.seed.unwrap_or_else(now))).status()?.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the suite runs, one after the other.
pub(crate) fn short(workspace: &Workspace) -> [Command; 2] {
    let mut soak = run::program(workspace.target_dir(), SOAK);
    soak.args(words(SHORT, 1));
    [run::programs(workspace.root(), &PROGRAMS), soak]
}

fn words(time: Duration, seed: u64) -> [String; 4] {
    ["--seconds".to_owned(), time.as_secs_f64().to_string(), "--seed".to_owned(), seed.to_string()]
}
