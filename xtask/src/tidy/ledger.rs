//! `tests/LEDGER.md`: which test proves which promise. Every test that it names exists, and no promise is left out.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;

use super::source::Source;
use crate::run;

const LEDGER: &str = "tests/LEDGER.md";
/// What has rows by number, and how many.
const NUMBERED: [(&str, u32); 3] = [("rule ", 14), ("I", 27), ("T", 17)];

pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Vec<String>> {
    let tests = sources.iter().flat_map(|source| {
        source.functions.iter().filter(|it| source.is_test(it.line)).map(|it| it.name.as_str())
    });
    Ok(compare(&run::read(&root.join(LEDGER))?, &tests.collect()))
}

fn compare(ledger: &str, tests: &BTreeSet<&str>) -> Vec<String> {
    let rows: Vec<[&str; 4]> = ledger.lines().filter_map(row).collect();
    let mut problems = Vec::new();
    for [promise, _, proof, names] in &rows {
        let named: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        let known = ["wholly", "partly", "not"].iter().any(|it| proof.split(':').next() == Some(it));
        if !known || (*proof == "not") != named.is_empty() {
            problems
                .push(format!("{LEDGER}: {promise} is proven wholly or partly by tests, or not: {proof}"));
        }
        let missing = named.iter().filter(|name| !tests.contains(*name));
        problems.extend(missing.map(|name| format!("{LEDGER}: {promise}: there is no test {name}")));
    }
    let numbers = NUMBERED.iter().flat_map(|(kind, last)| (1..=*last).map(move |n| format!("{kind}{n}")));
    let absent = numbers.filter(|number| rows.iter().all(|row| row[0] != number));
    problems.extend(absent.map(|number| format!("{LEDGER}: {number} has no row")));
    problems
}

/// The four cells of a row that is no heading.
fn row(line: &str) -> Option<[&str; 4]> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let cells: [&str; 4] = cells.try_into().ok()?;
    (cells[2] != "proof" && !cells[2].starts_with("---")).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_tests_that_exist_or_says_that_there_are_none() {
        let ledger = "| what | why | proof | tests |\n| --- | --- | --- | --- |\n\
            | I1 | once | wholly | `there` |\n| I2 | x | partly: y | `there`, `gone` |\n\
            | I3 | x | not | |\n| I4 | x | wholly | |\n| I5 | x | hardly | `there` |\n";
        let problems = compare(ledger, &BTreeSet::from(["there"]));
        let of_rows: Vec<_> = problems.iter().filter(|it| !it.contains("has no row")).collect();
        assert_eq!(of_rows.len(), 3, "{of_rows:?}");
        assert!(of_rows[0].contains("I2: there is no test gone"), "{of_rows:?}");
        assert!(of_rows[1].contains("I4") && of_rows[2].contains("I5"), "{of_rows:?}");
        assert_eq!(problems.len(), 3 + 14 + 22 + 17);
    }
}
