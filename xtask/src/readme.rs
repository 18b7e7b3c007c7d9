//! `cargo xtask readme`: the README of a crate is its documentation, so that there is one text to keep true.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    run,
    workspace::{Package, Workspace},
};

/// Writes the README of every crate that is for others.
pub(crate) fn main(workspace: &Workspace) -> Result<ExitCode> {
    for Page { path, text } in pages(workspace)? {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The READMEs that are not what the documentation says, one line each.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let is_true = |page: &Page| fs::read_to_string(&page.path).is_ok_and(|text| text == page.text);
    let problem = |page: Page| {
        let path = page.path.strip_prefix(workspace.root()).unwrap_or(&page.path).display();
        format!("{path}: not what the documentation of its crate says; `cargo xtask readme` writes it")
    };
    Ok(pages(workspace)?.into_iter().filter(|page| !is_true(page)).map(problem).collect())
}

/// A README as it should be.
struct Page {
    path: PathBuf,
    text: String,
}

fn pages(workspace: &Workspace) -> Result<Vec<Page>> {
    let published = workspace.members().filter(|member| member.is_published());
    published
        .map(|member| Ok(Page { path: member.folder().join("README.md"), text: page(member)? }))
        .collect()
}

fn page(member: &Package) -> Result<String> {
    let Package { name, license, rust_version, .. } = member;
    let root = member.targets_of("lib").next().with_context(|| format!("{name} has no library"))?;
    let docs = markdown(&run::read(&root.src_path)?);
    let license = license.as_deref().unwrap_or_default();
    let rust = rust_version.as_deref().unwrap_or_default();
    Ok(format!(
        "# {name}\n\n{docs}\nPart of [offshoot](..). Rust {rust} or later. Licence: {license}, at your choice.\n"
    ))
}

/// The documentation at the head of a file as plain Markdown: no links that only rustdoc can follow, no hidden lines.
fn markdown(source: &str) -> String {
    let docs = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut code = Code::Outside;
    let mut page = String::new();
    for line in docs.map(|line| line.strip_prefix(' ').unwrap_or(line)) {
        let (written, then) = code.line(line);
        code = then;
        if let Some(line) = written {
            page.push_str(&line);
            page.push('\n');
        }
    }
    page
}

/// Whether a line stands in a block of code.
#[derive(Clone, Copy)]
enum Code {
    Outside,
    Rust,
    Other,
}

impl Code {
    /// What is written for a line, and what the next one stands in.
    fn line(self, line: &str) -> (Option<String>, Self) {
        match (self, line.strip_prefix("```")) {
            (Self::Outside, Some("" | "no_run" | "rust")) => (Some("```rust".to_owned()), Self::Rust),
            (Self::Outside, Some(_)) => (Some(line.to_owned()), Self::Other),
            (Self::Rust | Self::Other, Some(_)) => (Some(line.to_owned()), Self::Outside),
            (Self::Rust, None) if line == "#" || line.starts_with("# ") => (None, self),
            (Self::Rust | Self::Other, None) => (Some(line.to_owned()), self),
            (Self::Outside, None) if line.starts_with("# ") => (Some(format!("#{line}")), self),
            (Self::Outside, None) => (Some(plain(line)), self),
        }
    }
}

/// A line without the links to items of the crate: their words stay.
fn plain(line: &str) -> String {
    let Some((before, rest)) = line.split_once('[') else { return line.to_owned() };
    let Some((words, behind)) = rest.split_once(']') else { return line.to_owned() };
    let target = behind.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    match target {
        Some((target, behind)) if target.contains('/') => {
            format!("{before}[{words}]({target}){}", plain(behind))
        }
        Some((_, behind)) => format!("{before}{words}{}", plain(behind)),
        None => format!("{before}{words}{}", plain(behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_items_become_their_words() {
        assert_eq!(plain("a [`Latch`] and [put](Latch::put), once"), "a `Latch` and put, once");
        assert_eq!(plain("see [loom](https://docs.rs/loom)."), "see [loom](https://docs.rs/loom).");
        assert_eq!(plain("no link"), "no link");
    }

    #[test]
    fn code_stays_as_it_is_but_for_hidden_lines() {
        let source = "//! Says.\n//!\n//! # More\n//!\n//! ```no_run\n//! # use x;\n//! let a = b[`0`];\n//! ```\nfn a() {}\n//! not\n";
        assert_eq!(markdown(source), "Says.\n\n## More\n\n```rust\nlet a = b[`0`];\n```\n");
    }
}
