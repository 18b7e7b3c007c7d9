//! House rules for what lies around the code: READMEs, licences, versions in prose, paths of somebody's machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::source::Source;
use crate::{
    run,
    workspace::{Package, Workspace},
};

/// The most lines of the README at the root.
const README_LINES: usize = 150;
const REQUIRED: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "deny.toml"];
/// Kinds of files that are text; what has no ending is read too.
const TEXT: [&str; 8] = ["rs", "md", "toml", "sh", "yml", "yaml", "json", "txt"];
/// Folders at the root of a file system that belong to somebody's machine.
const MACHINE_FOLDERS: [&str; 4] = ["home", "root", "Users", "work"];

pub(super) fn check(workspace: &Workspace, sources: &[Source], paths: &[PathBuf]) -> Result<Vec<String>> {
    let root = workspace.root();
    let mut problems: Vec<String> = REQUIRED
        .iter()
        .filter(|name| !root.join(name).is_file())
        .map(|name| format!("{name} is missing"))
        .collect();
    for member in workspace.members().filter(|member| member.is_published()) {
        problems.extend(lacks_example(root, member, sources));
        problems.extend(lacks_refusal(member)?);
    }
    problems.extend(readmes(workspace, paths)?);
    for path in paths.iter().filter(|path| is_text(path)) {
        let text = run::read(&root.join(path))?;
        problems.extend(
            machine_paths(&text)
                .map(|line| format!("{}:{line}: a path of somebody's machine", path.display())),
        );
        if path.ends_with(".gitignore") && text.lines().any(|line| line.trim().trim_matches('/') == "core") {
            problems.push(format!("{}: a line `core` hides the crate of that name", path.display()));
        }
    }
    Ok(problems)
}

/// Every crate for others has an example: a program, or one in its documentation.
fn lacks_example(root: &Path, member: &Package, sources: &[Source]) -> Option<String> {
    let folder = member.folder().strip_prefix(root).unwrap_or_else(|_| member.folder());
    let documented = sources
        .iter()
        .filter(|source| source.path.starts_with(folder))
        .any(|source| source.text.lines().any(|line| ["//! ```", "/// ```"].contains(&line.trim())));
    let has_example = documented || member.targets_of("example").next().is_some();
    (!has_example)
        .then(|| format!("{} has no example, neither as a program nor in its documentation", member.name))
}

/// Every crate that asks the system for something refuses to compile where that is not to be had, with one sentence.
fn lacks_refusal(member: &Package) -> Result<Option<String>> {
    const REFUSAL: &str = "#[cfg(not(unix))]\ncompile_error!(";

    let asks = member.dependencies.iter().any(|it| it.is_built_in() && it.name == "rustix");
    let Some(root) = member.targets_of("lib").next().filter(|_| asks) else { return Ok(None) };
    let refuses = run::read(&root.src_path)?.contains(REFUSAL);
    Ok((!refuses).then(|| format!("{} does not say when compiled that it needs Unix", member.name)))
}

/// READMEs name the Rust version of the manifests, and the one at the root is short.
fn readmes(workspace: &Workspace, paths: &[PathBuf]) -> Result<Vec<String>> {
    let versions: BTreeSet<&str> = workspace.members().filter_map(|it| it.rust_version.as_deref()).collect();
    let oldest = versions.first().context("no member names a rust-version")?;
    let mut problems = Vec::new();
    if versions.len() > 1 {
        problems.push(format!("the members name different Rust versions: {versions:?}"));
    }
    for path in paths.iter().filter(|path| path.ends_with("README.md")) {
        let text = run::read(&workspace.root().join(path))?;
        let shown = path.display();
        for wrong in rust_versions(&text).filter(|version| version != oldest) {
            problems.push(format!("{shown}: says Rust {wrong}, the manifests say {oldest}"));
        }
        if path == Path::new("README.md") {
            if rust_versions(&text).next().is_none() {
                problems.push(format!("{shown}: does not say that Rust {oldest} is needed"));
            }
            let lines = text.lines().count();
            if lines > README_LINES {
                problems.push(format!("{shown}: {lines} lines, the limit is {README_LINES}"));
            }
        }
    }
    Ok(problems)
}

/// The `1.88` of every `Rust 1.88` or `MSRV 1.88`.
fn rust_versions(text: &str) -> impl Iterator<Item = &str> {
    let behind = ["Rust ", "MSRV "].into_iter().flat_map(|word| text.split(word).skip(1));
    behind.filter(|rest| rest.starts_with("1.")).map(|rest| {
        let version = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next().unwrap_or_default();
        version.trim_end_matches('.')
    })
}

fn is_text(path: &Path) -> bool {
    path.extension().is_none_or(|ending| TEXT.iter().any(|text| ending == *text))
}

/// The lines that hold an absolute path into one of [`MACHINE_FOLDERS`].
fn machine_paths(text: &str) -> impl Iterator<Item = usize> {
    let folders = MACHINE_FOLDERS.map(|name| format!("/{name}/"));
    let holds = move |line: &str| {
        folders.iter().any(|folder| {
            line.match_indices(folder.as_str()).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                before.is_none_or(|c| !(c.is_alphanumeric() || "._-}>)".contains(c)))
            })
        })
    };
    text.lines().enumerate().filter(move |(_, line)| holds(line)).map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rust_version_is_found_in_prose() {
        let text = "Needs Rust 1.88, edition 2024. MSRV 1.70. Rust is nice.";
        assert_eq!(rust_versions(text).collect::<Vec<_>>(), ["1.88", "1.70"]);
    }

    #[test]
    fn a_path_of_a_machine_is_told_from_a_relative_one() {
        let bad = format!("x\n`/{}/me/offshoot`\n", "home");
        assert_eq!(machine_paths(&bad).collect::<Vec<_>>(), [2]);
        let good = format!("net{0}x a.{0} $HOME{0}x", format_args!("/{}/", "work"));
        assert_eq!(machine_paths(&good).count(), 0);
    }
}
