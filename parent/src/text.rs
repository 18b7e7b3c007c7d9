//! What other contexts say about themselves, made fit to be kept and shown.

/// The longest part of a dotted name, in bytes.
pub(crate) const NAME_LIMIT: usize = 64;
/// The longest reason that is kept and passed on, in bytes: leaves room for the ids in a frame of 4 KiB.
pub(crate) const REASON_LIMIT: usize = 1024;

/// One part of a dotted name: no dots, nothing that a terminal or a path could take for a command.
pub(crate) fn name_part(name: &str) -> Box<str> {
    let name = if name.is_empty() { "_" } else { cut(name, NAME_LIMIT) };
    let clean = |c: char| if c.is_ascii_graphic() && !matches!(c, '.' | '/' | '\\') { c } else { '_' };
    name.chars().map(clean).collect::<String>().into()
}

/// A reason, in one line that shows as it is.
pub(crate) fn reason(reason: &str) -> String {
    let clean = |c: char| if c.is_control() || turns(c) { ' ' } else { c };
    cut(reason, REASON_LIMIT).chars().map(clean).collect()
}

/// Characters that nobody sees and that turn the direction of the text around them.
const fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The longest beginning of `text` that has at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
