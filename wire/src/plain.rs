//! Which characters of a stranger's text may be shown as they are.

/// Whether a character shows as itself and changes nothing round it: it neither controls a terminal nor ends a line, and
/// does not turn the direction of writing or hide.
///
/// Whoever shows or logs what came from another context escapes or replaces all others. The marks and overrides of
/// direction are those of Unicode's Annex 9, the hidden ones the zero-width characters beside them.
///
/// ```
/// use offshoot_wire::is_plain;
///
/// assert!("plain, é, 漢".chars().all(is_plain));
/// assert!(!"\n\u{1b}\u{9b}\u{202e}\u{200b}".chars().any(is_plain));
/// ```
#[must_use]
pub fn is_plain(char: char) -> bool {
    let is_hidden = matches!(
        char,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    !char.is_control() && !is_hidden
}
