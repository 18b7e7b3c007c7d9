//! What the user's OpenSSH client understands: it refuses to start if it is told of options that only newer ones know.

use std::{
    collections::VecDeque,
    io::{self, PipeReader, Read as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{ConnectErrorKind, Process, sys};

/// What the configuration can do to our stream from OpenSSH 8.7 on, and what is said against it.
pub(crate) const SINCE_8_7: [&str; 3] = ["StdinNull=no", "SessionType=default", "ForkAfterAuthentication=no"];

/// What is said to a client that can ask nobody.
pub(crate) const SILENT: &str = "BatchMode=yes";

/// Major and minor.
type Version = (u32, u32);

/// How long a client may take to say what it is: it looks at nothing for that.
const LIMIT: Duration = Duration::from_secs(2);
/// The most that is read of it, in bytes: one line.
const LINE: usize = 256;
/// How many clients are remembered.
const AT_MOST: usize = 16;

/// Whether that client understands [`SINCE_8_7`]; one that does not say what it is is taken for an old one.
pub(crate) fn is_since_8_7(program: &str) -> bool {
    version_of(program).is_some_and(|version| version >= (8, 7))
}

/// Whether that client can be given passwords: from 8.4 on it asks by a helper where there is no screen, and from 8.5 on it
/// says for whom it asks what a server has it ask. One that does not say what it is is believed to.
///
/// # Errors
/// It says that it is an older one.
pub(crate) fn takes_passwords(program: &str) -> Result<(), ConnectErrorKind> {
    let Some((major, minor)) = version_of(program).filter(|version| *version < (8, 5)) else { return Ok(()) };
    let why = format!(
        "is OpenSSH {major}.{minor}, and passwords take 8.5 or later, which says for whom it asks; \
         log in by a key, or give a newer one by `.program(..)`"
    );
    Err(ConnectErrorKind::NotExecutable { path: program.into(), why: why.into() })
}

/// The version that a client says it has. It is asked once.
fn version_of(program: &str) -> Option<Version> {
    static KNOWN: Mutex<VecDeque<(String, Option<Version>)>> = Mutex::new(VecDeque::new());

    // What a panic leaves here is whole.
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, version)) = known().iter().find(|(known, _)| known == program) {
        return *version;
    }
    // Whoever cannot be started now may be the next time.
    let said = introduction(program).ok()?;
    let version = version(&said);
    let mut known = known();
    known.push_back((program.to_owned(), version));
    if known.len() > AT_MOST {
        known.pop_front();
    }
    version
}

/// What it says of itself.
fn introduction(program: &str) -> io::Result<String> {
    let (said, stderr) = io::pipe()?;
    let mut command = Command::new(program);
    command.arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
    let mut process = Process::new(command.spawn()?, None, false);
    process.wait(LIMIT);
    drop(process);
    Ok(first(said))
}

/// What is there to be read, of whoever still may hold the other end.
fn first(mut said: PipeReader) -> String {
    let mut line = [0; LINE];
    let read = if sys::is_ready(said.as_fd()) { said.read(&mut line).unwrap_or_default() } else { 0 };
    String::from_utf8_lossy(line.get(..read).unwrap_or_default()).into_owned()
}

/// Some vendors put words of theirs before or behind it.
fn version(said: &str) -> Option<Version> {
    let (_, rest) = said.split_once("OpenSSH_")?;
    let (major, minor) = rest.split_once('.')?;
    let minor = minor.split(|c: char| !c.is_ascii_digit()).next()?;
    major.parse().ok().zip(minor.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_clients_say() {
        for (said, expected) in [
            ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.22\n", Some((9, 2))),
            ("OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1\n", Some((8, 4))),
            ("OpenSSH_10.0p2, LibreSSL 3.3.6", Some((10, 0))),
            ("Warning: x\nOpenSSH_8.10, OpenSSL\n", Some((8, 10))),
            ("OpenSSH_for_Windows_8.6p1, LibreSSL 3.4.3", None),
            ("Dropbear v2022.83", None),
            ("", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }
}
