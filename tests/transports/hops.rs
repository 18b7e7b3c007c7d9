//! Children beyond children: what a hop is sent and keeps, and ways of several kinds one behind the other.

use std::{fs, path::Path, time::Duration};

use offshoot_bootstrap::Told;
use offshoot_core::{
    internal,
    machine::Limits,
    wire::{ContextId, Handle, Role},
};
use offshoot_parent::{
    Plan,
    prelude::*,
    record::{Recorded, Recording},
};
use offshoot_tests::{
    far::{Docker, busybox_root},
    real::{PATIENCE, Signal, eventually, kill},
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{Desk, PASSWORD, account},
    containers::{Namespaces, Podman},
    far::{ADD, Missing, Sshd, as_root, keeps, payload, payload_file, program, run, static_program},
};

crate::tests![
    a_program_passes_each_link_once_and_is_kept_by_the_hop,
    a_set_passes_each_link_once_however_many_connects_take_of_it,
    a_file_of_ours_is_run_where_a_hop_does_not_see_it,
    a_program_that_a_hop_has_lost_its_child_with_is_sent_to_the_next_one,
    a_hop_says_at_once_that_it_has_not_got_a_program,
    a_program_that_a_hop_has_lost_is_sent_to_it_once_more,
    a_connect_whose_program_does_not_come_ends_with_the_reason_and_no_other_does,
    a_program_that_a_busy_hop_does_not_take_is_sent_again,
    no_program_is_sent_for_a_connect_that_was_refused_at_once,
    no_program_is_sent_or_read_for_a_command_that_is_whole,
    a_password_that_a_lost_or_silent_hop_had_may_have_been_refused,
    fifty_connects_go_side_by_side_through_one_hop_and_hold_no_worker,
    ways_of_several_kinds_lead_one_behind_the_other,
    a_container_is_reached_by_a_bastion_a_host_and_sudo,
];

/// Served by the reference hop.
const ECHO: Function<String, String> = Function::new("echo");

/// The leaf as bytes, which are the same wherever it is made from them.
fn leaf() -> Result<Payload, Missing> {
    Ok(Payload::bytes("leaf", static_program("leaf")?).unwrap())
}

fn adds(child: &Context) {
    assert_eq!(child.call(ADD, (2, 3)).unwrap(), 5);
}

/// A hop below `maker` that is of the same program, and the file in which everything stands that it is sent.
fn watched_hop(maker: &Context, file: &str) -> Context {
    maker.connect(Wrapped::new(keeps(file)).name("inner")).unwrap()
}

/// How many bytes the root has sent, by its recording.
fn sent(frames: &Path) -> u64 {
    let frames = Recording::open(frames).unwrap().map(Result::unwrap);
    let sent = frames.filter_map(|item| match item {
        Recorded::Frame(frame) if !frame.came_in => Some(frame.body.len() as u64),
        _ => None,
    });
    sent.sum()
}

fn a_program_passes_each_link_once_and_is_kept_by_the_hop() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let router = Router::builder().record(at("frames")).build().unwrap();
    let outer = router.connect(Local::new(hop).name("outer")).unwrap();
    let inner = watched_hop(&outer, &at("inner"));
    let before = fs::metadata(at("inner")).unwrap().len();
    for maker in [&inner, &outer, &inner] {
        let children = [0; 5].map(|_| maker.connect_async(Local::new(leaf.clone())));
        children.into_iter().for_each(|child| adds(&child.wait().unwrap()));
    }
    let size = leaf.size() as u64;
    let behind = fs::metadata(at("inner")).unwrap().len() - before;
    assert!(
        behind > size && behind < size + size / 8,
        "{behind} bytes of a program of {size} went to the inner hop"
    );
    drop(router);
    let sent = sent(Path::new(&at("frames")));
    assert!(
        sent > size && sent < size + size / 8,
        "{sent} bytes of a program of {size} went to the outer hop"
    );
    Ok(())
}

fn a_set_passes_each_link_once_however_many_connects_take_of_it() -> Result<(), Missing> {
    let (hop, here) = (payload("hop")?, static_program("leaf")?);
    let (mut elsewhere, is_arm) = (here.clone(), here[18] == 183);
    elsewhere[18..20].copy_from_slice(if is_arm { &[62, 0] } else { &[183, 0] });
    let set = PayloadSet::new("leaf").with(elsewhere).and_then(|set| set.with(here)).unwrap();
    let size: u64 = set.entries().map(|entry| entry.size() as u64).sum();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let router = Router::builder().record(at("frames")).build().unwrap();
    let outer = router.connect(Local::new(hop).name("outer")).unwrap();
    let inner = watched_hop(&outer, &at("inner"));
    let before = fs::metadata(at("inner")).unwrap().len();
    for maker in [&inner, &outer, &inner] {
        let children = [0; 3].map(|_| maker.connect_async(Wrapped::new([""; 0]).payload(set.clone().into())));
        children.into_iter().for_each(|child| adds(&child.wait().unwrap()));
    }
    let behind = fs::metadata(at("inner")).unwrap().len() - before;
    assert!(
        behind > size && behind < size + size / 8,
        "{behind} bytes of a set of {size} went to the inner hop"
    );
    drop(router);
    let sent = sent(Path::new(&at("frames")));
    assert!(sent > size && sent < size + size / 8, "{sent} bytes of a set of {size} went to the outer hop");
    Ok(())
}

fn a_file_of_ours_is_run_where_a_hop_does_not_see_it() -> Result<(), Missing> {
    as_root()?;
    program("unshare")?;
    let hop = Payload::bytes("hop", static_program("hop")?).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leaf");
    fs::write(&file, static_program("leaf")?).unwrap();
    run(&["chmod", "755", file.to_str().unwrap()]);
    let hide = "mount -t tmpfs none $0 && exec \"$@\"";
    let elsewhere =
        ["unshare", "-m", "--propagation", "private", "sh", "-c", hide, folder.path().to_str().unwrap()];
    let router = Router::new().unwrap();
    let maker = router.connect(Wrapped::new(elsewhere).payload(hop)).unwrap();
    let of = |file: &Path| Payload::file(file).unwrap();
    adds(&maker.connect(Wrapped::new(["env"]).payload(of(&file))).unwrap());
    let all = maker.connect_all((0..3).map(|_| Wrapped::new(["env"]).payload(of(&file))));
    all.into_iter().for_each(|(_, child)| adds(&child.unwrap()));
    // A process of the hop's own is of a file there, unless it is said otherwise.
    assert_eq!(maker.connect(Local::new(of(&file))).unwrap_err().code(), "not_found");
    adds(&maker.connect(Local::new(of(&file).loaded())).unwrap());
    // What cannot be sent is not looked for there either.
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let error = maker.connect(Wrapped::new(["env"]).payload(of(&file))).unwrap_err();
    assert_eq!(error.code(), "wrong_format", "{error}");
    Ok(())
}

fn a_program_that_a_hop_has_lost_its_child_with_is_sent_to_the_next_one() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let router = Router::new().unwrap();
    let outer = router.connect(Local::new(hop.clone()).name("outer")).unwrap();
    for _ in 0..2 {
        let inner = outer.connect(Local::new(hop.clone()).name("inner")).unwrap();
        adds(&inner.connect(Local::new(leaf.clone())).unwrap());
        inner.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    }
    Ok(())
}

/// What a hop is asked beside calls.
#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Child { plan: Box<Plan>, ticket: u64 },
    GiveUp { ticket: u64 },
    Keep(Keep),
    Missed { ticket: u64, reason: String },
}

/// A program, or that it has come before, to be passed on to others.
#[derive(Debug, Serialize, Deserialize)]
struct Keep {
    hash: String,
    payload: Option<Payload>,
    on: Vec<ContextId>,
}

/// Why it is not where it was to go.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Lack {
    Program,
    Beyond(String),
}

/// The child that was made: its id, its pid and its role, and what has become of each of its passwords.
type Made = Result<(ContextId, (u32, Role), Vec<Told>), ConnectError>;

fn ask<T: Message>(of: &Context, ask: &Ask) -> Pending<T> {
    internal::ask(&of.with_timeout(Duration::from_secs(20)), Handle::CREATE_CHILD, "payload", ask)
}

fn keep(program: &Payload, is_sent: bool, on: Vec<ContextId>) -> Ask {
    let payload = is_sent.then(|| program.clone());
    Ask::Keep(Keep { hash: program.hash().unwrap().to_owned(), payload, on })
}

/// A program of its own that runs as the leaf does.
fn long_leaf(size: usize) -> Result<Payload, Missing> {
    let mut bytes = static_program("leaf")?;
    bytes.resize(size, 0);
    Ok(Payload::bytes("long", bytes).unwrap())
}

fn a_hop_says_at_once_that_it_has_not_got_a_program() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let router = Router::new().unwrap();
    let outer = router.connect(Local::new(hop.clone()).name("outer")).unwrap();
    let inner = outer.connect(Local::new(hop).name("inner")).unwrap();
    let said: Result<(), Lack> = ask(&outer, &keep(&leaf, false, vec![inner.id()])).wait().unwrap();
    assert_eq!(said, Err(Lack::Program));
    let said: Result<(), Lack> = ask(&outer, &keep(&leaf, true, vec![inner.id()])).wait().unwrap();
    assert_eq!(said, Ok(()));
    let said: Result<(), Lack> = ask(&inner, &keep(&leaf, false, Vec::new())).wait().unwrap();
    assert_eq!(said, Ok(()), "it was passed on before the word that it is there");
    let nobody = ContextId::new(4_000_000);
    let said: Result<(), Lack> = ask(&outer, &keep(&leaf, false, vec![nobody])).wait().unwrap();
    assert!(matches!(&said, Err(Lack::Beyond(_))), "{said:?}");
    Ok(())
}

fn a_program_that_a_hop_has_lost_is_sent_to_it_once_more() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let router = Router::new().unwrap();
    let outer = router.connect(Local::new(hop.clone()).name("outer")).unwrap();
    let inner = outer.connect(Local::new(hop).name("inner")).unwrap();
    adds(&inner.connect(Local::new(leaf.clone())).unwrap());
    // Behind the back of the outer hop, which goes by what it has sent itself.
    let said: Result<(), Lack> = ask(&inner, &keep(&long_leaf(65 << 20)?, true, Vec::new())).wait().unwrap();
    assert_eq!(said, Ok(()));
    adds(&inner.connect(Local::new(leaf).timeout(Duration::from_secs(10))).unwrap());
    Ok(())
}

fn a_connect_whose_program_does_not_come_ends_with_the_reason_and_no_other_does() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let router = Router::new().unwrap();
    let maker = router.connect(Local::new(hop).name("maker")).unwrap();
    let plan = Box::new(Local::new(leaf.stand_in().unwrap()).plan());
    let [lost, other] = [7, 8].map(|ticket| ask::<Made>(&maker, &Ask::Child { plan: plan.clone(), ticket }));
    let reason = || "outer does not keep its program: why".to_owned();
    ask::<()>(&maker, &Ask::Missed { ticket: 7, reason: reason() }).wait().unwrap();
    let error = lost.wait().unwrap().unwrap_err();
    assert_eq!(error.code(), "refused", "{error}");
    assert!(error.to_string().contains(&reason()), "{error}");
    let said: Result<(), Lack> = ask(&maker, &keep(&leaf, true, Vec::new())).wait().unwrap();
    assert_eq!((said, other.wait().unwrap().is_ok()), (Ok(()), true));
    Ok(())
}

/// Holds the call that asks for it for a second, and no other: it is of the program of its maker.
fn slow() -> Wrapped {
    Wrapped::new(["sh", "-c", "sleep 1; exec \"$@\"", "sh"])
}

fn a_program_that_a_busy_hop_does_not_take_is_sent_again() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let mut limits = Limits::default();
    limits.calls_in_flight = 2;
    let router = Router::builder().limits(limits).build().unwrap();
    let outer = router.connect(Local::new(hop.clone()).name("outer")).unwrap();
    let inner = outer.connect(Local::new(hop).name("inner")).unwrap();
    let slow = [0; 2].map(|_| outer.connect_async(slow()));
    adds(&inner.connect(Local::new(leaf)).unwrap());
    slow.into_iter().for_each(|child| assert!(child.wait().unwrap().is_alive()));
    Ok(())
}

fn no_program_is_sent_for_a_connect_that_was_refused_at_once() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    let mut limits = Limits::default();
    limits.calls_in_flight = 1;
    let router = Router::builder().limits(limits).record(&frames).build().unwrap();
    let outer = router.connect(Local::new(hop).name("outer")).unwrap();
    let inner = outer.connect(Local::new(Payload::this_program()).name("inner")).unwrap();
    let slow = inner.connect_async(slow());
    inner.connect(Local::new(leaf.clone())).unwrap_err();
    slow.wait().unwrap();
    drop(router);
    let sent = sent(&frames);
    assert!(sent < leaf.size() as u64, "{sent} bytes were sent");
    Ok(())
}

fn no_program_is_sent_or_read_for_a_command_that_is_whole() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let (frames, file) = (folder.path().join("frames"), folder.path().join("leaf"));
    fs::copy(payload_file("leaf"), &file).unwrap();
    let gone = Payload::file(&file).unwrap();
    fs::remove_file(file).unwrap();
    let router = Router::builder().record(&frames).build().unwrap();
    let gateway = router.connect(Local::new(hop)).unwrap();
    let whole = || Wrapped::whole([payload_file("leaf").display().to_string()]);
    for payload in [gone, leaf.clone()] {
        adds(&gateway.connect(whole().payload(payload)).unwrap());
    }
    drop(router);
    let sent = sent(&frames);
    assert!(sent < leaf.size() as u64, "{sent} bytes were sent");
    Ok(())
}

fn a_password_that_a_lost_or_silent_hop_had_may_have_been_refused() -> Result<(), Missing> {
    let hop = payload("hop")?;
    let folder = tempfile::tempdir().unwrap();
    let su = folder.path().join("su");
    let told = folder.path().join("su.told");
    let script = "#!/bin/sh\nprintf 'Password: ' >&2; read word; touch $0.told; exec sleep 1000\n";
    fs::write(&su, script).unwrap();
    run(&["chmod", "700", &su.display().to_string()]);
    let router = Router::new().unwrap();
    for (signal, code, limit) in [(Signal::KILL, "lost", 60), (Signal::STOP, "no_answer", 8)] {
        let gateway = router.connect(Local::new(hop.clone())).unwrap();
        let way = Sudo::by_su().program(su.display().to_string()).password(PASSWORD).payload(leaf()?);
        let connecting = gateway.connect_async(way.timeout(Duration::from_secs(limit)));
        eventually("it is told", PATIENCE, || told.exists().then_some(()));
        let pid = router.tree().pid(gateway.id()).unwrap();
        kill(pid, signal);
        let error = connecting.wait().unwrap_err();
        assert_eq!((error.code(), error.passwords()), (code, &[Told::Unclear][..]), "{error}");
        if signal == Signal::STOP {
            kill(pid, Signal::KILL);
        }
        fs::remove_file(&told).unwrap();
    }
    Ok(())
}

fn fifty_connects_go_side_by_side_through_one_hop_and_hold_no_worker() -> Result<(), Missing> {
    let (hop, leaf) = (payload("hop")?, leaf()?);
    let folder = tempfile::tempdir().unwrap();
    let router = Router::new().unwrap();
    let gateway = router.connect(Local::new(hop)).unwrap();
    // None goes on before all have come so far.
    let script = "touch $0/$$; until [ $(ls $0 | wc -l) -ge 51 ]; do sleep 0.1; done; exec \"$@\"";
    let meeting = ["sh", "-c", script, folder.path().to_str().unwrap()];
    let begin = |_| gateway.connect_async(Wrapped::new(meeting).payload(leaf.clone()));
    let connecting: Vec<_> = (0..50).map(begin).collect();
    assert_eq!(gateway.call(ECHO, "free".into()).unwrap(), "free");
    assert!(connecting.iter().all(|child| !child.is_ready()));
    fs::write(folder.path().join("go"), "").unwrap();
    connecting.into_iter().for_each(|child| adds(&child.wait().unwrap()));
    Ok(())
}

fn ways_of_several_kinds_lead_one_behind_the_other() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("chain")?;
    let namespaces = Namespaces::new()?;
    let hop = Payload::bytes("hop", static_program("hop")?).unwrap();
    let root = desk.there.connect(Sudo::new().password(PASSWORD).payload(hop)).unwrap();
    let inside = root.connect(Container::nsenter(namespaces.pid).payload(leaf()?)).unwrap();
    adds(&inside);
    let tree = desk.router.tree();
    assert_eq!(tree.len(), 4, "{tree}");
    // Its name is the way there.
    let path = format!("ssh:far.sudo:root.nsenter:{}", namespaces.pid);
    assert_eq!(tree.get(inside.id()).unwrap().path(), path);
    root.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(inside.call(ADD, (2, 3)).unwrap_err().is_lost());
    assert!(desk.there.is_alive());
    Ok(())
}

fn a_container_is_reached_by_a_bastion_a_host_and_sudo() -> Result<(), Missing> {
    let (far, folder) = (Sshd::new("")?, busybox_root()?);
    let (user, sshd) = account("chained", Some("sudo"))?;
    let hop = Payload::bytes("hop", static_program("hop")?).unwrap();
    let docker = Docker::new(folder.path());
    let podman = docker.is_err().then(|| Podman::new(folder.path())).transpose()?;
    let container = match (&docker, &podman) {
        (Ok(docker), _) => {
            let [client, there @ ..] = docker.words();
            Container::docker("far").program(client).option(there)
        }
        (Err(_), Some(podman)) => Container::podman("c").program(&podman.words[0]).option(&podman.words[1..]),
        (Err(why), None) => return Err(Missing::because(why.to_string())),
    };
    let way = container.to_string();
    let router = Router::new().unwrap();
    let bastion = router.connect(far.ssh().name("bastion").payload(hop.clone())).unwrap();
    let host = bastion.connect(sshd.ssh().user(&user.name).payload(hop.clone())).unwrap();
    let root = host.connect(Sudo::new().password(PASSWORD).payload(hop)).unwrap();
    let inside = root.connect(container.payload(leaf()?)).unwrap();
    adds(&inside);
    let tree = router.tree();
    assert_eq!(tree.len(), 5, "{tree}");
    assert_eq!(tree.get(inside.id()).unwrap().path(), format!("bastion.ssh:far.sudo:root.{way}"));
    // Whatever goes takes along what is behind it, and nothing else.
    root.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(inside.call(ADD, (2, 3)).unwrap_err().is_lost());
    bastion.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    assert!(!host.is_alive());
    Ok(())
}
