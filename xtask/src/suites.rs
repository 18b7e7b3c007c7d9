//! The suites of `cargo xtask test`, in the order in which they run: cheap and telling ones first.
//!
//! All tests are built by `cargo test --workspace` with the same flags, so that they share what they are made of; only
//! the loom models and the oldest supported compiler need target folders of their own.

use std::{env, fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    apt::{self, Needed},
    bench, demo, deny, far_sides, fuzz,
    instructions::{self, Verdict},
    layers,
    libtest::{Skip, Tally},
    payload::{self, Progress},
    run, soak, systems, tidy,
    workspace::{Package, Workspace},
};

/// The package whose test targets are suites by themselves.
const TESTS: &str = "offshoot-tests";
/// The test target that goes to other places, for which they must be there.
const TRANSPORTS: &str = "transports";
/// What mostly waits, for processes and deadlines: it runs beside what computes.
const WAITING: [&str; 4] = ["real", ATTACKS, TRANSPORTS, FAULTS];
/// What waits as well, and goes behind what computes: both lanes take about as long.
const SHORT: [&str; 2] = ["soak", "demo"];
/// The test target in which leaves are tried, one of them in another language.
const CONFORMANCE: &str = "conformance";
/// The test target in which leaves for other processors are tried, for which they must be built.
const PROCESSORS: &str = "processors";
/// The test target in which a root is watched.
const ATTACKS: &str = "attacks";
/// The test target in which programs are started with less than they are used to.
const FAULTS: &str = "faults";
/// What a test target needs beyond what it is built of.
const NEEDED: [(&str, &[Needed]); 3] = [
    (ATTACKS, &[("/usr/bin/strace", "strace")]),
    (
        FAULTS,
        &[
            ("/usr/bin/perl", "perl-base"),
            ("/usr/bin/prlimit", "util-linux"),
            ("/usr/bin/setpriv", "util-linux"),
            ("/usr/bin/setsid", "util-linux"),
        ],
    ),
    // By it the leaf of the second implementation is run.
    (CONFORMANCE, &[("/usr/bin/python3", "python3")]),
];
/// The test target that replays what fuzzing has found, before there is more of it.
const FUZZ: &str = "fuzz";
/// How long each fuzz target is fed, in seconds.
const FED: u64 = 30;
/// The test target in which a crate keeps its loom models.
const MODEL: &str = "model";

/// How deep the models go: 2 if not said otherwise, and 3 in CI.
const PREEMPTIONS: &str = "LOOM_MAX_PREEMPTIONS";

/// Something to run, with a name to call it by.
pub(crate) struct Suite<'a> {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) run: Box<dyn Fn() -> Result<Outcome> + Sync + 'a>,
}

/// Suites that run one after the other.
pub(crate) type Lane<'a> = Vec<Suite<'a>>;

/// Lanes that run at once: what computes beside what waits.
pub(crate) type Stage<'a> = Vec<Lane<'a>>;

/// What came of a suite.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// What it printed.
    pub(crate) output: String,
    /// What the reader of the summary should know.
    pub(crate) note: Option<String>,
}

/// The suites for which there is something to run.
pub(crate) fn all(workspace: &Workspace) -> Vec<Stage<'_>> {
    let root = workspace.root();
    let mut suites = vec![
        suite("fmt", "every file is formatted", move || {
            // What is no member is not seen by `--all`.
            let others = [bench::FOLDER, fuzz::FOLDER, payload::EMBED]
                .map(|folder| cargo(root, &format!("fmt --check --manifest-path {folder}/Cargo.toml")));
            programs([cargo(root, "fmt --all --check")].into_iter().chain(others))
        }),
        suite("layers", "our crates depend on each other as designed, and a leaf stays a leaf", move || {
            Ok(Outcome::of_problems(&layers::check(workspace)?))
        }),
        suite("tidy", "lengths, first lines, unsafe, licences and the other house rules", move || {
            let report = tidy::check(workspace)?;
            Ok(Outcome::of_problems(&report.problems).noting(report.note))
        }),
        suite("deny", "licences and sources of what we build on", move || licences(workspace)),
        suite("clippy", "no lint fires, crate by crate", move || {
            // The bench is no member; what it is measured against is checked once.
            let bench = format!("clippy --locked --manifest-path {}/Cargo.toml", bench::FOLDER);
            let mut bench = cargo(root, &format!("{bench} --all-targets -- -D warnings"));
            bench.env("CARGO_TARGET_DIR", workspace.target_dir());
            programs(workspace.members().map(|member| clippy(root, member)).chain([bench]))
        }),
        suite("docs", "the documentation builds without a warning", move || {
            let mut command = cargo(root, "doc --workspace --no-deps");
            command.env("RUSTDOCFLAGS", "-D warnings");
            programs([command])
        }),
        suite("unit", "the tests beside the code", move || {
            // Of all programs xtask alone has any.
            tests([workspace_test(root, "--lib --bin xtask")])
        }),
        suite("doc", "the examples in the documentation", move || tests([workspace_test(root, "--doc")])),
    ];
    suites.extend(integration(workspace));
    suites.extend(workspace_tests(workspace));
    suites.push(suite(
        "soak",
        "trees are grown and lost under load and faults, and nothing is left",
        move || programs(soak::short(workspace)),
    ));
    suites.push(suite("msrv", "the oldest supported compiler takes the crates for others", move || {
        msrv(workspace)
    }));
    if demo::exists(workspace) {
        suites.push(suite("demo", "the demo runs to its end, and tells all that it should", move || {
            Ok(Outcome::of_problems(&demo::check(workspace)?))
        }));
    }
    let (waiting, rest): (Lane<'_>, Lane<'_>) =
        suites.into_iter().partition(|suite| WAITING.contains(&&*suite.name));
    let (short, alone): (Lane<'_>, Lane<'_>) =
        rest.into_iter().partition(|suite| SHORT.contains(&&*suite.name));
    let mut computing = computing(workspace);
    computing.extend(short);
    alone.into_iter().map(|suite| vec![vec![suite]]).chain([vec![waiting, computing]]).collect()
}

fn suite<'a>(name: &str, about: &str, run: impl Fn() -> Result<Outcome> + Sync + 'a) -> Suite<'a> {
    Suite { name: name.to_owned(), about: about.to_owned(), run: Box::new(run) }
}

/// What computes all the while, and is compiled or counted and not timed.
fn computing(workspace: &Workspace) -> Lane<'_> {
    let mut suites =
        vec![suite("systems", "the crates for others compile for macOS and FreeBSD", move || {
            match systems::checks(workspace)? {
                Ok(checks) => programs(checks),
                Err(reason) => Ok(Outcome::skipped("macOS and FreeBSD", reason)),
            }
        })];
    if payload::exist(workspace) {
        suites.push(suite("payload", "the payload programs build, run, and have not grown", move || {
            sized(workspace)
        }));
        suites.push(suite(
            PROCESSORS,
            "leaves for other processors keep to docs/protocol.md, and one goes to a machine of its own",
            move || elsewhere(workspace),
        ));
    }
    if instructions::are_kept(workspace) {
        suites.push(suite(
            "instructions",
            "a call and the latch take no more instructions than they did",
            move || counted(workspace),
        ));
    }
    suites.extend(models(workspace));
    suites
}

/// The `tests` folders of the crates.
fn integration(workspace: &Workspace) -> Option<Suite<'_>> {
    let members = workspace.members().filter(|member| member.name != TESTS);
    let targets = members.flat_map(|member| member.targets_of("test"));
    let names: Vec<&str> = targets.map(|it| it.name.as_str()).filter(|name| *name != MODEL).collect();
    let targets = names.iter().map(|name| format!("--test {name}")).collect::<Vec<_>>().join(" ");
    // The workspace-level tests have targets of the same names, and suites of their own.
    let selection = format!("--exclude {TESTS} {targets}");
    (!names.is_empty()).then(|| {
        suite("integration", "the tests of each crate by its public face", move || {
            // Some of them start examples, which cargo does not build for a test that is named.
            let examples = programs([cargo(workspace.root(), "build --workspace --examples")])?;
            if examples.tally.failed > 0 {
                return Ok(examples);
            }
            tests([workspace_test(workspace.root(), &selection)])
        })
    })
}

/// The test targets of the package of workspace-level tests, one suite each.
fn workspace_tests(workspace: &Workspace) -> impl Iterator<Item = Suite<'_>> {
    let targets = workspace.member(TESTS).into_iter().flat_map(|package| package.targets_of("test"));
    // Some are tried with what is compiled beside them.
    let targets = targets.filter(|target| ![MODEL, PROCESSORS].contains(&target.name.as_str()));
    targets.map(|target| {
        let about = match target.name.as_str() {
            "world" => "the small world: the machines in every delivery order",
            FUZZ => {
                "inputs from outside: what was found once, then half a minute of new ones for each target"
            }
            "sim" => "whole trees by seed, with everything that goes wrong",
            "real" => "trees of real processes",
            ATTACKS => "hostile children of real processes, and what others notice",
            FAULTS => "every fault at every step of a tree's life, with real processes",
            CONFORMANCE => "what docs/protocol.md asks of a leaf, asked of ours and of one in Python",
            TRANSPORTS => "ways to other places: shells, ssh",
            _ => "tests that need more than one crate",
        };
        suite(&target.name, about, || {
            let needed =
                NEEDED.iter().filter(|(name, _)| target.name == *name).flat_map(|(_, needed)| *needed);
            apt::install_missing(needed.copied())?;
            if target.name == TRANSPORTS {
                far_sides::install(workspace)?;
                let payloads = [payload::REFERENCE, payload::DEMO].concat();
                payload::build(workspace, &payloads, Progress::Silent)?;
                // Cargo does not build an example for a test that is named.
                let examples =
                    cargo(workspace.root(), "build --workspace --example anywhere --example on_host");
                let built = programs([examples])?;
                if built.tally.failed > 0 {
                    return Ok(built);
                }
            }
            let outcome = tests([workspace_test(workspace.root(), &format!("--test {}", target.name))])?;
            if target.name == FUZZ { fed(workspace, outcome) } else { Ok(outcome) }
        })
    })
}

/// Feeds each fuzz target for a while, if the replay came to its end.
fn fed(workspace: &Workspace, mut outcome: Outcome) -> Result<Outcome> {
    if outcome.tally.failed > 0 {
        return Ok(outcome);
    }
    let fuzzers = match fuzz::build(workspace)? {
        Ok(fuzzers) => fuzzers,
        Err(reason) => {
            outcome.tally.skipped.push(Skip { name: "new inputs".to_owned(), reason });
            return Ok(outcome);
        }
    };
    let fed = fuzzers.feed(&fuzz::targets(workspace.root())?, FED)?;
    for fed in &fed {
        let count = if fed.failure.is_none() { &mut outcome.tally.passed } else { &mut outcome.tally.failed };
        *count += 1;
        let _ = writeln!(outcome.output, "{}\n{}", fed.line(), fed.failure.as_deref().unwrap_or_default());
    }
    let inputs: u64 = fed.iter().map(|fed| fed.executions).sum();
    Ok(outcome.noting(format!("{inputs} new inputs")))
}

/// The loom models of every crate that has some.
fn models(workspace: &Workspace) -> Option<Suite<'_>> {
    let modelled = || workspace.members().filter(|member| member.target("test", MODEL).is_some());
    let command = |member: &Package| {
        let mut command = cargo(workspace.root(), "test --release --no-fail-fast --target-dir");
        command.arg(workspace.target_dir().join("loom")).args(["--package", &member.name, "--test", MODEL]);
        command
            .args(["--", "--show-output"])
            .env("RUSTFLAGS", "--cfg loom")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        if run::is_ci() && env::var_os(PREEMPTIONS).is_none() {
            command.env(PREEMPTIONS, "3");
        }
        command
    };
    modelled().next()?;
    Some(suite("models", "loom: every interleaving of a few threads", move || tests(modelled().map(command))))
}

/// Lints one member: a workspace build unifies features, and so hides what a manifest lacks.
fn clippy(root: &Path, member: &Package) -> Command {
    cargo(root, &format!("clippy --package {} --all-targets -- -D warnings", member.name))
}

/// By cargo-deny where there is one; advisories, which need the network, are left to it alone.
fn licences(workspace: &Workspace) -> Result<Outcome> {
    if deny::is_installed(workspace) {
        return programs([cargo(workspace.root(), "deny check licenses bans sources")]);
    }
    let outcome = Outcome::of_problems(&deny::check(workspace)?);
    Ok(outcome
        .noting("cargo-deny is not installed: licences and sources by our own check, no bans".to_owned()))
}

/// Checks the crates that others use with the compiler that their manifests promise, if rustup has it.
fn msrv(workspace: &Workspace) -> Result<Outcome> {
    let oldest = workspace.members().find_map(|member| member.rust_version.as_deref()).unwrap_or("1.88");
    let toolchain = format!("{oldest}.0").split('.').take(3).collect::<Vec<_>>().join(".");
    let installed = run::output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let Some(name) = installed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| [oldest, &toolchain].iter().any(|it| name.starts_with(&format!("{it}-"))))
    else {
        let reason =
            format!("rustup has no Rust {oldest}: `rustup toolchain install {oldest} --profile minimal`");
        return Ok(Outcome::skipped(&format!("check with Rust {oldest}"), reason));
    };
    let mut command = Command::new("rustup");
    command.current_dir(workspace.root()).env_remove("CARGO").env_remove("RUSTC");
    command.args(["run", name, "cargo", "check", "--target-dir"]).arg(workspace.target_dir().join("msrv"));
    for member in workspace.members().filter(|member| member.is_published()) {
        command.args(["--package", &member.name]);
    }
    programs([command])
}

/// Builds payloads in every profile that can be had, and compares their sizes with those that are kept.
fn sized(workspace: &Workspace) -> Result<Outcome> {
    let report = payload::check(workspace)?;
    let embedded = payload::embedded(workspace)?;
    let tally = Tally {
        passed: usize::from(embedded.success) + usize::from(report.has_grown == Some(false)),
        failed: usize::from(!embedded.success) + usize::from(report.has_grown == Some(true)),
        skipped: report.skipped,
    };
    Ok(Outcome { tally, output: report.text + &embedded.text, note: Some(report.note) })
}

/// Builds leaves for other processors, and tries them.
fn elsewhere(workspace: &Workspace) -> Result<Outcome> {
    let lacking = payload::conforming(workspace)?;
    payload::build(workspace, &["leaf"], Progress::Silent)?;
    far_sides::install_arm64(workspace)?;
    // The ways to other places are tried meanwhile, and what is in their folder for files that pass is looked at.
    let folder = workspace.target_dir().join(PROCESSORS);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut test = workspace_test(workspace.root(), &format!("--test {PROCESSORS}"));
    test.env("TMPDIR", folder);
    let mut outcome = tests([test])?;
    // What was built before is tried all the same.
    let skip = |reason| Skip { name: "a leaf as it is now".to_owned(), reason };
    outcome.tally.skipped.extend(lacking.into_iter().map(skip));
    Ok(outcome)
}

/// Compares instruction counts with those that are kept.
fn counted(workspace: &Workspace) -> Result<Outcome> {
    Ok(match instructions::check(workspace)? {
        Verdict::Fine(said) => Outcome::success().noting(said),
        Verdict::Grown(said) => Outcome::failure(said),
        Verdict::Impossible(reason) => Outcome::skipped("instruction counts", reason),
    })
}

/// A cargo with these words as its arguments.
fn cargo(root: &Path, words: &str) -> Command {
    let mut command = run::cargo(root);
    command.args(words.split_whitespace());
    command
}

/// `cargo test` over the whole workspace, of the targets in `selection`.
fn workspace_test(root: &Path, selection: &str) -> Command {
    cargo(root, &format!("test --workspace --no-fail-fast {selection} -- --show-output"))
}

/// Runs all `commands`; together they are one test.
fn programs(commands: impl IntoIterator<Item = Command>) -> Result<Outcome> {
    let (output, failures) = run_all(commands)?;
    let tally =
        Tally { passed: usize::from(failures == 0), failed: usize::from(failures > 0), ..Tally::default() };
    Ok(Outcome { tally, output, note: None })
}

/// Runs all `commands`, each of them some `cargo test`, and counts what their test binaries say; a line that begins with
/// `NOTE: ` is for the summary.
fn tests(commands: impl IntoIterator<Item = Command>) -> Result<Outcome> {
    let (output, failures) = run_all(commands)?;
    let mut tally = Tally::of(&output);
    // A binary that crashed or did not compile has printed no result.
    tally.failed = tally.failed.max(failures);
    let note = output.lines().find_map(|line| line.strip_prefix("NOTE: ").map(str::to_owned));
    Ok(Outcome { tally, output, note })
}

fn run_all(commands: impl IntoIterator<Item = Command>) -> Result<(String, usize)> {
    let (mut output, mut failures) = (String::new(), 0);
    for mut command in commands {
        let captured = run::capture(&mut command)?;
        output.push_str(&captured.text);
        failures += usize::from(!captured.success);
    }
    Ok((output, failures))
}

impl Outcome {
    fn success() -> Self {
        Self { tally: Tally { passed: 1, ..Tally::default() }, ..Self::default() }
    }

    fn skipped(name: &str, reason: String) -> Self {
        let skip = Skip { name: name.to_owned(), reason };
        Self { tally: Tally { skipped: vec![skip], ..Tally::default() }, ..Self::default() }
    }

    /// A suite that failed as a whole, and why.
    pub(crate) fn failure(output: String) -> Self {
        Self { tally: Tally { failed: 1, ..Tally::default() }, output, note: None }
    }

    fn of_problems(problems: &[String]) -> Self {
        if problems.is_empty() {
            return Self::success();
        }
        let mut output = String::new();
        for problem in problems {
            let _ = writeln!(output, "{problem}");
        }
        Self::failure(output)
    }

    fn noting(self, note: String) -> Self {
        Self { note: Some(note), ..self }
    }
}
