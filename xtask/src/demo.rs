//! `cargo xtask demo`: builds the payloads and the demo program, and runs it.

use std::{
    collections::BTreeSet,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    payload::{self, Progress},
    run,
    workspace::Workspace,
};

const PACKAGE: &str = "offshoot-tests";
const PROGRAM: &str = "demo";
/// What it shows, each at least once.
const EVENTS: [&str; 11] = [
    "connected",
    "leaves",
    "context",
    "calls",
    "stream",
    "refused",
    "granted",
    "killed",
    "lost",
    "rest_works",
    "end",
];

/// Grow a tree of processes on this machine, call into it, break it, and show what is lost.
///
/// Everything that it needs is built first. It exits with 0 if all went as it says, and leaves no process behind.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Print one JSON object a line instead of text
    #[arg(long)]
    json: bool,
    /// Reach this host by ssh too, and put a hop and a leaf there
    #[arg(long, value_name = "HOST")]
    ssh: Option<String>,
    /// Go there from this host, which is reached first
    #[arg(long, value_name = "HOST", requires = "ssh")]
    via: Option<String>,
    /// The configuration for ssh, in place of that of the user
    #[arg(long, value_name = "FILE", requires = "ssh")]
    ssh_config: Option<String>,
    /// Only try the way to the host step by step, and report it
    #[arg(long, requires = "ssh")]
    doctor: bool,
    /// What else the demo program is given
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let mut demo = prepare(workspace, Progress::Shown)?;
    demo.args(flags.json.then_some("--json"));
    let told = [("--ssh", &flags.ssh), ("--via", &flags.via), ("--ssh-config", &flags.ssh_config)];
    for (flag, word) in told {
        demo.args(word.iter().flat_map(|word| [flag, word]));
    }
    demo.args(flags.doctor.then_some("--doctor")).args(&flags.rest);
    run::pass_through(&mut demo)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is a demo to run.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace.member(PACKAGE).is_some_and(|package| package.target("bin", PROGRAM).is_some())
}

/// What is wrong with what the demo prints, one line each. It fails if the demo does.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let (text, events) = (printed(workspace, None)?, printed(workspace, Some("--json"))?);
    let mut problems = Vec::new();
    if text.contains('\x1b') {
        problems.push("the demo prints colours where there is no terminal".to_owned());
    }
    let mut seen = BTreeSet::new();
    for line in events.lines() {
        match serde_json::from_str::<Event>(line) {
            Ok(Event { event }) => drop(seen.insert(event)),
            Err(error) => problems.push(format!("no event of the demo: {line}: {error}")),
        }
    }
    let missing = EVENTS.iter().filter(|event| !seen.contains(**event));
    problems.extend(missing.map(|event| format!("the demo tells of no event `{event}`")));
    Ok(problems)
}

/// A line of the demo with `--json`, as far as it is looked at.
#[derive(Deserialize)]
struct Event {
    event: String,
}

/// What the demo prints that is run without a terminal.
fn printed(workspace: &Workspace, flag: Option<&str>) -> Result<String> {
    let mut demo = prepare(workspace, Progress::Silent)?;
    let captured = run::capture(demo.args(flag))?;
    if !captured.success {
        bail!("{}", captured.text);
    }
    let (_command, printed) = captured.text.split_once('\n').unwrap_or_default();
    Ok(printed.to_owned())
}

/// Builds what the demo needs, and the command that runs it.
pub(crate) fn prepare(workspace: &Workspace, progress: Progress) -> Result<Command> {
    if !exists(workspace) {
        bail!("there is no demo yet: {PACKAGE} has no program `{PROGRAM}`");
    }
    let built = payload::build(workspace, &payload::DEMO, progress)?;
    let mut demo = run::program(workspace.target_dir(), PROGRAM);
    demo.current_dir(workspace.root());
    for (flag, name) in ["--leaf", "--hop"].into_iter().zip(payload::DEMO) {
        if built.iter().all(|program| program.name != name) {
            bail!("the demo needs a payload program `{name}`, and there is none yet");
        }
        demo.arg(flag).arg(payload::path(workspace, name));
    }
    progress.run(&mut run::programs(workspace.root(), &[PROGRAM])).context("cannot build the demo")?;
    Ok(demo)
}
