//! Why a connect failed is told by what had come before: words of the way there count until a shell has spoken, and after
//! that only how the program ended.

use std::{fs, time::Duration};

use offshoot_bootstrap::Told;
use offshoot_parent::{Phase, prelude::*};
use tempfile::TempDir;

use crate::{
    accounts::{Desk, PASSWORD},
    far::{Missing, Sshd, User, as_root, payload, program, run, shell_named_sh, static_program},
};

crate::tests![
    words_of_the_way_count_for_nothing_once_a_shell_has_spoken,
    words_of_the_way_that_come_on_stdout_are_not_the_ways,
    a_login_that_is_lost_under_way_is_not_done_again,
    what_a_start_file_says_is_not_taken_for_the_words_of_the_client,
    an_account_that_has_expired_says_so,
    an_account_that_sudo_finds_expired_says_so,
    a_restricted_shell_that_finds_no_sh_says_so,
    a_command_that_is_forced_is_told_from_ours,
    a_start_file_that_eats_the_input_is_told,
    a_start_file_that_becomes_another_shell_is_told,
    a_shell_that_forbids_redirections_is_heard,
    a_program_that_is_none_to_the_kernel_is_told_by_what_the_shell_says,
    a_program_that_a_policy_keeps_from_running_is_told,
    a_program_that_finds_its_kernel_too_old_is_told,
    a_program_that_a_signal_ends_is_told,
    what_a_program_says_of_other_files_is_no_reason,
];

/// A tool in a folder of its own, which runs a script with the words it is given; the last of them are our command.
struct Tool {
    folder: TempDir,
}

/// What a tool does to be taken for a shell that has spoken and was told what to do.
const SPEAKS: &str = "printf 'offshoot0 hello Linux %s\\n' \"$(uname -m)\"; read -r errand";

impl Tool {
    fn new(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\necho \"$1\" >>$0.runs\n{script}\n")).unwrap();
        run(&["chmod", "700", file.to_str().unwrap()]);
        Self { folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn runs(&self, name: &str) -> usize {
        let runs = fs::read_to_string(self.file(&format!("{name}.runs"))).unwrap();
        // Who asks only for its version does not connect.
        runs.lines().filter(|first| *first != "-V").count()
    }
}

fn fails(method: impl Method) -> ConnectError {
    Router::new().unwrap().connect(method).unwrap_err()
}

/// A way by a tool that says these words, as it would if it failed.
fn by(tool: &Tool, name: &str, leaf: &Payload) -> Box<dyn Method> {
    match name {
        "ssh" => Box::new(Ssh::new("web").program(tool.file(name)).payload(leaf.clone())),
        "docker" => Box::new(Container::docker("c").program(tool.file(name)).payload(leaf.clone())),
        _ => Box::new(Sudo::new().program(tool.file(name)).payload(leaf.clone())),
    }
}

/// What each way says, and what it means.
const SAID: [(&str, &str, &str); 8] = [
    ("ssh", "Connection reset by 127.0.0.1 port 22", "busy"),
    ("ssh", "ssh: connect to host web port 22: Connection refused", "unreachable"),
    ("ssh", "me@web: Permission denied (publickey).", "authentication"),
    ("ssh", "Host key verification failed.", "host_key"),
    ("sudo", "sudo: 1 incorrect password attempt", "password_wrong"),
    ("sudo", "sudo: unknown user nosuch", "no_such_user"),
    ("sudo", "sudo: sorry, you must have a tty to run sudo", "no_terminal"),
    ("docker", "Error response from daemon: No such container: c", "no_container"),
];

fn words_of_the_way_count_for_nothing_once_a_shell_has_spoken() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    for (name, said, code) in SAID {
        let tool = Tool::new(name, &format!("echo '{said}' >&2; exit 255"));
        let error = fails(by(&tool, name, &leaf));
        assert_eq!((error.code(), error.phase()), (code, Phase::Shell), "{error}");
        let tool = Tool::new(name, &format!("{SPEAKS}; echo '{said}' >&2; exit 255"));
        let error = fails(by(&tool, name, &leaf));
        assert_eq!((error.code(), error.phase()), ("exited", Phase::Place), "{error}");
        assert_eq!(error.last_words(), said);
    }
    Ok(())
}

fn words_of_the_way_that_come_on_stdout_are_not_the_ways() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    // docker passes on there what its runtime says, and nothing else can have come before the shell in a container.
    for (name, said, _) in SAID.into_iter().filter(|(name, ..)| *name != "docker") {
        let tool = Tool::new(name, &format!("echo '{said}'; exit 255"));
        let error = fails(by(&tool, name, &leaf));
        assert_eq!((error.code(), error.phase()), ("exited", Phase::Shell), "{error}");
        // Nor in the middle of what somebody else says.
        let tool = Tool::new(name, &format!("echo 'a start file: {said}' >&2; exit 255"));
        let error = fails(by(&tool, name, &leaf));
        assert_eq!(error.code(), "exited", "{error}");
    }
    // Who has said something there is in: what comes on stderr then is not of the way in.
    let tool = Tool::new("ssh", "echo Welcome; echo 'Connection reset by 127.0.0.1 port 22' >&2; exit 255");
    assert_eq!(fails(by(&tool, "ssh", &leaf)).code(), "exited");
    Ok(())
}

fn a_login_that_is_lost_under_way_is_not_done_again() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let tool =
        Tool::new("ssh", &format!("{SPEAKS}; echo 'Connection reset by 127.0.0.1 port 22' >&2; exit 255"));
    let router = Router::new().unwrap();
    let method = Ssh::new("web").program(tool.file("ssh")).payload(leaf);
    let codes: Vec<_> =
        router.connect_all([method]).into_iter().map(|(_, it)| it.unwrap_err().code()).collect();
    assert_eq!((codes, tool.runs("ssh")), (vec!["exited"], 1));
    Ok(())
}

/// A user whose shell reads that first.
fn with_start_file(name: &str, lines: &str) -> Result<User, Missing> {
    let user = User::new(name, &program("bash")?)?;
    fs::write(user.home.path().join(".bashrc"), lines).unwrap();
    Ok(user)
}

fn what_a_start_file_says_is_not_taken_for_the_words_of_the_client() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = with_start_file("rude", "")?;
    for said in [
        "Connection refused",
        "No route to host",
        "x: Permission denied (publickey)",
        "Connection reset by peer",
    ] {
        for (front, code) in ["echo hm; ", ""].into_iter().zip(["other_command", "exited"]) {
            fs::write(user.home.path().join(".bashrc"), format!("{front}echo 'start: {said}' >&2\nexit 3\n"))
                .unwrap();
            let error = fails(sshd.ssh().user(&user.name).payload(leaf.clone()));
            assert_eq!((error.code(), error.phase()), (code, Phase::Shell), "{error}");
            assert!(error.to_string().contains("exit status 3"), "{error}");
        }
    }
    Ok(())
}

fn an_account_that_has_expired_says_so() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = User::new("over", &program("bash")?)?;
    user.password(PASSWORD);
    run(&["chage", "-E", "0", &user.name]);
    let error = fails(sshd.ssh().user(&user.name).payload(leaf.clone()));
    assert_eq!((error.code(), error.phase()), ("account_disabled", Phase::Shell), "{error}");
    let by_password = sshd.ssh().user(&user.name).password(PASSWORD).option("PubkeyAuthentication=no");
    let error = fails(by_password.payload(leaf));
    assert_eq!(error.code(), "account_disabled", "{error}");
    let desk = Desk::new("beside")?;
    let error = desk.connect(Sudo::by_su().user(&user.name).password(PASSWORD)).unwrap_err();
    assert_eq!(error.code(), "account_disabled", "{error}");
    Ok(())
}

fn an_account_that_sudo_finds_expired_says_so() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("overdue")?;
    run(&["chage", "-E", "0", desk.user_name()]);
    let error = desk.connect(Sudo::new().password(PASSWORD)).unwrap_err();
    assert_eq!((error.code(), error.passwords()), ("account_disabled", &[Told::Proved][..]), "{error}");
    run(&["chage", "-E", "-1", "-d", "0", desk.user_name()]);
    let error = desk.connect(Sudo::new().password(PASSWORD)).unwrap_err();
    assert_eq!((error.code(), error.passwords()), ("password_expired", &[Told::Proved][..]), "{error}");
    Ok(())
}

fn a_restricted_shell_that_finds_no_sh_says_so() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = User::new("walled", &program("rbash")?)?;
    fs::write(user.home.path().join(".bashrc"), "PATH=/nowhere\n").unwrap();
    let error = fails(sshd.ssh().user(&user.name).payload(leaf.clone()));
    assert_eq!((error.code(), error.phase()), ("restricted", Phase::Shell), "{error}");
    assert!(error.to_string().contains("restricted"), "{error}");
    // Without the restriction it is a PATH like any other.
    run(&["usermod", "-s", program("bash")?.to_str().unwrap(), &user.name]);
    let error = fails(sshd.ssh().user(&user.name).payload(leaf));
    assert_eq!(error.code(), "no_shell", "{error}");
    Ok(())
}

fn a_command_that_is_forced_is_told_from_ours() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let sshd = Sshd::new(
        "Match User osh-menu\n  ForceCommand echo Your balance is 7; exit 3\nMatch User osh-still\n  ForceCommand true\n",
    )?;
    for (name, report) in [("menu", "exit status 3"), ("still", "exit status 0")] {
        let user = User::new(name, &program("bash")?)?;
        let error = fails(sshd.ssh().user(&user.name).payload(leaf.clone()));
        assert_eq!((error.code(), error.phase()), ("other_command", Phase::Shell), "{error}");
        assert!(error.to_string().contains(report) && error.to_string().contains("ForceCommand"), "{error}");
    }
    let user = with_start_file("ends", "exit 0\n")?;
    let error = fails(sshd.ssh().user(&user.name).payload(leaf));
    assert_eq!(error.code(), "other_command", "{error}");
    Ok(())
}

fn a_start_file_that_eats_the_input_is_told() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = with_start_file("hungry", "")?;
    for eats in ["cat >/dev/null\n", "read line\n"] {
        fs::write(user.home.path().join(".bashrc"), eats).unwrap();
        let error = fails(sshd.ssh().user(&user.name).payload(leaf.clone()).timeout(Duration::from_secs(3)));
        assert_eq!((error.code(), error.phase()), ("input_eaten", Phase::Shell), "{eats}: {error}");
    }
    // One that waits for something else does not.
    fs::write(user.home.path().join(".bashrc"), "sleep 6\n").unwrap();
    let error = fails(sshd.ssh().user(&user.name).payload(leaf).timeout(Duration::from_secs(3)));
    assert_eq!(error.code(), "no_answer", "{error}");
    Ok(())
}

const SHELLS: [&str; 5] = ["dash", "bash", "busybox", "mksh", "zsh"];

fn a_start_file_that_becomes_another_shell_is_told() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = User::new("fish", &program("bash")?)?;
    fs::write(user.home.path().join(".bashrc"), format!("exec {}\n", program("fish")?.display())).unwrap();
    let error = fails(sshd.ssh().user(&user.name).payload(leaf).timeout(Duration::from_secs(5)));
    assert_eq!((error.code(), error.phase()), ("no_answer", Phase::Shell), "{error}");
    Ok(())
}

fn a_shell_that_forbids_redirections_is_heard() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("audit");
    let script = "#!/bin/sh\ncase $2 in *[\\>\\|]*) echo 'audit: no redirections, no pipes' >&2; exit 1;; esac; exec sh -c \"$2\"\n";
    fs::write(&shell, script).unwrap();
    run(&["chmod", "-R", "a+rX,u+x,a+x", folder.path().to_str().unwrap()]);
    let user = User::new("audit", &shell)?;
    let error = fails(sshd.ssh().user(&user.name).payload(leaf));
    assert_eq!((error.code(), error.phase()), ("exited", Phase::Shell), "{error}");
    assert_eq!(error.last_words(), "audit: no redirections, no pipes");
    Ok(())
}

fn a_program_that_is_none_to_the_kernel_is_told_by_what_the_shell_says() -> Result<(), Missing> {
    payload("leaf")?;
    // To the kernel it is none: nothing of it is to be loaded. (One of another machine: `attack_54`.)
    let mut damaged = static_program("leaf")?;
    damaged[56..58].fill(0);
    let damaged = Payload::bytes("leaf", damaged).unwrap();
    // busybox reads it as a script then, and makes files of what seems to be written to.
    let aside = tempfile::tempdir().unwrap();
    let enter = format!("cd {} && exec \"$@\"", aside.path().display());
    for shell in SHELLS {
        let folder = shell_named_sh(&program(shell)?);
        let path = format!("PATH={}:/usr/bin:/bin", folder.path().display());
        for keep in [false, true] {
            let method = Wrapped::new(["sh", "-c", &enter, "sh", "env", &path]).payload(damaged.clone());
            let error = fails(if keep { method.keep_file() } else { method });
            assert_eq!(
                (error.code(), error.phase()),
                ("wrong_format", Phase::Marker),
                "{shell} {keep}: {error}"
            );
        }
    }
    Ok(())
}

fn a_program_that_a_policy_keeps_from_running_is_told() -> Result<(), Missing> {
    as_root()?;
    let leaf = payload("leaf")?;
    program("unshare")?;
    let (place, real) = (tempfile::tempdir().unwrap(), program("sha256sum")?);
    // Scripts and programs run there, until the one that was received is to.
    let script =
        format!("mount -o remount,noexec {} && exec {} \"$@\"", place.path().display(), real.display());
    let sums = Tool::new("sha256sum", &script);
    // But for busybox, which has one of its own.
    for shell in SHELLS.into_iter().filter(|shell| *shell != "busybox") {
        for keep in [false, true] {
            let folder = shell_named_sh(&program(shell)?);
            let mount = format!("mount -t tmpfs none {} && exec \"$@\"", place.path().display());
            let path =
                format!("PATH={}:{}:/usr/bin:/bin", folder.path().display(), sums.folder.path().display());
            let leader =
                ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", &mount, "sh", "env", &path];
            let method = Wrapped::new(leader).payload(leaf.clone()).folder(place.path().to_str().unwrap());
            let error = fails(if keep { method.keep_file() } else { method });
            assert_eq!(
                (error.code(), error.phase()),
                ("exec_denied", Phase::Marker),
                "{shell} {keep}: {error}"
            );
            assert!(error.to_string().contains("preplaced"), "{error}");
        }
    }
    Ok(())
}

/// A program that does what a script says: busybox, which goes by the name of its file.
fn that_runs(script: &str) -> Result<Wrapped, Missing> {
    let busybox = Payload::bytes("sh", fs::read(program("busybox")?).unwrap()).unwrap();
    let way = Wrapped::new(["env"]).name("there").payload(busybox);
    Ok(way.keep_file().folder("/tmp").args(["-c", script]))
}

fn a_program_that_finds_its_kernel_too_old_is_told() -> Result<(), Missing> {
    let error = fails(that_runs("echo 'FATAL: kernel too old' >&2; exit 127")?);
    assert_eq!((error.code(), error.phase()), ("kernel_too_old", Phase::Marker), "{error}");
    Ok(())
}

fn a_program_that_a_signal_ends_is_told() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let error = fails(Wrapped::new(["sh", "-c", "kill -9 $$", "sh"]).payload(leaf));
    assert_eq!((error.code(), error.phase()), ("killed", Phase::Shell), "{error}");
    // What a shell passes on is a number, which it would pass on as well if the program had said it.
    let error = fails(that_runs("kill -9 $$")?);
    assert_eq!((error.code(), error.phase()), ("exited", Phase::Marker), "{error}");
    assert!(error.to_string().contains("exit status 137, by which a shell says that signal 9"), "{error}");
    Ok(())
}

fn what_a_program_says_of_other_files_is_no_reason() -> Result<(), Missing> {
    for said in
        ["$0: /etc/x: Permission denied", "x: not found", "sudo: Authentication failure", "No such container"]
    {
        let error = fails(that_runs(&format!("echo \"{said}\" >&2; exit 126"))?);
        assert_eq!((error.code(), error.phase()), ("exited", Phase::Marker), "{said}: {error}");
    }
    Ok(())
}
