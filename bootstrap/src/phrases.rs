//! The words by which ways to a place say why they lead nowhere, each in the form in which its speaker puts it.

use crate::{ConnectErrorKind, Dialect};

/// Words that mean something, if they stand in a line so.
pub(crate) struct Phrase {
    pub(crate) at: At,
    pub(crate) words: &'static str,
    pub(crate) kind: fn() -> ConnectErrorKind,
    /// Whether it is said only once a password was enough, if one was asked for.
    pub(crate) is_behind: bool,
}

impl Phrase {
    /// One that is said to nobody who has mistyped a password.
    const fn said_behind(self) -> Self {
        Self { is_behind: true, ..self }
    }
}

/// Where the words stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// They begin the line.
    Start,
    /// They begin the line, but for one word before them: whom it is about.
    Second,
    /// Somewhere behind the name of the tool and a colon.
    Tool,
    /// Somewhere in a line that begins as the tools of engines and what they run begin theirs.
    Engine,
    /// They end the line, and no letter stands before them.
    End,
    /// Somewhere, and no letter stands before them.
    Word,
}

const fn phrase(at: At, words: &'static str, kind: fn() -> ConnectErrorKind) -> Phrase {
    Phrase { at, words, kind, is_behind: false }
}

/// What a transport itself says.
pub(crate) const fn of(dialect: Dialect) -> &'static [Phrase] {
    match dialect {
        Dialect::Other => &[],
        Dialect::Ssh => SSH,
        Dialect::Sudo => SUDO,
        Dialect::Container => CONTAINER,
    }
}

/// Those whose name stands before what they say, beside the name that they were started by.
pub(crate) const TOOLS: &[&str] = &["sudo", "sudo-rs", "su", "doas"];

/// How the lines of engines begin, beside the name that they were started by.
pub(crate) const ENGINES: &[&str] = &[
    "Error",
    "error",
    "OCI runtime",
    "time=\"",
    "docker: ",
    "Cannot connect to the Docker daemon",
    "permission denied while trying",
    "Got permission denied",
    "Unable to find image",
    "unable to find user",
    "exec failed",
    "process failed to start with error: ",
    "runc",
    "crun",
    "lxc-attach: ",
    "Failed to",
    "Directory ",
    "nsenter: ",
    "chroot: ",
    "jexec: ",
    "env: ",
    "cannot enter process ",
    "systemd-nspawn: ",
    "srun: ",
    "slurmstepd: ",
];

/// OpenSSH's client ends with 255 whatever has failed. The more telling words first.
const SSH: &[Phrase] = &[
    phrase(At::Start, "Host key verification failed", || ConnectErrorKind::HostKey { is_changed: false }),
    phrase(At::Start, "Permission denied (", || ConnectErrorKind::Authentication),
    phrase(At::Second, "Permission denied (", || ConnectErrorKind::Authentication),
    phrase(At::Start, "ssh: Could not resolve hostname ", || ConnectErrorKind::NoSuchHost),
    phrase(At::Start, NO_NAME_BEYOND, || ConnectErrorKind::NoSuchHost),
    phrase(At::Start, "ssh: connect to host ", || ConnectErrorKind::Unreachable),
    phrase(At::Start, "Connection timed out during banner exchange", || ConnectErrorKind::Unreachable),
    phrase(At::Start, "stdio forwarding failed", || ConnectErrorKind::Unreachable),
    phrase(At::Start, NO_GREETING[0], || ConnectErrorKind::Busy),
    phrase(At::Start, NO_GREETING[1], || ConnectErrorKind::Busy),
    phrase(At::Start, "Connection reset by ", || ConnectErrorKind::Busy),
];

/// The server has not even said its name: nothing that was said can be its words.
pub(crate) const NO_GREETING: [&str; 2] = ["kex_exchange_identification: ", "ssh_exchange_identification: "];

/// What a program says that was to reach a server for the client, when it does not.
pub(crate) const NO_WAY: &[&str] = &[
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "open failed: connect failed",
];

/// What such a program, or a server on the way, says of a name that it does not know.
pub(crate) const NO_NAME: &str = "Name or service not known";
/// The same as the client of a jump host passes it on.
const NO_NAME_BEYOND: &str = "channel 0: open failed: connect failed: Name or service not known";

/// What OpenSSH's client says before it does not believe a host that has another key now.
pub(crate) const CHANGED: &str = "REMOTE HOST IDENTIFICATION HAS CHANGED";

/// sudo and sudo-rs, su and doas, and what PAM has them say. Who has mistyped his password hears from sudo of nothing else, and
/// so of nothing that a rule forbids. From su he may: of a module that looks at groups, or that asks a server.
const SUDO: &[Phrase] = &[
    phrase(At::Tool, "account has expired", || ConnectErrorKind::AccountDisabled),
    phrase(At::Tool, "Account expired", || ConnectErrorKind::AccountDisabled).said_behind(),
    phrase(At::Tool, "account validation failure", || ConnectErrorKind::AccountDisabled).said_behind(),
    phrase(At::Tool, "Account or password is expired", || ConnectErrorKind::PasswordExpired).said_behind(),
    phrase(At::Tool, "Password expired", || ConnectErrorKind::PasswordExpired).said_behind(),
    phrase(At::Tool, "Authentication token is no longer valid", || ConnectErrorKind::PasswordExpired),
    phrase(At::Tool, "you must have a tty", || ConnectErrorKind::NoTerminal),
    phrase(At::Tool, "must be run from a terminal", || ConnectErrorKind::NoTerminal),
    phrase(At::Tool, "timed out reading password", || ConnectErrorKind::PasswordLate),
    phrase(At::Tool, "a password is required", || ConnectErrorKind::PasswordNeeded),
    phrase(At::Tool, "interactive authentication is required", || ConnectErrorKind::PasswordNeeded),
    phrase(At::Tool, "Authentication required", || ConnectErrorKind::PasswordNeeded),
    phrase(At::Tool, "Authorization required", || ConnectErrorKind::PasswordNeeded),
    phrase(At::Tool, "Authentication failure", || ConnectErrorKind::PasswordWrong),
    phrase(At::Tool, "Authentication failed", || ConnectErrorKind::PasswordWrong),
    phrase(At::Tool, "incorrect password", || ConnectErrorKind::PasswordWrong),
    phrase(At::Tool, "incorrect authentication attempt", || ConnectErrorKind::PasswordWrong),
    phrase(At::Start, "Sorry, try again", || ConnectErrorKind::PasswordWrong),
    phrase(At::Second, "is not in the sudoers file", || ConnectErrorKind::NotAllowed).said_behind(),
    phrase(At::Second, "is not allowed to run sudo", || ConnectErrorKind::NotAllowed).said_behind(),
    phrase(At::Start, "Sorry, user ", || ConnectErrorKind::NotAllowed).said_behind(),
    phrase(At::Tool, "I'm afraid I can't do that", || ConnectErrorKind::NotAllowed).said_behind(),
    phrase(At::Tool, "doas is not enabled", || ConnectErrorKind::NotAllowed),
    phrase(At::Tool, "Operation not permitted", || ConnectErrorKind::NotAllowed),
    phrase(At::Tool, "Permission denied", || ConnectErrorKind::NotAllowed),
    phrase(At::Tool, "does not exist", || ConnectErrorKind::NoSuchUser),
    phrase(At::Tool, "unknown user", || ConnectErrorKind::NoSuchUser),
    phrase(At::Tool, "user '", || ConnectErrorKind::NoSuchUser),
];

const CONTAINER: &[Phrase] = &[
    phrase(At::Engine, "No such container", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "no such container", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "no container with name or ID", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "container not known", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "No such object", || ConnectErrorKind::NoContainer),
    phrase(At::Start, "Error from server (NotFound)", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "Instance not found", || ConnectErrorKind::NoContainer),
    phrase(At::Start, "jexec: jail \"", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "is not running", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "is paused", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "is restarting, wait until", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "Instance is frozen", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "container state improper", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "Failed to get init pid", || ConnectErrorKind::NoContainer),
    phrase(At::Start, "System has not been booted with systemd", || ConnectErrorKind::NoEngine),
    phrase(At::End, "Host is down", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "Cannot connect to the Docker daemon", || ConnectErrorKind::NoEngine),
    phrase(At::Engine, "permission denied while trying to connect", || ConnectErrorKind::NotAllowed),
    phrase(At::Engine, "failed to find pid", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "stat of /proc/", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "cannot open /proc/", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "cannot change root directory", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "doesn't look like it has an OS tree", || ConnectErrorKind::NoContainer),
    phrase(At::Start, "Unable to find image", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "No such image", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "image not known", || ConnectErrorKind::NoContainer),
    phrase(At::Engine, "unable to find user", || ConnectErrorKind::NoSuchUser),
    phrase(At::Engine, "executable file not found", || ConnectErrorKind::NoShell),
    phrase(At::Engine, "executable file `sh` not found", || ConnectErrorKind::NoShell),
    phrase(At::Start, "Failed to exec \"sh\"", || ConnectErrorKind::NoShell),
    phrase(At::Engine, "Failed to exec \"sh\"", || ConnectErrorKind::NoShell),
    phrase(At::Start, "Error: Command not found", || ConnectErrorKind::NoShell),
];

/// What accounts, and shells and servers of the far side say of themselves, however they were reached.
pub(crate) const FAR: &[Phrase] = &[
    phrase(At::Start, "Your account has expired", || ConnectErrorKind::AccountDisabled),
    phrase(At::Start, "The account is locked", || ConnectErrorKind::AccountDisabled),
    phrase(At::Start, "Account locked", || ConnectErrorKind::AccountDisabled),
    phrase(At::Start, "Password change required", || ConnectErrorKind::PasswordExpired),
    phrase(At::Start, "You are required to change your password", || ConnectErrorKind::PasswordExpired),
    phrase(At::Start, "This account is currently not available", || ConnectErrorKind::NoLogin),
    phrase(At::Start, "This service allows sftp connections only", || ConnectErrorKind::NoLogin),
    phrase(At::Start, "There were too many logins for ", || ConnectErrorKind::NotAllowed),
    phrase(At::Start, "fatal: unrecognized command 'sh -c", || ConnectErrorKind::NoLogin),
    phrase(At::Start, "rbash: ", || ConnectErrorKind::Restricted),
    phrase(At::Start, "-rbash: ", || ConnectErrorKind::Restricted),
    phrase(At::Start, "This account is restricted", || ConnectErrorKind::Restricted),
    phrase(At::End, "sh: restricted", || ConnectErrorKind::Restricted),
    phrase(At::Word, "sh’: No such file", || ConnectErrorKind::NoShell),
    phrase(At::Word, "sh': No such file", || ConnectErrorKind::NoShell),
    phrase(At::Word, "failed to execute sh", || ConnectErrorKind::NoShell),
    phrase(At::End, "sh: not found", || ConnectErrorKind::NoShell),
    phrase(At::End, "sh: command not found", || ConnectErrorKind::NoShell),
];
