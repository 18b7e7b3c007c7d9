//! The numbered clauses of docs/protocol.md, and whether tests cite them.

use std::{collections::BTreeSet, fmt, path::Path};

use anyhow::Result;

use super::source::Source;
use crate::run;

const PROTOCOL: &str = "docs/protocol.md";

/// Which clauses are cited, and which citations lead nowhere.
pub(super) struct Clauses {
    pub(super) problems: Vec<String>,
    pub(super) note: String,
}

/// Checks that what is cited exists, and that tests cite every clause.
pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Clauses> {
    if !root.join(PROTOCOL).is_file() {
        return Ok(Clauses { problems: Vec::new(), note: format!("there is no {PROTOCOL} yet") });
    }
    Ok(compare(&run::read(&root.join(PROTOCOL))?, sources))
}

fn compare(protocol: &str, sources: &[Source]) -> Clauses {
    let clauses: Vec<&str> = protocol.lines().filter_map(clause).collect();
    let (mut problems, mut cited) = (Vec::new(), BTreeSet::<&str>::new());
    for source in sources {
        for (at, line) in source.text.lines().enumerate() {
            for citation in citations(line) {
                let Some(meant) = citation.of(&clauses) else {
                    let path = source.path.display();
                    problems.push(format!("{path}:{}: {PROTOCOL} has no clause {citation}", at + 1));
                    continue;
                };
                if source.is_test(at + 1) {
                    cited.extend(meant);
                }
            }
        }
    }
    let untested = clauses.iter().filter(|clause| !cited.contains(*clause));
    problems.extend(untested.map(|clause| {
        format!(
            "{PROTOCOL}: no test cites clause {clause}; write `// protocol {clause}` at one that proves it"
        )
    }));
    let note = format!("tests cite {} of the {} clauses of {PROTOCOL}", cited.len(), clauses.len());
    Clauses { problems, note }
}

/// The number of the clause that begins on this line of the protocol: two numbers or more, as in `**4.3** Text`.
fn clause(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(|c: char| "#*->[ ".contains(c));
    let number = number(text)?;
    number.contains('.').then_some(number)
}

/// A clause, or some in a row: first and last.
#[derive(Debug, PartialEq, Eq)]
struct Citation<'a>(&'a str, &'a str);

impl Citation<'_> {
    /// What is cited, if it exists.
    fn of<'c>(&self, clauses: &'c [&'c str]) -> Option<&'c [&'c str]> {
        let place = |number: &str| clauses.iter().position(|clause| *clause == number);
        clauses.get(place(self.0)?..=place(self.1)?)
    }
}

impl fmt::Display for Citation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, last) = self;
        if first == last { f.write_str(first) } else { write!(f, "{first} to {last}") }
    }
}

/// The clauses that a comment such as `// protocol 4.3, 4.5 to 4.7 and 5.1: why` names.
fn citations(line: &str) -> Vec<Citation<'_>> {
    // On a line of its own: what stands behind code may be part of a string.
    let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
    let mut rest = comment.split_once("protocol ").map_or("", |(_, behind)| behind);
    let mut found = Vec::new();
    while let Some(first) = number(rest).filter(|number| number.contains('.')) {
        rest = rest.get(first.len()..).unwrap_or_default();
        let last = rest.strip_prefix(" to ").and_then(number);
        if let Some(last) = last {
            rest = rest.get(" to ".len() + last.len()..).unwrap_or_default();
        }
        found.push(Citation(first, last.unwrap_or(first)));
        rest = [", ", " and "].iter().find_map(|joint| rest.strip_prefix(joint)).unwrap_or_default();
    }
    found
}

/// The dotted number at the beginning.
fn number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number = text.get(..end)?.trim_end_matches('.');
    number.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::parse;

    #[test]
    fn a_clause_that_no_test_cites_is_a_problem() {
        let protocol = "## 1 One\n### 1.1 First\n### 1.2 Second\n### 1.3 Third\n";
        let source = parse("// protocol 1.1\nfn a() {}\n#[test]\n// protocol 1.2\nfn b() {}\n");
        let Clauses { problems, note } = compare(protocol, &[source]);
        let about: Vec<_> =
            problems.iter().filter_map(|it| it.split_once("clause ")?.1.split(';').next()).collect();
        assert_eq!(about, ["1.1", "1.3"]);
        assert!(note.starts_with("tests cite 1 of the 3 clauses"), "{note}");
    }

    #[test]
    fn a_clause_begins_its_line() {
        assert_eq!(clause("**4.3** A dead message is never answered."), Some("4.3"));
        assert_eq!(clause("### 4.3.1 Title"), Some("4.3.1"));
        assert_eq!(clause("4.3. Text"), Some("4.3"));
        assert_eq!(clause("26 bytes"), None);
        assert_eq!(clause("see 4.3"), None);
    }

    #[test]
    fn a_comment_may_cite_several_clauses() {
        let cited = |line| citations(line).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(cited("    // protocol 4.3: why"), ["4.3"]);
        assert_eq!(cited("/// protocol 4.3, 5.1. As said"), ["4.3", "5.1"]);
        assert_eq!(cited("// protocol 2.3 and 4.1 to 4.8; attack 3.1"), ["2.3", "4.1 to 4.8"]);
        assert_eq!(cited("let protocol = \"// protocol 4.3\";"), [""; 0]);
        assert_eq!(cited("// the protocol 2 of ssh"), [""; 0]);
    }

    #[test]
    fn a_citation_must_lead_somewhere() {
        let clauses = ["1.1", "1.2", "1.10", "2.1"];
        assert_eq!(Citation("1.2", "2.1").of(&clauses), Some(&["1.2", "1.10", "2.1"][..]));
        assert_eq!(Citation("1.3", "1.3").of(&clauses), None);
        assert_eq!(Citation("2.1", "1.1").of(&clauses), None);
    }
}
