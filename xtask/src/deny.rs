//! Licences and sources of what we build on: by cargo-deny where it is installed, else by a small check of our own.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    run,
    workspace::{Package, Workspace},
};

/// The part of deny.toml that the own check reads.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Whether `cargo deny` can be called.
pub(crate) fn is_installed(workspace: &Workspace) -> bool {
    let mut command = run::cargo(workspace.root());
    run::capture(command.args(["deny", "--version"])).is_ok_and(|captured| captured.success)
}

/// What is wrong by the lists of deny.toml, one line each.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let rules: Rules =
        toml::from_str(&run::read(&workspace.root().join("deny.toml"))?).context("deny.toml")?;
    Ok(workspace.packages().iter().filter_map(|package| rules.problem(package)).collect())
}

impl Rules {
    fn problem(&self, package: &Package) -> Option<String> {
        let Package { name, version, .. } = package;
        let source = package.source.as_deref().map(|it| it.trim_start_matches("registry+"));
        if let Some(source) = source.filter(|it| !self.sources.allow_registry.iter().any(|ok| ok == it)) {
            return Some(format!("{name} {version} comes from {source}, which deny.toml does not allow"));
        }
        match package.license.as_deref() {
            None => Some(format!("{name} {version} names no licence")),
            Some(license) if !is_allowed(license, &self.licenses.allow) => {
                Some(format!("{name} {version} is under {license}, which deny.toml does not allow"))
            }
            Some(_) => None,
        }
    }
}

/// Whether an SPDX expression can be met with the licences of `allow`.
///
/// Some older manifests write a slash for OR.
fn is_allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allow) && rest.is_empty()
}

/// One or more terms joined by OR.
fn any_of(rest: &mut &[&str], allow: &[String]) -> bool {
    let mut good = all_of(rest, allow);
    while take(rest, "OR") {
        good |= all_of(rest, allow);
    }
    good
}

/// One or more licences or brackets joined by AND, which binds closer.
fn all_of(rest: &mut &[&str], allow: &[String]) -> bool {
    let mut good = one(rest, allow);
    while take(rest, "AND") {
        good &= one(rest, allow);
    }
    good
}

fn one(rest: &mut &[&str], allow: &[String]) -> bool {
    if take(rest, "(") {
        let good = any_of(rest, allow);
        return take(rest, ")") && good;
    }
    let Some((name, tail)) = rest.split_first() else { return false };
    *rest = tail;
    let mut license = (*name).to_owned();
    if let ["WITH", exception, tail @ ..] = rest {
        license = format!("{license} WITH {exception}");
        *rest = tail;
    }
    allow.contains(&license)
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, tail)) if *first == word => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    fn allowed(expression: &str) -> bool {
        is_allowed(expression, &["MIT".into(), "Zlib".into(), "Apache-2.0 WITH LLVM-exception".into()])
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(allowed("GPL-3.0 OR MIT"));
        assert!(allowed("GPL-3.0/MIT"));
        assert!(!allowed("GPL-3.0 OR AGPL-3.0"));
    }

    #[test]
    fn every_part_of_an_and_must_be_allowed() {
        assert!(allowed("(GPL-3.0 OR MIT) AND Zlib"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(allowed("MIT AND GPL-3.0 OR Zlib"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(allowed("Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("Apache-2.0"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(!allowed(""));
        assert!(!allowed("(MIT"));
        assert!(!allowed("MIT MIT"));
    }
}
