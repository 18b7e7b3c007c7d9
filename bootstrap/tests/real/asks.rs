//! What an ssh client asks by its helper: a client of our own, which is a script.

use std::{fs, io, os::fd::AsFd as _, sync::Mutex};

use offshoot_bootstrap::{
    ConnectError, Launch, Method as _, Notice, Phase, Plan, Prompter, Query, QueryKind, Secret, Ssh, Step,
    Sudo, Told,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    harness::{Folder, PATIENCE, all_have_gone, descriptors, quiet, until, with_room_for},
    ways::payload,
};

/// A client that asks by the helper, and puts the answers into a file; `$0` is its own.
struct Client(Folder);

impl Client {
    fn new(script: &str) -> Self {
        let folder = Folder::new();
        let ask = "ask() { \"$SSH_ASKPASS\" \"$1\" >>$0.answers; }";
        folder.program(
            "ssh",
            format!("#!/bin/sh\n[ \"$1\" = -V ] && exit\n{ask}\n{script}\nexec sleep 1000\n"),
        );
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn ssh(&self) -> Ssh {
        Ssh::new("web").user("me").payload(payload()).program(self.file("ssh")).timeout(PATIENCE)
    }

    fn answers(&self) -> String {
        fs::read_to_string(self.file("ssh.answers")).unwrap_or_default()
    }
}

fn fails(ssh: &Ssh, prompter: &dyn Prompter) -> ConnectError {
    Launch::new(&ssh.plan()).asking(prompter).run().unwrap_err()
}

/// What a client has written down of a process.
fn number(file: &str) -> i32 {
    let text = || fs::read_to_string(file).unwrap_or_default();
    until("its number is known", || text().ends_with('\n'));
    text().trim().parse().unwrap()
}

fn has_gone(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

#[test]
fn a_client_that_has_gone_while_somebody_typed_is_no_broken_pipe() {
    let _quiet = quiet();
    for asks in [
        // Who would have read the answer goes.
        "\"$SSH_ASKPASS\" 'Enter PIN: ' | sh -c 'echo $$ >$0.victim; exec sleep 1000' $0 &",
        // And here the helper.
        "\"$SSH_ASKPASS\" 'Enter PIN: ' & echo $! >$0.victim",
    ] {
        let ends = "echo $$ >$0.leader; until [ -e $0.gone ]; do sleep 0.01; done; exit 7";
        let client = Client::new(&format!("{asks}\n{ends}"));
        let prompter = |_: &Query| {
            let victim = number(&client.file("ssh.victim"));
            kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
            until("it has gone", || has_gone(victim));
            fs::write(client.file("ssh.gone"), "").unwrap();
            let leader = number(&client.file("ssh.leader"));
            until("the client has ended", || has_gone(leader));
            Some("1234".into())
        };
        let error = fails(&client.ssh().ask(), &prompter);
        assert_eq!(error.code(), "exited", "{asks}: {error}");
        assert!(error.to_string().contains("exit status 7"), "{asks}: {error}");
        all_have_gone();
    }
}

#[test]
fn what_was_typed_for_a_connect_that_is_over_goes_to_nobody() {
    let _quiet = quiet();
    let client = Client::new("ask 'Enter PIN: '; exit 7");
    let (cancel, gate) = io::pipe().unwrap();
    let gate = Mutex::new(Some(gate));
    let prompter = |_: &Query| {
        drop(gate.lock().unwrap().take());
        Some("1234".into())
    };
    let plan = client.ssh().ask().plan();
    let error = Launch::new(&plan).asking(&prompter).unless(cancel.as_fd()).run().unwrap_err();
    assert_eq!((error.code(), &*client.answers()), ("cancelled", ""), "{error}");
    all_have_gone();
}

#[test]
fn what_is_asked_again_and_again_is_answered_three_times() {
    let _quiet = quiet();
    let client = Client::new(
        "ask 'The authenticity of host is not known (yes/no/[fingerprint])? '\n\
         while ask \"Please type 'yes', 'no' or the fingerprint: \"; do :; done; exit 7",
    );
    let asked = Mutex::new(Vec::new());
    let prompter = |query: &Query| {
        assert_eq!(query.kind, QueryKind::HostKey);
        asked.lock().unwrap().push(query.attempt);
        Some("geheim".into())
    };
    let error = fails(&client.ssh().ask(), &prompter);
    assert_eq!((error.code(), &**asked.lock().unwrap()), ("unanswered", &[1, 1, 2, 3][..]), "{error}");
    assert!(error.to_string().contains("Please type 'yes'"), "{error}");
    all_have_gone();
}

/// Writes down what it is told, and how many pipes there are when it is asked.
struct Counting {
    told: String,
    pipes: Mutex<Option<usize>>,
}

impl Prompter for Counting {
    fn answer(&self, _query: &Query) -> Option<Secret> {
        let pipes = descriptors("self").into_values().filter(|name| name.starts_with("pipe:")).count();
        *self.pipes.lock().unwrap() = Some(pipes);
        None
    }

    fn notice(&self, notice: &Notice) {
        if !notice.is_over {
            fs::write(&self.told, format!("{}\n", notice.text)).unwrap();
        }
    }
}

#[test]
fn a_notice_takes_the_turn_of_no_question() {
    let _quiet = quiet();
    let notice = |n| {
        format!(
            "SSH_ASKPASS_PROMPT=none \"$SSH_ASKPASS\" {n} & until grep -q {n} $0.told; do sleep 0.01; done; kill $!\n"
        )
    };
    let pipes = [String::new(), (1..4).map(notice).collect()].map(|notices| {
        let client = Client::new(&format!("touch $0.told\n{notices}ask 'Enter PIN: '; exit 7"));
        let counting = Counting { told: client.file("ssh.told"), pipes: Mutex::default() };
        let error = fails(&client.ssh().ask(), &counting);
        assert_eq!(error.code(), "unanswered", "{error}");
        all_have_gone();
        counting.pipes.into_inner().unwrap().unwrap()
    });
    assert_eq!(pipes[0], pipes[1]);
}

/// What the started client says when the way to the place is closed.
const NO_GREETING: &str =
    "echo 'kex_exchange_identification: Connection closed by remote host' >&2; exit 255";

#[test]
fn a_password_is_wrong_where_it_was_refused_and_nowhere_else() {
    let _quiet = quiet();
    // Whoever asks below the started client is that of a jump host.
    let jump = "(ask \"me@jump's password: \"; :)";
    let outer = jump.replace("jump", "outer");
    let place = "ask \"me@web's password: \"";
    let refused_with = |account: &str, by: &str| format!("echo '{account}: Permission denied ({by}).' >&2");
    let refused = |account: &str| refused_with(account, "publickey");
    let with_jump = |ssh: Ssh| ssh.jump_password("me@jump", "lasst mich");
    let of_place = |ssh: Ssh| ssh.password("ein");
    let with_both = |ssh: Ssh| with_jump(ssh).password("ein");
    for (name, script, given, code, told) in [
        (
            "a key is refused behind a jump host",
            format!("{jump}; {}; exit 255", refused("me@web")),
            &with_jump as &dyn Fn(Ssh) -> Ssh,
            "authentication",
            &[Told::Proved][..],
        ),
        (
            "the jump host refuses",
            format!("{jump}; {}; {NO_GREETING}", refused("me@jump")),
            &with_jump,
            "password_wrong",
            &[Told::Unclear][..],
        ),
        (
            "the jump host asks again and refuses",
            format!("{jump}; {jump}; {}; {NO_GREETING}", refused("me@jump")),
            &with_jump,
            "password_wrong",
            &[Told::Refused][..],
        ),
        (
            "another jump host refuses",
            format!("{jump}; {}; {NO_GREETING}", refused("me@inner")),
            &with_jump,
            "authentication",
            &[Told::Unclear][..],
        ),
        (
            "the jump host refuses under its address",
            format!("{jump}; {}; {NO_GREETING}", refused_with("me@10.0.0.7", "publickey,password")),
            &with_jump,
            "password_wrong",
            &[Told::Unclear][..],
        ),
        (
            "the second of two jump hosts refuses under its address",
            format!("{outer}; {jump}; {}; {NO_GREETING}", refused_with("me@10.0.0.7", "password")),
            &|ssh| with_jump(ssh).jump_password("me@outer", "auch mich"),
            "password_wrong",
            &[Told::Unclear, Told::Proved],
        ),
        (
            "another account refuses under an address",
            format!("{jump}; {}; {NO_GREETING}", refused_with("you@10.0.0.7", "keyboard-interactive")),
            &with_jump,
            "authentication",
            &[Told::Unclear][..],
        ),
        (
            "the place is down",
            format!("{jump}; echo 'stdio forwarding failed' >&2; {NO_GREETING}"),
            &with_jump,
            "unreachable",
            &[Told::Proved][..],
        ),
        (
            "the place wants a password",
            format!("{jump}; {place}"),
            &with_jump,
            "password_needed",
            &[Told::Proved][..],
        ),
        (
            "the place refuses",
            format!("{jump}; {place}; {}; exit 255", refused("me@web")),
            &with_both,
            "password_wrong",
            &[Told::Refused, Told::Proved],
        ),
        ("nobody says", format!("{jump}; exit 255"), &with_jump, "exited", &[Told::Unclear][..]),
        (
            "nobody says, of the place",
            format!("{place}; exit 255"),
            &of_place,
            "exited",
            &[Told::Unclear][..],
        ),
        (
            "what runs there is no shell",
            format!("{jump}; {place}; exit 3"),
            &with_both,
            "exited",
            &[Told::Proved, Told::Proved],
        ),
        (
            "its shell takes nobody",
            format!("{place}; echo 'This account is currently not available.'; exit 1"),
            &of_place,
            "no_login",
            &[Told::Proved][..],
        ),
        (
            "a banner says that it takes nobody",
            format!("echo 'This account is currently not available.' >&2; {place}; exit 255"),
            &of_place,
            "no_login",
            &[Told::Unclear][..],
        ),
        (
            "a menu waits for somebody, until the client is ended",
            format!("{place}; echo menu; exit 255"),
            &of_place,
            "exited",
            &[Told::Proved][..],
        ),
        (
            "it must be changed",
            "ask '(me@web) Password: '; ask '(me@web) Current password: '".to_owned(),
            &of_place,
            "password_expired",
            &[Told::Proved][..],
        ),
        (
            "a code is asked for",
            "ask '(me@web) Password: '; ask '(me@web) One-time password: '".to_owned(),
            &of_place,
            "unanswered",
            &[Told::Unclear][..],
        ),
        (
            "the place says nothing",
            format!("{jump}; sleep 5; echo 'Connection timed out during banner exchange' >&2; exit 255"),
            &with_jump,
            "unreachable",
            &[Told::Untold][..],
        ),
        (
            "the jump host refuses while the place is waited for",
            format!(
                "{jump}; {}; echo 'Connection timed out during banner exchange' >&2; exit 255",
                refused("me@jump")
            ),
            &with_jump,
            "password_wrong",
            &[Told::Unclear][..],
        ),
        (
            "somebody else's was mistyped",
            format!("{jump}; {jump}"),
            &|ssh| ssh.password("ein"),
            "password_wrong",
            &[Told::Untold][..],
        ),
    ] {
        let client = Client::new(&script);
        let prompter = |query: &Query| {
            (query.account.as_deref() == Some("me@jump") && query.attempt == 1).then(|| "tipp".into())
        };
        let error = fails(&given(client.ssh()), &prompter);
        assert_eq!((error.code(), error.passwords()), (code, told), "{name}: {error}");
        all_have_gone();
    }
}

#[test]
fn what_was_typed_and_is_asked_no_more_was_not_wrong() {
    let _quiet = quiet();
    let folder = Folder::new();
    let script = "printf 'Password: ' >&2; until [ -e $0.go ]; do sleep 0.01; done\n\
                  printf '\\nPassword: ' >&2; touch $0.said; exec sleep 1000";
    let tool = folder.program("su", format!("#!/bin/sh\n{script}\n"));
    let prompter = |query: &Query| {
        fs::write(tool.with_extension("go"), "").unwrap();
        until("it asks once more", || tool.with_extension("said").exists());
        (query.attempt == 1).then(|| "1234".into())
    };
    let su = Sudo::by_su().program(tool.display().to_string()).payload(payload());
    let error = Launch::new(&su.plan()).asking(&prompter).run().unwrap_err();
    assert_eq!(error.code(), "password_needed", "{error}");
    all_have_gone();
}

#[test]
fn what_is_said_only_to_whom_is_known_tells_that_the_password_was_enough() {
    let _quiet = quiet();
    let folder = Folder::new();
    let (sudo, su) = (Sudo::new as fn() -> Sudo, Sudo::by_su as fn() -> Sudo);
    for (method, says, code, told) in [
        (sudo, "me is not in the sudoers file.", "not_allowed", Told::Proved),
        (sudo, "Sorry, user me is not allowed to execute 'sh' as root on web.", "not_allowed", Told::Proved),
        (sudo, "sudo: account validation failure, is your account locked?", "account_disabled", Told::Proved),
        (sudo, "sudo: sh: command not found", "no_shell", Told::Proved),
        (sudo, "sudo: 1 incorrect password attempt", "password_wrong", Told::Refused),
        (sudo, "sudo: unable to initialize PAM: Critical error", "exited", Told::Unclear),
        // A module that looks at groups says so of whoever has mistyped it, too, and one that asks a server before it has.
        (su, "su: Permission denied", "not_allowed", Told::Unclear),
        (su, "su: User account has expired", "account_disabled", Told::Unclear),
        (su, "This account is currently not available.", "no_login", Told::Proved),
        (su, "su: Authentication failure", "password_wrong", Told::Refused),
        (
            su,
            "You are required to change your password.\nCurrent password: ",
            "password_expired",
            Told::Proved,
        ),
        (su, "Code: ", "unanswered", Told::Unclear),
    ] {
        let waits = if says.ends_with(' ') { "exec sleep 1000" } else { "echo >&2; exit 1" };
        let script = format!(
            "#!/bin/sh\nprintf '%s' \"${{SUDO_PROMPT:-Password: }}\" >&2; read -r word\nprintf '%b' \"{says}\" >&2; {waits}\n"
        );
        let tool = folder.program("tool", script).display().to_string();
        let way = method().program(tool).password("ein").payload(payload());
        let error = Launch::new(&way.plan()).run().unwrap_err();
        assert_eq!((error.code(), error.passwords()), (code, &[told][..]), "{says}: {error}");
    }
    all_have_gone();
}

#[test]
fn an_error_holds_no_password_though_a_far_side_echoes_it() {
    let _quiet = quiet();
    let folder = Folder::new();
    let script = "printf 'Password: ' >&2; read -r word; echo \"you said $word\"; echo \"and: $word: $word.\" >&2; exit 1";
    let tool = folder.program("su", format!("#!/bin/sh\n{script}\n"));
    let su = Sudo::by_su().program(tool.display().to_string()).payload(payload());
    let typed = |_: &Query| Some("lasst mich ein".into());
    for su in [su.clone().password("lasst mich ein"), su] {
        let error = Launch::new(&su.plan()).asking(&typed).run().unwrap_err();
        assert!(
            error.last_words().contains("you said (secret)\nPassword: and: (secret): (secret)."),
            "{error}"
        );
        assert!(!format!("{error}{error:?}").contains("lasst"), "{error}");
    }
    all_have_gone();
}

#[test]
fn an_observer_is_shown_no_password_though_a_far_side_asks_with_it() {
    let _quiet = quiet();
    let folder = Folder::new();
    let script = "printf 'Password: ' >&2; read -r word; printf 'Is it %s? ' \"$word\" >&2; read -r word; printf 'Or %s? ' \"$word\" >&2; exec sleep 1000";
    let tool = folder.program("su", format!("#!/bin/sh\n{script}\n"));
    let su = Sudo::by_su().program(tool.display().to_string()).payload(payload()).password("lasst mich ein");
    let typed = |query: &Query| query.text.contains("lasst mich ein").then(|| "oder nicht".into());
    let seen = Mutex::new(Vec::new());
    let observer = |_: &Plan, step: &Step| seen.lock().unwrap().push(step.to_string());
    Launch::new(&su.plan()).asking(&typed).seen_by(&observer).run().unwrap_err();
    let seen = seen.into_inner().unwrap().join("\n");
    assert!(seen.contains("asked `Is it (secret)?`: answered\nasked `Or (secret)?`: no answer"), "{seen}");
    all_have_gone();
}

#[test]
fn an_observer_is_shown_no_password_though_a_notice_holds_it() {
    let _quiet = quiet();
    let notice = "SSH_ASKPASS_PROMPT=none \"$SSH_ASKPASS\" \"touch it, $word\" & until [ -e $0.seen ]; do sleep 0.01; done; kill $!";
    let client = Client::new(&format!("word=$(\"$SSH_ASKPASS\" \"me@web's password: \"); {notice}; exit 7"));
    let seen = Mutex::new(Vec::new());
    let observer = |_: &Plan, step: &Step| {
        if let Step::Told { notice } = step {
            seen.lock().unwrap().push(notice.to_string());
            fs::write(client.file("ssh.seen"), "").unwrap();
        }
    };
    let plan = client.ssh().password("lasst mich ein").plan();
    Launch::new(&plan).seen_by(&observer).run().unwrap_err();
    assert_eq!(seen.into_inner().unwrap(), ["touch it, (secret)"]);
    all_have_gone();
}

/// The first word on questions that a client was told, once it runs.
fn batch_mode(client: &Client) -> String {
    let words = || fs::read_to_string(client.file("ssh.words")).unwrap_or_default();
    until("it runs", || words().ends_with('\n'));
    words().split(' ').find_map(|word| word.strip_prefix("BatchMode=")).unwrap().to_owned()
}

#[test]
fn a_prompter_costs_no_login_by_a_key_where_no_helper_can_be_had() {
    let _quiet = quiet();
    let client = Client::new("echo \"$*\" >$0.words");
    let prompter = |_: &Query| None;
    // There are so few descriptors left that there is a client, and no helper of it.
    let starts = |ssh: &Ssh, room| {
        let plan = ssh.plan();
        let started = with_room_for(room, || Launch::new(&plan).asking(&prompter).start());
        let told = started.as_ref().map(|_| batch_mode(&client)).map_err(ConnectError::code);
        drop(started);
        drop(fs::remove_file(client.file("ssh.words")));
        told
    };
    let (by_key, asking): (Vec<_>, Vec<_>) =
        (0..24).map(|room| (starts(&client.ssh(), room), starts(&client.ssh().ask(), room))).unzip();
    let has = |told: &[Result<String, &str>], mode: &str| told.iter().any(|told| told.as_deref() == Ok(mode));
    assert!(has(&by_key, "yes") && has(&by_key, "no"), "{by_key:?}");
    assert!(!has(&asking, "yes") && has(&asking, "no"), "{asking:?}");
    all_have_gone();
}

#[test]
fn a_client_that_is_too_old_for_passwords_is_given_none() {
    let _quiet = quiet();
    let folder = Folder::new();
    let script = "[ \"$1\" = -V ] || exit 7\necho OpenSSH_8.4p1, OpenSSL >&2";
    let tool = folder.program("ssh", format!("#!/bin/sh\n{script}\n")).display().to_string();
    let ssh = Ssh::new("web").program(&tool).payload(payload());
    let error = fails(&ssh.clone().password("lasst mich ein"), &|_: &Query| None);
    assert_eq!((error.code(), error.phase()), ("not_executable", Phase::Spawn), "{error}");
    assert!(error.to_string().contains("is OpenSSH 8.4, and passwords take 8.5 or later"), "{error}");
    assert_eq!(fails(&ssh.ask(), &|_: &Query| None).code(), "exited");
}
