//! A root that was started by hand: it has a terminal, which nobody to whom it leads may type into, or leave changed.

use std::{
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Spawned, launch};
use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, eventually};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    accounts::{DoasRule, PASSWORD, SudoRule},
    beside::attacked,
    containers::Namespaces,
    far::{ADD, Missing, User, as_root, payload, program, run},
};

crate::tests![
    attack_63_nobody_who_is_led_to_types_into_the_terminal_of_the_root,
    a_sudo_with_a_terminal_of_its_own_leaves_that_of_the_root_as_it_was,
    a_sudo_without_a_password_finds_whom_it_has_asked_at_the_terminal_of_the_root,
];

/// What the first argument of this program is when it is to be such a root.
const ROOT: &str = "--root-at-a-terminal";

/// Types a line into whatever terminal there is, as a hostile far side would, and says how that went.
const TYPE: &str = r#"open(T, "+<", "/dev/tty") or do { print "there is none: $!"; exit }; for (split //, "typed\n") { ioctl(T, 0x5412, $_) or do { print "not taken: $!"; exit } } print "typed""#;

/// If this program is to be a root: does what it is to be seen doing, and says what came of it.
pub(crate) fn be_root_if_asked() -> Option<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ROOT, "typed-at", user, pid] => be_typed_at(user, pid.parse().unwrap()),
        [ROOT, "shown"] => show_modes(),
        [ROOT, "asked", leaf] => be_asked(leaf),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Runs such a root, by these words, to its end, and gives what it has said. `typed` is typed at its terminal beforehand.
fn at_a_terminal(by: &[&str], root: &str, words: &[&str], typed: &str) -> Result<String, Missing> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let no_tty = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
    let name = OsStr::from_bytes(name.as_bytes());
    let theirs = OpenOptions::new().read(true).write(true).custom_flags(no_tty).open(name).unwrap();
    rustix::io::write(&terminal, typed.as_bytes()).unwrap();
    let mut command = Command::new(program("setsid")?);
    command.arg("--ctty").args(by).args([root, ROOT]).args(words);
    let ended = command.stdin(theirs).stdout(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stdout));
    Ok(String::from_utf8(ended.stdout).unwrap())
}

fn this_program() -> String {
    env::current_exe().unwrap().display().to_string()
}

/// Runs what types at the end of each way, and says what came of it, and what came at our own terminal.
fn be_typed_at(user: &str, pid: u32) {
    let busybox = Payload::bytes("busybox", fs::read(program("busybox").unwrap()).unwrap()).unwrap();
    let ways: [(&str, Box<dyn Method>); 6] = [
        ("chroot", Box::new(Chroot::new("/").user("nobody"))),
        ("nsenter", Box::new(Container::nsenter(pid).user("65534"))),
        ("su", Box::new(Sudo::by_su().user(user))),
        ("doas", Box::new(Sudo::by_doas().user(user))),
        ("sudo", Box::new(Sudo::new().user(user).password("not asked for"))),
        ("su at a terminal", Box::new(Sudo::by_su().user(user).terminal())),
    ];
    for (name, method) in ways {
        let mut plan = method.plan();
        plan.payload = busybox.clone();
        let transport = plan.transport.as_mut().unwrap();
        transport.args = ["sh", "-c", "exec perl -e \"$0\"", TYPE].map(str::to_owned).to_vec();
        // It goes by its name.
        transport.keep = true;
        let there = launch(&plan, Instant::now() + Duration::from_secs(20), None).unwrap();
        let Spawned { mut link, mut said, mut process, .. } = there;
        link.read_to_end(&mut said).unwrap();
        // Who waits beside it puts its file away.
        eventually("the way has ended", PATIENCE, || process.try_wait().unwrap());
        println!("{name}: {}", String::from_utf8_lossy(&said));
    }
    let mut typed = [0; 100];
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let read = match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() {
        0 => 0,
        _ => rustix::io::read(&stdin, &mut typed).unwrap(),
    };
    println!("ours: {}", String::from_utf8_lossy(&typed[..read]).trim());
}

fn attack_63_nobody_who_is_led_to_types_into_the_terminal_of_the_root() -> Result<(), Missing> {
    as_root()?;
    for tool in ["busybox", "perl", "sudo", "su", "setsid"] {
        program(tool)?;
    }
    let (user, namespaces) = (User::new("typed-at", &program("dash")?)?, Namespaces::new()?);
    let _rule = DoasRule::new("permit nopass root")?;
    let words = ["typed-at", &user.name, &namespaces.pid.to_string()];
    let said = attacked(|_| at_a_terminal(&[], &this_program(), &words, ""))?;
    // A terminal that is given for the question of su is nobody else's.
    let none = "there is none: No such device or address";
    let ways = ["chroot", "nsenter", "su", "doas", "sudo"].map(|way| format!("{way}: {none}\n")).concat();
    assert_eq!(said, format!("{ways}su at a terminal: typed\nours: \n"));
    Ok(())
}

/// Says whether the modes of the terminal are what they were, while a child of sudo is up and afterwards.
fn show_modes() {
    let modes = || {
        let stty = Command::new("stty").arg("-a").stdin(Stdio::inherit()).output().unwrap();
        assert!(stty.status.success());
        stty.stdout
    };
    let before = modes();
    let router = Router::new().unwrap();
    let child = router.connect(Sudo::new().payload(payload("leaf").unwrap())).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    let during = modes() == before;
    child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    drop(router);
    println!("during: {during}, after: {}", modes() == before);
}

fn a_sudo_with_a_terminal_of_its_own_leaves_that_of_the_root_as_it_was() -> Result<(), Missing> {
    as_root()?;
    payload("leaf")?;
    program("sudo")?;
    let _rule = SudoRule::new("root", "Defaults:root use_pty");
    assert_eq!(at_a_terminal(&[], &this_program(), &["shown"], "")?, "during: true, after: true\n");
    Ok(())
}

/// Has sudo ask at the terminal, and then connects by it without a password.
fn be_asked(leaf: &str) {
    assert!(Command::new("sudo").args(["-S", "-v"]).status().unwrap().success());
    let router = Router::new().unwrap();
    let leaf = Payload::file(leaf).unwrap();
    println!("{}", router.connect(Sudo::new().payload(leaf)).unwrap().call(ADD, (2, 3)).unwrap());
}

fn a_sudo_without_a_password_finds_whom_it_has_asked_at_the_terminal_of_the_root() -> Result<(), Missing> {
    program("sudo")?;
    let (user, leaf) = (User::new("ticket", &program("dash")?)?, crate::far::static_program("leaf")?);
    user.password(PASSWORD);
    run(&["usermod", "-aG", "sudo", &user.name]);
    // Where he can get at them.
    let at = |name: &str| user.home.path().join(name).display().to_string();
    fs::copy(this_program(), at("root")).unwrap();
    fs::write(at("leaf"), leaf).unwrap();
    run(&["chmod", "755", user.home.path().to_str().unwrap(), &at("root"), &at("leaf")]);
    let by = [program("setpriv")?.display().to_string(), format!("--reuid={}", user.name)];
    let by = [&by[..], &["--init-groups".into(), format!("--regid={}", user.name)]].concat();
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    let said = at_a_terminal(&by, &at("root"), &["asked", &at("leaf")], &format!("{PASSWORD}\n"))?;
    assert_eq!(said, "5\n");
    Ok(())
}
