//! What people read of an attack: every link is named that did something, once for each kind, in plain text.

use std::{cell::RefCell, collections::BTreeSet};

use crate::real::logs;
use offshoot_parent::Router;

/// Waits until the log names each link and kind of which frames were dropped, and looks at every line.
#[track_caller]
pub(super) fn check(router: &Router, mark: &logs::Mark) {
    for (link, kind, _) in router.dropped() {
        let (link, kind) = (format!("the link to context {link}: "), format!(" was dropped: {kind};"));
        mark.until(&["WARN offshoot: ", &link, &kind]);
    }
    router.tree().to_string().lines().for_each(assert_plain);
    let told = RefCell::new(BTreeSet::new());
    mark.look(|line| {
        assert_plain(line);
        // How many records were dropped in a second may be the same twice.
        if line.starts_with("WARN offshoot: ") && !line.contains("too many in a second") {
            assert!(told.borrow_mut().insert(fault(line)), "told twice: {line}");
        }
    });
}

/// What a line tells but for the frame that it was found by: a link and a kind.
fn fault(line: &str) -> (String, String) {
    let (link, rest) = line.split_once(": a frame from ").unwrap_or((line, ""));
    let kind = rest.split_once(" was dropped: ").map_or("", |(_, kind)| kind);
    (link.to_owned(), kind.to_owned())
}

/// What is shown to people is one line that moves nothing.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn assert_plain(text: &str) {
    assert!(!text.contains(moves), "{text:?}");
}

/// Whether a character controls a terminal, ends a line, or turns the direction of writing.
fn moves(c: char) -> bool {
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    c.is_control() || marks.contains(&c) || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error as it is shown.
///
/// # Panics
/// If that is not one line that moves nothing.
#[track_caller]
pub fn shown(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    assert_plain(&text);
    text
}
