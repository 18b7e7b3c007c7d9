//! Counts instructions with callgrind: what one call takes in each context that it touches, and one put and get.
//!
//! Free of noise where a clock is not: a run of 2 N calls less one of N. The figures are kept in a table of
//! docs/performance.md, and a suite of `cargo xtask test` sees that they do not grow.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    apt::{self, Needed},
    payload::{self, Progress},
    run,
    workspace::Workspace,
};

/// The page that keeps the figures, between these lines.
const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- written by `cargo xtask bench instructions` from here -->";
const END: &str = "<!-- to there -->";
/// How much more than the page says is still well, in percent: compilers and C libraries differ.
const SLACK: f64 = 5.0;
/// How often what is counted is done, and done again.
const TIMES: u64 = 2000;
const VALGRIND: Needed = ("/usr/bin/valgrind", "valgrind");
/// What the program that calls is called.
const PROGRAM: &str = "count";

/// What one of something takes.
struct Count {
    what: &'static str,
    instructions: f64,
}

/// What the suite says.
pub(crate) enum Verdict {
    /// There is no valgrind, and why.
    Impossible(String),
    Fine(String),
    Grown(String),
}

/// Whether the page has figures to compare with.
pub(crate) fn are_kept(workspace: &Workspace) -> bool {
    let text = fs::read_to_string(workspace.root().join(PAGE)).unwrap_or_default();
    split(&text).is_ok_and(|(_, kept, _)| !kept.trim().is_empty())
}

/// Counts, and writes the page.
pub(crate) fn main(workspace: &Workspace) -> Result<ExitCode> {
    if let Err(why) = have_valgrind()? {
        bail!("{why}");
    }
    let counts = count(workspace, Progress::Shown)?;
    let table = table(&counts);
    print!("{table}");
    let page = workspace.root().join(PAGE);
    let text = run::read(&page)?;
    let (before, _, after) = split(&text)?;
    fs::write(&page, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Counts, and compares with the page.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    if let Err(why) = have_valgrind()? {
        return Ok(Verdict::Impossible(why));
    }
    let counts = count(workspace, Progress::Silent)?;
    let text = run::read(&workspace.root().join(PAGE))?;
    let (_, kept, _) = split(&text)?;
    compare(&counts, kept)
}

fn compare(counts: &[Count], kept: &str) -> Result<Verdict> {
    let (mut said, mut grown) = (Vec::new(), false);
    for Count { what, instructions } in counts {
        let before = kept_for(kept, what).with_context(|| format!("{PAGE} has no figure for `{what}`"))?;
        let change = 100.0 * (instructions / before - 1.0);
        grown |= change > SLACK;
        said.push(format!("{what} {instructions:.0} ({change:+.1} %)"));
    }
    let said = said.join(", ");
    Ok(if grown {
        Verdict::Grown(format!(
            "more than {SLACK} % over {PAGE}: {said}\nif that is worth it, run `cargo xtask bench instructions`\n"
        ))
    } else {
        Verdict::Fine(said)
    })
}

/// The figure in the line of the table that begins with `what`.
fn kept_for(kept: &str, what: &str) -> Option<f64> {
    let mut cells = kept.lines().map(|line| line.split('|').map(str::trim).skip(1));
    cells.find_map(|mut line| (line.next()? == what).then(|| line.next()?.parse().ok())?)
}

/// The page before, in and behind the part that is ours.
fn split(text: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) =
        text.split_once(BEGIN).with_context(|| format!("{PAGE} has no place for the figures"))?;
    let (ours, after) = rest.split_once(END).with_context(|| format!("{PAGE}: the figures have no end"))?;
    Ok((before, ours, after))
}

fn table(counts: &[Count]) -> String {
    let mut out = String::from("| what | instructions |\n| --- | ---: |\n");
    for Count { what, instructions } in counts {
        let _ = writeln!(out, "| {what} | {instructions:.0} |");
    }
    out
}

/// Whether valgrind can be called; it is installed where that is ours to do. The inner error says why it cannot.
fn have_valgrind() -> Result<Result<(), String>> {
    let works = || run::output(Command::new("valgrind").arg("--version")).is_ok();
    if works() {
        return Ok(Ok(()));
    }
    apt::install_missing([VALGRIND])?;
    Ok(if works() { Ok(()) } else { Err("no valgrind that runs here: `apt install valgrind`".to_owned()) })
}

fn count(workspace: &Workspace, progress: Progress) -> Result<Vec<Count>> {
    payload::build(workspace, &payload::REFERENCE, progress)?;
    let [leaf, hop] = payload::REFERENCE.map(|name| payload::path(workspace, name).display().to_string());
    let mut build = run::cargo(workspace.root());
    progress.run(build.args(["build", "--release", "--package", "offshoot-tests", "--bin", PROGRAM]))?;
    let program = workspace.target_dir().join("release").join(PROGRAM);
    let each = |words: &[&str]| -> Result<Each> {
        let (once, twice) = (callgrind(&program, words, TIMES)?, callgrind(&program, words, 2 * TIMES)?);
        Ok(Each { once, twice })
    };
    let call = each(&["call", &leaf])?;
    let relayed = each(&["call", &leaf, &hop])?;
    let latch = each(&["latch"])?;
    Ok(vec![
        Count { what: "call: caller", instructions: call.of(PROGRAM)? },
        Count { what: "call: leaf", instructions: call.of("leaf")? },
        Count { what: "call: hop between", instructions: relayed.of("hop")? },
        Count { what: "latch: put and get", instructions: latch.of(PROGRAM)? },
    ])
}

/// Two runs, of which the second does everything twice as often.
struct Each {
    once: Vec<(String, f64)>,
    twice: Vec<(String, f64)>,
}

impl Each {
    /// Instructions of one time in the process of this program.
    fn of(&self, program: &str) -> Result<f64> {
        let find = |all: &[(String, f64)]| {
            let found = all.iter().find(|(name, _)| name == program).map(|(_, instructions)| *instructions);
            found.with_context(|| format!("callgrind has not seen {program} end"))
        };
        Ok((find(&self.twice)? - find(&self.once)?) / TIMES as f64)
    }
}

/// Runs `program` so that it does its thing `times` times, and gives the instructions of each process by its name.
fn callgrind(program: &Path, words: &[&str], times: u64) -> Result<Vec<(String, f64)>> {
    let folder = tempfile::tempdir().context("no folder for what callgrind finds")?;
    let (what, rest) = words.split_first().context("something is to be counted")?;
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--trace-children=yes", "--fair-sched=yes"]);
    command.arg(format!("--callgrind-out-file={}", folder.path().join("out.%p").display()));
    command.arg(program).arg(what).arg(times.to_string()).args(rest);
    run::quietly(&mut command)?;
    let outputs: Vec<PathBuf> =
        fs::read_dir(folder.path())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    ensure!(!outputs.is_empty(), "callgrind has written nothing");
    outputs
        .iter()
        .map(|path| process(&run::read(path)?).with_context(|| format!("{}", path.display())))
        .collect()
}

/// The program's name and the instructions of a process, from what callgrind wrote of it.
fn process(output: &str) -> Result<(String, f64)> {
    let field = |name: &str| output.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let line = field("cmd:").context("no command line")?;
    let program = line.split_whitespace().next().map(Path::new).and_then(Path::file_name);
    let total = field("totals:").or_else(|| field("summary:")).context("no total")?;
    let name = program.context("the command line is empty")?.to_string_lossy().into_owned();
    Ok((name, total.parse().context("the total is no number")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [Count; 2] =
        [Count { what: "caller", instructions: 1040.0 }, Count { what: "leaf", instructions: 900.0 }];

    #[test]
    fn what_was_written_is_found_again() {
        let table = table(&COUNTS);
        assert_eq!((kept_for(&table, "caller"), kept_for(&table, "leaf")), (Some(1040.0), Some(900.0)));
        assert_eq!(kept_for(&table, "hop"), None);
    }

    #[test]
    fn only_what_has_grown_by_more_than_the_slack_is_wrong() {
        let verdict =
            |caller| compare(&COUNTS, &format!("| caller | {caller} |\n| leaf | 2000 |\n")).unwrap();
        assert!(matches!(verdict(1000), Verdict::Fine(said) if said.contains("caller 1040 (+4.0 %)")));
        assert!(matches!(verdict(980), Verdict::Grown(said) if said.contains("caller 1040 (+6.1 %)")));
    }

    #[test]
    fn a_process_is_named_by_its_program() {
        let output =
            "version: 1\ncreator: callgrind\npid: 7\ncmd:  /some/where/leaf --x\nevents: Ir\ntotals: 1234\n";
        assert_eq!(process(output).unwrap(), ("leaf".to_owned(), 1234.0));
    }
}
