//! The words by which each method runs its tool, seen by a stand-in for the tool, which then does what the tool would:
//! runs the command that they end in.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use offshoot_parent::prelude::*;

use crate::{
    beside::attacked,
    far::{ADD, Missing, Planned, payload},
};

crate::tests![
    each_tool_is_run_by_the_words_that_it_knows_and_has_what_it_may_hand_on,
    attack_65_what_is_no_name_is_refused_before_anything_is_run
];

/// A program that writes down its arguments and runs the `sh -c` at their end, or the line that is the last of them. For a
/// machine it takes two dollars for one, as systemd does.
struct Tool {
    folder: tempfile::TempDir,
}

impl Tool {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tool = Self { folder };
        let script = format!(
            "#!/bin/sh\nfor word do printf '%s\\000' \"$word\"; done >{}\n\
             readlink /proc/$$/fd/0 /proc/$$/fd/1 | cat >{}\n\
             while [ $# -gt 1 ] && ! {{ [ \"$1\" = sh ] && [ \"$2\" = -c ]; }}; do m=$m$1; shift; done\n\
             case $m in *-M*) set -- sh -c \"$(printf %s \"$3\" | sed 's/[$][$]/$/g')\";; esac\n\
             [ $# -gt 1 ] && exec \"$@\"\nexec sh -c \"$1\"\n",
            tool.file("words"),
            tool.file("stdio")
        );
        fs::write(tool.file("tool"), script).unwrap();
        fs::set_permissions(tool.file("tool"), fs::Permissions::from_mode(0o700)).unwrap();
        tool
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What the method had it run, without stage 0.
    fn words(&self, method: &dyn Method) -> Vec<String> {
        let router = Router::new().unwrap();
        let plan = Planned(method.plan());
        assert_eq!(router.connect(plan).unwrap().call(ADD, (2, 3)).unwrap(), 5);
        let words = fs::read_to_string(self.file("words")).unwrap();
        let words = words.split_terminator('\0');
        words.take_while(|word| *word != "sh" && !word.starts_with("sh -c '")).map(str::to_owned).collect()
    }
}

/// What the tool of a way is to get as its stdin and stdout: pipes if it hands them on to another user, or into another
/// security domain, and if nobody knows.
fn stdio_by(way: &str) -> &'static str {
    match way {
        "ssh" | "docker" | "podman" | "kubectl" | "lxd" | "incus" | "srun" => "socket",
        "sudo" | "su" | "doas" | "chroot" | "nspawn" | "nsenter" | "lxc" | "jail" | "machine" | "buildah"
        | "command" => "pipe",
        way => panic!("nobody has said of {way}"),
    }
}

/// One blank stands between two words, and a `~` for a blank in a word.
fn each_tool_is_run_by_the_words_that_it_knows_and_has_what_it_may_hand_on() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let tool = Tool::new();
    let (at, leaf) = (|| tool.file("tool"), || leaf.clone());
    let always = "-T -o RequestTTY=no -o RemoteCommand=none -o PermitLocalCommand=no -o LogLevel=INFO -o EscapeChar=none";
    let unless_asked =
        "-o ForwardAgent=no -o ForwardX11=no -o ClearAllForwardings=yes -o Tunnel=no -o Compression=no";
    let silent = format!("{always} -o BatchMode=no -o NumberOfPasswordPrompts=0 -o ConnectTimeout=30");
    let asking = format!(
        "{always} -o BatchMode=no -o NumberOfPasswordPrompts=1 -o UpdateHostKeys=no -o ConnectTimeout=30 {unless_asked} -- web"
    );
    let with = |words: &str| format!("{silent} {words} {unless_asked} -- web");
    let ssh = || Ssh::new("web").program(at()).payload(leaf());
    let container = |container: Container| container.program(at()).payload(leaf());
    let known: [(Box<dyn Method>, String); 38] = [
        (Box::new(ssh()), format!("{silent} {unless_asked} -- web")),
        (
            Box::new(ssh().user("u").port(22).identity("/k").option("A=b").config("/c")),
            with("-p 22 -l u -i /k -o IdentitiesOnly=yes -o A=b -F /c"),
        ),
        (Box::new(ssh().option("RemoteForward=1 h:2")), with("-o RemoteForward=1~h:2")),
        (
            Box::new(ssh().forward_agent().compress().option("ClearAllForwardings=no")),
            with("-o ForwardAgent=yes -o Compression=yes -o ClearAllForwardings=no"),
        ),
        (Box::new(ssh().host_keys(HostKeys::Known)), with("-o StrictHostKeyChecking=yes")),
        (
            Box::new(ssh().host_keys(HostKeys::AcceptNew).option("A=b")),
            with("-o StrictHostKeyChecking=accept-new -o A=b"),
        ),
        (
            Box::new(ssh().keepalive(Duration::from_secs(15))),
            with("-o ServerAliveInterval=15 -o ServerAliveCountMax=3"),
        ),
        (
            Box::new(ssh().keepalive(Duration::ZERO)),
            with("-o ServerAliveInterval=1 -o ServerAliveCountMax=3"),
        ),
        (
            Box::new(ssh().keepalive(Duration::from_millis(1001))),
            with("-o ServerAliveInterval=2 -o ServerAliveCountMax=3"),
        ),
        (Box::new(ssh().password("x")), asking.clone()),
        (Box::new(ssh().ask()), asking),
        (Box::new(Sudo::new().program(at()).payload(leaf())), "-n -u root --".into()),
        (Box::new(Sudo::new().user("u").password("x").program(at()).payload(leaf())), "-S -u u --".into()),
        (
            Box::new(Sudo::new().option(["-E", "-r", "role"]).program(at()).payload(leaf())),
            "-n -E -r role -u root --".into(),
        ),
        (Box::new(Sudo::by_su().user("u").program(at()).payload(leaf())), "-- u -c".into()),
        (Box::new(Sudo::by_doas().user("u").program(at()).payload(leaf())), "-n -u u --".into()),
        (Box::new(Sudo::new().ask().program(at()).payload(leaf())), "-S -u root --".into()),
        (Box::new(Sudo::by_doas().ask().program(at()).payload(leaf())), "-u root --".into()),
        (Box::new(container(Container::docker("c").user("u"))), "exec -i -u u -- c".into()),
        (Box::new(container(Container::podman("c"))), "exec -i -- c".into()),
        (Box::new(container(Container::buildah("c"))), "run c --".into()),
        (
            Box::new(container(
                Container::kubectl("p").namespace("n").container("c").option(["--context", "x"]),
            )),
            "--context x exec -i -n n -c c p --".into(),
        ),
        (Box::new(container(Container::lxc("c"))), "--clear-env -n c --".into()),
        (Box::new(container(Container::lxd("c"))), "exec --mode=non-interactive c --".into()),
        (Box::new(container(Container::incus("c"))), "exec --mode=non-interactive c --".into()),
        (Box::new(container(Container::jail("c").user("u"))), "-U u -- c".into()),
        (Box::new(container(Container::nsenter(7))), "-a -t 7 --".into()),
        (Box::new(container(Container::nsenter(7).user("5"))), "-a -S 5 -G 5 -t 7 --".into()),
        (Box::new(container(Container::lxc("c").user("5:6"))), "--clear-env -u 5 -g 6 -n c --".into()),
        (
            Box::new(container(Container::lxd("c").user("5"))),
            "exec --mode=non-interactive --user 5 --group 5 c --".into(),
        ),
        (
            Box::new(container(Container::machine("m").user("u"))),
            "--quiet --collect --pipe --wait --uid u -M m --".into(),
        ),
        (
            Box::new(
                Image::docker("alpine:3")
                    .user("u")
                    .option(["--network", "none"])
                    .program([at()])
                    .payload(leaf()),
            ),
            "run --rm --interactive --entrypoint= --user=u --network none -- alpine:3".into(),
        ),
        (
            Box::new(Image::podman("far:1").program([at(), "--log-level=error".into()]).payload(leaf())),
            "--log-level=error run --rm --interactive --entrypoint= -- far:1".into(),
        ),
        (Box::new(Chroot::new("/r").user("u:g").program(at()).payload(leaf())), "--userspec=u:g /r".into()),
        (
            Box::new(Nspawn::new("/r").user("u").option(["--private-network"]).program(at()).payload(leaf())),
            "--quiet --register=no --keep-unit --pipe --user=u --private-network --directory=/r --".into(),
        ),
        (
            Box::new(Srun::new().node("n").option(["--overlap"]).program(at()).payload(leaf())),
            "--quiet --unbuffered --nodes=1 --ntasks=1 --nodelist=n --overlap --".into(),
        ),
        (Box::new(Wrapped::new([at(), "a b".into()]).payload(leaf())), "a~b".into()),
        (Box::new(Wrapped::new([at(), "a".into(), "b".into()]).payload(leaf())), "a b".into()),
    ];
    for (method, words) in known {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('~', " ")).collect();
        assert_eq!(tool.words(&*method), words, "{method}");
        let stdio = fs::read_to_string(tool.file("stdio")).unwrap();
        let stdio: Vec<_> = stdio.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(stdio, [stdio_by(&method.plan().method); 2], "{method}");
        // What is said beforehand is what is run.
        assert!(method.explain().contains(&tool.file("tool")), "{}", method.explain());
    }
    Ok(())
}

fn attack_65_what_is_no_name_is_refused_before_anything_is_run() -> Result<(), Missing> {
    let bad: [Box<dyn Method>; 16] = [
        Box::new(Ssh::new("-oProxyCommand=x")),
        Box::new(Ssh::new("web").user("$(x)")),
        Box::new(Image::docker("--privileged")),
        Box::new(Image::podman("a b")),
        Box::new(Image::docker("i").user("-x")),
        Box::new(Chroot::new("r")),
        Box::new(Chroot::new("/r\n")),
        Box::new(Chroot::new("/r").user("")),
        Box::new(Nspawn::new("--bind=/")),
        Box::new(Nspawn::new("/r").user("-x")),
        Box::new(Srun::new().node("-x")),
        Box::new(Container::machine(".host shell")),
        Box::new(Container::machine("m").user("-x")),
        Box::new(Container::kubectl("p").user("www")),
        Box::new(Container::lxc("c").user("www")),
        Box::new(Container::nsenter(7).namespace("prod")),
    ];
    attacked(|root| {
        for plan in bad.iter().map(|method| method.plan()) {
            let error = plan.check().unwrap_err();
            assert_eq!(error.code(), "bad_place", "{error}");
            assert_eq!(root.fails(Planned(plan)).code(), "bad_place");
        }
    });
    Ok(())
}
