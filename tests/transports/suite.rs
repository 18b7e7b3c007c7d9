//! What every way to a place must do, whatever leads there: carry much both ways, tell of its loss, leave nothing.

use std::{collections::BTreeSet, fs, time::Duration};

use offshoot_parent::prelude::*;
use offshoot_tests::{
    far::{Docker, busybox_root},
    real::{Signal, descendants, eventually, is_gone, kill},
};

use crate::{
    accounts::DoasRule,
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
fn own_children() -> BTreeSet<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
        .collect()
}

/// Twice: the first child is told to end; what leads to the second is killed, and it is lost, or goes on and can be ended.
fn passes(way: &str, method: impl Fn() -> Box<dyn Method>) {
    let before = (living(), own_children());
    let router = Router::new().unwrap();
    let text: String = ('\0'..='\u{7ff}').cycle().take(MUCH).collect();
    for ends in [true, false] {
        let there = router.connect(method()).unwrap_or_else(|error| panic!("{way}: {error}"));
        assert!(there.call(ECHO, text.clone()).unwrap() == text, "{way}");
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
    Ok(())
}

fn lxd() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let engine = Lxd::new(root.path())?;
    passes("lxd", || Box::new(engine.enter("far", &hop)));
    Ok(())
}

fn slurm() -> Result<(), Missing> {
    let (hop, cluster) = (hop()?, Cluster::new()?);
    passes("srun", || Box::new(Planned(cluster.plan(hop.clone()))));
    Ok(())
}
