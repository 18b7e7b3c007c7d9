//! What is left when somebody on the way is killed, at every step of a connect and afterwards: nothing, on either side.
//!
//! The far side is this very machine, and orphans come to this process: what is left anywhere is seen here.

use std::{
    env, fs,
    io::{self, BufRead as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, Signal, descendants, eventually, is_gone, kill};

use crate::far::{ADD, Missing, Sshd, as_root, payload, program, run, shell_named_sh};

crate::tests![
    a_root_that_is_killed_while_a_program_is_put_somewhere_leaves_nothing,
    a_root_that_is_killed_leaves_nothing_behind_a_terminal,
    a_root_that_is_killed_leaves_nothing_behind_ssh,
    a_client_that_waits_for_a_silent_server_goes_with_its_root,
    what_leads_to_a_silent_bastion_goes_with_its_root,
    a_proxy_is_started_by_the_shell_of_the_user,
    who_guards_a_client_goes_when_the_program_runs_and_leaves_what_is_shared,
    a_hop_that_is_killed_while_a_program_is_put_somewhere_leaves_nothing,
    a_client_that_is_killed_before_it_has_a_word_fails_its_connect_at_once,
    what_a_way_still_runs_when_a_term_ends_it_goes_with_it,
    what_leads_past_a_bastion_goes_with_a_client_that_somebody_kills,
];

/// What the first argument of this program is when it is to be a root that is killed.
const ROOT: &str = "--root";
/// What the next one is when what leads to its child has a terminal.
const ON_TERMINAL: &str = "--terminal";
/// What the next one is when jump hosts lead to its child.
const JUMPS: &str = "--jumps";
/// How long everything may take to be gone.
const LIMIT: Duration = Duration::from_secs(5);
/// Where the stream to the far side stops: before, within and behind the line that says where to put the program, and
/// within the program.
const STOPS: [u32; 7] = [0, 1, 700, 1_500, 2_500, 4_096, 100_000];

/// A far side that gets so many bytes, makes a file, and gets no more though its line stays open: a shell would become the
/// last command of a subshell, and close what that one does not need.
fn stalled(stop: u32, sign: &str, folder: &str, leaf: &Payload) -> Wrapped {
    let script = "f=$1; shift; { dd bs=1 count=$0 2>/dev/null; touch $f; cat >/dev/null; :; } | \"$@\"";
    Wrapped::new(["sh", "-c", script, &stop.to_string(), sign]).folder(folder).payload(leaf.clone())
}

/// A tool by the name of sudo that leads to such a far side, with these words before its shell.
fn stalling(stop: u32, sign: &str, tool: &str, words: &str) {
    let script = format!(
        "#!/bin/sh\nuntil [ \"$1\" = sh ]; do shift; done\n\
         {{ dd bs=1 count={stop} 2>/dev/null; touch {sign}; cat >/dev/null; :; }} | {words} \"$@\"\n"
    );
    fs::write(tool, script).unwrap();
    run(&["chmod", "700", tool]);
}

/// If this program is to be a root: makes its child, says so, and stays.
pub(crate) fn be_root_if_asked() {
    let words: Vec<String> = env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [_, ROOT, words @ ..] = &words[..] else { return };
    let router = Router::new().unwrap();
    let leaf = payload("leaf").unwrap();
    let child = match *words {
        [stop, sign, folder, keep] => {
            let method = stalled(stop.parse().unwrap(), sign, folder, &leaf);
            router.connect(if keep == "keep" { method.keep_file() } else { method })
        }
        [ON_TERMINAL, tool, folder] => {
            let method = Sudo::new().program(tool).terminal().keep_file().folder(folder);
            router.connect(method.payload(leaf))
        }
        [JUMPS, config, jumps] => {
            let beyond = Ssh::new("beyond").option(format!("ProxyJump={jumps}"));
            router.connect(beyond.config(config).payload(leaf))
        }
        [config, port] => {
            let silent = Ssh::new("127.0.0.1").port(port.parse().unwrap());
            router.connect(silent.config(config).payload(leaf))
        }
        [config] => router.connect(Ssh::new("far").config(config).payload(leaf)),
        _ => unreachable!("no such root: {words:?}"),
    };
    assert_eq!(child.unwrap().call(ADD, (2, 3)).unwrap(), 5);
    println!("up");
    io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// A root in a process of its own, which is killed at the end, of a test that fails, too.
struct Root(Child);

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn root(words: &[&str]) -> Root {
    root_with_shell(words, Path::new("/bin/sh"))
}

fn root_with_shell(words: &[&str], shell: &Path) -> Root {
    let mut command = Command::new(env::current_exe().unwrap());
    Root(command.arg(ROOT).args(words).env("SHELL", shell).stdout(Stdio::piped()).spawn().unwrap())
}

fn is_up(root: &mut Root) {
    let mut line = String::new();
    io::BufReader::new(root.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
}

fn all_is_gone(folder: &Path) {
    let left = || {
        let files = fs::read_dir(folder).unwrap().flatten().map(|file| file.path().display().to_string());
        let processes = descendants().into_iter().filter(|pid| !is_gone(*pid));
        let named =
            processes.map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        files.chain(named).collect::<Vec<_>>()
    };
    let until = Instant::now() + LIMIT;
    while !left().is_empty() {
        assert!(Instant::now() < until, "left: {:?}", left());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn appears(file: &str) {
    eventually("it has come so far", Duration::from_secs(20), || Path::new(file).exists().then_some(()));
}

fn a_root_that_is_killed_while_a_program_is_put_somewhere_leaves_nothing() -> Result<(), Missing> {
    payload("leaf")?;
    for stop in STOPS {
        for keep in ["keep", "drop"] {
            let (signs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let sign = signs.path().join("stalled").display().to_string();
            let root = root(&[&stop.to_string(), &sign, folder.path().to_str().unwrap(), keep]);
            appears(&sign);
            drop(root);
            all_is_gone(folder.path());
        }
    }
    Ok(())
}

fn a_root_that_is_killed_leaves_nothing_behind_a_terminal() -> Result<(), Missing> {
    payload("leaf")?;
    // The kernel hangs up on whoever has it as his terminal; a real sudo may give its command one more.
    let by_sudo = as_root().and_then(|()| program("sudo")).map(|sudo| format!("{} -n", sudo.display()));
    let ways = ["dash", "bash", "busybox", "mksh", "zsh"].map(|shell| (shell, String::new()));
    for (shell, sudo) in ways.into_iter().chain(by_sudo.ok().map(|sudo| ("dash", sudo))) {
        let tools = shell_named_sh(&program(shell)?);
        for stop in [4_096, 100_000] {
            let (signs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let [sign, tool] = ["stalled", "sudo"].map(|name| signs.path().join(name).display().to_string());
            stalling(
                stop,
                &sign,
                &tool,
                &format!("{sudo} env PATH={}:/usr/bin:/bin", tools.path().display()),
            );
            let root = root(&[ON_TERMINAL, &tool, folder.path().to_str().unwrap()]);
            appears(&sign);
            let begun = || fs::read_dir(folder.path()).unwrap().next().map(drop);
            eventually(&format!("its folder is there: {shell}{sudo}, {stop}"), PATIENCE, begun);
            drop(root);
            all_is_gone(folder.path());
        }
    }
    Ok(())
}

fn a_root_that_is_killed_leaves_nothing_behind_ssh() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, folder) = (Sshd::new("")?, tempfile::tempdir().unwrap());
    let mut root = root(&[&sshd.file("client")]);
    is_up(&mut root);
    drop(root);
    all_is_gone(folder.path());
    Ok(())
}

fn a_client_that_waits_for_a_silent_server_goes_with_its_root() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, folder) = (Sshd::new("")?, tempfile::tempdir().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = root(&[&sshd.file("client"), &silent.local_addr().unwrap().port().to_string()]);
    let _taken = silent.accept().unwrap();
    drop(root);
    all_is_gone(folder.path());
    Ok(())
}

fn what_leads_to_a_silent_bastion_goes_with_its_root() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, folder) = (Sshd::new("")?, tempfile::tempdir().unwrap());
    // The client of a jump host starts another for one before that.
    for behind in ["", ",127.0.0.1:1"] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let jumps = format!("127.0.0.1:{}{behind}", silent.local_addr().unwrap().port());
        let root = root(&[JUMPS, &sshd.file("client"), &jumps]);
        let _taken = silent.accept().unwrap();
        drop(root);
        all_is_gone(folder.path());
    }
    Ok(())
}

fn a_proxy_is_started_by_the_shell_of_the_user() -> Result<(), Missing> {
    payload("leaf")?;
    let (sshd, folder) = (Sshd::new("")?, tempfile::tempdir().unwrap());
    let [shell, told] = ["it's a shell", "told"].map(|name| folder.path().join(name));
    fs::write(
        &shell,
        "#!/bin/sh\n{ echo \"$1 $2\"; echo \"$SHELL\"; } >>\"${0%/*}/told\"\nexec /bin/sh \"$@\"\n",
    )
    .unwrap();
    run(&["chmod", "700", shell.to_str().unwrap()]);
    let asking =
        format!("Match exec \"true of that host\"\n{}", fs::read_to_string(sshd.file("client")).unwrap());
    fs::write(sshd.file("client"), asking).unwrap();
    let mut root = root_with_shell(&[&sshd.file("client")], &shell);
    is_up(&mut root);
    let told = fs::read_to_string(told).unwrap();
    let [asked, first, proxy, second] = *told.lines().collect::<Vec<_>>() else { panic!("{told}") };
    assert_eq!(asked, "-c true of that host");
    assert!(
        [first, second].iter().all(|named| Path::new(named) == shell),
        "to whoever looks it is the user's: {told}"
    );
    assert!(proxy.starts_with("-c exec ") && proxy.contains("sshd"), "{proxy}");
    drop(root);
    fs::remove_file(&shell).unwrap();
    fs::remove_file(folder.path().join("told")).unwrap();
    all_is_gone(folder.path());
    Ok(())
}

fn who_guards_a_client_goes_when_the_program_runs_and_leaves_what_is_shared() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let socket = sshd.file("mux");
    let shared = |ssh: Ssh| {
        ["ControlMaster=auto", "ControlPersist=60"]
            .into_iter()
            .fold(ssh, Ssh::option)
            .option(format!("ControlPath={socket}"))
    };
    let guards = || {
        let words = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_guard = |pid: &u32| words(pid).starts_with("/bin/sh\0/proc/") && !is_gone(*pid);
        descendants().into_iter().filter(is_guard).count()
    };
    let router = Router::new().unwrap();
    let there = router.connect(shared(sshd.ssh()).payload(leaf)).unwrap();
    eventually("nobody guards it", PATIENCE, || (guards() == 0).then_some(()));
    there.shutdown().wait_timeout(PATIENCE).unwrap();
    let control = |word| {
        let words = ["ssh", "-F", &sshd.file("client"), "-S", &socket, "-O", word, "far"].map(str::to_owned);
        Command::new(&words[0]).args(&words[1..]).output().unwrap().status.success()
    };
    assert!(control("check"));
    // A root that is killed leaves it, too: whoever else uses it has no part in that.
    let shares = format!("ControlMaster auto\nControlPersist 60\nControlPath {socket}\n");
    assert!(control("exit"));
    let client = fs::read_to_string(sshd.file("client")).unwrap();
    fs::write(sshd.file("client"), shares + &client).unwrap();
    let mut root = root(&[&sshd.file("client")]);
    is_up(&mut root);
    drop(root);
    assert!(control("check"));
    assert!(control("exit"));
    eventually("what was shared is gone", PATIENCE, || (!Path::new(&socket).exists()).then_some(()));
    Ok(())
}

fn a_hop_that_is_killed_while_a_program_is_put_somewhere_leaves_nothing() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, payload("leaf")?);
    for stop in STOPS {
        let (signs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sign = signs.path().join("stalled").display().to_string();
        let router = Router::new().unwrap();
        let there = router.connect(Local::new(hop.clone())).unwrap();
        let connecting = there.connect_async(stalled(stop, &sign, folder.path().to_str().unwrap(), &leaf));
        appears(&sign);
        kill(router.tree().pid(there.id()).unwrap(), Signal::KILL);
        let error = connecting.wait_timeout(LIMIT).unwrap_err();
        assert_eq!(error.code(), "lost", "{error}");
        all_is_gone(folder.path());
    }
    Ok(())
}

fn a_client_that_is_killed_before_it_has_a_word_fails_its_connect_at_once() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    // A server that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let router = Router::new().unwrap();
    let method = Ssh::new("127.0.0.1").port(port).config(sshd.file("client")).payload(leaf);
    let connecting = router.connect_async(method);
    let _taken = silent.accept().unwrap();
    let is_client =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ssh\n");
    kill(descendants().into_iter().find(is_client).unwrap(), Signal::KILL);
    let error = connecting.wait_timeout(Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.code(), "killed", "{error}");
    assert!(error.to_string().contains("killed by signal 9"), "{error}");
    Ok(())
}

fn what_a_way_still_runs_when_a_term_ends_it_goes_with_it() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let router = Router::new().unwrap();
    let stays = Wrapped::new(["sh", "-c", "\"$@\"; sleep 1000; :", "sh"]);
    let child = router.connect(stays.payload(leaf)).unwrap();
    child.shutdown().wait_timeout(PATIENCE).unwrap();
    all_is_gone(folder.path());
    Ok(())
}

fn what_leads_past_a_bastion_goes_with_a_client_that_somebody_kills() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let folder = tempfile::tempdir().unwrap();
    // A bastion that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let jump = format!("ProxyJump=127.0.0.1:{}", silent.local_addr().unwrap().port());
    let router = Router::new().unwrap();
    let method = Ssh::new("beyond").config(sshd.file("client")).option(jump).payload(leaf);
    let connecting = router.connect_async(method);
    let _taken = silent.accept().unwrap();
    let words = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_first = |pid: &u32| words(pid).starts_with("ssh\0") && !words(pid).contains("\0-W\0");
    kill(descendants().into_iter().find(is_first).unwrap(), Signal::KILL);
    assert_eq!(connecting.wait_timeout(PATIENCE).unwrap_err().code(), "killed");
    all_is_gone(folder.path());
    Ok(())
}
