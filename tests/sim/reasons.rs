//! Every reason for which a machine cuts a link, and where it is seen: in the seeds, or by a test of its own.

use std::{fs, path::Path};

/// A reason for which a machine cuts a link.
pub(crate) struct Cut {
    /// A piece of what is said, without numbers.
    pub(crate) text: &'static str,
    /// Why no seed gets there, and where it is tested: the file and the test.
    pub(crate) elsewhere: Option<[&'static str; 3]>,
}

/// A reason that seeds meet.
const fn met(text: &'static str) -> Cut {
    Cut { text, elsewhere: None }
}

/// One that none meets.
const fn not_met(text: &'static str, why: &'static str, file: &'static str, test: &'static str) -> Cut {
    Cut { text, elsewhere: Some([why, file, test]) }
}

const LIFE: &str = "tests/machine/life.rs";
const FRAMES: &str = "core/src/machine/tests/frames.rs";

/// All of them: as many as there are places in the sources that cut.
pub(crate) const CUTS: [Cut; 13] = [
    met("it sent SETUP to a context that is up"),
    met("it said HELLO twice"),
    met("it has been silent for "),
    met(" bytes wait for it, and it takes none"),
    not_met(
        "it said HELLO to a leaf",
        "hostile contexts are below those that they attack, and a leaf has nobody below",
        FRAMES,
        "hello_from_above_ends_the_link_of_a_leaf",
    ),
    not_met(
        "it sent frames before HELLO",
        "the children of a forest begin as machines do, and turn hostile later",
        LIFE,
        "nothing_passes_before_hello_though_it_is_addressed_to_its_handle",
    ),
    not_met(
        "its HELLO could not be read",
        "as above",
        LIFE,
        "a_hello_that_cannot_be_read_and_none_in_time_end_the_link",
    ),
    not_met("it speaks version ", "as above", FRAMES, "a_child_that_speaks_another_version_is_cut"),
    not_met(
        "it did not say HELLO in time",
        "no link of a forest is clogged for so long",
        LIFE,
        "a_hello_that_cannot_be_read_and_none_in_time_end_the_link",
    ),
    not_met(
        "it tells of more contexts than can be passed on",
        "half a MiB of news waits on no link of two hundred contexts",
        LIFE,
        "who_announces_more_than_can_be_passed_on_is_cut_and_not_the_context_that_passes_it_on",
    ),
    not_met(
        " of news, wait for it",
        "nor do 64 KiB of control frames",
        "core/src/machine/tests/limits.rs",
        "more_news_than_may_wait_cut_the_link",
    ),
    not_met(
        "it sends more control frames than can be passed on",
        "nor half of that",
        LIFE,
        "who_sends_more_control_frames_than_can_be_passed_on_is_cut_and_not_who_would_get_them",
    ),
    not_met(
        "REFUSED",
        "only a parent that was granted the ids of others has its children refused, and none is hostile to those below",
        "tests/real/ids.rs",
        "t11_a_refused_child_that_is_being_made_ends_with_the_reason",
    ),
];

/// The page that says which of them no seed meets.
const PAGE: &str = include_str!("../../docs/testing.md");

/// The sources in which machines and tables decide to cut a link.
fn sources() -> Vec<String> {
    let machine = fs::read_dir(root().join("core/src/machine")).expect("the folder is there");
    let files = machine.map(|entry| entry.expect("it can be listed").path());
    let files = files.filter(|path| path.is_file()).chain([root().join("parent/src/monitor.rs")]);
    files.map(|path| fs::read_to_string(path).expect("it can be read")).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn every_place_that_cuts_a_link_has_its_reason_here_and_each_is_tested() {
    let sources = sources();
    let places = |line: &&str| {
        let passed_on = line.contains("Step::Cut(link, reason) => ") || line.contains("self.cut(key");
        (line.contains("self.cut(") || line.contains("Step::Cut(link, format!")) && !passed_on
    };
    let places: Vec<&str> = sources.iter().flat_map(|text| text.lines()).filter(places).collect();
    assert_eq!(places.len(), CUTS.len(), "{places:#?}");
    for Cut { text, elsewhere } in CUTS {
        assert!(sources.iter().any(|source| source.contains(text)), "no link is cut for `{text}` any more");
        if let Some([why, file, test]) = elsewhere {
            let tests = fs::read_to_string(root().join(file)).expect("the file is there");
            assert!(tests.contains(&format!("fn {test}()")), "`{text}` is not tested by {test} ({why})");
            assert!(PAGE.contains(test), "docs/testing.md does not say that {test} is about `{text}`");
        }
    }
}
