//! Runs the simulator: `cargo xtask sim` builds it and passes its options on, one `--name value` each.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::{fs, process::ExitCode, str::FromStr, time::Instant};

use anyhow::{Context, Result, bail};
use offshoot_tests::sim::{
    Plan, Seen, plots, run,
    scale::{self, Row},
};

fn main() -> Result<ExitCode> {
    let mut plan = Plan::new(200, 1);
    let (mut seeds, mut largest) = (1, None);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--contexts" => plan.contexts = value.parse()?,
            "--seed" => plan.seed = value.parse()?,
            "--seeds" => seeds = value.parse()?,
            "--seconds" => plan.seconds = value.parse()?,
            "--faults" => plan.faults = list(&value)?,
            "--deeds" => plan.only = Some(list(&value)?),
            "--scale" => largest = Some(value.parse()?),
            "--plot" => {
                plots::draw_beside(value.as_ref()).with_context(|| format!("cannot draw {value}"))?;
                return Ok(ExitCode::SUCCESS);
            }
            other => bail!("there is no option {other}"),
        }
    }
    match largest {
        Some(largest) => measure(largest),
        None => run_all(&plan, seeds),
    }
}

fn list<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Vec<T>> {
    let items = text.split(',').filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|error: T::Err| anyhow::anyhow!("{error}"))).collect()
}

fn run_all(plan: &Plan, seeds: u64) -> Result<ExitCode> {
    for seed in plan.seed..plan.seed.saturating_add(seeds) {
        let begun = Instant::now();
        match run(&Plan { seed, ..plan.clone() }) {
            Ok(seen) => tell(seed, plan.contexts, &seen, begun.elapsed().as_secs_f64()),
            Err(failure) => {
                println!("seed {seed} breaks {failure}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(seed: u64, contexts: u32, seen: &Seen, seconds: f64) {
    let counts = &seen.counts;
    // It was run twice.
    let rate = 2.0 * counts.events as f64 / seconds;
    println!("seed {seed} holds: {} events, twice alike ({:016x}); {rate:.0}/s", counts.events, seen.digest);
    println!(
        "  contexts  {contexts} at first, {} at rest, {} bytes each",
        seen.contexts,
        peak() / u64::from(contexts)
    );
    println!("  at rest   {:.1} ms after all was mended", seen.rest_after as f64 / 1000.0);
    println!("  frames    {} of {} bytes in all", counts.frames, counts.bytes);
    println!("  calls     {:?}", seen.ends);
    println!("  no id     for {} children", seen.found_no_id);
    println!("  refused   {:?}", seen.codes);
    println!("  dead      {:?}", counts.by_code);
    println!("  cut       {:?}", seen.cuts);
    println!("  dropped   {:?}", seen.drops);
    println!("  faults    {:?}", counts.faults);
}

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// One row for each power of ten.
fn measure(largest: u32) -> Result<ExitCode> {
    println!("| {} |", Row::HEADS.join(" | "));
    println!("|{}", " ---: |".repeat(Row::HEADS.len()));
    let mut contexts = 10;
    while contexts <= largest {
        match scale::measure(contexts) {
            Ok(row) => println!("| {} |", row.cells().join(" | ")),
            Err(violation) => bail!("{contexts} contexts break {}: {}", violation.invariant, violation.text),
        }
        contexts *= 10;
    }
    Ok(ExitCode::SUCCESS)
}
