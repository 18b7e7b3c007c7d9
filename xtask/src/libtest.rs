//! Reads what Rust's test harness prints: how many tests passed and failed, which were skipped, and why.

/// A test that did not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// What came of some tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: Vec<Skip>,
}

impl Tally {
    /// Adds up all test binaries in the output of one `cargo test -- --show-output`.
    ///
    /// A test that cannot run here prints `SKIPPED name: reason` and returns; for the harness it has passed, for us it
    /// has not. A harness that runs one test at a time has begun the line with its name by then. An ignored test is skipped
    /// too, with the reason of its attribute.
    pub(crate) fn of(output: &str) -> Self {
        let mut tally = Self::default();
        let mut announced = 0;
        for line in output.lines() {
            if let Some(result) = line.strip_prefix("test result: ") {
                tally.passed += count(result, "passed");
                tally.failed += count(result, "failed");
            } else if let Some((name, reason)) = said_skipped(line) {
                let skip = Skip { name: name.to_owned(), reason: reason.to_owned() };
                if !tally.skipped.contains(&skip) {
                    tally.skipped.push(skip);
                    announced += 1;
                }
            } else if let Some((name, rest)) =
                line.strip_prefix("test ").and_then(|it| it.split_once(" ... ignored"))
            {
                let reason = rest.strip_prefix(", ").unwrap_or("ignored, without a reason");
                tally.skipped.push(Skip { name: name.to_owned(), reason: reason.to_owned() });
            }
        }
        tally.passed = tally.passed.saturating_sub(announced);
        tally
    }
}

/// The test and the reason, if the line says that one is skipped.
fn said_skipped(line: &str) -> Option<(&str, &str)> {
    let (before, said) = line.split_once("SKIPPED ")?;
    let is_said = before.is_empty() || before.starts_with("test ") && before.ends_with(" ... ");
    said.split_once(": ").filter(|_| is_said)
}

/// The number in front of `word` in a line such as `ok. 3 passed; 0 failed; 1 ignored`.
fn count(result: &str, word: &str) -> usize {
    let number = |part: &str| part.trim_end().strip_suffix(word)?.split_whitespace().last()?.parse().ok();
    result.split(';').find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test a ... ok
test slow ... ignored, needs an hour
test odd ... ignored
test b ... ok

successes:

---- b stdout ----
SKIPPED b: no sshd here: install openssh-server

test result: ok. 2 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn all_binaries_are_added_up() {
        let tally = Tally::of(OUTPUT);
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }

    #[test]
    fn skipped_and_ignored_tests_keep_their_reasons() {
        let skipped = Tally::of(OUTPUT).skipped;
        let told: Vec<_> = skipped.iter().map(|it| (it.name.as_str(), it.reason.as_str())).collect();
        let expected = [
            ("slow", "needs an hour"),
            ("odd", "ignored, without a reason"),
            ("b", "no sshd here: install openssh-server"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_skip_that_is_printed_twice_counts_once() {
        let twice = format!("{OUTPUT}SKIPPED b: no sshd here: install openssh-server\n");
        assert_eq!(Tally::of(&twice), Tally::of(OUTPUT));
    }

    #[test]
    fn a_skip_is_seen_behind_the_name_that_a_harness_has_printed() {
        let tally =
            Tally::of("test sudo ... SKIPPED sudo: no sudo here\nok\ntest result: ok. 2 passed; 0 failed\n");
        let skip = Skip { name: "sudo".to_owned(), reason: "no sudo here".to_owned() };
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: vec![skip] });
        assert_eq!(Tally::of("it SKIPPED a: b\n"), Tally::default());
    }

    #[test]
    fn output_without_any_result_counts_nothing() {
        assert_eq!(Tally::of("error: could not compile `x`\n"), Tally::default());
    }
}
