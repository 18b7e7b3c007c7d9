//! ssh: a real client and a real sshd.

use std::{
    fs::{self, File},
    io::Read as _,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Spawned, launch};
use offshoot_parent::prelude::*;
use offshoot_tests::real::{Signal, descendants, eventually, is_gone, kill, logs};

use crate::far::{ADD, Missing, Sshd, User, payload, program};

crate::tests![
    a_child_on_a_host_answers_and_leaves_nothing,
    every_login_shell_will_do,
    a_profile_that_prints_is_no_obstacle,
    what_is_said_before_the_shell_speaks_is_not_said_by_the_program,
    an_account_that_takes_no_commands_says_so,
    what_keeps_the_client_out_is_told_apart,
    the_key_of_a_new_host_is_taken_where_that_is_wanted_and_a_changed_one_never,
    a_hop_on_a_host_has_children_there,
    a_client_that_is_killed_is_the_loss_of_its_child,
];

fn add(child: &Context) -> i64 {
    child.call(ADD, (2, 3)).unwrap()
}

/// The far side is this very machine: what is left there is left here.
fn nothing_is_left() {
    let is_clean = || descendants().into_iter().all(is_gone).then_some(());
    eventually("nothing of it is left", Duration::from_secs(5), is_clean);
}

fn code(method: Ssh) -> (&'static str, String) {
    let error = Router::new().unwrap().connect(method).unwrap_err();
    (error.code(), error.to_string())
}

fn a_child_on_a_host_answers_and_leaves_nothing() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let router = Router::new().unwrap();
    let child = router.connect(sshd.ssh().payload(leaf)).unwrap();
    assert_eq!((add(&child), child.name()), (5, "ssh:far"));
    // No start file of the account that runs this is read there.
    let pid = router.tree().pid(child.id()).unwrap();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let home = format!("HOME={}", sshd.file("home"));
    assert!(environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes()));
    child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    nothing_is_left();
    Ok(())
}

fn every_login_shell_will_do() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let router = Router::new().unwrap();
    for shell in ["dash", "bash", "mksh", "zsh", "fish", "tcsh", "rbash"] {
        let user = User::new(shell, &program(shell)?)?;
        let child = router.connect(sshd.ssh().user(&user.name).payload(leaf.clone()).name(shell));
        let child = child.unwrap_or_else(|error| panic!("{shell}: {error}"));
        assert_eq!(add(&child), 5);
        child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    }
    Ok(())
}

fn a_profile_that_prints_is_no_obstacle() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let user = User::new("noisy", &program("bash")?)?;
    let noise = "echo 'Password: offshoot0 hello'; printf '\\033[31mred'; echo warning >&2\n";
    // What bash reads when it is started by sshd.
    fs::write(user.home.path().join(".bashrc"), noise).unwrap();
    let router = Router::new().unwrap();
    assert_eq!(add(&router.connect(sshd.ssh().user(&user.name).payload(leaf)).unwrap()), 5);
    Ok(())
}

fn what_is_said_before_the_shell_speaks_is_not_said_by_the_program() -> Result<(), Missing> {
    let (sshd, leaf, busybox) = (Sshd::new("")?, payload("leaf")?, program("busybox")?);
    let user = User::new("heard", &program("bash")?)?;
    let config = fs::read_to_string(sshd.file("sshd_config")).unwrap();
    let says =
        format!("Banner {}\n{config}Match User {}\n  PermitUserRC yes\n", sshd.file("banner"), user.name);
    fs::write(sshd.file("sshd_config"), says).unwrap();
    let noise =
        |from: &str| format!("echo NOISE of {from}; echo NOISE of {from} >&2; printf 'NOISE without end'\n");
    fs::write(sshd.file("banner"), "NOISE of the banner\n").unwrap();
    fs::write(user.home.path().join(".bashrc"), noise("bashrc")).unwrap();
    fs::create_dir(user.home.path().join(".ssh")).unwrap();
    fs::write(user.home.path().join(".ssh/rc"), noise("rc")).unwrap();

    let ssh = || sshd.ssh().user(&user.name);
    let ((), logged) = logs::of_every_level(|| {
        let router = Router::new().unwrap();
        let child = router.connect(ssh().payload(leaf)).unwrap();
        assert_eq!(add(&child), 5);
        child.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    });
    assert!(!logged.concat().contains("NOISE"), "{logged:#?}");

    let busybox = Payload::bytes("busybox", fs::read(busybox).unwrap()).unwrap();
    let words = ["sh", "-c", "echo its own; echo its error >&2"];
    let plan = ssh().payload(busybox).args(words).keep_file().plan();
    let Spawned { mut link, stderr, mut said, mut stderr_said, process: _process, .. } =
        launch(&plan, Instant::now() + Duration::from_secs(30), None).unwrap();
    link.read_to_end(&mut said).unwrap();
    File::from(stderr).read_to_end(&mut stderr_said).unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), "its own\n");
    // The two streams of a server do not keep their order: what was said on the way may come once the shell has spoken.
    assert!(stderr_said.ends_with(b"its error\n"), "{}", String::from_utf8_lossy(&stderr_said));
    Ok(())
}

fn an_account_that_takes_no_commands_says_so() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let sshd = Sshd::new("Match User osh-sftp\n  ForceCommand internal-sftp\n")?;
    let nobody = User::new("nologin", &program("nologin")?)?;
    let sftp = User::new("sftp", &program("bash")?)?;
    for user in [&nobody, &sftp] {
        let (code, text) = code(sshd.ssh().user(&user.name).payload(leaf.clone()));
        assert_eq!(code, "no_login", "{text}");
    }
    Ok(())
}

fn what_keeps_the_client_out_is_told_apart() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let is = |method: Ssh, expected: &str| {
        let (code, text) = code(method.payload(leaf.clone()));
        assert_eq!(code, expected, "{text}");
    };
    let client = sshd.file("client");
    is(Ssh::new("127.0.0.1").port(1).config(&client), "unreachable");
    is(Ssh::new("no-such-host.invalid").config(&client), "no_such_host");
    let by = |jump: &str| Ssh::new("no-such-host.invalid").config(&client).option(jump);
    is(by("ProxyJump=no-such-jump.invalid"), "no_such_host");
    is(by("ProxyJump=far"), "no_such_host");
    is(sshd.ssh().option("GlobalKnownHostsFile=/dev/null").option("HostKeyAlias=elsewhere"), "host_key");
    is(Ssh::new("far").program("no-such-ssh"), "no_tool");
    for host in ["", "-oProxyCommand=touch /tmp/pwned", "a b", "a\nb", "$(id)"] {
        is(Ssh::new(host), "bad_place");
    }
    is(sshd.ssh().user("-x"), "bad_place");

    let other = fs::read_to_string(sshd.file("other.pub")).unwrap();
    fs::write(sshd.file("known"), format!("far {other}")).unwrap();
    let (code, text) = code(sshd.ssh().payload(leaf.clone()));
    assert!(code == "host_key" && text.contains("another one than before"), "{text}");

    let host = fs::read_to_string(sshd.file("host.pub")).unwrap();
    fs::write(sshd.file("known"), format!("far {host}")).unwrap();
    fs::copy(sshd.file("stranger.pub"), sshd.file("authorized")).unwrap();
    is(sshd.ssh(), "authentication");
    Ok(())
}

fn the_key_of_a_new_host_is_taken_where_that_is_wanted_and_a_changed_one_never() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let set = |file: &str, text: &str| fs::write(sshd.file(file), text).unwrap();
    let client = fs::read_to_string(sshd.file("client")).unwrap();
    let ssh = || sshd.ssh().payload(leaf.clone());
    set("known", "");
    // The configuration accepts all; what the program says holds before it.
    set("client", &client.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking no"));
    assert_eq!(code(ssh().host_keys(HostKeys::Known)).0, "host_key");
    set("client", &client);
    assert_eq!(code(ssh().host_keys(HostKeys::Configured)).0, "host_key");
    let router = Router::new().unwrap();
    assert_eq!(
        add(&router
            .connect(ssh().host_keys(HostKeys::AcceptNew).keepalive(Duration::from_secs(5)).compress())
            .unwrap()),
        5
    );
    let host = fs::read_to_string(sshd.file("host.pub")).unwrap();
    let key = host.split(' ').nth(1).unwrap();
    assert!(fs::read_to_string(sshd.file("known")).unwrap().contains(key));
    set("known", &format!("far {}", fs::read_to_string(sshd.file("other.pub")).unwrap()));
    assert_eq!(code(ssh().host_keys(HostKeys::AcceptNew)).0, "host_key");
    Ok(())
}

fn a_hop_on_a_host_has_children_there() -> Result<(), Missing> {
    let (sshd, hop, leaf) = (Sshd::new("")?, payload("hop")?, payload("leaf")?);
    let router = Router::new().unwrap();
    let there = router.connect(sshd.ssh().payload(hop)).unwrap();
    let below = there.connect(Local::new(leaf).name("below")).unwrap();
    assert_eq!((add(&below), below.name()), (5, "below"));
    there.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(below.call(ADD, (2, 3)).unwrap_err().is_lost());
    Ok(())
}

fn a_client_that_is_killed_is_the_loss_of_its_child() -> Result<(), Missing> {
    let (sshd, leaf) = (Sshd::new("")?, payload("leaf")?);
    let router = Router::new().unwrap();
    let child = router.connect(sshd.ssh().payload(leaf)).unwrap();
    let is_client =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ssh\n");
    let client = descendants().into_iter().find(is_client).unwrap();
    kill(client, Signal::KILL);
    child.lost().wait_timeout(Duration::from_secs(5)).unwrap();
    nothing_is_left();
    Ok(())
}
