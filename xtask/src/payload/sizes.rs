//! The sizes of payloads, kept in a file, so that growth is seen where it happens.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode, thread};

use anyhow::{Context, Result, bail};
use offshoot_bootstrap::{Machine, Profile};

use super::{Built, CONFORMING, Haul, Progress, table};
use crate::{libtest::Skip, run, workspace::Workspace};

/// The file that keeps them, in the root of the workspace.
const FILE: &str = "xtask/payload-sizes.txt";
/// Growth over what is kept that is let pass, in percent.
const SLACK: f64 = 1.0;
/// What is measured: profile, machine, programs.
const MEASURED: [(Profile, Machine, &[&str]); 7] = [
    (Profile::Static, Machine::X86_64, &["smallest", "leaf", "hop"]),
    (Profile::Small, Machine::X86_64, &["smallest"]),
    (Profile::Tiny, Machine::X86_64, &["smallest", "leaf", "hop"]),
    (Profile::Tiny, Machine::Aarch64, &["smallest", CONFORMING]),
    // One program each, since every one of them takes a link with the whole of std: that which is tried.
    (Profile::Tiny, Machine::Armv7, &[CONFORMING]),
    (Profile::Tiny, Machine::I686, &[CONFORMING]),
    (Profile::Tiny, Machine::Riscv64, &[CONFORMING]),
];

/// What the suite says.
pub(crate) struct Report {
    /// What was built, compared and skipped, for people.
    pub(crate) text: String,
    /// One line for the summary.
    pub(crate) note: String,
    /// Whether anything has grown, if anything could be compared.
    pub(crate) has_grown: Option<bool>,
    pub(crate) skipped: Vec<Skip>,
}

/// Builds what is measured, and keeps the sizes beside those of other compilers.
pub(super) fn record(workspace: &Workspace) -> Result<ExitCode> {
    let haul = measure(workspace, Progress::Shown)?;
    print!("{}", table(&haul.built));
    if let Some(reason) = haul.skipped.first() {
        bail!("the sizes are kept where all can be built, and {reason}");
    }
    let path = path(workspace);
    let mut kept = parse(&fs::read_to_string(&path).unwrap_or_default());
    kept.extend(haul.built.iter().map(|built| (key(built), built.gzip)));
    let head = "# Bytes after gzip -9 by compiler, program, profile and machine: written by `cargo xtask payload --record`.\n";
    let lines: String = kept.iter().map(|(key, size)| format!("{key}: {size}\n")).collect();
    fs::write(&path, format!("{head}{lines}")).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds what is measured, and compares.
///
/// What another compiler makes is not compared, and skipped, in CI too: compilers of a distribution move on by themselves,
/// and then nobody could land anything. The summary says so until somebody keeps the new sizes.
pub(crate) fn check(workspace: &Workspace) -> Result<Report> {
    let haul = measure(workspace, Progress::Silent)?;
    let kept = parse(&run::read(&path(workspace))?);
    let skip = |reason: &String| Skip { name: "a profile of payloads".to_owned(), reason: reason.clone() };
    let mut report = Report {
        text: table(&haul.built),
        note: String::new(),
        has_grown: None,
        skipped: haul.skipped.iter().map(skip).collect(),
    };
    let mut said = Vec::new();
    for built in &haul.built {
        let (name, profile, machine) = (built.name, built.profile, built.entry.machine());
        let what = format!("{name} {profile} {machine}");
        let word = match weigh(&what, built.gzip, kept.get(&key(built)).copied(), &built.compiler) {
            Ok((word, has_grown)) => {
                report.has_grown = Some(has_grown || report.has_grown == Some(true));
                word
            }
            Err(skip) => {
                report.skipped.push(skip);
                "not compared".to_owned()
            }
        };
        said.push(format!("{what} {} ({word})", built.gzip));
    }
    report.note = said.join(", ");
    if report.has_grown == Some(true) {
        report.text.push_str(&format!(
            "more than {SLACK} % over {FILE}: {}\nsee `cargo xtask payload --bloat`; if it is worth its bytes, run `cargo xtask payload --record` and commit the file\n",
            report.note
        ));
    }
    Ok(report)
}

/// Builds what tests of other places wait for, and then the rest at once: each link is the work of one thread.
fn measure(workspace: &Workspace, progress: Progress) -> Result<Haul> {
    let build = |(profile, machine, names): (Profile, Machine, &[&str])| {
        let mut haul = Haul::default();
        haul.take(workspace, profile, machine, names, progress)?;
        anyhow::Ok(haul)
    };
    let [awaited, rest @ ..] = MEASURED;
    let mut all = build(awaited)?;
    let hauls = thread::scope(|scope| {
        let threads = rest.map(|measured| scope.spawn(move || build(measured)));
        threads.map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread that built payloads panicked")))
    });
    for haul in hauls {
        let haul = haul?;
        all.built.extend(haul.built);
        all.skipped.extend(haul.skipped);
    }
    Ok(all)
}

/// How a size compares with the one that is kept, and whether it has grown too much; a skip if none is.
fn weigh(what: &str, size: usize, kept: Option<usize>, compiler: &str) -> Result<(String, bool), Skip> {
    let Some(kept) = kept else {
        let reason =
            format!("none is kept for {compiler}: run `cargo xtask payload --record` and commit {FILE}");
        return Err(Skip { name: format!("the size of {what}"), reason });
    };
    let change = 100.0 * (size as f64 - kept as f64) / kept as f64;
    Ok((format!("{change:+.1} %"), change > SLACK))
}

/// By what a size is kept. Another compiler makes other code, so it is part of it.
fn key(built: &Built) -> String {
    let (name, profile, machine) = (built.name, built.profile, built.entry.machine());
    format!("{}, {name}, {profile}, {machine}", built.compiler)
}

fn parse(text: &str) -> BTreeMap<String, usize> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(": "))
        .filter_map(|(key, size)| Some((key.to_owned(), size.parse().ok()?)))
        .collect()
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_more_than_one_percent_is_told() {
        let weigh = |size| weigh("leaf", size, Some(1000), "rustc");
        assert_eq!(weigh(1010), Ok(("+1.0 %".to_owned(), false)));
        assert_eq!(weigh(1011), Ok(("+1.1 %".to_owned(), true)));
        assert_eq!(weigh(500), Ok(("-50.0 %".to_owned(), false)));
    }

    #[test]
    fn what_another_compiler_made_is_skipped_and_has_not_passed() {
        let skip = weigh("leaf tiny x86_64", 1000, None, "rustc 2.0.0").unwrap_err();
        assert_eq!(skip.name, "the size of leaf tiny x86_64");
        assert!(skip.reason.starts_with("none is kept for rustc 2.0.0: "), "{}", skip.reason);
    }

    #[test]
    fn a_kept_size_is_found_by_its_compiler() {
        let kept = parse("# text: 1\nrustc 1.96.0 (a 2026), leaf, tiny, x86_64: 48000\n");
        assert_eq!(kept.get("rustc 1.96.0 (a 2026), leaf, tiny, x86_64"), Some(&48000));
        assert_eq!(kept.len(), 1);
    }
}
