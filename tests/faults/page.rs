//! The page on faults, `docs/faults.md`, of which the matrix is written from the table and so cannot go stale.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::table::{Cell, Fault, Outcome, Step, cell, name};

/// Where the matrix begins and ends in the page.
const MARKS: [&str; 2] = ["<!-- matrix: written by the tests -->\n", "<!-- end of the matrix -->"];

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md")
}

/// The page as it is, and as it must be.
fn both() -> (String, String) {
    let is = fs::read_to_string(file()).expect("there is a page on faults");
    let (before, rest) = is.split_once(MARKS[0]).expect("the page has a place for the matrix");
    let (_, after) = rest.split_once(MARKS[1]).expect("the place has an end");
    let must = format!("{before}{}{}{}{after}", MARKS[0], matrix(), MARKS[1]);
    (is, must)
}

/// Writes the matrix into the page.
pub(crate) fn write() {
    fs::write(file(), both().1).expect("the page can be written");
}

/// The page says what is tested.
pub(crate) fn the_page_on_faults_says_what_is_tested() {
    let (is, must) = both();
    assert!(
        is == must,
        "docs/faults.md is stale; `cargo test -p offshoot-tests --test faults -- --write-page` mends it"
    );
}

/// What is said to be proven elsewhere is a test there.
pub(crate) fn what_the_matrix_leaves_to_other_tests_is_there() {
    let mut sources = String::new();
    for folder in ["real", "transports", "faults"] {
        for entry in
            fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder").flatten()
        {
            sources += &fs::read_to_string(entry.path()).unwrap_or_default();
        }
    }
    for (fault, step) in all() {
        if let Cell::Follows(_, test) = cell(fault, step) {
            assert!(
                sources.contains(&format!("fn {test}(")),
                "{}: there is no test {test}",
                name(fault, step)
            );
        }
    }
}

/// What a jump of the wall clock could change reads it; nothing of ours does.
pub(crate) fn nothing_reads_the_wall_clock() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> =
        ["wire", "latch", "core", "bootstrap", "parent"].map(|name| root.join(name).join("src")).into();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let text = fs::read_to_string(entry.path()).expect("a source");
            assert!(!text.contains("SystemTime"), "{} reads the wall clock", entry.path().display());
        }
    }
    assert!(files > 100, "only {files} files were looked at");
}

/// Every cell.
pub(crate) fn all() -> impl Iterator<Item = (Fault, Step)> {
    Fault::ALL.into_iter().flat_map(|fault| Step::ALL.map(|step| (fault, step)))
}

/// How a cell that is not tested here came by its outcome.
pub(crate) fn elsewhere(cell: Cell) -> Option<String> {
    match cell {
        Cell::Test(_) => None,
        Cell::Never(why) => Some(format!("cannot occur: {why}")),
        Cell::Follows(outcome, test) => Some(format!("{}, follows from `{test}`", outcome.letter())),
    }
}

fn matrix() -> String {
    let mut text = String::new();
    let heads = Step::ALL.map(Step::word).join(" | ");
    let _ = writeln!(text, "| fault | {heads} |\n| --- |{}", " --- |".repeat(Step::ALL.len()));
    for fault in Fault::ALL {
        let cells = Step::ALL.map(|step| match cell(fault, step) {
            Cell::Test(outcome) | Cell::Follows(outcome, _) => outcome.letter(),
            Cell::Never(_) => 'x',
        });
        let cells = cells.map(String::from).join(" | ");
        let _ = writeln!(text, "| [{0}](#{0}) | {cells} |", fault.word());
    }
    let _ = writeln!(text, "\nThe steps, and how a tree is held there:\n");
    for step in Step::ALL {
        let _ = writeln!(text, "- `{}`: {}", step.word(), step.about());
    }
    let _ = writeln!(text, "\nThe outcomes:\n");
    for outcome in Outcome::ALL {
        let _ = writeln!(text, "- {}: {}", outcome.letter(), outcome.about());
    }
    for fault in Fault::ALL {
        let _ = writeln!(text, "\n### {}\n\n{}.\n", fault.word(), capital(fault.about()));
        for step in Step::ALL {
            let said = match cell(fault, step) {
                Cell::Test(outcome) => format!("{}, by `{}`", outcome.letter(), name(fault, step)),
                other => elsewhere(other).unwrap_or_default(),
            };
            let _ = writeln!(text, "- {}: {said}", step.word());
        }
    }
    text.push('\n');
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
