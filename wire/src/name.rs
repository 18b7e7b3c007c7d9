//! Names of contexts: made fit to be one part of a dotted name, whoever chose them.

use alloc::string::String;

/// The longest part of a name in bytes.
pub const MAX_NAME: usize = 64;

/// Makes a name fit to be shown and to be one part of a dotted name.
///
/// Letters and digits of any script and `- _ @ : + =` stay, everything else becomes `_`: dots, slashes, spaces,
/// control characters, what turns the direction of text. What is over [`MAX_NAME`] bytes is cut, and an empty
/// name becomes `_`.
///
/// ```
/// use offshoot_wire::clean_name;
/// assert_eq!(clean_name("web1"), "web1");
/// assert_eq!(clean_name("../\u{1b}[31mssh.prod"), "_____31mssh_prod");
/// assert_eq!(clean_name(""), "_");
/// ```
#[must_use]
pub fn clean_name(name: &str) -> String {
    let mut clean = String::new();
    for char in name.chars() {
        let fit =
            if char.is_alphanumeric() || matches!(char, '-' | '@' | ':' | '+' | '=') { char } else { '_' };
        if clean.len().saturating_add(fit.len_utf8()) > MAX_NAME {
            break;
        }
        clean.push(fit);
    }
    if clean.is_empty() {
        clean.push('_');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    // attack 35
    #[test]
    fn a_hostile_name_becomes_one_harmless_part() {
        let replaced = String::from_utf8_lossy(b"\xff\xfe");
        let long = "é".repeat(65);
        for name in
            ["\x1b]0;x\x07", "\0", "..", "a/b", "ssh.prod", &replaced, "\u{202e}abc", "a\u{9b}b", &long, ""]
        {
            let clean = clean_name(name);
            assert!(!clean.is_empty() && clean.len() <= MAX_NAME, "{name:?}");
            assert!(
                clean.chars().all(|char| char == '_' || char.is_alphanumeric()),
                "{name:?} became {clean:?}"
            );
            assert_eq!(clean_name(&clean), clean);
        }
        assert_eq!(clean_name(&long).len(), MAX_NAME);
    }
}
