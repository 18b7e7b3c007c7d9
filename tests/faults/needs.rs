//! What a test needs of this machine, and why it is skipped where that is not there.

use std::env;

/// Programs that not every system has, and what brings them in Debian.
const PROGRAMS: [(&str, &str); 4] =
    [("perl", "perl-base"), ("prlimit", "util-linux"), ("setpriv", "util-linux"), ("setsid", "util-linux")];

/// Why nothing can be done by these words here: one of them is such a program, and there is none.
pub(crate) fn lack<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known = |word| PROGRAMS.iter().find(|(program, _)| *program == word);
    let (program, package) = words.into_iter().filter_map(known).find(|(program, _)| !is_there(program))?;
    Some(format!("there is no {program} here: install {package}"))
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
