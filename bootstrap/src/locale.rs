//! The language of a tool whose words are to be the ones that we know.

use std::ffi::{OsStr, OsString};

/// What decides the language alone.
pub(crate) const MESSAGES: &str = "LC_MESSAGES";
/// What rules over that, and over all that is like it.
const ALL: &str = "LC_ALL";
/// What holds where nothing else was said.
const LANG: &str = "LANG";

/// The variable by which a tool speaks as we know it.
pub(crate) fn english() -> (String, String) {
    (MESSAGES.to_owned(), "C".to_owned())
}

/// What is to be set beside the language for it to hold, in an environment that is `ours`: nothing where nothing rules over it.
/// What `LC_ALL` said is said of everything else, so that what runs there has the same characters.
pub(crate) fn made_room(ours: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
    let is_set = |(name, value): &&(OsString, OsString)| name == ALL && !value.is_empty();
    let Some((_, ruling)) = ours.iter().find(is_set) else { return Vec::new() };
    let is_ruled = |name: &&OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(b"LC_") && name != ALL.as_bytes() && name != MESSAGES.as_bytes()
    };
    let ruled = ours.iter().map(|(name, _)| &**name).filter(is_ruled).chain([OsStr::new(LANG)]);
    let mut room: Vec<_> = ruled.map(|name| (name.to_owned(), ruling.clone())).collect();
    // One that is empty is as good as none, and no tool puts another in its place.
    room.push((ALL.into(), OsString::new()));
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(ours: &[(&str, &str)]) -> Vec<String> {
        let ours: Vec<_> = ours.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let said = made_room(&ours).into_iter();
        said.map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
    }

    #[test]
    fn what_ruled_over_all_is_said_of_each_but_the_language() {
        let ours = [("LC_TIME", "C"), ("LC_ALL", "de_DE"), ("LC_MESSAGES", "fr_FR"), ("LANGUAGE", "fr")];
        assert_eq!(room(&ours), ["LC_TIME=de_DE", "LANG=de_DE", "LC_ALL="]);
    }

    #[test]
    fn nothing_is_set_where_nothing_rules() {
        assert_eq!(room(&[("LC_ALL", ""), ("LANG", "de_DE"), ("LC_TIME", "C")]), [""; 0]);
    }
}
