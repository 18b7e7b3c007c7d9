//! Text of others, made fit to be shown to people.

use std::fmt::{self, Write as _};

use offshoot_wire::is_plain;

/// Text of others, shown on one line: what controls a terminal or turns the direction of writing is escaped.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            if is_plain(char) {
                f.write_char(char)?;
            } else {
                fmt::Display::fmt(&char.escape_default(), f)?;
            }
        }
        Ok(())
    }
}

/// The same for text that is kept: as it is where all of it is fit.
pub(crate) fn plain(text: String) -> String {
    if text.chars().all(is_plain) { text } else { Plain(&text).to_string() }
}

/// The front of `text`, at most `limit` bytes of it.
pub(crate) fn front(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_is_one_line_and_moves_nothing() {
        let (text, shown) = ("a\nb\u{1b}]0;x\u{7}\u{9b}\u{202e}é", "a\\nb\\u{1b}]0;x\\u{7}\\u{9b}\\u{202e}é");
        assert_eq!(Plain(text).to_string(), shown);
        assert_eq!(plain(text.to_owned()), shown);
        assert_eq!(plain(shown.to_owned()), shown, "once is enough");
    }
}
