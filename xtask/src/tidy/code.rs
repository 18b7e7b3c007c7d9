//! House rules for Rust code: what a file may be like, and which words may stand where.

use std::path::{Path, PathBuf};

use super::source::Source;
use crate::workspace::Workspace;

/// The most lines that a file may have beside its tests.
const FILE_LINES: usize = 600;
/// The most lines that a function may have.
const FUNCTION_LINES: usize = 80;
/// The crate that has the only file which knows the order of bytes.
const WIRE: &str = "wire/src";

pub(super) fn check(workspace: &Workspace, sources: &[Source]) -> Vec<String> {
    let mut problems: Vec<String> = sources.iter().flat_map(check_one).collect();
    problems.extend(byte_order(sources));
    problems.extend(roots_without_forbid(workspace, sources));
    problems.extend(forgotten(workspace, sources));
    problems
}

/// The rules that concern one file alone.
fn check_one(source: &Source) -> Vec<String> {
    let path = source.path.display();
    let mut problems = Vec::new();
    if !source.text.starts_with("//! ") {
        problems.push(format!("{path}:1: the first line must say in one `//!` sentence what the file is"));
    }
    let lines = source.lines_of_code();
    if lines > FILE_LINES {
        problems.push(format!("{path}: {lines} lines beside the tests, the limit is {FILE_LINES}"));
    }
    for long in source.functions.iter().filter(|it| it.lines > FUNCTION_LINES && !source.is_test(it.line)) {
        problems.push(format!(
            "{path}:{}: `{}` has {} lines, the limit is {FUNCTION_LINES}",
            long.line, long.name, long.lines
        ));
    }
    let is_of_program = source.path.components().any(|part| part.as_os_str() == "bin");
    if is_of_program && source.text.lines().any(|line| line.trim() == "#[test]") {
        problems.push(format!("{path}: tests of programs are run by no suite, but those of libraries"));
    }
    for line in &source.bare_ignores {
        problems.push(format!("{path}:{line}: an ignored test needs a reason: #[ignore = \"...\"]"));
    }
    if source.path.file_name().is_some_and(|name| name != "sys.rs") {
        for (_, line) in source.words.iter().filter(|(word, _)| *word == "unsafe") {
            problems.push(format!("{path}:{line}: `unsafe` is for files named sys.rs alone"));
        }
    }
    for (name, line) in &source.macros {
        problems.push(format!("{path}:{line}: `{name}!` is left over"));
    }
    problems
}

/// Big endian is written and read in one file of the wire crate, tests apart.
fn byte_order(sources: &[Source]) -> Vec<String> {
    let uses = |source: &&Source| {
        let ordering = |(word, line): &(&str, usize)| word.ends_with("_be_bytes") && !source.is_test(*line);
        source.words.iter().any(ordering)
    };
    let mut files: Vec<&Path> = sources.iter().filter(uses).map(|source| source.path.as_path()).collect();
    if let Some(home) = files.iter().position(|path| path.starts_with(WIRE)) {
        files.remove(home);
    }
    let problem = |path: &&Path| {
        format!("{}: the order of bytes is the business of one file in {WIRE}", path.display())
    };
    files.iter().map(problem).collect()
}

/// A crate without a sys.rs forbids unsafe code at its root.
fn roots_without_forbid(workspace: &Workspace, sources: &[Source]) -> Vec<String> {
    let relative = |path: &Path| path.strip_prefix(workspace.root()).map(Path::to_owned).unwrap_or_default();
    let mut problems = Vec::new();
    for member in workspace.members() {
        let folder = relative(member.folder());
        let inside = || sources.iter().filter(|source| source.path.starts_with(&folder));
        if inside().any(|source| source.path.ends_with("sys.rs")) {
            continue;
        }
        for root in ["lib", "bin"].iter().flat_map(|kind| member.targets_of(kind)) {
            let path = relative(&root.src_path);
            if inside().any(|source| source.path == path && !source.forbids_unsafe) {
                problems.push(format!("{}: `#![forbid(unsafe_code)]` is missing", path.display()));
            }
        }
    }
    problems
}

/// Files that no target and no `mod` line leads to: they look as if they were compiled, and are not.
fn forgotten(workspace: &Workspace, sources: &[Source]) -> Vec<String> {
    // Packages outside the workspace name no targets to us: cargo finds these by their places.
    let outside = |path: &Path| {
        let folder = |levels| path.ancestors().nth(levels).map(|it| workspace.root().join(it));
        let is_package = |folder: PathBuf| {
            let manifest = folder.join("Cargo.toml");
            manifest.is_file() && workspace.members().all(|member| member.manifest_path != manifest)
        };
        let named = ["src/lib.rs", "src/main.rs"].iter().any(|it| path.ends_with(it));
        let placed = path.parent().is_some_and(|folder| folder.ends_with("src/bin"));
        named && folder(2).is_some_and(is_package) || placed && folder(3).is_some_and(is_package)
    };
    let is_root = |path: &Path| {
        let full = workspace.root().join(path);
        workspace.members().flat_map(|member| &member.targets).any(|target| target.src_path == full)
            || outside(path)
    };
    let name_of = |path: &Path| {
        let named = if path.ends_with("mod.rs") {
            path.parent().map(Path::to_owned)
        } else {
            Some(path.with_extension(""))
        };
        named.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
    };
    let is_declared = |path: &Path| {
        let crate_folder = path.iter().next();
        name_of(path).is_some_and(|name| {
            let here = sources.iter().filter(|source| source.path.iter().next() == crate_folder);
            here.flat_map(|source| &source.modules).any(|(module, _)| *module == name)
        })
    };
    let lost = sources.iter().map(|source| source.path.as_path()).filter(|path| {
        path.file_name().is_some_and(|name| name != "build.rs") && !is_root(path) && !is_declared(path)
    });
    lost.map(|path| format!("{}: no `mod` line leads to this file", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::source::tests::parse, *};

    #[test]
    fn a_clean_file_has_no_problem() {
        assert_eq!(check_one(&parse("//! Says what it is.\nfn a() {}\n")), [""; 0]);
    }

    #[test]
    fn every_rule_names_its_line() {
        let text = "fn a() {\n    unsafe {}\n    todo!()\n}\n";
        let expected = [
            "wire/src/some.rs:1: the first line must say in one `//!` sentence what the file is",
            "wire/src/some.rs:2: `unsafe` is for files named sys.rs alone",
            "wire/src/some.rs:3: `todo!` is left over",
        ];
        assert_eq!(check_one(&parse(text)), expected);
    }

    #[test]
    fn long_functions_and_files_are_told_with_their_limits() {
        let long = format!("//! Long.\nfn a() {{\n{}}}\n", "    b();\n".repeat(FILE_LINES));
        let problems = check_one(&parse(&long));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("the limit is")), "{problems:?}");
    }

    #[test]
    fn only_one_file_may_know_the_order_of_bytes() {
        let text = "fn a(x: u32) { x.to_be_bytes(); }\n";
        assert_eq!(byte_order(&[parse(text)]), [""; 0]);
        assert_eq!(byte_order(&[parse(text), parse(text)]).len(), 1);
        assert_eq!(byte_order(&[parse(text), parse(&format!("#[cfg(test)]\n{text}"))]), [""; 0]);
    }
}
