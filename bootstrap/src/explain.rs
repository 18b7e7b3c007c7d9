//! What the words of a transport that has ended mean: they are all that tells one failure from another.

use crate::{ConnectErrorKind, Dialect, ExitReport, Plan};

impl Plan {
    /// Why the program has ended before it has spoken, from what was said meanwhile. What enters a place by itself does so
    /// only then, and may find that it cannot.
    #[must_use]
    pub fn ended(&self, said: &[u8], report: ExitReport) -> ConnectErrorKind {
        match self.transport.as_ref().filter(|transport| !transport.enter.is_empty()) {
            Some(transport) => closed(transport.dialect, said, Some(report)),
            None => ConnectErrorKind::Exited { report },
        }
    }
}

/// Why a link was closed before the program ran, from what was said and how the process ended.
pub(crate) fn closed(dialect: Dialect, said: &[u8], report: Option<ExitReport>) -> ConnectErrorKind {
    let said = String::from_utf8_lossy(said);
    let known = table(dialect).iter().chain(ANYBODY).find(|(words, _)| said.contains(words));
    match (known, report) {
        (Some((_, kind)), _) => kind(),
        (None, Some(report)) => ConnectErrorKind::Exited { report },
        (None, None) => ConnectErrorKind::Closed,
    }
}

type Known = (&'static str, fn() -> ConnectErrorKind);

const fn table(dialect: Dialect) -> &'static [Known] {
    match dialect {
        Dialect::Other => &[],
        Dialect::Ssh => SSH,
        Dialect::Sudo => SUDO,
        Dialect::Container => CONTAINER,
    }
}

/// OpenSSH's client ends with 255 whatever has failed. The more telling words first.
const SSH: &[Known] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", || ConnectErrorKind::HostKey { is_changed: true }),
    ("Host key verification failed", || ConnectErrorKind::HostKey { is_changed: false }),
    ("host key is known", || ConnectErrorKind::HostKey { is_changed: false }),
    ("Password change required", || ConnectErrorKind::PasswordExpired),
    ("Permission denied (", || ConnectErrorKind::Authentication),
    ("Too many authentication failures", || ConnectErrorKind::Authentication),
    ("Could not resolve hostname", || ConnectErrorKind::Unreachable),
    ("Connection refused", || ConnectErrorKind::Unreachable),
    ("Connection timed out", || ConnectErrorKind::Unreachable),
    ("No route to host", || ConnectErrorKind::Unreachable),
    ("Network is unreachable", || ConnectErrorKind::Unreachable),
    ("kex_exchange_identification", || ConnectErrorKind::Busy),
    ("Connection reset by", || ConnectErrorKind::Busy),
];

const SUDO: &[Known] = &[
    ("you must have a tty", || ConnectErrorKind::NoTerminal),
    ("a password is required", || ConnectErrorKind::PasswordNeeded),
    ("interactive authentication is required", || ConnectErrorKind::PasswordNeeded),
    ("Authentication required", || ConnectErrorKind::PasswordNeeded),
    ("Authentication failure", || ConnectErrorKind::PasswordWrong),
    ("Authentication failed", || ConnectErrorKind::PasswordWrong),
    ("incorrect password attempt", || ConnectErrorKind::PasswordWrong),
    ("Sorry, try again", || ConnectErrorKind::PasswordWrong),
    ("is not in the sudoers file", || ConnectErrorKind::NotAllowed),
    ("is not allowed to", || ConnectErrorKind::NotAllowed),
    ("I'm afraid I can't do that", || ConnectErrorKind::NotAllowed),
    ("Operation not permitted", || ConnectErrorKind::NotAllowed),
    ("does not exist", || ConnectErrorKind::NoSuchUser),
    ("unknown user", || ConnectErrorKind::NoSuchUser),
    ("sudo: user '", || ConnectErrorKind::NoSuchUser),
];

const CONTAINER: &[Known] = &[
    ("No such container", || ConnectErrorKind::NoContainer),
    ("no such container", || ConnectErrorKind::NoContainer),
    ("no container with name or ID", || ConnectErrorKind::NoContainer),
    ("container not known", || ConnectErrorKind::NoContainer),
    ("No such object", || ConnectErrorKind::NoContainer),
    ("Error from server (NotFound)", || ConnectErrorKind::NoContainer),
    ("Instance not found", || ConnectErrorKind::NoContainer),
    ("jexec: jail \"", || ConnectErrorKind::NoContainer),
    ("is not running", || ConnectErrorKind::NoContainer),
    ("is paused", || ConnectErrorKind::NoContainer),
    ("is restarting, wait until", || ConnectErrorKind::NoContainer),
    ("Instance is frozen", || ConnectErrorKind::NoContainer),
    ("container state improper", || ConnectErrorKind::NoContainer),
    ("Failed to get init pid", || ConnectErrorKind::NoContainer),
    ("Cannot connect to the Docker daemon", || ConnectErrorKind::Unreachable),
    ("permission denied while trying to connect to the Docker daemon", || ConnectErrorKind::NotAllowed),
    ("failed to find pid", || ConnectErrorKind::NoContainer),
    ("stat of /proc/", || ConnectErrorKind::NoContainer),
    ("cannot open /proc/", || ConnectErrorKind::NoContainer),
    ("cannot change root directory", || ConnectErrorKind::NoContainer),
    ("doesn't look like it has an OS tree", || ConnectErrorKind::NoContainer),
    ("Unable to find image", || ConnectErrorKind::NoContainer),
    ("No such image", || ConnectErrorKind::NoContainer),
    ("image not known", || ConnectErrorKind::NoContainer),
    ("unable to find user", || ConnectErrorKind::NoSuchUser),
    ("Failed to exec \"sh\"", || ConnectErrorKind::NoShell),
    ("Error: Command not found", || ConnectErrorKind::NoShell),
];

/// What shells and accounts say, however they were reached.
const ANYBODY: &[Known] = &[
    ("This account is currently not available", || ConnectErrorKind::NoLogin),
    ("This service allows sftp connections only", || ConnectErrorKind::NoLogin),
    ("executable file not found", || ConnectErrorKind::NoShell),
    ("sh’: No such file", || ConnectErrorKind::NoShell),
    ("sh': No such file", || ConnectErrorKind::NoShell),
    ("failed to execute sh", || ConnectErrorKind::NoShell),
    ("sh: not found", || ConnectErrorKind::NoShell),
    ("sh: command not found", || ConnectErrorKind::NoShell),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn code(dialect: Dialect, said: &str) -> &'static str {
        closed(dialect, said.as_bytes(), Some(ExitReport::Exited { code: 255 })).code()
    }

    #[test]
    fn the_words_tell_one_failure_from_another() {
        for (said, expected) in [
            ("ssh: connect to host x port 22: Connection refused\r\n", "unreachable"),
            ("me@x: Permission denied (publickey,password).\r\n", "authentication"),
            ("No ED25519 host key is known for x and you have requested strict checking.", "host_key"),
            ("kex_exchange_identification: Connection closed by remote host\r\n", "busy"),
            ("This account is currently not available.\n", "no_login"),
            (".profile: Permission denied\n", "exited"),
        ] {
            assert_eq!(code(Dialect::Ssh, said), expected, "{said}");
        }
        assert_eq!(code(Dialect::Sudo, "sudo: a password is required\n"), "password_needed");
        for (said, expected) in [
            ("Error from server (NotFound): pods \"web-0\" not found\n", "no_container"),
            ("Error: Instance not found\n", "no_container"),
            ("jexec: jail \"www\" not found\n", "no_container"),
            (
                "Error response from daemon: Container far is restarting, wait until it is running",
                "no_container",
            ),
            ("Error: Command not found\n", "no_shell"),
            ("curl: (22) The requested URL returned error: 404 NotFound\n", "exited"),
            ("modprobe: not found: overlay\n", "exited"),
        ] {
            assert_eq!(code(Dialect::Container, said), expected, "{said}");
        }
        assert_eq!(code(Dialect::Other, "sudo: a password is required\n"), "exited");
    }
}
