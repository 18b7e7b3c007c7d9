//! What each reason says, and that the guide knows it.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_reason_says_what_and_what_to_do() {
    let text = || Text::from("TEXT");
    let second = Duration::from_millis(1500);
    let all = [
        (
            ConnectErrorKind::BadName { name: text(), why: text() },
            "the name `TEXT` TEXT; give one with `.name(..)`",
        ),
        (
            ConnectErrorKind::IdsExhausted,
            "no id is left in this tree, and ids are never used again; start a new tree",
        ),
        (ConnectErrorKind::NotFound { path: text() }, "there is no file TEXT"),
        (ConnectErrorKind::NotExecutable { path: text(), why: text() }, "TEXT TEXT"),
        (
            ConnectErrorKind::WrongFormat { path: text(), what: text() },
            "TEXT is TEXT, and the machine cannot run it; build the program for that machine",
        ),
        (
            ConnectErrorKind::NoLoader { path: text() },
            "TEXT is there, but the program that must load it is not; build it static, or mend the first line \
             of a script",
        ),
        (
            ConnectErrorKind::WrongMachine { host: text(), program: text() },
            "it is a TEXT, and the program is for TEXT; build it for that machine too, or, if it says so and is none, \
             say what it is by `.taken_for(..)`",
        ),
        (
            ConnectErrorKind::NoPayload { host: text(), has: text(), hint: text() },
            "it is a TEXT, and the payload set has TEXT; TEXT, or, if it says so and is none, say what it is by \
             `.taken_for(..)`",
        ),
        (
            ConnectErrorKind::NotStatic { program: text() },
            "TEXT needs a loader and libraries of its own machine, and so runs there alone; build it static: \
             `rustup target add x86_64-unknown-linux-musl`, then `cargo build --target x86_64-unknown-linux-musl`; or \
             RUSTFLAGS=`-C target-feature=+crt-static` with `--target x86_64-unknown-linux-gnu`",
        ),
        (
            ConnectErrorKind::NoPlace { tried: text() },
            "no place was found where the program can be put and run (TEXT); name a folder that lets programs run by \
             `.folder(..)`, or by TMPDIR in its environment",
        ),
        (
            ConnectErrorKind::NoSpace { tried: text() },
            "there is no space left for the program wherever it may be put (TEXT); make room there (the quota of the \
             user counts too), or name another folder by `.folder(..)`",
        ),
        (
            ConnectErrorKind::ExecDenied { program: text() },
            "TEXT was put there and may not be run, as other programs may: a security policy forbids it (SELinux, \
             AppArmor, fapolicyd); have it put where it may be run, and name it by `.preplaced(..)`",
        ),
        (
            ConnectErrorKind::KernelTooOld,
            "the kernel there is older than the C library in the program can do with; build it for musl \
             (`--target x86_64-unknown-linux-musl`), or on an older system",
        ),
        (
            ConnectErrorKind::AccountDisabled,
            "the account is disabled, locked or has expired; it is for its administrator to open it again",
        ),
        (
            ConnectErrorKind::Restricted,
            "the shell of the account is a restricted one that runs no `sh`; have its administrator put `sh` in its \
             PATH, or log in as another user",
        ),
        (
            ConnectErrorKind::OtherCommand { report: ExitReport::Exited { code: 0 } },
            "something else ran there than our command, and ended: exit status 0; look for a command that is forced \
             (ForceCommand, `command=` in authorized_keys), and for a start file of the shell that ends it",
        ),
        (
            ConnectErrorKind::InputEaten,
            "our command came to run only once its input had ended: a start file of the shell reads it, as `cat` or \
             `read` in .bashrc do; have them read </dev/null, or only where there is a terminal",
        ),
        (
            ConnectErrorKind::NoSuchHost,
            "no host has that name, or nobody can be asked for it now; look how it is spelled, what the configuration of \
             the client makes of it, and at `getent hosts NAME` where the client runs",
        ),
        (
            ConnectErrorKind::NoEngine,
            "the engine does not run, or not where its client looks for it; start it, or say where it is, as by \
             DOCKER_HOST or `.option(..)`",
        ),
        (
            ConnectErrorKind::PasswordLate,
            "the password did not come as long as it was waited for there (`passwd_timeout` of sudoers); give it with \
             `.password(..)`, or be quicker",
        ),
        (
            ConnectErrorKind::PasswordUnclear { failed: 2 },
            "it was not begun: 2 others that were given the same password have failed, and it was not said whether it \
             was right; it is given to no more, since accounts get locked; look why those have failed",
        ),
        (
            ConnectErrorKind::Exited {
                report: ExitReport::Killed { signal: 31, name: std::borrow::Cow::Borrowed("SYS") },
            },
            "it ended: killed by signal 31 (SYS); a filter of system calls (seccomp) forbids what it does",
        ),
        (
            ConnectErrorKind::TooManyDescriptors { limit: Some(1024) },
            "too many descriptors are open (this process may have 1024); raise the limit (`ulimit -n`) or have \
             fewer children at once",
        ),
        (
            ConnectErrorKind::DescriptorsNeeded { needed: 2000, limit: 1024 },
            "all of them take 2000 descriptors, and this process may have 1024; raise the limit (`ulimit -n \
             2000`) or have fewer children at once",
        ),
        (
            ConnectErrorKind::TooManyProcesses,
            "no further process may be started; raise the limit (`ulimit -u`, pids.max of the control group) \
             or have fewer children at once",
        ),
        (ConnectErrorKind::Spawn { error: text() }, "the system refused: TEXT"),
        (
            ConnectErrorKind::NoAnswer { limit: second },
            "no answer within 1.5 s; look at the far side, or allow it more by `.timeout(..)`",
        ),
        (ConnectErrorKind::Exited { report: ExitReport::Exited { code: 3 } }, "it ended: exit status 3"),
        (ConnectErrorKind::Closed, "it closed its link without a word"),
        (
            ConnectErrorKind::BadStream { what: text() },
            "it does not speak our protocol: TEXT; is it a program that runs `Child` or `run`?",
        ),
        (
            ConnectErrorKind::Version { theirs: 2, ours: 1 },
            "it speaks version 2 of the protocol, we speak 1; build both from the same release",
        ),
        (
            ConnectErrorKind::Leaf { context: text() },
            "TEXT is a leaf and can have no children; its program must link `offshoot-parent`",
        ),
        (ConnectErrorKind::Refused { reason: text() }, "refused: TEXT"),
        (ConnectErrorKind::Asking { context: text(), error: text() }, "asking TEXT to make it failed: TEXT"),
        (ConnectErrorKind::Lost { context: text(), reason: text() }, "TEXT is lost: TEXT"),
        (ConnectErrorKind::Cancelled, "cancelled"),
        (ConnectErrorKind::ShuttingDown, "the tree is shutting down"),
    ];
    for (kind, text) in &all {
        assert_eq!(kind.to_string(), *text);
    }
    let codes: BTreeSet<&str> = all.iter().map(|(kind, _)| kind.code()).collect();
    assert_eq!(codes.len(), all.len(), "each has a code of its own");
}

#[test]
fn it_is_for_want_of_space_if_each_place_says_so() {
    let code = |reasons: &[&str]| {
        let reasons: Vec<String> = reasons.iter().map(|&reason| reason.into()).collect();
        ConnectErrorKind::no_place(&reasons).code()
    };
    let full = "/a: mkdir: cannot create directory '/a/x', sorry: No space left on device";
    assert_eq!(code(&[full]), "no_space");
    assert_eq!(
        code(&[full, "", "/b: tee: /b/x: Disk quota exceeded, /c: sh: 1: echo: echo: I/O error"]),
        "no_space"
    );
    assert_eq!(code(&[full, "/b: Permission denied"]), "no_place");
    assert_eq!(code(&["/b: Permission denied, /c: No space left on device"]), "no_place");
    assert_eq!((code(&[]), code(&[""])), ("no_place", "no_place"));
}

#[test]
fn the_end_of_a_process_is_a_sign_and_no_more() {
    let exited = |code| ConnectErrorKind::Exited { report: ExitReport::Exited { code } };
    for (code, text) in [
        (1, "it ended: exit status 1"),
        (126, "it ended: exit status 126, by which a shell says that it may not run a program"),
        (127, "it ended: exit status 127, by which a shell says that it does not find a program"),
        (137, "it ended: exit status 137, by which a shell says that signal 9 ended a program"),
    ] {
        assert_eq!((exited(code).code(), &*exited(code).to_string()), ("exited", text));
    }
}

#[test]
fn every_code_has_a_row_of_its_own_in_the_guide() {
    let guide = include_str!("../../../docs/methods.md");
    let rows = guide.split_once("`error.code()`").unwrap().1.lines();
    let listed: Vec<&str> =
        rows.filter_map(|row| row.strip_prefix("| `")?.split_once("` | ")).map(|(code, _)| code).collect();
    let source = include_str!("../kind.rs");
    let body = source.split_once("pub const fn code").unwrap().1.split_once("\n    }\n").unwrap().0;
    let codes: Vec<&str> = body
        .lines()
        .filter_map(|line| line.split_once("=> \""))
        .filter_map(|(_, rest)| rest.strip_suffix("\","))
        .collect();
    assert!(codes.len() >= 50, "{codes:?}");
    let sorted = |mut all: Vec<&'static str>| {
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(listed), sorted(codes));
}

#[test]
fn a_want_of_descriptors_in_the_whole_system_is_told_from_our_own_limit() {
    let kind = |errno: Errno| ConnectErrorKind::from_system(&errno.into());
    assert!(kind(Errno::NFILE).to_string().contains("(the whole system has no more)"));
    assert_eq!(kind(Errno::MFILE).code(), "too_many_descriptors");
    assert_eq!(kind(Errno::AGAIN), ConnectErrorKind::TooManyProcesses);
    assert_eq!(kind(Errno::NOMEM).code(), "spawn");
}
