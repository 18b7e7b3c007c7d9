//! The reasons for which a connect fails, each with what its reader can do.

use std::{fs, io, path::Path, time::Duration};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{ExitReport, Text, payload::other_than_elf, sys};

/// Why a connect failed. Match on what you can act on; print the [`ConnectError`](crate::ConnectError).
#[derive(Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The name of the child cannot be one.
    #[error("the name `{name}` {why}; give one with `.name(..)`")]
    BadName {
        /// The name.
        name: Text,
        /// What is wrong with it.
        why: Text,
    },
    /// What was to be reached cannot be the name of a place.
    #[error("the {what} `{text}` {why}")]
    BadPlace {
        /// What it was to be, such as `host`.
        what: Text,
        /// What was given.
        text: Text,
        /// What is wrong with it.
        why: Text,
    },
    /// The tree has used up its ids.
    #[error("no id is left in this tree, and ids are never used again; start a new tree")]
    IdsExhausted,
    /// There is no such program.
    #[error("there is no file {path}")]
    NotFound {
        /// Where it was looked for.
        path: Text,
    },
    /// There is no such program in any folder of the PATH.
    #[error("there is no `{tool}` in PATH ({path}); install it, or give its path with `.program(..)`")]
    NoTool {
        /// The program.
        tool: Text,
        /// The PATH of the context that was to run it.
        path: Text,
    },
    /// There is one, and it may not be run.
    #[error("{path} {why}")]
    NotExecutable {
        /// The program.
        path: Text,
        /// What keeps it from being run, and what to do.
        why: Text,
    },
    /// It is not a program for the machine that was to run it.
    #[error("{path} is {what}, and the machine cannot run it; build the program for that machine")]
    WrongFormat {
        /// The program.
        path: Text,
        /// What it is.
        what: Text,
    },
    /// The far side is another machine than the program was built for.
    #[error(
        "it is a {host}, and the program is for {program}; build it for that machine too, or, if it says so and is none, say what it is by `.taken_for(..)`"
    )]
    WrongMachine {
        /// The system and the machine of the far side.
        host: Text,
        /// What the program was built for.
        program: Text,
    },
    /// The set has no program for the far side.
    #[error(
        "it is a {host}, and the payload set has {has}; {hint}, or, if it says so and is none, say what it is by `.taken_for(..)`"
    )]
    NoPayload {
        /// The system and the machine of the far side.
        host: Text,
        /// The machines that the set is for.
        has: Text,
        /// What the reader can do.
        hint: Text,
    },
    /// The far side may lack what must load the program.
    #[error(
        "{program} needs a loader and libraries of its own machine, and so runs there alone; build it static: `rustup target add x86_64-unknown-linux-musl`, then `cargo build --target x86_64-unknown-linux-musl`; or RUSTFLAGS=`-C target-feature=+crt-static` with `--target x86_64-unknown-linux-gnu`"
    )]
    NotStatic {
        /// The program.
        program: Text,
    },
    /// What must load it is missing.
    #[error(
        "{path} is there, but the program that must load it is not; build it static, or mend the first line of a script"
    )]
    NoLoader {
        /// The program.
        path: Text,
    },
    /// Neither memory nor any folder can hold a program and let it run.
    #[error(
        "no place was found where the program can be put and run ({tried}); name a folder that lets programs run by `.folder(..)`, or by TMPDIR in its environment"
    )]
    NoPlace {
        /// Each place with its reason.
        tried: Text,
    },
    /// No descriptor is left.
    #[error(
        "too many descriptors are open ({}); raise the limit (`ulimit -n`) or have fewer children at once",
        limit_text(*limit)
    )]
    TooManyDescriptors {
        /// How many this process may have; `None` if it is the whole system that has no more.
        limit: Option<u64>,
    },
    /// Many connects would take more descriptors than this process may have; none of them was begun.
    #[error(
        "all of them take {needed} descriptors, and this process may have {limit}; raise the limit (`ulimit -n {needed}`) or have fewer children at once"
    )]
    DescriptorsNeeded {
        /// How many there would be, those that are open already among them.
        needed: u64,
        /// How many this process may have.
        limit: u64,
    },
    /// No process can be added.
    #[error(
        "no further process may be started; raise the limit (`ulimit -u`, pids.max of the control group) or have fewer children at once"
    )]
    TooManyProcesses,
    /// The system refused for another reason.
    #[error("the system refused: {error}")]
    Spawn {
        /// What the system says.
        error: Text,
    },
    /// The deadline of the connect has passed.
    #[error("no answer within {}; look at the far side, or allow it more by `.timeout(..)`", seconds(*limit))]
    NoAnswer {
        /// How long it was given.
        limit: Duration,
    },
    /// The host is not who it was, or nobody has said that it is who it says.
    #[error(
        "its host key {}; compare the key with its owner's, then `ssh` there once by hand{}",
        if *is_changed { "is another one than before" } else { "is not known" },
        if *is_changed { " after `ssh-keygen -R HOST`" } else { ", or accept it unseen by `.host_keys(HostKeys::AcceptNew)`" }
    )]
    HostKey {
        /// It had another before.
        is_changed: bool,
    },
    /// It cannot be reached.
    #[error("it cannot be reached; look at its name, its port and the network between")]
    Unreachable,
    /// It closed the connection before anything was said: too many come at once.
    #[error("it took no further connection; have fewer at once, or raise MaxStartups in its sshd_config")]
    Busy,
    /// It did not let this user in.
    #[error(
        "it did not let the user in; look at the key (`ssh-add -l`), the user, and its authorized_keys, or give a password by `.password(..)`"
    )]
    Authentication,
    /// The password must be changed first.
    #[error("the password of the account must be changed first; log in there once by hand")]
    PasswordExpired,
    /// A password is asked for and none was given.
    #[error("it asks for a password and none was given; give one with `.password(..)`")]
    PasswordNeeded,
    /// It talks to nobody without a terminal.
    #[error(
        "it wants a terminal; give it one of its own with `.terminal()`, which nothing of the program goes by"
    )]
    NoTerminal,
    /// The password was refused. It was not tried again.
    #[error("the password was refused; it was tried once, since accounts get locked")]
    PasswordWrong,
    /// Something is asked that nobody has answered beforehand.
    #[error("it asks `{question}`, and there is no answer; have a prompter answer it, or log in by a key")]
    Unanswered {
        /// What it asks.
        question: Text,
    },
    /// The program that was to be there is not.
    #[error("{path} {why}; put the program of this very build there, or let it be sent")]
    NotPreplaced {
        /// Where it was to be.
        path: Text,
        /// What is there.
        why: Text,
    },
    /// The user may not do that there.
    #[error("the user may not do this there; it is for its administrator to allow")]
    NotAllowed,
    /// There is no such user.
    #[error("there is no such user there")]
    NoSuchUser,
    /// The account lets nobody in.
    #[error("the account is not one to log in to: its shell, or what it is made to run, takes no commands")]
    NoLogin,
    /// There is no such container, or it does not run.
    #[error("there is no such container, image or folder, or it does not run; look at what its engine lists")]
    NoContainer,
    /// There is no shell there.
    #[error("there is no `sh` there, and so no way to put a program")]
    NoShell,
    /// The process ended.
    #[error("it ended: {report}{}", hint(report))]
    Exited {
        /// How.
        report: ExitReport,
    },
    /// It closed its link and may still be running.
    #[error("it closed its link without a word")]
    Closed,
    /// What it says is not ours.
    #[error("it does not speak our protocol: {what}; is it a program that runs `Child` or `run`?")]
    BadStream {
        /// What came instead, and where.
        what: Text,
    },
    /// It speaks another version.
    #[error("it speaks version {theirs} of the protocol, we speak {ours}; build both from the same release")]
    Version {
        /// What it speaks.
        theirs: u16,
        /// What this program speaks.
        ours: u16,
    },
    /// A leaf was asked to have children.
    #[error("{context} is a leaf and can have no children; its program must link `offshoot-parent`")]
    Leaf {
        /// The context that was to make the child.
        context: Text,
    },
    /// A context nearer to the root, or the one that was to make the child, does not want it.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: Text,
    },
    /// The context that was to make it cannot be asked, or its answer cannot be used.
    #[error("asking {context} to make it failed: {error}")]
    Asking {
        /// The context that was asked.
        context: Text,
        /// What went wrong.
        error: Text,
    },
    /// The context that was to make it, or the child itself, is lost.
    #[error("{context} is lost: {reason}")]
    Lost {
        /// The context that is lost.
        context: Text,
        /// Why.
        reason: Text,
    },
    /// The caller gave it up.
    #[error("cancelled")]
    Cancelled,
    /// The tree is coming down.
    #[error("the tree is shutting down")]
    ShuttingDown,
    // What was added since stands behind the others: builds of different sources tell them by their places in this list.
    /// A program can be put nowhere, and in each place for want of space.
    #[error(
        "there is no space left for the program wherever it may be put ({tried}); make room there (the quota of the user counts too), or name another folder by `.folder(..)`"
    )]
    NoSpace {
        /// Each place with its reason.
        tried: Text,
    },
    /// The program is there, and the system does not let it be run though other programs in its place may.
    #[error(
        "{program} was put there and may not be run, as other programs may: a security policy forbids it (SELinux, AppArmor, fapolicyd); have it put where it may be run, and name it by `.preplaced(..)`"
    )]
    ExecDenied {
        /// The program.
        program: Text,
    },
    /// The C library in the program wants a newer kernel.
    #[error(
        "the kernel there is older than the C library in the program can do with; build it for musl (`--target x86_64-unknown-linux-musl`), or on an older system"
    )]
    KernelTooOld,
    /// The account may not be used now.
    #[error("the account is disabled, locked or has expired; it is for its administrator to open it again")]
    AccountDisabled,
    /// The shell of the account is a restricted one, and does not let `sh` be run.
    #[error(
        "the shell of the account is a restricted one that runs no `sh`; have its administrator put `sh` in its PATH, or log in as another user"
    )]
    Restricted,
    /// Something else ran there than our command, and ended.
    #[error(
        "something else ran there than our command, and ended: {report}; look for a command that is forced (ForceCommand, `command=` in authorized_keys), and for a start file of the shell that ends it"
    )]
    OtherCommand {
        /// How it ended.
        report: ExitReport,
    },
    /// Our command came to run only when the input for it was at its end.
    #[error(
        "our command came to run only once its input had ended: a start file of the shell reads it, as `cat` or `read` in .bashrc do; have them read </dev/null, or only where there is a terminal"
    )]
    InputEaten,
    /// Nobody knows a host of that name.
    #[error(
        "no host has that name, or nobody can be asked for it now; look how it is spelled, what the configuration of the client makes of it, and at `getent hosts NAME` where the client runs"
    )]
    NoSuchHost,
    /// The engine of the containers does not run.
    #[error(
        "the engine does not run, or not where its client looks for it; start it, or say where it is, as by DOCKER_HOST or `.option(..)`"
    )]
    NoEngine,
    /// Whoever asks for the password has not waited for it.
    #[error(
        "the password did not come as long as it was waited for there (`passwd_timeout` of sudoers); give it with `.password(..)`, or be quicker"
    )]
    PasswordLate,
    /// It was not begun: connects that were given the same password have failed, and nobody has said whether it was right.
    #[error(
        "it was not begun: {failed} others that were given the same password have failed, and it was not said whether it was right; it is given to no more, since accounts get locked; look why those have failed"
    )]
    PasswordUnclear {
        /// How many have failed.
        failed: u32,
    },
}

impl ConnectErrorKind {
    /// A word for the reason that stays the same when texts change.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "bad_name",
            Self::BadPlace { .. } => "bad_place",
            Self::IdsExhausted => "ids_exhausted",
            Self::NotFound { .. } => "not_found",
            Self::NoTool { .. } => "no_tool",
            Self::NotExecutable { .. } => "not_executable",
            Self::WrongFormat { .. } => "wrong_format",
            Self::WrongMachine { .. } => "wrong_machine",
            Self::NoPayload { .. } => "no_payload",
            Self::NotStatic { .. } => "not_static",
            Self::NoLoader { .. } => "no_loader",
            Self::ExecDenied { .. } => "exec_denied",
            Self::KernelTooOld => "kernel_too_old",
            Self::NoPlace { .. } => "no_place",
            Self::NoSpace { .. } => "no_space",
            Self::TooManyDescriptors { .. } => "too_many_descriptors",
            Self::DescriptorsNeeded { .. } => "descriptors_needed",
            Self::TooManyProcesses => "too_many_processes",
            Self::Spawn { .. } => "spawn",
            Self::NoAnswer { .. } => "no_answer",
            Self::HostKey { .. } => "host_key",
            Self::Unreachable => "unreachable",
            Self::NoSuchHost => "no_such_host",
            Self::NoEngine => "no_engine",
            Self::Busy => "busy",
            Self::Authentication => "authentication",
            Self::PasswordExpired => "password_expired",
            Self::PasswordNeeded => "password_needed",
            Self::PasswordLate => "password_late",
            Self::NoTerminal => "no_terminal",
            Self::PasswordWrong => "password_wrong",
            Self::PasswordUnclear { .. } => "password_unclear",
            Self::Unanswered { .. } => "unanswered",
            Self::NotPreplaced { .. } => "not_preplaced",
            Self::NotAllowed => "not_allowed",
            Self::NoSuchUser => "no_such_user",
            Self::NoLogin => "no_login",
            Self::AccountDisabled => "account_disabled",
            Self::Restricted => "restricted",
            Self::OtherCommand { .. } => "other_command",
            Self::InputEaten => "input_eaten",
            Self::NoContainer => "no_container",
            Self::NoShell => "no_shell",
            Self::Exited { report: ExitReport::Killed { .. } } => "killed",
            Self::Exited { .. } => "exited",
            Self::Closed => "closed",
            Self::BadStream { .. } => "bad_stream",
            Self::Version { .. } => "version",
            Self::Leaf { .. } => "leaf",
            Self::Refused { .. } => "refused",
            Self::Asking { .. } => "asking",
            Self::Lost { .. } => "lost",
            Self::Cancelled => "cancelled",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// What the system's refusal to make descriptors, processes or threads means.
    #[must_use]
    pub fn from_system(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE) => Self::TooManyDescriptors { limit: sys::descriptor_limit() },
            Some(Errno::NFILE) => Self::TooManyDescriptors { limit: None },
            Some(Errno::AGAIN) => Self::TooManyProcesses,
            _ => Self::Spawn { error: error.to_string().into() },
        }
    }

    /// None of the places will do, for these reasons: each begins with its place, or is a list of such.
    pub(crate) fn no_place(reasons: &[String]) -> Self {
        let given: Vec<&str> =
            reasons.iter().map(String::as_str).filter(|reason| !reason.is_empty()).collect();
        let tried = given.join(", ");
        // A comma may stand within a reason; the next place is a path.
        let is_for_space = !tried.is_empty() && tried.split(", /").all(is_want_of_space);
        let tried = tried.into();
        if is_for_space { Self::NoSpace { tried } } else { Self::NoPlace { tried } }
    }

    /// The same for a program that is looked for in the PATH.
    pub(crate) fn from_search(error: &io::Error, program: &Path) -> Self {
        if program.components().count() == 1 && error.kind() == io::ErrorKind::NotFound {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let tool = program.into();
            return Self::NoTool { tool, path: path.to_string_lossy().as_ref().into() };
        }
        Self::from_exec(error, program)
    }

    /// What its refusal to run `program` means. The file is looked at again, only to describe it.
    pub(crate) fn from_exec(error: &io::Error, program: &Path) -> Self {
        let path = Text::from(program);
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) if program.exists() => Self::NoLoader { path },
            Some(Errno::NOENT | Errno::NOTDIR) => Self::NotFound { path },
            Some(Errno::ACCESS) => Self::NotExecutable { path, why: barrier(program).into() },
            Some(Errno::NOEXEC) => Self::WrongFormat { path, what: contents(program).into() },
            _ => Self::from_system(error),
        }
    }
}

/// Whether a place says that it, or what the user may have of it, is full. Of that dash says no more than the last of these.
fn is_want_of_space(reason: &str) -> bool {
    let words = ["No space left on device", "Disk quota exceeded", "echo: I/O error"];
    words.iter().any(|words| reason.contains(words))
}

/// Why a program that exists may not be run.
fn barrier(program: &Path) -> &'static str {
    match fs::metadata(program) {
        Ok(found) if found.is_dir() => "is a directory, not a program",
        Ok(found) if !found.is_file() => "is not a file, and so not a program",
        Ok(_) if rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_err() => {
            "is not executable for this user; `chmod +x` it"
        }
        Ok(_) => "may not be run: its file system forbids it (noexec), or a security policy",
        Err(_) => "is in a folder that this user may not enter",
    }
}

/// What a file holds that the kernel did not take for a program.
fn contents(program: &Path) -> &'static str {
    let mut start = [0; 20];
    let read = fs::File::open(program).and_then(|mut file| io::Read::read(&mut file, &mut start));
    match read.ok().and_then(|length| start.get(..length)) {
        Some(bytes) => other_than_elf(bytes).unwrap_or("a program for another kind of machine"),
        None => "no program",
    }
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map_or_else(
        || "the whole system has no more".into(),
        |limit| format!("this process may have {limit}"),
    )
}

/// What the end of a process may be a sign of. It is no more than that: any program may end so by itself.
fn hint(report: &ExitReport) -> String {
    match report {
        ExitReport::Exited { code: 126 } => ", by which a shell says that it may not run a program".into(),
        ExitReport::Exited { code: 127 } => ", by which a shell says that it does not find a program".into(),
        ExitReport::Exited { code: code @ 129..=159 } => {
            format!(", by which a shell says that signal {} ended a program", code.saturating_sub(128))
        }
        ExitReport::Killed { name, .. } => match &**name {
            "KILL" => "; look whether memory has run out there (`dmesg`), or who kills processes",
            "ILL" => "; build the program for an older processor",
            "SYS" => "; a filter of system calls (seccomp) forbids what it does",
            _ => "",
        }
        .into(),
        _ => String::new(),
    }
}

/// A duration for people: `30 s`, `0.25 s`.
fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests;
