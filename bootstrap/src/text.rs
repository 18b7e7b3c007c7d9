//! Text that may be printed on a terminal as it is, whoever wrote it.

use std::{fmt, ops::Deref, path::Path};

use offshoot_wire::is_plain;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest text that is kept, in bytes after escaping: what fits on a screen or two.
pub(crate) const TEXT_LIMIT: usize = 4096;
/// The most lines of last words that are kept: the end of a stack trace, not all of a log.
const LAST_LINES: usize = 20;

/// One line of text that is safe to print: control and direction-changing characters are escaped, at most
/// 4 KiB are kept. What arrives from another context is made safe again on arrival.
///
/// ```
/// use offshoot_bootstrap::Text;
///
/// assert_eq!(&*Text::from("a\x1b[2Jb"), "a\\u{1b}[2Jb");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The end of what a process wrote: its last 20 lines, at most 4 KiB of them, lines kept apart.
    pub(crate) fn last_words(bytes: &[u8]) -> Self {
        // Escaping never makes text shorter, so what comes before this cannot be shown anyway.
        let start = bytes.len().saturating_sub(TEXT_LIMIT);
        let words = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default());
        let lines: Vec<&str> = words.trim_end().lines().collect();
        let kept = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        let safe: Vec<String> = kept.iter().map(|line| escaped(line)).collect();
        Self(tail(&safe.join("\n")).to_owned())
    }
}

/// The text with everything in it escaped that moves the cursor, changes colours or turns the direction.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(TEXT_LIMIT));
    for c in text.chars() {
        match c {
            '\t' => safe.push_str("    "),
            _ if is_plain(c) => safe.push(c),
            _ => safe.extend(c.escape_default()),
        }
    }
    safe
}

/// The last [`TEXT_LIMIT`] bytes, from a whole character on.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TEXT_LIMIT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut safe = escaped(text);
        let mut end = safe.len().min(TEXT_LIMIT);
        while !safe.is_char_boundary(end) {
            end -= 1;
        }
        safe.truncate(end);
        Self(safe)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        Self::from(path.to_string_lossy().as_ref())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(&*Text::from("\x07a\nb\u{9b}c\u{202e}d\te"), "\\u{7}a\\nb\\u{9b}c\\u{202e}d    e");
        assert_eq!(&*Text::from("a\u{61c}b\u{2066}"), "a\\u{61c}b\\u{2066}");
    }

    #[test]
    fn text_is_cut_at_the_limit_between_characters() {
        let text = Text::from("ä".repeat(TEXT_LIMIT).as_str());
        assert_eq!(text.len(), TEXT_LIMIT);
    }

    #[test]
    fn last_words_are_the_last_twenty_lines() {
        let all: String = (0..50).map(|n| format!("line {n}\r\n")).collect();
        let words = Text::last_words(all.as_bytes());
        let lines: Vec<&str> = words.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[19]), (20, "line 30", "line 49"));
    }

    #[test]
    fn last_words_without_line_ends_are_cut_from_the_front() {
        let mut bytes = vec![0x1b; 1 << 20];
        bytes.extend_from_slice(b"the end");
        let words = Text::last_words(&bytes);
        assert!(words.len() <= TEXT_LIMIT && words.ends_with("\\u{1b}the end"), "{words}");
    }

    #[test]
    fn last_words_that_are_not_utf_8_are_replaced() {
        assert_eq!(&*Text::last_words(b"\xff\xfe bad\n\n"), "\u{fffd}\u{fffd} bad");
    }

    #[test]
    fn last_words_that_were_escaped_stay_as_they_are() {
        let once = Text::last_words(b"a\x1b[1m\\b\nsecond");
        assert_eq!(Text::last_words(once.as_bytes()), once);
    }
}
