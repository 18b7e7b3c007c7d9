//! A child in a container that is made of a folder for it, by systemd.

use std::fmt;

use crate::{
    Dialect, Method, Plan, Stdio, Text, Transport,
    options::{Options, check_folder, check_word, common_options, program_option, user_option, words_option},
};

/// A folder that is to be the root of a container of the child's own, by `systemd-nspawn`. For a machine that runs already
/// there is [`Container::machine`](crate::Container::machine).
///
/// The container ends with the child. It is not registered, so that neither a bus nor systemd as init is needed.
///
/// ```
/// use offshoot_bootstrap::Nspawn;
///
/// assert_eq!(Nspawn::new("/srv/bookworm").option(["--private-network"]).to_string(), "nspawn:/srv/bookworm");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Nspawn {
    folder: String,
    program: String,
    user: Option<String>,
    extra: Vec<String>,
    options: Options,
}

impl Nspawn {
    /// The folder, by its absolute path.
    pub fn new(folder: impl Into<String>) -> Self {
        Self {
            folder: folder.into(),
            program: "systemd-nspawn".to_owned(),
            user: None,
            extra: Vec::new(),
            options: Options::default(),
        }
    }

    user_option!("Who the child is to run as there.");

    words_option!("Options of `systemd-nspawn`, such as `--private-network` or `--bind=/data`.");

    program_option!();

    common_options!();

    fn leader(&self) -> Vec<String> {
        let fixed = ["--quiet", "--register=no", "--keep-unit", "--pipe"];
        let mut argv = vec![self.program.clone()];
        argv.extend(fixed.map(str::to_owned));
        argv.extend(self.user.iter().map(|user| format!("--user={user}")));
        argv.extend(self.extra.iter().cloned());
        argv.extend([format!("--directory={}", self.folder), "--".to_owned()]);
        argv
    }
}

impl Method for Nspawn {
    fn plan(&self) -> Plan {
        let user = self.user.as_ref().and_then(|user| check_word("user", user));
        let flaw = check_folder(&self.folder).or(user);
        let (dialect, stdio) = (Dialect::Container, Stdio::Pipes);
        let transport = Transport { dialect, flaw, stdio, ..Transport::words(self.leader()) };
        self.options.plan("nspawn", &self.folder, transport)
    }
}

impl fmt::Display for Nspawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nspawn:{}", Text::from(self.folder.as_str()))
    }
}
