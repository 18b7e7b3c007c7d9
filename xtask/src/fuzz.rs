//! `cargo xtask fuzz`: builds the fuzz targets with the pass that counts what is reached, and has libFuzzer steer them.
//!
//! The compiler as installed has that pass, and our code needs no sanitizer; so there is no other compiler in this.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};

use crate::{
    apt::{self, Needed},
    run,
    workspace::Workspace,
};

/// Feed the fuzz targets with inputs that lead to new paths, two targets at a time.
///
/// What is found goes to `target/fuzz`: inputs that lead somewhere new, and those that break a promise, which the output
/// names. The latter belong into `tests/fuzz/corpus/TARGET`, which every test run replays.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// The targets; all if none is named
    targets: Vec<String>,
    /// How long each of them is fed
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Afterwards add the fewest inputs that reach as much as all that were found to `tests/fuzz/corpus`
    #[arg(long)]
    keep: bool,
}

/// Where the package lies.
pub(crate) const FOLDER: &str = "tests/fuzz";
/// Where each of its programs has its source.
const SOURCES: &str = "fuzz_targets";
/// The pass, and what it puts in: a counter at each edge, the place of each, and what is compared.
const COUNTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// libFuzzer is C++, which is compiled on the way.
const COMPILER: Needed = ("/usr/bin/c++", "g++");
/// Inputs beyond that say nothing that shorter ones could not, in bytes.
const MAX_INPUT: usize = 4096;
/// How many targets are fed at a time.
const AT_ONCE: usize = 2;

/// The programs, built.
pub(crate) struct Fuzzers {
    programs: PathBuf,
    target: PathBuf,
    corpus: PathBuf,
}

/// What came of feeding a target.
pub(crate) struct Fed {
    pub(crate) target: String,
    /// The end of what libFuzzer said, where the target failed.
    pub(crate) failure: Option<String>,
    pub(crate) executions: u64,
    pub(crate) per_second: u64,
    /// Edges reached.
    pub(crate) edges: u64,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let all = targets(workspace.root())?;
    if let Some(unknown) = flags.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are {}", all.join(", "));
    }
    let chosen = if flags.targets.is_empty() { all } else { flags.targets.clone() };
    let fuzzers = build(workspace)?.map_err(anyhow::Error::msg)?;
    let fed = fuzzers.feed(&chosen, flags.minutes * 60)?;
    for fed in &fed {
        println!("{}", fed.line());
        if let Some(said) = &fed.failure {
            println!("{said}");
        }
    }
    if fed.iter().any(|fed| fed.failure.is_some()) {
        return Ok(ExitCode::FAILURE);
    }
    if flags.keep {
        chosen.iter().try_for_each(|target| fuzzers.keep(target))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the targets.
pub(crate) fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(FOLDER).join(SOURCES);
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = files
        .map(|file| Ok(file?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Builds the programs, and the inputs that they begin with; or says why there can be none.
pub(crate) fn build(workspace: &Workspace) -> Result<Result<Fuzzers, String>> {
    apt::install_missing([COMPILER])?;
    if !Path::new(COMPILER.0).exists() {
        return Ok(Err(format!("no C++ compiler for libFuzzer: `apt install {}`", COMPILER.1)));
    }
    let (root, target) = (workspace.root(), workspace.target_dir().join("fuzz"));
    let host = workspace.host();
    let mut build = run::cargo(&root.join(FOLDER));
    // With a target that is named the flags are not for what runs while it is built.
    build.args(["build", "--release", "--target", host, "--target-dir"]).arg(&target);
    build.env("RUSTFLAGS", COUNTED).env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::quietly(&mut build)?;
    run::quietly(&mut run::programs(root, &["seeds"]))?;
    run::quietly(run::program(workspace.target_dir(), "seeds").arg(target.join("seeds")))?;
    let programs = target.join(host).join("release");
    Ok(Ok(Fuzzers { programs, target, corpus: root.join(FOLDER).join("corpus") }))
}

impl Fuzzers {
    /// Feeds each of `targets` for so many seconds.
    pub(crate) fn feed(&self, targets: &[String], seconds: u64) -> Result<Vec<Fed>> {
        let (next, fed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let feed_next = || {
            while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let one = self.feed_one(target, seconds);
                fed.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        };
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(feed_next);
            }
        });
        let mut fed: Vec<Fed> =
            fed.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect::<Result<_>>()?;
        fed.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(fed)
    }

    fn feed_one(&self, target: &str, seconds: u64) -> Result<Fed> {
        let found = self.target.join("found").join(target);
        fs::create_dir_all(&found)?;
        let mut program = self.program(target, &found);
        program.args([format!("-max_total_time={seconds}"), format!("-max_len={MAX_INPUT}")]);
        program.args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0"]);
        program.arg(format!("-artifact_prefix={}/broken-{target}-", self.target.display()));
        let captured = run::capture(&mut program)?;
        let stat = |name: &str| number_behind(&captured.text, name);
        let last = captured.text.lines().rev().take(40).collect::<Vec<_>>();
        let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        Ok(Fed {
            target: target.to_owned(),
            failure: (!captured.success).then_some(last),
            executions: stat("stat::number_of_executed_units:"),
            per_second: stat("stat::average_exec_per_sec:"),
            edges: stat(" cov:"),
        })
    }

    /// Adds to the corpus the fewest inputs that reach as much as all that were found.
    fn keep(&self, target: &str) -> Result<()> {
        let fewest = self.target.join("fewest").join(target);
        if fewest.exists() {
            fs::remove_dir_all(&fewest)?;
        }
        fs::create_dir_all(&fewest)?;
        let mut merge = Command::new(self.programs.join(target));
        merge.arg(&fewest).arg(self.target.join("found").join(target));
        merge.args(["-set_cover_merge=1", "-use_counters=0", &format!("-max_len={MAX_INPUT}")]);
        run::quietly(&mut merge)?;
        let corpus = self.corpus.join(target);
        for file in fs::read_dir(&fewest)? {
            let file = file?;
            let mut name = file.file_name();
            name.push(".bin");
            fs::copy(file.path(), corpus.join(name))?;
        }
        Ok(())
    }

    /// A program that writes what is new to `new`, and begins with what is kept and made.
    fn program(&self, target: &str, new: &Path) -> Command {
        let mut command = Command::new(self.programs.join(target));
        command.arg(new).arg(self.corpus.join(target)).arg(self.target.join("seeds").join(target));
        command
    }
}

impl Fed {
    pub(crate) fn line(&self) -> String {
        let Self { target, executions, per_second, edges, .. } = self;
        let end = if self.failure.is_some() { "BROKEN" } else { "fine" };
        format!("{target:10} {end}: {executions} inputs, {per_second} a second, {edges} edges reached")
    }
}

/// The number behind the last `name` in what libFuzzer said.
fn number_behind(text: &str, name: &str) -> u64 {
    let behind = text.rsplit_once(name).map(|(_, behind)| behind.trim_start());
    let digits = behind.and_then(|behind| behind.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}
