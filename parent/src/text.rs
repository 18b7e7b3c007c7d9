//! Reasons that other contexts give, made fit to be kept and shown.

use offshoot_core::wire::is_plain;

/// The longest reason that is kept and passed on, in bytes: leaves room for the ids in a frame of 4 KiB.
pub(crate) const REASON_LIMIT: usize = 1024;

/// A reason, in one line that shows as it is.
pub(crate) fn clean_reason(reason: &str) -> String {
    let clean = |c: char| if is_plain(c) { c } else { ' ' };
    let mut end = reason.len().min(REASON_LIMIT);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length_without_hidden_characters() {
        assert_eq!(clean_reason("a\nb\x1b[31mc\u{202e}d\u{9b}\u{61c}"), "a b [31mc d  ");
        assert_eq!(clean_reason(&"é".repeat(1000)).len(), REASON_LIMIT);
        assert_eq!(clean_reason(&format!("x{}", "é".repeat(1000))).len(), REASON_LIMIT - 1);
    }
}
