//! The house rules that no other tool checks.

mod attacks;
mod clauses;
mod code;
mod files;
mod ledger;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{readme, workspace::Workspace};

/// What came of the check.
pub(crate) struct Report {
    /// What is wrong, one line each.
    pub(crate) problems: Vec<String>,
    /// What is worth knowing, though not wrong.
    pub(crate) note: String,
}

/// Checks every file of the workspace.
pub(crate) fn check(workspace: &Workspace) -> Result<Report> {
    let mut paths = Vec::new();
    walk(workspace.root(), Path::new(""), &mut paths)?;
    let sources = source::read(workspace, &paths)?;
    let mut problems = code::check(workspace, &sources);
    problems.extend(files::check(workspace, &sources, &paths)?);
    problems.extend(readme::check(workspace)?);
    problems.extend(attacks::check(workspace.root(), &sources)?);
    let clauses = clauses::check(workspace.root(), &sources)?;
    problems.extend(clauses.problems);
    problems.extend(ledger::check(workspace.root(), &sources)?);
    Ok(Report { problems, note: clauses.note })
}

/// All files under `root`, relative to it, in order; without build products and without git's own.
fn walk(root: &Path, below: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    const FOREIGN: [&str; 2] = ["target", ".git"];
    let folder = root.join(below);
    let mut entries = fs::read_dir(&folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot list {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| FOREIGN.iter().all(|name| entry.file_name() != *name)) {
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}
