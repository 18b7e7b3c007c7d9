//! Other users of a machine, by sudo, su and doas, from a context that runs as somebody who must ask.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use offshoot_bootstrap::Told;
use offshoot_parent::{Connecting, Phase, prelude::*};
use offshoot_tests::real::{PATIENCE, Signal, descendants, eventually, is_gone, kill, logs};

use crate::{
    beside::{Beside, attacked},
    far::{ADD, Missing, Sshd, User, as_root, payload, program, run, static_program},
    hunt::Hunt,
};

crate::tests![
    sudo_takes_the_password_when_it_has_asked_and_once,
    sudo_leads_through_the_login_shell_of_the_other_user,
    sudo_without_a_password_says_that_one_is_needed,
    sudo_says_who_is_not_allowed,
    sudo_leads_to_whom_it_is_told_our_command_for_and_to_no_other_command,
    sudo_leads_to_a_program_that_is_there_for_whom_it_is_told_that_alone,
    su_takes_the_password_of_the_other_user,
    doas_lets_in_whom_its_rule_lets_in,
    doas_asks_for_the_password_on_a_terminal_of_its_own,
    a_sudo_that_wants_a_terminal_gets_one_and_its_stream_stays_whole,
    what_a_sudo_with_use_pty_runs_goes_when_its_line_is_cut,
    attack_60_a_password_is_nowhere_to_be_read,
    attack_56_who_asks_again_once_the_program_runs_is_told_nothing,
    attack_63_nobody_else_types_into_the_terminal_of_a_question,
];

/// Served by the reference leaf.
const LENGTH: Function<String, u64> = Function::new("length");

pub(crate) const PASSWORD: &str = "pass word$1";

/// A hop that runs as a user with a password.
pub(crate) struct Desk<R = Box<Router>> {
    user: User,
    pub(crate) router: R,
    pub(crate) there: Context,
    _sshd: Sshd,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Result<Self, Missing> {
        Self::of_group(name, None)
    }

    /// Of one whom sudo lets do all.
    pub(crate) fn of_sudoer(name: &str) -> Result<Self, Missing> {
        program("sudo")?;
        Self::of_group(name, Some("sudo"))
    }

    fn of_group(name: &str, group: Option<&str>) -> Result<Self, Missing> {
        let (user, sshd) = account(name, group)?;
        let router = Box::new(Router::new().unwrap());
        let there = router.connect(sshd.ssh().user(&user.name).payload(payload("hop")?)).unwrap();
        Ok(Self { user, router, there, _sshd: sshd })
    }
}

impl<'a> Desk<&'a Router> {
    /// Below a root that has others.
    fn beside(root: &'a Beside, name: &str, group: Option<&str>) -> Result<Self, Missing> {
        let (user, sshd) = account(name, group)?;
        let there = root.connect(sshd.ssh().user(&user.name).payload(payload("hop")?)).unwrap();
        Ok(Self { user, router: root.router(), there, _sshd: sshd })
    }
}

/// A user with a password, in that group, and an sshd that lets him in by a key.
pub(crate) fn account(name: &str, group: Option<&str>) -> Result<(User, Sshd), Missing> {
    let sshd = Sshd::new("")?;
    payload("hop")?;
    let user = User::new(name, &program("bash")?)?;
    user.password(PASSWORD);
    if let Some(group) = group {
        run(&["usermod", "-aG", group, &user.name]);
    }
    Ok((user, sshd))
}

impl<R: Deref<Target = Router>> Desk<R> {
    pub(crate) fn connect(&self, method: Sudo) -> Result<Context, ConnectError> {
        self.begin(method).wait()
    }

    fn begin(&self, method: Sudo) -> Connecting {
        let leaf = Payload::bytes("leaf", static_program("leaf").unwrap()).unwrap();
        self.there.connect_async(method.payload(leaf))
    }

    /// His group has the same name, and nobody else in it.
    pub(crate) fn user_name(&self) -> &str {
        &self.user.name
    }

    pub(crate) fn uid_of(&self, context: &Context) -> u32 {
        let pid = self.router.tree().pid(context.id()).unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn sudo_takes_the_password_when_it_has_asked_and_once() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("sudo")?;
    let error = desk.connect(Sudo::new().password("wrong")).unwrap_err();
    assert_eq!(error.code(), "password_wrong", "{error}");
    let root = desk.connect(Sudo::new().password(PASSWORD)).unwrap();
    assert_eq!((root.call(ADD, (2, 3)).unwrap(), desk.uid_of(&root)), (5, 0));
    // Who connects once more is asked once more: what sudo remembers is of the session that led there.
    let again = desk.connect(Sudo::new().password(PASSWORD).name("again")).unwrap();
    assert_eq!(again.call(ADD, (2, 3)).unwrap(), 5);
    assert_eq!(desk.connect(Sudo::new()).unwrap_err().code(), "password_needed");
    // A password that is not asked for is not sent.
    let _rule = SudoRule::new("osh-sudo", "osh-sudo ALL=(ALL) NOPASSWD: ALL");
    let unasked = desk.connect(Sudo::new().password("not needed").name("unasked")).unwrap();
    assert_eq!(unasked.call(ADD, (2, 3)).unwrap(), 5);
    Ok(())
}

fn sudo_leads_through_the_login_shell_of_the_other_user() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("login")?;
    for shell in ["dash", "bash", "zsh", "mksh"] {
        let other = User::new(&format!("in-{shell}"), &program(shell)?)?;
        fs::write(other.home.path().join(".profile"), "echo in\n").unwrap();
        for option in ["-i", "-s"] {
            let method = Sudo::new().user(&other.name).option([option]).password(PASSWORD);
            let there = desk.connect(method).unwrap_or_else(|error| panic!("{option} {shell}: {error}"));
            assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
            assert_ne!(desk.uid_of(&there), desk.uid_of(&desk.there));
        }
    }
    Ok(())
}

fn sudo_without_a_password_says_that_one_is_needed() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("asked")?;
    let since = Instant::now();
    let error = desk.connect(Sudo::new()).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("password_needed", Phase::Shell), "{error}");
    assert!(since.elapsed().as_secs() < 2, "{error}");
    Ok(())
}

fn sudo_says_who_is_not_allowed() -> Result<(), Missing> {
    program("sudo")?;
    let desk = Desk::new("barred")?;
    // It says so to whom it knows alone.
    for (word, code, told) in
        [(PASSWORD, "not_allowed", Told::Proved), ("wrong", "password_wrong", Told::Refused)]
    {
        let error = desk.connect(Sudo::new().password(word)).unwrap_err();
        assert_eq!((error.code(), error.passwords()), (code, &[told][..]), "{error}");
    }
    Ok(())
}

/// The line of the guide for sudoers in which that stands, said of these.
fn guide_line(holds: &str, user: &str, other: &str) -> String {
    let guide = include_str!("../../docs/methods.md");
    let line = guide.lines().find(|line| line.starts_with("me ALL=(agent) ") && line.contains(holds));
    line.unwrap().replace("me ALL=(agent)", &format!("{user} ALL=({other})"))
}

fn sudo_leads_to_whom_it_is_told_our_command_for_and_to_no_other_command() -> Result<(), Missing> {
    let visudo = program("visudo")?;
    let desk = Desk::new("listed")?;
    let other = User::new("agent", &program("dash")?)?;
    let line = guide_line("/sh -c ", desk.user_name(), &other.name);
    let rule = SudoRule::new(desk.user_name(), &line);
    run(&[visudo.to_str().unwrap(), "-c", "-f", rule.0.to_str().unwrap()]);
    let there = desk.connect(Sudo::new().user(&other.name)).unwrap();
    assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
    assert_ne!(desk.uid_of(&there), desk.uid_of(&desk.there));
    // What it is told is no pattern.
    let command = Sudo::new().plan().transport.unwrap().argv().pop().unwrap();
    let allowed = |command: &str| {
        let sudo = ["sudo", "-n", "-u", &other.name, "-l", "sh", "-c", command];
        let asked = Command::new("setpriv")
            .args(["--reuid", desk.user_name(), "--regid", desk.user_name(), "--init-groups"])
            .args(sudo)
            .output();
        asked.unwrap().status.success()
    };
    assert!(allowed(&command));
    for other in ["id".to_owned(), command.replace("$*", "$*; id"), command.replace("n=*)", "n=*) id;;")] {
        assert!(other != command && !allowed(&other), "{other}");
    }
    Ok(())
}

fn sudo_leads_to_a_program_that_is_there_for_whom_it_is_told_that_alone() -> Result<(), Missing> {
    let leaf = static_program("leaf")?;
    let desk = Desk::new("alone")?;
    let other = User::new("agent", &program("dash")?)?;
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("leaf").display().to_string();
    fs::write(&there, leaf).unwrap();
    run(&["chmod", "-R", "u=rwX,go=rX", folder.path().to_str().unwrap()]);
    run(&["chmod", "755", &there]);
    let line = guide_line("/leaf ", desk.user_name(), &other.name).replace("/usr/lib/agent/leaf", &there);
    let _rule = SudoRule::new(desk.user_name(), &line);
    let by_sudo = |more: &[&str]| {
        let sudo = ["sudo", "-n", "-u", &other.name, "--", &there];
        desk.there.connect(Wrapped::whole(sudo.iter().chain(more).copied()))
    };
    let child = by_sudo(&[]).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    assert_ne!(desk.uid_of(&child), desk.uid_of(&desk.there));
    // Nothing but that, and so no shell of ours that would look at its hash.
    let error = by_sudo(&["more"]).unwrap_err();
    assert!(error.code() == "exited" && error.last_words().contains("a password is required"), "{error}");
    let error = desk.connect(Sudo::new().user(&other.name).preplaced(&there)).unwrap_err();
    assert_eq!(error.code(), "password_needed", "{error}");
    Ok(())
}

fn su_takes_the_password_of_the_other_user() -> Result<(), Missing> {
    let desk = Desk::new("su")?;
    let other = User::new("other", &program("dash")?)?;
    other.password("another");
    let there = desk.connect(Sudo::by_su().user(&other.name).password("another")).unwrap();
    assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
    assert_ne!(desk.uid_of(&there), desk.uid_of(&desk.there));
    let error = desk.connect(Sudo::by_su().user(&other.name).password("wrong")).unwrap_err();
    assert_eq!(error.code(), "password_wrong", "{error}");
    let error = desk.connect(Sudo::by_su().user(&other.name)).unwrap_err();
    assert_eq!(error.code(), "password_needed", "{error}");
    Ok(())
}

/// The configuration of doas while the value lives.
pub(crate) struct DoasRule(&'static Path);

impl DoasRule {
    pub(crate) fn new(rule: &str) -> Result<Self, Missing> {
        program("doas")?;
        let file = Path::new("/etc/doas.conf");
        if file.exists() {
            return Err(Missing::because("/etc/doas.conf is somebody else's"));
        }
        fs::write(file, format!("{rule}\n")).unwrap();
        Ok(Self(file))
    }
}

impl Drop for DoasRule {
    fn drop(&mut self) {
        fs::remove_file(self.0).unwrap();
    }
}

fn doas_lets_in_whom_its_rule_lets_in() -> Result<(), Missing> {
    let desk = Desk::new("doas")?;
    let _rule = DoasRule::new("permit nopass osh-doas as root")?;
    let root = desk.connect(Sudo::by_doas()).unwrap();
    assert_eq!((root.call(ADD, (2, 3)).unwrap(), desk.uid_of(&root)), (5, 0));
    let error = desk.connect(Sudo::by_doas().user("nobody")).unwrap_err();
    assert_eq!(error.code(), "not_allowed", "{error}");
    Ok(())
}

fn doas_asks_for_the_password_on_a_terminal_of_its_own() -> Result<(), Missing> {
    let desk = Desk::new("doastty")?;
    let _rule = DoasRule::new("permit osh-doastty as root")?;
    let error = desk.connect(Sudo::by_doas()).unwrap_err();
    assert_eq!(error.code(), "password_needed", "{error}");
    let error = desk.connect(Sudo::by_doas().password("wrong")).unwrap_err();
    assert_eq!(error.code(), "password_wrong", "{error}");
    assert!(!error.to_string().contains("wrong\n"), "{error}");
    let root = desk.connect(Sudo::by_doas().password(PASSWORD)).unwrap();
    assert_eq!((root.call(ADD, (2, 3)).unwrap(), desk.uid_of(&root)), (5, 0));
    Ok(())
}

/// Lines for sudo while the value lives.
pub(crate) struct SudoRule(PathBuf);

impl SudoRule {
    pub(crate) fn new(user: &str, lines: &str) -> Self {
        let file = Path::new("/etc/sudoers.d").join(user);
        fs::write(&file, format!("{lines}\n")).unwrap();
        run(&["chmod", "440", file.to_str().unwrap()]);
        Self(file)
    }
}

impl Drop for SudoRule {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn a_sudo_that_wants_a_terminal_gets_one_and_its_stream_stays_whole() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("tty")?;
    let _rule = SudoRule::new("osh-tty", "Defaults:osh-tty requiretty, use_pty");
    let error = desk.connect(Sudo::new().password(PASSWORD)).unwrap_err();
    assert_eq!(error.code(), "no_terminal", "{error}");
    let root = desk.connect(Sudo::new().password(PASSWORD).terminal()).unwrap();
    assert_eq!((root.call(ADD, (2, 3)).unwrap(), desk.uid_of(&root)), (5, 0));
    // Every byte there is goes both ways as it is.
    let text: String = (0..=0x7ff).filter_map(char::from_u32).cycle().take(100_000).collect();
    let length = text.len() as u64;
    assert_eq!(root.call(LENGTH, text).unwrap(), length);
    Ok(())
}

fn what_a_sudo_with_use_pty_runs_goes_when_its_line_is_cut() -> Result<(), Missing> {
    let (hop, _leaf) = (payload("hop")?, payload("leaf")?);
    as_root()?;
    program("sudo")?;
    let _rule = SudoRule::new("root", "Defaults:root use_pty");
    let (before, router) = (descendants(), Router::new().unwrap());
    let hop = router.connect(Local::new(hop)).unwrap();
    let leaf = Payload::bytes("leaf", static_program("leaf").unwrap()).unwrap();
    // Without any terminal it gives none either.
    let child = hop.connect(Sudo::new().terminal().payload(leaf)).unwrap();
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    // The client, who watches at the terminal, and the child.
    let there: Vec<u32> = descendants().into_iter().filter(|pid| !before.contains(pid)).collect();
    assert!(there.len() >= 4, "{there:?}");
    kill(router.tree().pid(hop.id()).unwrap(), Signal::KILL);
    eventually("all of it is gone", Duration::from_secs(5), || {
        there.iter().all(|pid| is_gone(*pid)).then_some(())
    });
    Ok(())
}

fn attack_60_a_password_is_nowhere_to_be_read() -> Result<(), Missing> {
    // Before there is a root, which tells its children what is to be logged.
    let (found, logged) = logs::of_every_level(|| attacked(hunt_for_passwords));
    found?.iter().for_each(|hunt| hunt.assert_not_in(&logged.concat(), "the log"));
    Ok(())
}

/// Looks for a password all the time while each tool that asks for one has it: one that it takes, and one that it does not
/// take, over which it thinks for two seconds.
fn hunt_for_passwords(root: &Beside) -> Result<Vec<Hunt>, Missing> {
    const WRONG: &str = "no such word$2";
    program("sudo")?;
    let desk = Desk::beside(root, "quiet", Some("sudo"))?;
    let other = User::new("quieter", &program("dash")?)?;
    other.password(PASSWORD);
    let _rule = DoasRule::new("permit osh-quiet as root")?;
    let homes = || [&desk.user, &other].map(|user| user.home.path().to_owned());
    let [hunt, wrong] = [PASSWORD, WRONG].map(|word| Hunt::new(word, homes()));
    for (tool, method) in [
        ("doas", Sudo::by_doas()),
        ("su", Sudo::by_su().user(&other.name)),
        ("sudo", Sudo::new().terminal()),
        ("sudo", Sudo::new()),
    ] {
        let method = |word| method.clone().password(word);
        let connecting = desk.begin(method(WRONG));
        let looks = wrong.until_over(&connecting, tool);
        let error = root.keep(connecting.wait()).unwrap_err();
        assert_eq!(error.code(), "password_wrong", "{error}");
        assert!(looks >= 2, "{tool} was seen at work {looks} times");
        wrong.assert_not_in(&format!("{error} {error:?}"), "the error");

        let (shown, plan) = (method(PASSWORD), method(PASSWORD).plan());
        hunt.assert_not_in(&format!("{shown:?} {shown} {plan:?}"), "the way");
        let connecting = desk.begin(method(PASSWORD));
        hunt.until_over(&connecting, tool);
        let there = connecting.wait().unwrap();
        assert_eq!(there.call(ADD, (2, 3)).unwrap(), 5);
        hunt.look();
        there.shutdown().wait_timeout(PATIENCE).unwrap();
    }
    wrong.look();
    Ok(vec![hunt, wrong])
}

fn attack_56_who_asks_again_once_the_program_runs_is_told_nothing() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // It asks as sudo does, and keeps what it is sent from then on; it asks again in the same words when it is told to.
    let script = format!(
        "#!/bin/sh\nuntil [ \"$1\" = sh ]; do shift; done\nask() {{ printf '[offshoot] password: ' >&2; }}\n\
         ask; read -r password\n(until [ -e {} ]; do sleep 0.05; done; ask; echo >&2; touch {}) &\ntee {} | \"$@\"\n",
        at("now"),
        at("asked"),
        at("wire"),
    );
    fs::write(at("sudo"), script).unwrap();
    run(&["chmod", "+x", &at("sudo")]);
    attacked(|root| {
        let child = root.works(Sudo::new().program(at("sudo")).password(PASSWORD).payload(leaf));
        fs::write(at("now"), "").unwrap();
        eventually("it has asked again", Duration::from_secs(10), || {
            Path::new(&at("asked")).exists().then_some(())
        });
        assert_eq!(child.call(LENGTH, "x".repeat(1000)).unwrap(), 1000);
    });
    let wire = fs::read(at("wire")).unwrap();
    assert!(wire.len() > 1000 && !wire.windows(PASSWORD.len()).any(|sent| sent == PASSWORD.as_bytes()));
    Ok(())
}

fn attack_63_nobody_else_types_into_the_terminal_of_a_question() -> Result<(), Missing> {
    attacked(type_into_a_terminal)
}

fn type_into_a_terminal(root: &Beside) -> Result<(), Missing> {
    let desk = Desk::beside(root, "typist", None)?;
    let other = User::new("typed", &program("dash")?)?;
    other.password("another");
    let _rule = DoasRule::new("permit osh-typist as root")?;
    for method in
        [Sudo::by_doas().password(PASSWORD), Sudo::by_su().user(&other.name).password("another").terminal()]
    {
        let child = root.keep(desk.connect(method)).unwrap();
        type_into_the_terminal_of(desk.router.tree().pid(child.id()).unwrap())?;
        assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
    }
    Ok(())
}

/// Whose session is its own, and whose terminal is nobody's but the root's who made it.
fn type_into_the_terminal_of(pid: u32) -> Result<(), Missing> {
    // Behind the name of the program: its state, parent, group, session and terminal.
    let of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let rest = stat.rsplit_once(')').unwrap().1;
        let numbers: Vec<u32> =
            rest.split_whitespace().skip(1).take(4).map(|it| it.parse().unwrap()).collect();
        (numbers[2], numbers[3])
    };
    let (session, terminal) = of(pid);
    let (our_session, our_terminal) = of(std::process::id());
    assert!(terminal != 0 && terminal != our_terminal && session != our_session);
    // The number of a terminal is cut in two round that of its driver.
    let file = format!("/dev/pts/{}", (terminal & 0xff) | ((terminal >> 12) & 0xf_ff00));
    let stranger = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "sh", "-c"];
    for act in [format!("echo typed >{file}"), format!("read -r line <{file}")] {
        let output = Command::new(program("setpriv")?).args(stranger).arg(act).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("Permission denied"), "{said}");
    }
    Ok(())
}
