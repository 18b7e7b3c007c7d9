//! Why a link was closed before the program ran. What had come before decides which words can be whose.
//!
//! Until a shell has spoken, the way to it may say why it leads nowhere, on its stderr. From then on there is a way, and
//! whatever is said is said by the far side: what it means is known only by how the process ended. Once the program was
//! to run, what a shell says of the very file that it was told to become is the reason.

use crate::{
    ConnectErrorKind, Dialect, ExitReport, Plan, Transport,
    phrases::{self, At, CHANGED, ENGINES, FAR, NO_GREETING, NO_NAME, NO_WAY, Phrase, TOOLS},
};

impl Plan {
    /// Why the program has ended before it has spoken, from what was said on stderr meanwhile: it cannot be run there, or by
    /// its own doing. What enters a place by itself does so only then, and may find that it cannot.
    #[must_use]
    pub fn ended(&self, said: &[u8], report: ExitReport) -> ConnectErrorKind {
        let Some(transport) = &self.transport else { return ConnectErrorKind::Exited { report } };
        let said = String::from_utf8_lossy(said);
        let enters = || if transport.enter.is_empty() { None } else { Words::of(transport, &said).way() };
        if report.success() {
            return ConnectErrorKind::Exited { report };
        }
        if transport.is_whole {
            return unspoken(transport, said.as_bytes(), b"", Some(report));
        }
        let refused = said.lines().find_map(|line| not_run(line, transport, &self.payload.name()));
        refused.or_else(enters).unwrap_or(ConnectErrorKind::Exited { report })
    }
}

/// Why a link was closed before a shell has spoken, from what came on stderr and on stdout and how the process ended.
pub(crate) fn unspoken(
    transport: &Transport,
    stderr: &[u8],
    stdout: &[u8],
    report: Option<ExitReport>,
) -> ConnectErrorKind {
    let (stderr, stdout) = (heard(transport, stderr), String::from_utf8_lossy(stdout));
    // This client says nothing there itself: whoever does is on the far side, and so the way was found.
    let is_in = transport.dialect == Dialect::Ssh && !stdout.trim().is_empty();
    // An engine passes on what its runtime says there. Nothing else does in a container: its shell reads no start file.
    let is_engine = transport.dialect == Dialect::Container;
    let (first, second) = (Words::of(transport, &stderr), Words::of(transport, &stdout));
    let way = || {
        let on_stderr = if is_in { None } else { first.way() };
        on_stderr.or_else(|| if is_engine { second.way() } else { None })
    };
    // A banner may say anything of accounts before the server lets nobody in.
    let account = || first.account().filter(|_| !(transport.dialect == Dialect::Ssh && first.is_kept_out()));
    let known = account().or_else(way).or_else(|| first.far()).or_else(|| second.far());
    let is_others = match &report {
        // It would have spoken before anything else.
        Some(ExitReport::Exited { code: 0 }) => true,
        // With that number the client says that it has failed itself.
        Some(ExitReport::Exited { code }) => is_in && *code != 255,
        _ => false,
    };
    match (known, report) {
        (Some(kind), _) => kind,
        (None, Some(report)) if is_others => ConnectErrorKind::OtherCommand { report },
        (None, report) => ended(report),
    }
}

/// The same once a shell has spoken: whatever was said then was said by the far side.
pub(crate) fn ended(report: Option<ExitReport>) -> ConnectErrorKind {
    report.map_or(ConnectErrorKind::Closed, |report| ConnectErrorKind::Exited { report })
}

/// Whether the way has let its user in though no shell has spoken, where it has ended for this reason: nobody on the way can
/// make it seem so.
pub(crate) fn is_let_in(
    transport: &Transport,
    (stderr, stdout): (&[u8], &[u8]),
    report: Option<&ExitReport>,
    kind: &ConnectErrorKind,
) -> bool {
    use ConnectErrorKind::{
        Authentication, InputEaten, NoLogin, NoShell, OtherCommand, PasswordWrong, Restricted,
    };
    match (kind, transport.dialect) {
        (Authentication | PasswordWrong, _) => false,
        // Our command has run in the end.
        (InputEaten, _) => true,
        // Of itself the client says nothing on stdout, and ends with 255: all else is what runs beyond it.
        (_, Dialect::Ssh) => {
            let is_beyond =
                |report: &ExitReport| matches!(report, ExitReport::Exited { code } if *code != 255);
            report.is_some_and(is_beyond) || !stdout.trim_ascii().is_empty()
        }
        // It has said nothing of the password that it was told, as it does to whoever has mistyped it.
        (NoLogin | NoShell | OtherCommand { .. } | Restricted, Dialect::Sudo) => true,
        (_, Dialect::Sudo) => Words::of(transport, &heard(transport, stderr)).is_behind_a_password(),
        (_, Dialect::Container | Dialect::Other) => false,
    }
}

/// Why a way asks what nobody answers, if it has said before that the account is to blame.
pub(crate) fn asked(transport: &Transport, stderr: &[u8]) -> Option<ConnectErrorKind> {
    Words::of(transport, &heard(transport, stderr)).account()
}

/// What came on stderr. What is said behind the question begins a line, though who has typed the answer has not ended it.
fn heard(transport: &Transport, stderr: &[u8]) -> String {
    let stderr = String::from_utf8_lossy(stderr);
    match &transport.question {
        Some(question) if !question.words.is_empty() => stderr.replace(&question.words, "\n"),
        _ => stderr.into_owned(),
    }
}

/// What was said on a way to a place.
#[derive(Clone, Copy)]
struct Words<'a> {
    dialect: Dialect,
    /// The name by which the tool was started.
    tool: &'a str,
    said: &'a str,
}

impl<'a> Words<'a> {
    fn of(transport: &'a Transport, said: &'a str) -> Self {
        let path = transport.leader.first().map_or("", String::as_str);
        let tool = path.rsplit('/').next().unwrap_or_default();
        Self { dialect: transport.dialect, tool, said }
    }

    /// Why it leads nowhere, in its own words.
    fn way(self) -> Option<ConnectErrorKind> {
        let kind = self.find(phrases::of(self.dialect))?;
        Some(match kind {
            ConnectErrorKind::HostKey { .. } => {
                ConnectErrorKind::HostKey { is_changed: self.said.contains(CHANGED) }
            }
            ConnectErrorKind::Busy if self.has_no_greeting() && self.is_of(&[NO_NAME]) => {
                ConnectErrorKind::NoSuchHost
            }
            ConnectErrorKind::Busy if self.has_no_greeting() && self.is_of(NO_WAY) => {
                ConnectErrorKind::Unreachable
            }
            kind => kind,
        })
    }

    /// Whether the client says that it was not let in.
    fn is_kept_out(self) -> bool {
        self.way() == Some(ConnectErrorKind::Authentication)
    }

    /// What an account or a shell at its end says of itself.
    fn far(self) -> Option<ConnectErrorKind> {
        self.find(FAR)
    }

    /// That the account is to blame, whatever else is said then.
    fn account(self) -> Option<ConnectErrorKind> {
        let is_account = |kind: &ConnectErrorKind| {
            matches!(kind, ConnectErrorKind::AccountDisabled | ConnectErrorKind::PasswordExpired)
        };
        self.far().filter(is_account).or_else(|| self.way().filter(is_account))
    }

    /// Whether something is said that nobody hears who is not let in.
    fn is_behind_a_password(self) -> bool {
        let mut phrases = phrases::of(self.dialect).iter().filter(|phrase| phrase.is_behind);
        phrases.any(|phrase| self.lines().any(|line| self.holds(line, phrase)))
    }

    fn has_no_greeting(self) -> bool {
        self.lines().any(|line| NO_GREETING.iter().any(|words| line.starts_with(words)))
    }

    fn is_of(self, words: &[&str]) -> bool {
        words.iter().any(|words| self.said.contains(words))
    }

    fn find(self, phrases: &[Phrase]) -> Option<ConnectErrorKind> {
        let is_said = |phrase: &&Phrase| self.lines().any(|line| self.holds(line, phrase));
        phrases.iter().find(is_said).map(|phrase| (phrase.kind)())
    }

    fn lines(self) -> impl Iterator<Item = &'a str> {
        self.said.split(['\n', '\r']).map(str::trim)
    }

    fn holds(self, line: &str, phrase: &Phrase) -> bool {
        let words = phrase.words;
        match phrase.at {
            At::Start => line.starts_with(words),
            At::Second => line.split_once(' ').is_some_and(|(_, rest)| rest.starts_with(words)),
            At::Tool => self.behind_a_tool(line).is_some_and(|rest| rest.contains(words)),
            At::Engine => self.is_of_an_engine(line) && line.contains(words),
            At::End => line.strip_suffix(words).is_some_and(|front| !front.ends_with(char::is_alphanumeric)),
            At::Word => line
                .match_indices(words)
                .any(|(at, _)| !line.get(..at).is_some_and(|front| front.ends_with(char::is_alphanumeric))),
        }
    }

    fn behind_a_tool(self, line: &'a str) -> Option<&'a str> {
        let (name, rest) = line.split_once(": ")?;
        let name = name.rsplit('/').next().unwrap_or_default();
        (TOOLS.contains(&name) || name == self.tool).then_some(rest)
    }

    fn is_of_an_engine(self, line: &str) -> bool {
        ENGINES.iter().any(|front| line.starts_with(front))
            || line.split_once(": ").is_some_and(|(name, _)| name == self.tool)
    }
}

/// Why a shell could not become the program, if it says that in this line.
fn not_run(line: &str, transport: &Transport, program: &str) -> Option<ConnectErrorKind> {
    if line.trim() == "FATAL: kernel too old" {
        return Some(ConnectErrorKind::KernelTooOld);
    }
    let (front, behind) = around_its_file(line, transport.preplaced.as_deref())?;
    let behind = behind.trim_start_matches("cannot execute: ").trim_start_matches("can't execute: ");
    let is_front = |words: &str| front.to_lowercase().ends_with(words);
    let is = |words: &[&str]| words.contains(&behind);
    let is_script = || {
        // A shell has taken it for a script of its own and stumbles over it, at a line that it counts.
        let number = behind.trim_start_matches("line ").split(':').next().unwrap_or_default();
        front.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    if is(&["Exec format error"])
        || is_front("exec format error: ")
        || behind.starts_with("cannot execute binary file")
        || behind.starts_with("not executable: ")
        || is_script()
    {
        let what = "for another kind of machine than it says it is, or damaged";
        return Some(ConnectErrorKind::WrongFormat { path: program.into(), what: what.into() });
    }
    if is(&["Permission denied", "Operation not permitted"])
        || is_front("permission denied: ")
        || is_front("operation not permitted: ")
    {
        return Some(ConnectErrorKind::ExecDenied { program: program.into() });
    }
    if is(&["not found", "No such file or directory", "required file not found"])
        || behind.starts_with("bad interpreter")
        || is_front("no such file or directory: ")
    {
        return Some(ConnectErrorKind::NoLoader { path: program.into() });
    }
    None
}

/// What stands in a line before and right behind the file that a shell was told to become.
fn around_its_file<'a>(line: &'a str, preplaced: Option<&str>) -> Option<(&'a str, &'a str)> {
    let line = line.trim();
    let begins = |beginning: &str| line.find(beginning);
    let start = match begins("/.offshoot-") {
        // The name of the folder that it is in stands before that.
        Some(at) => line.get(..at)?.rfind(' ').map_or(0, |space| space.saturating_add(1)),
        None => begins("/proc/self/fd/").or_else(|| preplaced.and_then(begins))?,
    };
    let (front, rest) = line.split_at_checked(start)?;
    Some((front, rest.split_once(": ").map_or("", |(_, behind)| behind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Payload, Question};

    const FAILED: ExitReport = ExitReport::Exited { code: 255 };

    fn transport(dialect: Dialect) -> Transport {
        Transport { dialect, ..Transport::words(["/opt/tool"]) }
    }

    fn code(dialect: Dialect, said: &str) -> &'static str {
        unspoken(&transport(dialect), said.as_bytes(), b"", Some(FAILED)).code()
    }

    #[test]
    fn the_words_tell_one_failure_from_another() {
        for (said, expected) in [
            ("ssh: connect to host x port 22: Connection refused\r\n", "unreachable"),
            ("Welcome\r\nme@x: Permission denied (publickey,password).\r\n", "authentication"),
            (
                "No ED25519 host key is known for x and you ...\r\nHost key verification failed.\r\n",
                "host_key",
            ),
            ("kex_exchange_identification: Connection closed by remote host\r\n", "busy"),
            ("kex_exchange_identification: read: Connection reset by peer\r\n", "busy"),
            ("Connection reset by 10.0.0.1 port 22\r\n", "busy"),
            // Of what was to reach the server for the client.
            (
                "nc: x port 22: Connection refused\nkex_exchange_identification: Connection closed by",
                "unreachable",
            ),
            ("channel 0: open failed: connect failed: x\r\nstdio forwarding failed\r\n", "unreachable"),
            // Of a name: the client, one on the way, and what was to reach the server for the client.
            ("ssh: Could not resolve hostname x: Name or service not known\r\n", "no_such_host"),
            (
                "channel 0: open failed: connect failed: Name or service not known\r\nstdio forwarding failed\r\n",
                "no_such_host",
            ),
            (
                "nc: getaddrinfo: Name or service not known\nkex_exchange_identification: Connection closed by",
                "no_such_host",
            ),
            ("This account is currently not available.\n", "no_login"),
            ("Your account has expired; please contact your system administrator.\n", "account_disabled"),
            ("rbash: line 1: sh: command not found\n", "restricted"),
            ("bash: line 1: sh: command not found\n", "no_shell"),
            (".profile: Permission denied\n", "exited"),
            ("start: Connection refused\n", "exited"),
            ("bash: line 1: ssh: command not found\n", "exited"),
            ("Read from remote host x: Connection reset by peer\n", "exited"),
        ] {
            assert_eq!(code(Dialect::Ssh, said), expected, "{said}");
        }
        for (said, expected) in [
            ("sudo: a password is required\n", "password_needed"),
            ("tool: a password is required\n", "password_needed"),
            ("sudo: timed out reading password\nsudo: a password is required\n", "password_late"),
            ("Sorry, try again.\n", "password_wrong"),
            ("me is not in the sudoers file.\n", "not_allowed"),
            ("sudo: I'm sorry me. I'm afraid I can't do that\n", "not_allowed"),
            ("doas: doas is not enabled, /etc/doas.conf: No such file or directory\n", "not_allowed"),
            ("su: User account has expired\n", "account_disabled"),
            ("sudo: account validation failure, is your account locked?\n", "account_disabled"),
            ("start: a password is required\n", "exited"),
            ("Authentication failure\n", "exited"),
        ] {
            assert_eq!(code(Dialect::Sudo, said), expected, "{said}");
        }
        assert_eq!(code(Dialect::Other, "sudo: a password is required\n"), "exited");
    }

    #[test]
    fn the_words_of_engines_tell_one_failure_from_another() {
        for (said, expected) in [
            ("Error from server (NotFound): pods \"web-0\" not found\n", "no_container"),
            ("Error: Instance not found\n", "no_container"),
            ("jexec: jail \"www\" not found\n", "no_container"),
            (
                "Error response from daemon: Container far is restarting, wait until it is running",
                "no_container",
            ),
            ("Error: Command not found\n", "no_shell"),
            ("tool: No such image: x\n", "no_container"),
            ("it says: No such container\n", "exited"),
            ("curl: (22) The requested URL returned error: 404 NotFound\n", "exited"),
            ("modprobe: not found: overlay\n", "exited"),
        ] {
            assert_eq!(code(Dialect::Container, said), expected, "{said}");
        }
    }

    #[test]
    fn what_is_said_behind_the_question_begins_a_line() {
        let sudo =
            Transport { question: Some(Question::new("password: ", None)), ..transport(Dialect::Sudo) };
        let said = b"password: sudo: account validation failure, is your account locked?\nsudo: a password is required\n";
        assert_eq!(unspoken(&sudo, said, b"", Some(FAILED)).code(), "account_disabled");
        assert_eq!(
            asked(&sudo, b"password: Your account has expired; please"),
            Some(ConnectErrorKind::AccountDisabled)
        );
        assert_eq!(asked(&sudo, b"password: sh: not found"), None);
    }

    #[test]
    fn whoever_ends_well_without_our_word_was_another() {
        let ssh = transport(Dialect::Ssh);
        let code = |stdout: &[u8], code| {
            unspoken(&ssh, b"Connection reset by x port 22\n", stdout, Some(ExitReport::Exited { code }))
                .code()
        };
        assert_eq!(
            (code(b"", 255), code(b"menu", 255), code(b"menu", 3)),
            ("busy", "exited", "other_command")
        );
        let code = |report| unspoken(&transport(Dialect::Other), b"", b"menu", report).code();
        assert_eq!(code(Some(ExitReport::Exited { code: 0 })), "other_command");
        assert_eq!((code(Some(FAILED)), code(None)), ("exited", "closed"));
    }

    #[test]
    fn what_a_banner_says_of_accounts_does_not_hide_that_nobody_was_let_in() {
        let ssh = transport(Dialect::Ssh);
        let code = |said: &[u8]| unspoken(&ssh, said, b"", Some(ExitReport::Exited { code: 255 })).code();
        let banner = b"Account locked accounts are reported.\n".as_slice();
        assert_eq!(code(banner), "account_disabled");
        assert_eq!(code(&[banner, b"me@x: Permission denied (password).\n"].concat()), "authentication");
    }

    #[test]
    fn what_a_shell_says_of_the_file_that_it_was_to_become_is_the_reason() {
        let plan = |preplaced: Option<&str>| {
            let mut plan = Plan::new("there", "by", "there", Payload::this_program());
            let preplaced = preplaced.map(Into::into);
            plan.transport = Some(Transport { preplaced, ..transport(Dialect::Sudo) });
            plan
        };
        let code = |said: &str, preplaced| plan(preplaced).ended(said.as_bytes(), FAILED).code();
        for (said, expected) in [
            ("sh: 1: exec: /proc/self/fd/9: Exec format error", "wrong_format"),
            (
                "environment: line 1: /proc/self/fd/9: cannot execute binary file: Exec format error",
                "wrong_format",
            ),
            ("E: mksh: /proc/self/fd/9: not executable: 64-bit ELF file", "wrong_format"),
            ("a: exec format error: /proc/self/fd/9", "wrong_format"),
            ("/proc/self/fd/9: line 1: \u{7f}ELF: not found", "wrong_format"),
            ("/proc/self/fd/9: 1: Syntax error: word unexpected", "wrong_format"),
            ("sh: 1: /tmp/.offshoot-ab/my x: Exec format error", "wrong_format"),
            ("sh: 1: exec: /proc/self/fd/9: Permission denied", "exec_denied"),
            ("sh: line 1: exec: /proc/self/fd/9: cannot execute: Permission denied", "exec_denied"),
            ("a: permission denied: /proc/self/fd/9", "exec_denied"),
            ("cannot enter process 7: /proc/self/fd/9: Operation not permitted", "exec_denied"),
            ("sh: 1: exec: /proc/self/fd/9: not found", "no_loader"),
            ("sh: /proc/self/fd/9: cannot execute: required file not found", "no_loader"),
            ("FATAL: kernel too old", "kernel_too_old"),
            ("/proc/self/fd/9: /etc/x: Permission denied", "exited"),
            ("/proc/self/fd/9: applet not found", "exited"),
            ("sudo: Authentication failure", "exited"),
            ("it says: FATAL: kernel too old", "exited"),
        ] {
            assert_eq!(code(said, None), expected, "{said}");
        }
        let said = "sh: 1: exec: /usr/lib/x: Permission denied";
        assert_eq!((code(said, Some("/usr/lib/x")), code(said, None)), ("exec_denied", "exited"));
        assert_eq!(
            plan(None).ended(b"FATAL: kernel too old", ExitReport::Exited { code: 0 }).code(),
            "exited"
        );
    }
}
