//! `cargo xtask test`: runs the suites, stage after stage, and sums them up.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    libtest::Tally,
    suites::{self, Lane, Outcome, Stage, Suite},
    workspace::Workspace,
};

/// Run everything that CI runs: format, lints, docs, layering, every kind of test.
///
/// A suite that fails prints its output and the run goes on. The last line is `N passed, N failed, N skipped`; the exit
/// code is 0 only if nothing failed.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Run this suite alone; may be given several times
    #[arg(long, value_name = "SUITE")]
    only: Vec<String>,
    /// Name the suites and what they check, and run none
    #[arg(long)]
    list: bool,
    /// Print the output of suites that pass, too
    #[arg(long)]
    verbose: bool,
}

/// What all suites together may take: whoever waits for longer stops waiting. A machine that does other things besides
/// takes longer, so it is no failure.
const LONGEST: Duration = Duration::from_secs(25 * 60);

/// A suite that has been run.
struct Run {
    name: String,
    outcome: Outcome,
    time: Duration,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let stages = suites::all(workspace);
    if flags.list {
        for suite in stages.iter().flatten().flatten() {
            println!("{:12} {}", suite.name, suite.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let begun = Instant::now();
    let stages = chosen(stages, &flags.only)?;
    let free = free_space(workspace)?;
    let runs: Vec<Run> = stages.iter().flat_map(|stage| run_stage(stage, flags.verbose)).collect();
    // A disk that ran full shows as failures of whatever came to it first.
    let disk =
        format!("{free:.1} GiB of the disk were free before and {:.1} are now", free_space(workspace)?);
    Ok(sum_up(&runs, &disk, begun.elapsed()))
}

/// The suites that were asked for, in their usual order; all if none was named.
fn chosen<'a>(mut stages: Vec<Stage<'a>>, only: &[String]) -> Result<Vec<Stage<'a>>> {
    let names: Vec<&str> = stages.iter().flatten().flatten().map(|suite| suite.name.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no suite `{unknown}`; there are {}", names.join(", "));
    }
    for lane in stages.iter_mut().flatten() {
        lane.retain(|suite| only.is_empty() || only.contains(&suite.name));
    }
    Ok(stages)
}

/// Runs the lanes of a stage, all at once.
fn run_stage(stage: &[Lane<'_>], verbose: bool) -> Vec<Run> {
    let run_lane = |lane: &[Suite<'_>]| lane.iter().map(|suite| run(suite, verbose)).collect::<Vec<_>>();
    let lost = |suite: &Suite<'_>| Run {
        name: suite.name.clone(),
        outcome: Outcome::failure("xtask itself panicked\n".to_owned()),
        time: Duration::ZERO,
    };
    thread::scope(|scope| {
        let threads: Vec<_> = stage.iter().map(|lane| scope.spawn(move || run_lane(lane))).collect();
        let runs = stage.iter().zip(threads);
        runs.flat_map(|(lane, thread)| thread.join().unwrap_or_else(|_| lane.iter().map(lost).collect()))
            .collect()
    })
}

fn run(suite: &Suite<'_>, verbose: bool) -> Run {
    println!("== {}: {}", suite.name, suite.about);
    let begun = Instant::now();
    let outcome = (suite.run)().unwrap_or_else(|error| Outcome::failure(format!("{error:#}\n")));
    let time = begun.elapsed();
    if outcome.tally.failed > 0 || verbose {
        print!("{}", outcome.output);
    }
    if outcome.tally.failed > 0 {
        println!("== {} FAILED", suite.name);
    }
    Run { name: suite.name.clone(), outcome, time }
}

/// What is left of the disk on which everything is built, in GiB.
fn free_space(workspace: &Workspace) -> Result<f64> {
    let folder = workspace.target_dir();
    let disk = rustix::fs::statvfs(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    Ok((disk.f_bavail * disk.f_frsize) as f64 / f64::from(1 << 30))
}

fn sum_up(runs: &[Run], disk: &str, time: Duration) -> ExitCode {
    println!();
    for Run { name, outcome, time } in runs {
        let Tally { passed, failed, skipped } = &outcome.tally;
        let note = outcome.note.as_ref().map(|note| format!("  ({note})")).unwrap_or_default();
        println!(
            "{name:12} {passed:5} passed {failed:4} failed {:4} skipped {:7.1} s{note}",
            skipped.len(),
            time.as_secs_f64()
        );
    }
    println!();
    for Run { name, outcome, .. } in runs {
        for skip in &outcome.tally.skipped {
            println!("skipped: {name}: {}: {}", skip.name, skip.reason);
        }
    }
    let tallies = || runs.iter().map(|run| &run.outcome.tally);
    let failed: usize = tallies().map(|tally| tally.failed).sum();
    println!("{} suites in {:.1} s; {disk}", runs.len(), time.as_secs_f64());
    if time > LONGEST {
        println!("WARNING: that is more than the {} minutes that they may take", LONGEST.as_secs() / 60);
    }
    println!(
        "{} passed, {failed} failed, {} skipped",
        tallies().map(|tally| tally.passed).sum::<usize>(),
        tallies().map(|tally| tally.skipped.len()).sum::<usize>()
    );
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
