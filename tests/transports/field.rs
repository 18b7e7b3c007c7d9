//! What breaks such tools in the field, one test each: other people's configurations, banners, accounts and clients.

use std::{
    fs,
    os::unix::net::UnixListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use offshoot_bootstrap::Told;
use offshoot_parent::{Phase, prelude::*};
use offshoot_tests::{
    far::try_to,
    real::{descendants, eventually, is_gone},
};

use tempfile::TempDir;

use crate::{
    accounts::{Desk, PASSWORD, SudoRule},
    anywhere::example,
    beside::attacked,
    far::{ADD, Missing, Planned, Sshd, User, as_root, payload, program, run, shell_named_sh},
};

crate::tests![
    attack_66_a_configuration_that_would_break_the_stream_is_overridden,
    what_is_off_can_be_asked_for,
    a_configuration_that_takes_the_stream_away_is_overridden_where_the_client_knows_how,
    a_failure_is_told_though_the_configuration_wants_quiet,
    attack_67_a_shared_connection_is_used_and_left_alone,
    a_server_that_takes_one_session_a_connection_gets_more_connections,
    a_control_socket_that_nobody_listens_on_is_no_obstacle,
    a_master_that_never_answers_is_given_up_at_the_deadline_and_can_be_gone_past,
    a_path_that_is_too_long_for_a_control_socket_is_named,
    a_proxy_that_stays_behind_its_client_is_ended,
    a_proxy_is_ended_though_whoever_connects_ignores_what_ends_it,
    a_locale_that_is_not_there_is_no_obstacle,
    an_su_that_speaks_the_language_of_its_caller_is_answered,
    a_place_that_is_not_there_is_told_in_whatever_language_its_tool_speaks,
    a_want_of_space_is_told_in_whatever_language_the_tools_there_speak,
    an_account_that_nobody_may_enter_now_ends_the_connect_at_once,
    attack_53_a_banner_of_a_megabyte_that_asks_for_a_password_is_no_question,
    a_password_that_must_be_changed_says_so,
    a_umask_and_a_home_that_is_not_there_are_no_obstacle,
    attack_54_a_machine_that_calls_itself_another_is_named,
    two_connects_fill_one_cache_entry,
    a_lecture_before_the_question_is_no_obstacle,
    a_password_that_comes_too_late_for_sudo_is_told_from_none,
    sudo_leads_to_a_user_who_may_read_nothing_of_ours,
    an_su_that_asks_in_its_own_words_is_answered,
    what_is_no_question_or_was_answered_is_waited_for,
    a_transport_that_stays_behind_its_child_is_ended,
];

fn adds(context: &Context) {
    assert_eq!(context.call(ADD, (2, 3)).unwrap(), 5);
}

/// Puts lines before all others of the client's configuration.
fn configure(sshd: &Sshd, lines: &str) {
    let client = fs::read_to_string(sshd.file("client")).unwrap();
    fs::write(sshd.file("client"), format!("Host far\n{lines}\n{client}")).unwrap();
}

/// Everything of ours that a configuration can hand to the far side: an agent, a display, a way back.
struct Handed<'a> {
    sshd: &'a Sshd,
    agent: Child,
}

impl<'a> Handed<'a> {
    fn new(sshd: &'a Sshd, lines: &str) -> Result<Self, Missing> {
        let socket = sshd.file("agent");
        let agent = Command::new(program("ssh-agent")?)
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let handed = Self { sshd, agent };
        eventually("the agent is there", Duration::from_secs(5), || {
            fs::exists(&socket).unwrap().then_some(())
        });
        // The first of a kind holds, and what makes the test's way to the host tells the client of no agent.
        configure(sshd, &format!("  IdentityAgent {socket}\n{lines}"));
        Ok(handed)
    }

    /// The sshd that takes all of it.
    fn sshd() -> Result<Sshd, Missing> {
        Sshd::new("X11Forwarding yes\nXAuthLocation /bin/true\nAllowTcpForwarding yes")
    }

    fn back(&self) -> String {
        self.sshd.file("back")
    }

    /// As the way is from a desktop.
    fn method(&self, method: &Ssh) -> Planned {
        let mut plan = method.plan();
        let transport = plan.transport.as_mut().unwrap();
        transport.env.push(("DISPLAY".into(), ":9".into()));
        Planned(plan)
    }

    /// What the far program has of it.
    fn has(&self, router: &Router, there: &Context) -> [bool; 3] {
        let pid = router.tree().pid(there.id()).unwrap();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let has = |name: &str| {
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(name.as_bytes()))
        };
        [has("SSH_AUTH_SOCK="), has("DISPLAY="), fs::exists(self.back()).unwrap()]
    }
}

impl Drop for Handed<'_> {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

fn attack_66_a_configuration_that_would_break_the_stream_is_overridden() -> Result<(), Missing> {
    let (sshd, leaf) = (Handed::sshd()?, payload("leaf")?);
    let sign = sshd.file("ran");
    let handed = Handed::new(
        &sshd,
        &format!(
            "  RemoteCommand touch {sign}\n  RequestTTY force\n  PermitLocalCommand yes\n  LocalCommand touch {sign}\n  \
             ForwardAgent yes\n  ForwardX11 yes\n  LogLevel QUIET\n  RemoteForward {} 127.0.0.1:1\n  EscapeChar ~\n  \
             Compression yes",
            sshd.file("back")
        ),
    )?;
    attacked(|root| {
        let there = root.works(handed.method(&sshd.ssh().payload(leaf)));
        assert_eq!(handed.has(root.router(), &there), [false; 3]);
    });
    assert!(!fs::exists(sign).unwrap());
    // The user's own client would have handed all of it over.
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", &sshd.file("client"), "-o", "RemoteCommand=none", "-o", "RequestTTY=no"]);
    ssh.args(["-o", "PermitLocalCommand=no", "far", "echo $SSH_AUTH_SOCK $DISPLAY"]).env("DISPLAY", ":9");
    let has = String::from_utf8(ssh.output().unwrap().stdout).unwrap();
    assert!(
        has.contains("agent") && has.contains("localhost:") && fs::exists(handed.back()).unwrap(),
        "{has}"
    );
    Ok(())
}

fn what_is_off_can_be_asked_for() -> Result<(), Missing> {
    let (sshd, leaf) = (Handed::sshd()?, payload("leaf")?);
    let handed = Handed::new(&sshd, "  ForwardAgent no\n  ForwardX11 no\n  Tunnel no")?;
    let router = Router::new().unwrap();
    let back = format!("RemoteForward={} 127.0.0.1:1", handed.back());
    let ssh = |name: &str| sshd.ssh().name(name).payload(leaf.clone());
    for (method, expected) in [
        (ssh("none").option(&back), [false, false, false]),
        (ssh("agent").option("ForwardAgent=yes").option(&back), [true, false, false]),
        (ssh("short").forward_agent(), [true, false, false]),
        (ssh("display").option("ForwardX11=yes"), [false, true, false]),
        (ssh("back").option("ClearAllForwardings=no").option(&back), [false, false, true]),
    ] {
        let there = router.connect(handed.method(&method)).unwrap();
        adds(&there);
        assert_eq!(handed.has(&router, &there), expected, "{method}");
        there.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    }
    Ok(())
}

fn a_configuration_that_takes_the_stream_away_is_overridden_where_the_client_knows_how() -> Result<(), Missing>
{
    let leaf = payload("leaf")?;
    let router = Router::new().unwrap();
    for line in ["StdinNull yes", "SessionType none", "ForkAfterAuthentication yes"] {
        let sshd = Sshd::new("")?;
        configure(&sshd, &format!("  {line}"));
        let child = router.connect(sshd.ssh().payload(leaf.clone()).timeout(Duration::from_secs(10)));
        adds(&child.unwrap_or_else(|error| panic!("{line}: {error}")));
    }
    // A client that does not know them is not told of them: it would not start.
    let (sshd, ssh) = (Sshd::new("")?, program("ssh")?);
    let old = sshd.file("old");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -V ]; then echo OpenSSH_8.4p1, OpenSSL >&2; exit; fi\n\
         case \"$*\" in *StdinNull*) echo 'Bad configuration option: stdinnull' >&2; exit 255;; esac\n\
         exec {} \"$@\"\n",
        ssh.display()
    );
    fs::write(&old, script).unwrap();
    run(&["chmod", "+x", &old]);
    adds(&router.connect(sshd.ssh().program(&old).payload(leaf)).unwrap());
    Ok(())
}

fn a_failure_is_told_though_the_configuration_wants_quiet() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    configure(&sshd, "  LogLevel QUIET\n  HostKeyAlias elsewhere");
    let error = Router::new().unwrap().connect(sshd.ssh().payload(leaf)).unwrap_err();
    assert_eq!(error.code(), "host_key", "{error}");
    Ok(())
}

/// A connection that the user's clients share, while the value lives.
struct Shared<'a>(&'a Sshd);

impl<'a> Shared<'a> {
    fn new(sshd: &'a Sshd) -> Self {
        let socket = sshd.file("mux");
        configure(sshd, &format!("  ControlMaster auto\n  ControlPath {socket}\n  ControlPersist 60"));
        Self(sshd)
    }

    fn control(&self, word: &str) -> bool {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", &self.0.file("client"), "-O", word, "far"]);
        ssh.output().unwrap().status.success()
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        self.control("exit");
        let is_clean = || (!fs::exists(self.0.file("mux")).unwrap_or_default()).then_some(());
        eventually("the master has gone", Duration::from_secs(5), is_clean);
    }
}

fn attack_67_a_shared_connection_is_used_and_left_alone() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let shared = Shared::new(&sshd);
    // The first makes it, the second uses it.
    for _ in 0..2 {
        attacked(|root| {
            let there = root.works(sshd.ssh().payload(leaf.clone()));
            let since = Instant::now();
            there.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
            assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
        });
        assert!(shared.control("check"));
    }
    Ok(())
}

fn a_server_that_takes_one_session_a_connection_gets_more_connections() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("MaxSessions 1")?, payload("leaf")?);
    let _shared = Shared::new(&sshd);
    let router = Router::new().unwrap();
    let both = ["a", "b"].map(|name| router.connect(sshd.ssh().payload(leaf.clone()).name(name)).unwrap());
    both.iter().for_each(adds);
    Ok(())
}

fn a_control_socket_that_nobody_listens_on_is_no_obstacle() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let router = Router::new().unwrap();
    let socket = sshd.file("mux");
    // A master that was killed leaves it.
    drop(UnixListener::bind(&socket).unwrap());
    let stale = |master: &str| {
        sshd.ssh().option(format!("ControlMaster={master}")).option(format!("ControlPath={socket}"))
    };
    for master in ["no", "auto"] {
        let there = router.connect(stale(master).payload(leaf.clone()).name(master)).unwrap();
        adds(&there);
        there.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    }
    Ok(())
}

fn a_master_that_never_answers_is_given_up_at_the_deadline_and_can_be_gone_past() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let router = Router::new().unwrap();
    let socket = sshd.file("mux");
    let _wedged = UnixListener::bind(&socket).unwrap();
    configure(&sshd, &format!("  ControlPath {socket}"));
    let since = Instant::now();
    let error = router.connect(sshd.ssh().payload(leaf.clone()).timeout(Duration::from_secs(1))).unwrap_err();
    assert_eq!(error.code(), "no_answer", "{error}");
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    adds(&router.connect(sshd.ssh().option("ControlPath=none").payload(leaf)).unwrap());
    Ok(())
}

fn a_path_that_is_too_long_for_a_control_socket_is_named() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let socket = sshd.file(&"x".repeat(100));
    configure(&sshd, &format!("  ControlMaster auto\n  ControlPath {socket}"));
    let error = Router::new().unwrap().connect(sshd.ssh().payload(leaf)).unwrap_err();
    assert_eq!(error.code(), "exited", "{error}");
    assert!(error.last_words().contains(&socket) && error.last_words().contains("108"), "{error}");
    Ok(())
}

/// The command of a server for one client.
fn serve(sshd: &Sshd) -> Result<String, Missing> {
    Ok(format!("{} -i -f {}", program("sshd")?.display(), sshd.file("sshd_config")))
}

/// Has the client reach the server by a script that `shell` runs.
fn reach_by(sshd: &Sshd, shell: &str, script: &str) {
    let proxy = sshd.file("proxy");
    fs::write(&proxy, script).unwrap();
    let client = fs::read_to_string(sshd.file("client")).unwrap();
    let line = client.lines().find(|line| line.contains("ProxyCommand")).unwrap();
    fs::write(sshd.file("client"), client.replace(line, &format!("  ProxyCommand {shell} {proxy}"))).unwrap();
}

fn a_proxy_that_stays_behind_its_client_is_ended() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    // It tells the client nothing of the server's end, and does not go by itself.
    reach_by(&sshd, "sh", &format!("{}; exec sleep 1000", serve(&sshd)?));
    let there = Router::new().unwrap();
    let child = there.connect(sshd.ssh().payload(leaf)).unwrap();
    adds(&child);
    child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    let is_clean = || descendants().into_iter().all(is_gone).then_some(());
    eventually("nothing of it is left", Duration::from_secs(2), is_clean);
    Ok(())
}

fn an_su_that_speaks_the_language_of_its_caller_is_answered() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, payload("leaf")?);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // It asks as su does: LC_ALL has the first word, what is empty has none.
    let script = "#!/bin/sh\nenv >\"${0%/*}/env\"\ncase ${LC_ALL:-${LC_MESSAGES:-$LANG}} in de*) q='Passwort: ';; \
        *) q='Password: ';; esac\nprintf \"$q\" >&2; read word; [ \"$word\" = secret ] && exec sh -c \"$4\"\n";
    fs::write(at("su"), script).unwrap();
    run(&["chmod", "700", &at("su")]);
    let router = Router::new().unwrap();
    let there = |set: &[&str]| {
        let words = ["env", "-u", "LC_ALL", "-u", "LANG"].iter().chain(set).copied();
        let maker = router.connect(Wrapped::new(words).payload(hop.clone())).unwrap();
        let su = Sudo::by_su().program(at("su")).password("secret").payload(leaf.clone());
        adds(&maker.connect(su).unwrap_or_else(|error| panic!("{set:?}: {error}")));
        let env = fs::read_to_string(at("env")).unwrap();
        ["LC_ALL", "LC_MESSAGES", "LANG", "LC_TIME"].map(|name| {
            let value = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        })
    };
    // What is not said by it is as it was, whatever ruled over that.
    let german = "de_DE.UTF-8";
    let all = there(&[&format!("LC_ALL={german}"), "LANG=C", "LC_TIME=C", "LANGUAGE=de"]);
    assert_eq!(all, ["", "C", german, german]);
    let one_by_one = there(&[&format!("LANG={german}"), "LC_TIME=C"]);
    assert_eq!(one_by_one, ["", "C", german, "C"]);
    Ok(())
}

fn a_place_that_is_not_there_is_told_in_whatever_language_its_tool_speaks() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, payload("leaf")?);
    let locales = german()?;
    let path = format!("LOCPATH={}", locales.path().display());
    let router = Router::new().unwrap();
    let german = Wrapped::new(["env", &path, "LC_ALL=de_DE.UTF-8"]).payload(hop);
    let there = router.connect(german).unwrap();
    let chroot = there.connect(Chroot::new("/nowhere").payload(leaf.clone())).unwrap_err();
    // A number that no process has.
    let nsenter = there.connect(Container::nsenter(i32::MAX as u32).payload(leaf)).unwrap_err();
    for error in [chroot, nsenter] {
        assert_eq!(error.code(), "no_container", "{error}");
    }
    Ok(())
}

fn a_want_of_space_is_told_in_whatever_language_the_tools_there_speak() -> Result<(), Missing> {
    as_root()?;
    let leaf = payload("leaf")?;
    program("unshare")?;
    let locales = german()?;
    let path = format!("LOCPATH={}", locales.path().display());
    // In the first the program has no room, in the second nothing has.
    for shell in ["dash", "bash"] {
        let tools = shell_named_sh(&program(shell)?);
        let tools = format!("PATH={}:/usr/bin:/bin", tools.path().display());
        for limit in ["size=64k", "size=64k,nr_inodes=1"] {
            let script = format!("mount -t tmpfs -o {limit},mode=1777 none /var/tmp && exec \"$@\"");
            let leader = ["unshare", "-m", "--propagation", "private", "sh", "-c", &script, "sh"];
            let words = leader.into_iter().chain(["env", &tools, &path, "LC_ALL=de_DE.UTF-8"]);
            let method = Wrapped::new(words).payload(leaf.clone()).keep_file().folder("/var/tmp");
            let error = Router::new().unwrap().connect(method).unwrap_err();
            assert_eq!(error.code(), "no_space", "{shell}, {limit}: {error}");
        }
    }
    Ok(())
}

/// A folder with the German locale, in which the tools of this machine speak German.
fn german() -> Result<TempDir, Missing> {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("de_DE.UTF-8").display().to_string();
    try_to(Command::new(program("localedef")?).args(["-i", "de_DE", "-f", "UTF-8", &made]))?;
    let path = format!("LOCPATH={}", folder.path().display());
    let said = Command::new("env").args([&path, "LC_ALL=de_DE.UTF-8", "cat", "/nowhere"]).output().unwrap();
    let is_german = String::from_utf8_lossy(&said.stderr).contains("Datei oder Verzeichnis");
    if is_german { Ok(folder) } else { Err(Missing::because("cat speaks no German")) }
}

fn an_account_that_nobody_may_enter_now_ends_the_connect_at_once() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let (user, silent) = (User::new("shut", &program("bash")?)?, User::new("false", &program("false")?)?);
    let fails = |user: &User, code: &str| {
        let since = Instant::now();
        let error =
            Router::new().unwrap().connect(sshd.ssh().user(&user.name).payload(leaf.clone())).unwrap_err();
        assert!(since.elapsed() < Duration::from_secs(5) && error.code() == code, "{error}");
        error.to_string()
    };
    assert!(fails(&silent, "exited").ends_with("it ended: exit status 1"));
    try_to(Command::new("unshare").args(["-m", "true"]))?;
    let limits = sshd.file("limits");
    fs::write(&limits, format!("{} - maxlogins 0\n", user.name)).unwrap();
    // What the system is like for this server alone, and what comes of it.
    for (change, code, expected) in [
        (
            "mount -t tmpfs none /run && mkdir /run/sshd && echo closed >/run/nologin".to_owned(),
            "exited",
            "| closed".to_owned(),
        ),
        (
            format!("mount --bind {limits} /etc/security/limits.conf"),
            "not_allowed",
            format!("too many logins for '{}'.", user.name),
        ),
    ] {
        reach_by(&sshd, "unshare -m sh", &format!("{change} && exec {}", serve(&sshd)?));
        let error = fails(&user, code);
        assert!(error.contains(&expected), "{error}");
    }
    Ok(())
}

fn a_locale_that_is_not_there_is_no_obstacle() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("SetEnv LC_ALL=xx_XX.UTF-8")?, payload("leaf")?);
    let user = User::new("locale", &program("bash")?)?;
    adds(&Router::new().unwrap().connect(sshd.ssh().user(&user.name).payload(leaf)).unwrap());
    Ok(())
}

fn attack_53_a_banner_of_a_megabyte_that_asks_for_a_password_is_no_question() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    fs::write(&banner, "Password: \x1b[31m root@far's password: \n".repeat(30_000)).unwrap();
    run(&["chmod", "-R", "a+rX", folder.path().to_str().unwrap()]);
    let sshd = Sshd::new(&format!("Banner {}", banner.display()))?;
    let user = User::new("banner", &program("bash")?)?;
    user.password(PASSWORD);
    let method =
        sshd.ssh().user(&user.name).payload(leaf).password(PASSWORD).option("PubkeyAuthentication=no");
    attacked(|root| drop(root.works(method)));
    Ok(())
}

fn a_password_that_must_be_changed_says_so() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = User::new("expired", &program("bash")?)?;
    user.password(PASSWORD);
    run(&["chage", "-d", "0", &user.name]);
    let (router, ssh) = (Router::new().unwrap(), sshd.ssh().user(&user.name).payload(leaf));
    let error = router.connect(ssh.clone()).unwrap_err();
    assert_eq!(error.code(), "password_expired", "{error}");
    // It is right all the same.
    for way in ["password", "keyboard-interactive"] {
        let ssh = ssh.clone().password(PASSWORD).option("PubkeyAuthentication=no");
        let error = router.connect(ssh.option(format!("PreferredAuthentications={way}"))).unwrap_err();
        assert_eq!((error.code(), error.passwords()), ("password_expired", &[Told::Proved][..]), "{error}");
    }
    Ok(())
}

fn a_umask_and_a_home_that_is_not_there_are_no_obstacle() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let router = Router::new().unwrap();
    for mask in ["000", "027", "077", "777"] {
        let script = format!("umask {mask}; HOME=/no/such/home; exec \"$@\"");
        let method = Wrapped::new(["sh", "-c", &script, "sh"]).payload(leaf.clone());
        adds(&router.connect(method.clone()).unwrap());
        adds(&router.connect(method.keep_file()).unwrap());
    }
    Ok(())
}

fn attack_54_a_machine_that_calls_itself_another_is_named() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    program("setarch")?;
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Missing::because("only an x86_64 kernel calls itself i686"));
    }
    let there = Wrapped::new(["setarch", "i686"]).payload(leaf);
    let error = attacked(|root| root.fails(there.clone()));
    assert!(error.code() == "wrong_machine" && error.to_string().contains("Linux i686"), "{error}");
    assert!(error.to_string().contains("say what it is by `.taken_for(..)`"), "{error}");
    // That holds for an interpreter there as well: the kernel knows its calls by other numbers then.
    let forced = there.taken_for(Machine::X86_64);
    for method in [forced.clone(), forced.memory()] {
        adds(&Router::new().unwrap().connect(method).unwrap());
    }
    Ok(())
}

fn two_connects_fill_one_cache_entry() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let home = tempfile::tempdir().unwrap();
    let cache = format!("XDG_CACHE_HOME={}", home.path().display());
    let method = || Wrapped::new(["env", &cache]).payload(leaf.clone()).cache(true);
    let router = Router::new().unwrap();
    let all = router.connect_all((0..8).map(|_| method())).parallel(8);
    all.into_iter().for_each(|(_, child)| adds(&child.unwrap()));
    assert_eq!(fs::read_dir(home.path().join("offshoot")).unwrap().count(), 1);
    Ok(())
}

fn a_lecture_before_the_question_is_no_obstacle() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("lecture")?;
    let _rule = SudoRule::new("osh-lecture", "Defaults:osh-lecture lecture=always");
    adds(&desk.connect(Sudo::new().password(PASSWORD)).unwrap());
    Ok(())
}

fn a_password_that_comes_too_late_for_sudo_is_told_from_none() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("late")?;
    // A twentieth of a minute.
    let _rule = SudoRule::new("osh-late", "Defaults:osh-late passwd_timeout=0.05");
    let folder = tempfile::tempdir().unwrap();
    let slow = folder.path().join("sudo").display().to_string();
    let sign = folder.path().join("gave-up").display().to_string();
    // What is typed comes when sudo waits no more.
    let script = "#!/bin/sh\n{ until [ -e SIGN ]; do sleep 0.1; done; cat; } | { sudo \"$@\"; s=$?; touch SIGN; exit $s; }\n";
    fs::write(&slow, script.replace("SIGN", &sign)).unwrap();
    run(&["chmod", "-R", "a+rwx", folder.path().to_str().unwrap()]);
    let error = desk.connect(Sudo::new().program(&slow).password(PASSWORD)).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("password_late", Phase::Shell), "{error}");
    Ok(())
}

fn sudo_leads_to_a_user_who_may_read_nothing_of_ours() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("outer")?;
    let other = User::new("inner", &program("dash")?)?;
    let there = desk.connect(Sudo::new().user(&other.name).password(PASSWORD)).unwrap();
    adds(&there);
    assert_ne!(desk.uid_of(&there), desk.uid_of(&desk.there));
    assert_ne!(desk.uid_of(&there), 0);
    Ok(())
}

fn an_su_that_asks_in_its_own_words_is_answered() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let su = folder.path().join("su");
    let script = "#!/bin/sh\nprintf 'Mot de passe : ' >&2\nread word\n[ \"$word\" = secret ] || exit 1\nexec sh -c \"$4\"\n";
    fs::write(&su, script).unwrap();
    run(&["chmod", "700", su.to_str().unwrap()]);
    let method = Sudo::by_su().program(su.to_str().unwrap()).password("secret").payload(leaf);
    let router = Router::new().unwrap();
    adds(&router.connect(method.clone().asks("Mot de passe : ")).unwrap());
    // It waits for an answer that nobody has, and that is known before the time is over.
    let since = Instant::now();
    let error = router.connect(method.timeout(Duration::from_secs(30))).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("unanswered", Phase::Shell), "{error}");
    assert!(error.to_string().contains("it asks `Mot de passe :`, and there is no answer"), "{error}");
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    Ok(())
}

fn what_is_no_question_or_was_answered_is_waited_for() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let folder = tempfile::tempdir().unwrap();
    let su = folder.path().join("su");
    let method = |says: &str| {
        fs::write(&su, format!("#!/bin/sh\n{says}\nsleep 3\nexec sh -c \"$4\"\n")).unwrap();
        run(&["chmod", "700", su.to_str().unwrap()]);
        Sudo::by_su().program(su.to_str().unwrap()).password("secret").payload(leaf.clone())
    };
    let router = Router::new().unwrap();
    for says in [
        // Progress, a line that is whole, and a question that has its answer over which somebody thinks.
        "printf 'Touch your key ...' >&2",
        "echo 'Touch your key now:' >&2",
        "printf 'Password: ' >&2; read word",
    ] {
        adds(&router.connect(method(says)).unwrap_or_else(|error| panic!("{says}: {error}")));
    }
    Ok(())
}

fn a_proxy_is_ended_though_whoever_connects_ignores_what_ends_it() -> Result<(), Missing> {
    let (sshd, busybox, example) = (Sshd::new("")?, program("busybox")?, example("anywhere")?);
    reach_by(&sshd, "sh", &format!("{}; exec sleep 1000", serve(&sshd)?));
    // As nohup does.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(example);
    command.args(["--config", &sshd.file("client"), "--keep", "far"]);
    let output = command.arg(busybox).args(["echo", "there"]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stdout == b"there\n", "{output:?}");
    let is_clean = || descendants().into_iter().all(is_gone).then_some(());
    eventually("nothing of it is left", Duration::from_secs(2), is_clean);
    Ok(())
}

fn a_transport_that_stays_behind_its_child_is_ended() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let router = Router::new().unwrap();
    let stays = ["sh", "-c", "trap '' TERM HUP; \"$@\"; exec sleep 1000", "sh"];
    let child = router.connect(Wrapped::new(stays).payload(leaf)).unwrap();
    adds(&child);
    // It holds the link open, and so is given the time that a child has to end, and no more.
    child.shutdown().wait_timeout(Duration::from_secs(8)).unwrap();
    let is_clean = || descendants().into_iter().all(is_gone).then_some(());
    eventually("nothing of it is left", Duration::from_secs(2), is_clean);
    Ok(())
}
