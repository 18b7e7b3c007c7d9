//! The bench: where offshoot stands against what the machine allows and against its peers. `cargo xtask bench` builds
//! what it needs and runs it.
//!
//! Each group of rows runs in a process of its own, started once more by this one: free, and again with all of its
//! processes on one CPU.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod bench;
mod beside_bulk;
mod bulk;
mod calls;
mod delay;
mod draw;
mod far;
mod fleet;
mod group;
mod growth;
mod harness;
mod idle;
mod latch;
mod limits;
mod line;
mod many;
mod memory;
mod page;
mod payload;
mod peers;
mod plot;
mod proc;
mod reach;
mod report;
mod role;
mod round_trip;
mod start;
mod tree;
mod wire;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    bench::{Bench, Cpus, Programs},
    group::{Group, row_is},
    report::Line,
};

/// Rounds of a full and of a quick run.
const ROUNDS: [usize; 2] = [7, 3];

#[derive(Parser)]
struct Flags {
    /// Rows, or what their names begin with; all if none is named
    rows: Vec<String>,
    /// Leave out what takes long
    #[arg(long)]
    quick: bool,
    /// Where the rows go as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// The page whose table is rewritten
    #[arg(long)]
    page: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
    /// Run this group here, and print its rows as JSON, one a line
    #[arg(long, hide = true, requires = "cpus")]
    group: Option<String>,
    #[arg(long, hide = true)]
    cpus: Option<Cpus>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((flag, words)) if flag == role::FLAG => role::play(words),
        Some((flag, _)) if flag == "--list" => list(),
        _ => run(&Flags::parse()),
    };
    done.map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Names the rows.
fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for group in group::ALL {
        let slow = if group.slow { ", not in a quick run" } else { "" };
        writeln!(out, "{}: {}{slow}", group.name, group.about)?;
        for row in group.rows {
            let ending = if group.twice { ".{free,one_cpu}" } else { "" };
            writeln!(out, "    {row}{ending}")?;
        }
    }
    Ok(())
}

fn run(flags: &Flags) -> Result<()> {
    if let Some(name) = &flags.group {
        let group = group::ALL.iter().find(|group| group.name == name).context("no such group")?;
        return run_here(group, flags);
    }
    for name in &flags.rows {
        let known = group::ALL.iter().any(|group| group.is_wanted(std::slice::from_ref(name)));
        ensure!(known, "there is no row `{name}`: see --list");
    }
    let begun = Instant::now();
    let mut lines = Vec::new();
    print!("{}", report::head());
    for group in
        group::ALL.iter().filter(|group| group.is_wanted(&flags.rows) && !(group.slow && flags.quick))
    {
        let passes: &[Cpus] = if group.twice { &[Cpus::Free, Cpus::One] } else { &[Cpus::Free] };
        for cpus in passes {
            lines.extend(run_apart(group, *cpus, flags)?);
        }
    }
    let rows: Vec<&report::Row> = lines.iter().map(|line| &line.row).collect();
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(page) = &flags.page {
        page::update(page, &rows, seconds)?;
    }
    if let Some(path) = &flags.json {
        fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let count = |met| lines.iter().filter(|line| line.row.met == Some(met)).count();
    println!("\n{} rows in {seconds:.0} s: {} met, {} missed", lines.len(), count(true), count(false));
    Ok(())
}

/// Runs a group in a process of its own and prints its rows as they come.
fn run_apart(group: &Group, cpus: Cpus, flags: &Flags) -> Result<Vec<Line>> {
    let mut child = Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .args(["--group", group.name, "--cpus", if cpus == Cpus::One { "one" } else { "free" }])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("its output is a pipe")?;
    let mut lines = Vec::new();
    for line in BufReader::new(output).lines() {
        let mut line: Line = serde_json::from_str(&line?)?;
        ensure!(group.rows.iter().any(|row| row_is(&line.row.row, row)), "{} is not listed", line.row.row);
        if group.twice {
            line.row.row = format!("{}.{}", line.row.row, cpus.name());
        }
        if flags.rows.is_empty() || flags.rows.iter().any(|name| row_is(&line.row.row, name)) {
            print!("{}", report::line(&line));
            std::io::stdout().flush()?;
            lines.push(line);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "the group {} failed: {status}", group.name);
    Ok(lines)
}

/// Runs a group in this process.
fn run_here(group: &Group, flags: &Flags) -> Result<()> {
    let cpus = flags.cpus.context("--cpus goes with --group")?;
    if cpus == Cpus::One {
        // Before there is any thread or child: all of them inherit it.
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).context("there is no CPU")?;
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one)?;
    }
    let [usual, quick] = ROUNDS;
    let bench = Bench {
        rounds: if flags.quick { quick } else { usual },
        quick: flags.quick,
        cpus,
        programs: flags.programs.clone(),
        wanted: flags.rows.clone(),
        emit: Box::new(|line| {
            println!("{}", serde_json::to_string(&line)?);
            Ok(())
        }),
    };
    (group.run)(&bench)
}
