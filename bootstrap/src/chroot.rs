//! A child with another root folder.

use std::fmt;

use crate::{
    Dialect, Method, Plan, Stdio, Text, Transport, locale,
    options::{Options, check_folder, check_word, common_options, program_option, user_option},
};

/// A folder that is to be the root of the child, by `chroot`. There must be a shell in it.
///
/// ```
/// use offshoot_bootstrap::Chroot;
///
/// assert_eq!(Chroot::new("/srv/bookworm").user("build").to_string(), "chroot:/srv/bookworm");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Chroot {
    folder: String,
    program: String,
    user: Option<String>,
    options: Options,
}

impl Chroot {
    /// The folder, by its absolute path.
    pub fn new(folder: impl Into<String>) -> Self {
        Self { folder: folder.into(), program: "chroot".to_owned(), user: None, options: Options::default() }
    }

    user_option!(
        "Who the child is to run as, by name or number, with a group behind a colon if that is another."
    );

    program_option!();

    common_options!();

    fn leader(&self) -> Vec<String> {
        let user = self.user.iter().map(|user| format!("--userspec={user}"));
        // An absolute path is no option; the chroot of busybox takes `--` for the folder.
        [self.program.clone()].into_iter().chain(user).chain([self.folder.clone()]).collect()
    }
}

impl Method for Chroot {
    fn plan(&self) -> Plan {
        let user = self.user.as_ref().and_then(|user| check_word("user", user));
        let flaw = check_folder(&self.folder).or(user);
        let (dialect, stdio, env) = (Dialect::Container, Stdio::Pipes, vec![locale::english()]);
        let transport =
            Transport { near: true, dialect, flaw, stdio, env, ..Transport::words(self.leader()) };
        self.options.plan("chroot", &self.folder, transport)
    }
}

impl fmt::Display for Chroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chroot:{}", Text::from(self.folder.as_str()))
    }
}
