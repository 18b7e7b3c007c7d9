//! Runs the soak: `cargo xtask soak` builds it and passes its options on. `soak --seconds N --seed S`.
//!
//! The process that is started takes in every orphan, so that what a lost tree leaves is seen; the root is a child of it.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::{
    env, fs, io,
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use offshoot_tests::{
    real::{PATIENCE, all_gone, leaks::adopt_orphans, table},
    soak::{self, Plan},
};
use rustix::process::{WaitOptions, WaitStatus, wait};

/// The first argument of the root.
const ROOT: &str = "--root";

fn main() -> Result<ExitCode> {
    offshoot_parent::run(table::functions().and(soak::functions()), || {
        let words: Vec<String> = env::args().skip(1).collect();
        match words.split_first() {
            Some((first, words)) if first == ROOT => root(words),
            _ => above(&words),
        }
    })
}

/// Starts the root and reaps whatever comes, until nothing is left.
fn above(words: &[String]) -> Result<ExitCode> {
    let plan = plan(words)?;
    println!("seed {}, {:.1} minutes", plan.seed, plan.time.as_secs_f64() / 60.0);
    adopt_orphans();
    // What is put anywhere is put where nobody else puts something.
    let folder = tempfile::Builder::new().prefix("soak-").tempdir()?;
    let mut root = Command::new(env::current_exe()?);
    root.arg(ROOT).args(words).env("TMPDIR", folder.path()).env_remove("XDG_RUNTIME_DIR");
    // What glibc keeps for later in an arena for each thread would hide what leaks; elsewhere this means nothing.
    root.env("MALLOC_ARENA_MAX", "1").env("MALLOC_TRIM_THRESHOLD_", "65536");
    let root = root.spawn()?;
    let root = i32::try_from(root.id())?;
    let status = loop {
        match wait(WaitOptions::empty())? {
            Some((pid, status)) if pid.as_raw_nonzero().get() == root => break status,
            _ => {}
        }
    };
    all_gone(PATIENCE);
    let files: Vec<_> = fs::read_dir(folder.path())?.flatten().map(|file| file.path()).collect();
    ensure!(files.is_empty(), "files are left: {files:?}");
    let is_fine = WaitStatus::exit_status(status) == Some(0);
    println!(
        "seed {}: {}",
        plan.seed,
        if is_fine { "nothing was wrong, and nothing is left" } else { "FAILED" }
    );
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn root(words: &[String]) -> Result<ExitCode> {
    let Err(failure) = soak::run(plan(words)?, &mut io::stdout()) else { return Ok(ExitCode::SUCCESS) };
    println!("seed {}: {failure}", plan(words)?.seed);
    Ok(ExitCode::FAILURE)
}

fn plan(words: &[String]) -> Result<Plan> {
    let mut plan =
        Plan { time: Duration::from_secs(20), seed: 1, above: std::os::unix::process::parent_id() };
    for pair in words.chunks(2) {
        let [name, value] = pair else { bail!("{} needs a value", pair.join(" ")) };
        match name.as_str() {
            "--seconds" => plan.time = Duration::from_secs_f64(value.parse().context("seconds")?),
            "--seed" => plan.seed = value.parse().context("a seed")?,
            other => bail!("there is no option {other}"),
        }
    }
    Ok(plan)
}
