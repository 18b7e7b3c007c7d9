//! `cargo xtask bench`: builds the bench, its children and a place for the Python peers, and runs it.
//!
//! The bench is a package with a lock file of its own: what it is measured against is built for it alone, into
//! `target/bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    instructions,
    payload::{self, Children, Progress},
    run,
    workspace::Workspace,
};

/// Measure against bare programs of the same shape, Mitogen, execnet, tarpc and others, and print a table.
///
/// The rows go to `target/bench.json` too, and those of a full run into docs/performance.md. That takes a long while;
/// the machine should do nothing else.
///
/// `cargo xtask bench instructions` counts instructions instead, and writes them into docs/performance.md.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Rows to measure, or what their names begin with; all if none is named
    rows: Vec<String>,
    /// Leave out the rows of 1,000 children and more and those of growth: under a minute
    #[arg(long)]
    quick: bool,
    /// Name the rows, and measure none
    #[arg(long)]
    list: bool,
}

/// Where the package lies.
pub(crate) const FOLDER: &str = "tests/bench";
/// Where the outcome of a full run is kept.
const PAGE: &str = "docs/performance.md";
/// The peers that are written in Python, as PyPI names them.
const PYTHON_PEERS: [&str; 2] = ["mitogen", "execnet"];

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    if flags.rows.iter().any(|row| row == "instructions") {
        return instructions::main(workspace);
    }
    let folder = workspace.root().join(FOLDER);
    let target = workspace.target_dir().join("bench");
    build(&folder, &target)?;
    let mut bench = Command::new(target.join("release").join("offshoot-bench"));
    bench.current_dir(workspace.root());
    if flags.list {
        run::pass_through(bench.arg("--list"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let children = Children { folder: &folder, names: &["bench_leaf", "bench_hop"] };
    for (flag, file) in ["--leaf", "--hop"].into_iter().zip(payload::build_children(workspace, &children)?) {
        bench.arg(flag).arg(file);
    }
    let built = payload::build(workspace, &["leaf"], Progress::Shown)?;
    let leaf = built.first().context("there is no reference leaf")?;
    bench.arg("--reference").arg(payload::path(workspace, leaf.name));
    bench.args(["--gzip", &leaf.gzip.to_string()]);
    match payload::tiny(workspace, "leaf")? {
        Ok(tiny) => bench.arg("--tiny").arg(tiny),
        Err(why) => bench.arg("--no-tiny").arg(why),
    };
    match python(&workspace.target_dir().join("bench-venv")) {
        Ok(python) => bench.arg("--python").arg(python),
        Err(error) => bench.arg("--no-python").arg(first_line(&format!("{error:#}"))),
    };
    // What was measured in part is no replacement for the whole.
    if flags.rows.is_empty() {
        bench.arg("--json").arg(workspace.target_dir().join("bench.json"));
    }
    if flags.rows.is_empty() && !flags.quick {
        bench.arg("--page").arg(workspace.root().join(PAGE));
    }
    bench.args(flags.quick.then_some("--quick")).args(&flags.rows);
    run::pass_through(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

fn build(folder: &Path, target: &Path) -> Result<()> {
    let mut command = run::cargo(folder);
    command.args(["build", "--release", "--locked", "--bin", "offshoot-bench", "--target-dir"]).arg(target);
    run::pass_through(&mut command).context("cannot build the bench")
}

/// An interpreter that has the peers, in a virtual environment in `folder`.
fn python(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin").join("python");
    let ready = folder.join("ready");
    if ready.is_file() {
        return Ok(python);
    }
    run::quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("no virtual environment")?;
    run::quietly(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PEERS))
        .context("pip cannot install the peers")?;
    fs::write(&ready, "").with_context(|| format!("cannot write {}", ready.display()))?;
    Ok(python)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
