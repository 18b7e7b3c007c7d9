//! The tests of attacks: docs/security.md names all of them, and none that is not there.

use std::{collections::BTreeSet, path::Path};

use anyhow::Result;

use super::source::Source;
use crate::run;

const SECURITY: &str = "docs/security.md";
/// Where those tests are that must be named: they have real processes.
const FOLDER: &str = "tests";
/// What their names begin with.
const PREFIX: &str = "attack_";

pub(super) fn check(root: &Path, sources: &[Source]) -> Result<Vec<String>> {
    if !root.join(SECURITY).is_file() {
        return Ok(Vec::new());
    }
    Ok(compare(&run::read(&root.join(SECURITY))?, sources))
}

fn compare(security: &str, sources: &[Source]) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named: BTreeSet<&str> =
        security.split(|c| !is_part(c)).filter(|word| word.starts_with(PREFIX)).collect();
    let functions =
        sources.iter().flat_map(|source| source.functions.iter().map(move |it| (source, it.name.as_str())));
    let tests: Vec<_> = functions.filter(|(_, name)| name.starts_with(PREFIX)).collect();
    let lost = named.iter().filter(|name| tests.iter().all(|(_, test)| test != *name));
    let lost = lost.map(|name| format!("{SECURITY}: there is no test {name}"));
    let unnamed =
        tests.iter().filter(|(source, name)| source.path.starts_with(FOLDER) && !named.contains(name));
    let unnamed =
        unnamed.map(|(source, name)| format!("{}: {SECURITY} does not name {name}", source.path.display()));
    lost.chain(unnamed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::parse;

    #[test]
    fn what_is_named_exists_and_what_exists_is_named() {
        let mut source = parse("//! Tests.\nfn attack_01_a() {}\nfn attack_02_b() {}\nfn other() {}\n");
        source.path = Path::new("tests/attacks/a.rs").into();
        let problems = compare("`attack_01_a`, `attack_03_c`", &[source]);
        assert_eq!(
            problems,
            [
                "docs/security.md: there is no test attack_03_c",
                "tests/attacks/a.rs: docs/security.md does not name attack_02_b",
            ]
        );
    }
}
