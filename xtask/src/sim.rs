//! `cargo xtask sim`: builds the simulator for speed, and runs seeds or takes the figures of `docs/scale.md`.

use std::process::ExitCode;

use anyhow::Result;

use crate::{run, workspace::Workspace};

/// Run whole trees by seed: the very machines of core and parent under a virtual clock, with everything that goes wrong.
///
/// Each seed is run twice and must go the same way. What fails is told with the fewest deeds that still lead there, and
/// the command that replays just these.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// How many contexts there are before anything goes wrong
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..))]
    contexts: u32,
    /// What decides all else
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run so many seeds, from that one on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How long the chaos takes, in virtual seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// What may go wrong: clog, stall, cut, crash, pause, slow, duplicate, hostile, range; all if none is named
    #[arg(long, value_delimiter = ',')]
    faults: Vec<String>,
    /// Do only the deeds of these numbers, as a failure tells them
    #[arg(long, value_delimiter = ',')]
    deeds: Option<Vec<u32>>,
    /// Grow honest trees of 10, 100, ... up to so many contexts instead, and print what they take
    #[arg(long, value_name = "CONTEXTS")]
    scale: Option<u32>,
    /// Draw the plots of the table in docs/scale.md instead
    #[arg(long)]
    plot: bool,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let mut command = run::cargo(workspace.root());
    command.args(["run", "--quiet", "--release", "--package", "offshoot-tests", "--bin", "sim", "--"]);
    for (name, value) in [("--contexts", u64::from(flags.contexts)), ("--seed", flags.seed)] {
        command.args([name, &value.to_string()]);
    }
    command.args(["--seeds", &flags.seeds.to_string(), "--seconds", &flags.seconds.to_string()]);
    if !flags.faults.is_empty() {
        command.args(["--faults", &flags.faults.join(",")]);
    }
    if let Some(deeds) = &flags.deeds {
        let deeds: Vec<String> = deeds.iter().map(u32::to_string).collect();
        command.args(["--deeds", &deeds.join(",")]);
    }
    if let Some(largest) = flags.scale {
        command.args(["--scale", &largest.to_string()]);
    }
    if flags.plot {
        command.arg("--plot").arg(workspace.root().join("docs/scale.md"));
    }
    let passed = command.status()?.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
