//! What every way to a place must do, whatever leads there: carry much both ways, tell of its loss, leave nothing.

use std::{
    collections::BTreeSet,
    fs,
    sync::mpsc,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Spawned, launch};
use offshoot_parent::{Plan, prelude::*};
use offshoot_tests::{
    far::{Docker, busybox_root},
    real::{Signal, descendants, eventually, is_gone, kill},
};

use crate::{
    accounts::{DoasRule, SudoRule},
    buildah::Buildah,
    cluster::Cluster,
    containers::{Namespaces, Podman, nspawn_makes_one_of},
    far::{Missing, Planned, Sshd, as_root, payload, program},
    lxc::Lxc,
    lxd::Lxd,
    sudo_rs::SudoRs,
};

crate::tests![
    a_shell_and_a_command,
    ssh,
    sudo_su_and_doas_of_root,
    sudo_rs,
    chroot_and_nspawn,
    namespaces,
    podman_and_an_image,
    docker_and_an_image,
    buildah,
    lxc,
    lxd,
    slurm,
];

/// Served by the reference hop.
const ECHO: Function<String, String> = Function::new("echo");
/// How much goes each way in one call, in bytes.
const MUCH: usize = 10 << 20;

fn living() -> BTreeSet<u32> {
    descendants().into_iter().filter(|pid| !is_gone(*pid)).collect()
}

/// The processes that this one has started itself, and not one of its children.
pub(crate) fn own_children() -> BTreeSet<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
        .collect()
}

/// The session of a process.
fn session_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name of the program: its state, parent, group, session.
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap()
}

/// The ways at whose end a server starts the program, and gives it pipes of its own. Elsewhere it has what we gave to the
/// process that leads there.
const HAS_PIPES: [&str; 6] = ["ssh", "docker", "podman", "buildah", "lxd", "srun"];

/// What a program that is none of ours has as its stdin at the end of a way, by the kind of it.
fn stdin_at(way: &str, mut plan: Plan) -> String {
    const LAST: &str = "what-waits-there";
    plan.payload = Payload::bytes("busybox", fs::read(program("busybox").unwrap()).unwrap()).unwrap();
    let transport = plan.transport.as_mut().unwrap();
    transport.args = ["sh", "-c", "read -r line", LAST].map(str::to_owned).to_vec();
    // It goes by its name.
    transport.keep = true;
    let there = launch(&plan, Instant::now() + Duration::from_secs(30), None);
    let there = there.unwrap_or_else(|error| panic!("{way}: {error}"));
    let waits = |pid: &u32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with(&format!("{LAST}\0"))
    };
    let waiting =
        eventually("it waits there", Duration::from_secs(10), || descendants().into_iter().find(waits));
    let stdin = fs::read_link(format!("/proc/{waiting}/fd/0")).unwrap().display().to_string();
    let Spawned { link, mut process, .. } = there;
    drop(link);
    eventually("it ends", Duration::from_secs(10), || process.try_wait().unwrap());
    stdin.split(':').next().unwrap().to_owned()
}

/// Twice: the first child is told to end; what leads to the second is killed, and it is lost, or goes on and can be ended.
fn passes(way: &str, method: impl Fn() -> Box<dyn Method>) {
    let before = (living(), own_children());
    // What enters by a descriptor has no name, by which that program goes.
    if method().plan().transport.unwrap().enter.is_empty() {
        let stdin = if HAS_PIPES.contains(&&*method().plan().method) { "pipe" } else { "socket" };
        assert_eq!(stdin_at(way, method().plan()), stdin, "{way}");
    }
    let (starts, started) = mpsc::channel();
    let observer = move |_: &Plan, step: &Step| {
        if let Step::Started { pid } = step {
            starts.send(*pid).unwrap();
        }
    };
    let router = Router::builder().observer(observer).build().unwrap();
    let text: String = ('\0'..='\u{7ff}').cycle().take(MUCH).collect();
    for ends in [true, false] {
        let there = router.connect(method()).unwrap_or_else(|error| panic!("{way}: {error}"));
        assert!(there.call(ECHO, text.clone()).unwrap() == text, "{way}");
        // Only a sudo that is to ask nobody looks in our session for whom it has asked.
        let Plan { method, transport, .. } = method().plan();
        let is_ours = &*method == "sudo" && !transport.unwrap().terminal;
        let leader = started.recv().unwrap();
        let session = if is_ours { session_of(std::process::id()) } else { leader };
        assert_eq!(session_of(leader), session, "{way}");
        if ends {
            there.shutdown().wait_timeout(Duration::from_secs(8)).unwrap();
        } else {
            own_children().difference(&before.1).for_each(|pid| kill(*pid, Signal::KILL));
            // Where only a process between goes the link stays, and so does the child.
            if there.lost().wait_timeout(Duration::from_secs(3)).is_err() {
                assert!(there.call(ECHO, "still".into()).unwrap() == "still", "{way}");
                there.shutdown().wait_timeout(Duration::from_secs(8)).unwrap();
            }
        }
        let left = || living().difference(&before.0).copied().collect::<Vec<_>>();
        eventually(&format!("{way} leaves nothing"), Duration::from_secs(8), || {
            left().is_empty().then_some(())
        });
    }
}

fn hop() -> Result<Payload, Missing> {
    payload("hop")
}

fn a_shell_and_a_command() -> Result<(), Missing> {
    let hop = hop()?;
    passes("a shell", || Box::new(Wrapped::new::<&str>([]).payload(hop.clone())));
    passes("nice", || Box::new(Wrapped::new(["nice", "-n", "5"]).payload(hop.clone())));
    Ok(())
}

fn ssh() -> Result<(), Missing> {
    let (sshd, hop) = (Sshd::new("")?, hop()?);
    passes("ssh", || Box::new(sshd.ssh().payload(hop.clone())));
    passes("ssh with compression", || Box::new(sshd.ssh().option("Compression=yes").payload(hop.clone())));
    Ok(())
}

fn sudo_su_and_doas_of_root() -> Result<(), Missing> {
    let hop = hop()?;
    as_root()?;
    program("sudo")?;
    passes("sudo", || Box::new(Sudo::new().payload(hop.clone())));
    {
        let _rule = SudoRule::new("root", "Defaults:root use_pty");
        passes("sudo with use_pty", || Box::new(Sudo::new().terminal().payload(hop.clone())));
    }
    passes("su", || Box::new(Sudo::by_su().payload(hop.clone())));
    passes("su on a terminal", || Box::new(Sudo::by_su().terminal().payload(hop.clone())));
    let _rule = DoasRule::new("permit nopass root as root")?;
    passes("doas", || Box::new(Sudo::by_doas().payload(hop.clone())));
    Ok(())
}

fn sudo_rs() -> Result<(), Missing> {
    let (hop, tool) = (hop()?, SudoRs::new("root")?);
    passes("sudo-rs", || Box::new(tool.sudo().payload(hop.clone())));
    Ok(())
}

fn chroot_and_nspawn() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let at = root.path().to_str().unwrap();
    passes("chroot", || Box::new(Chroot::new(at).payload(hop.clone())));
    program("systemd-nspawn")?;
    fs::create_dir(root.path().join("usr")).unwrap();
    fs::write(root.path().join("etc/os-release"), "ID=far\n").unwrap();
    let nspawn = || Nspawn::new(at).option(["--private-network"]).payload(hop.clone());
    nspawn_makes_one_of(root.path())?;
    passes("nspawn", || Box::new(nspawn()));
    Ok(())
}

fn namespaces() -> Result<(), Missing> {
    let (hop, namespaces) = (hop()?, Namespaces::new()?);
    passes("nsenter", || Box::new(Container::nsenter(namespaces.pid).payload(hop.clone())));
    passes("nsenter as another user", || {
        Box::new(Container::nsenter(namespaces.pid).user("65534").payload(hop.clone()))
    });
    passes("nsenter without a shell", || {
        Box::new(Container::nsenter(namespaces.pid).without_shell().payload(hop.clone()))
    });
    Ok(())
}

fn podman_and_an_image() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Podman::new(root.path())?;
    passes("podman exec", || {
        let there = Container::podman("c").program(&engine.words[0]).option(&engine.words[1..]);
        Box::new(there.payload(hop.clone()))
    });
    passes("podman run", || {
        let new = Image::podman("far:1").program(&engine.words).option(crate::containers::RUN);
        Box::new(new.payload(hop.clone()))
    });
    Ok(())
}

fn docker_and_an_image() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Docker::new(root.path())?;
    let [client, there @ ..] = engine.words();
    passes("docker exec", || {
        Box::new(Container::docker("far").program(&client).option(&there).payload(hop.clone()))
    });
    passes("docker run", || {
        Box::new(Image::docker("far:1").program(engine.words()).option(Docker::RUN).payload(hop.clone()))
    });
    Ok(())
}

fn buildah() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Buildah::new(root.path())?;
    passes("buildah", || Box::new(engine.enter("far", &hop)));
    Ok(())
}

fn lxc() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Lxc::new(root.path())?;
    passes("lxc-attach", || Box::new(engine.enter("far", &hop)));
    passes("lxc-attach as another user", || Box::new(engine.enter("far", &hop).user("1000:100")));
    Ok(())
}

fn lxd() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Lxd::new(root.path())?;
    passes("lxd", || Box::new(Planned(engine.plan(Container::lxd("far").payload(hop.clone())))));
    passes("lxd as another user", || {
        Box::new(Planned(engine.plan(Container::lxd("far").user("1000").payload(hop.clone()))))
    });
    Ok(())
}

fn slurm() -> Result<(), Missing> {
    let (hop, cluster) = (hop()?, Cluster::new()?);
    passes("srun", || Box::new(Planned(cluster.plan(hop.clone()))));
    Ok(())
}
