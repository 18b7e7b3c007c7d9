//! Words for a POSIX shell.

/// The word in single quotes, so that every POSIX shell takes it for just these characters.
///
/// Line ends stay line ends, and a NUL cannot be in any word: what must be one line has neither.
pub(crate) fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('\'');
    for c in word.chars() {
        match c {
            '\'' => text.push_str("'\\''"),
            c => text.push(c),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_takes_the_word_as_it_was() {
        for word in ["", "a", "a b", "'", "'''", "$(id)`id`\"\\", "-n", "*", "a\nb", "größe", "!x"] {
            let line = format!("printf %s {}", quoted(word));
            let said = Command::new("sh").args(["-c", &line]).output().unwrap().stdout;
            assert_eq!(String::from_utf8(said).unwrap(), word);
        }
    }
}
