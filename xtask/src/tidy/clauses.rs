//! The numbered clauses of docs/protocol.md, and whether tests cite them.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;

use super::source::Source;
use crate::run;

const PROTOCOL: &str = "docs/protocol.md";

/// Which clauses are cited, and which citations lead nowhere.
pub(super) struct Clauses {
    pub(super) problems: Vec<String>,
    pub(super) note: String,
}

/// Checks that what is cited exists, and counts what is cited by tests.
pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Clauses> {
    if !root.join(PROTOCOL).is_file() {
        return Ok(Clauses { problems: Vec::new(), note: format!("there is no {PROTOCOL} yet") });
    }
    let text = run::read(&root.join(PROTOCOL))?;
    let clauses: BTreeSet<&str> = text.lines().filter_map(clause).collect();
    let (mut problems, mut cited) = (Vec::new(), BTreeSet::new());
    for source in sources {
        for (at, line) in source.text.lines().enumerate() {
            for number in citations(line) {
                if !clauses.contains(number) {
                    let path = source.path.display();
                    problems.push(format!("{path}:{}: {PROTOCOL} has no clause {number}", at + 1));
                } else if source.is_test(at + 1) {
                    cited.insert(number);
                }
            }
        }
    }
    let note = format!("tests cite {} of the {} clauses of {PROTOCOL}", cited.len(), clauses.len());
    Ok(Clauses { problems, note })
}

/// The number of the clause that begins on this line of the protocol: two numbers or more, as in `**4.3** Text`.
fn clause(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(|c: char| "#*->[ ".contains(c));
    let number = number(text)?;
    number.contains('.').then_some(number)
}

/// The clauses that a comment such as `// protocol 4.3, 4.5: why` names.
fn citations(line: &str) -> impl Iterator<Item = &str> {
    let comment = line.split_once("//").map_or("", |(_, comment)| comment);
    let behind = comment.split_once("protocol ").map_or("", |(_, behind)| behind);
    behind.split(", ").map_while(number).filter(|number| number.contains('.'))
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
        let cited = |line| citations(line).collect::<Vec<_>>();
        assert_eq!(cited("    // protocol 4.3: why"), ["4.3"]);
        assert_eq!(cited("/// protocol 4.3, 5.1. As said"), ["4.3", "5.1"]);
        assert_eq!(cited("let protocol = 4.3;"), [""; 0]);
        assert_eq!(cited("// the protocol 2 of ssh"), [""; 0]);
    }
}
