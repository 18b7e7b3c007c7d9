//! What every way to a place must do, whatever leads there: carry much both ways, tell of its loss at either end, let the
//! far side hear that there is no more, leave nothing.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Read, Write as _},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use offshoot_bootstrap::{Link, Spawned, launch};
use offshoot_parent::{Plan, prelude::*};
use offshoot_tests::{
    far::{Docker, busybox_root},
    real::{PATIENCE, Signal, descendants, eventually, is_gone, kill},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use crate::{
    accounts::{DoasRule, PASSWORD, SudoRule},
    buildah::Buildah,
    cluster::Cluster,
    containers::{Namespaces, Podman, nspawn_makes_one_of},
    far::{Missing, Planned, Sshd, User, as_root, payload, program, run},
    lxc::Lxc,
    lxd::Lxd,
    machines::Machines,
    sudo_rs::SudoRs,
};

crate::tests![
    a_shell_and_a_command,
    ssh,
    sudo_su_and_doas_of_root,
    sudo_su_and_doas_with_a_password,
    sudo_rs,
    chroot_and_nspawn,
    namespaces,
    podman_and_an_image,
    docker_and_an_image,
    buildah,
    lxc,
    lxd,
    machine,
    slurm,
];

/// Served by the reference hop.
const ECHO: Function<String, String> = Function::new("echo");
/// How much goes each way in one call, and how much in a stream, in bytes.
const MUCH: usize = 10 << 20;
/// How long it may take until a loss is told, until a far side has heard that there is no more, and until nothing is left.
const LIMIT: Duration = Duration::from_secs(5);

/// Says back what it hears, and once it has heard all of it a last word.
const LISTENER: &str = "use std::io::{Write as _, copy, stdin, stdout};\n\
    fn main() { copy(&mut stdin().lock(), &mut stdout()).unwrap(); stdout().write_all(b\"the end\").unwrap(); }";

/// What becomes of a child when the process goes that leads to it here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leader {
    /// It is lost.
    Carries,
    /// It goes on: the link is its own, and who has led there only waits for it.
    StandsBy,
}
use Leader::{Carries, StandsBy};

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
const IS_SERVED: [&str; 5] = ["ssh", "docker", "podman", "lxd", "srun"];

/// What the process that leads there has as its stdin, and what a program that is none of ours has as its stdin and stdout at
/// the end of the way, by the kind of it.
fn stdio_of(way: &str, mut plan: Plan) -> [String; 3] {
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
    let Spawned { link, mut process, .. } = there;
    let stdio = [(process.pid(), 0), (waiting, 0), (waiting, 1)].map(|(pid, fd)| {
        let what = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap().display().to_string();
        what.split(':').next().unwrap().to_owned()
    });
    drop(link);
    eventually("it ends", Duration::from_secs(10), || process.try_wait().unwrap());
    stdio
}

/// The one of these processes that runs a program of that size and calls itself so where it is.
fn process_of(pid_there: u32, size: u64, mut among: impl Iterator<Item = u32>) -> u32 {
    let is_it = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let is_its_number = numbers.split_whitespace().last() == Some(&pid_there.to_string());
        is_its_number && fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.len() == size)
    };
    among.find(is_it).expect("the far side is on this machine")
}

/// A way by whose process here all goes.
fn passes(way: &str, method: impl Fn() -> Box<dyn Method>) {
    passes_with(Carries, way, method);
}

/// What every way must do.
fn passes_with(leader: Leader, way: &str, method: impl Fn() -> Box<dyn Method>) {
    // What enters by a descriptor has no name, by which the program goes that is looked at.
    if method().plan().transport.unwrap().enter.is_empty() {
        let [leads, stdin, stdout] = stdio_of(way, method().plan());
        let (ours, theirs) = match way {
            "a shell" => ("socket", "socket"),
            _ if IS_SERVED.contains(&&*method().plan().method) => ("socket", "pipe"),
            _ => ("pipe", "pipe"),
        };
        assert_eq!([&*leads, &*stdin], [ours, theirs], "{way}");
        // A server has its own mind.
        assert!(ours != theirs || stdout == theirs, "{way}: {stdout}");
    }
    carries_much(way, method().plan());
    loses_what_leads_there(leader, way, method());
    loses_the_far_side(way, method());
    is_half_closed(way, &*method());
}

/// A child of a way, and what there was before: nothing more is left when it is told to end.
struct Visit {
    way: String,
    processes: BTreeSet<u32>,
    own: BTreeSet<u32>,
    /// The process here that leads there.
    started: mpsc::Receiver<u32>,
    router: Box<Router>,
    there: Context,
}

impl Visit {
    fn begin(way: &str, method: impl Method) -> Self {
        let (processes, own) = (living(), own_children());
        let (starts, started) = mpsc::channel();
        let observer = move |_: &Plan, step: &Step| {
            if let Step::Started { pid } = step {
                starts.send(*pid).unwrap();
            }
        };
        let router = Box::new(Router::builder().observer(observer).build().unwrap());
        let there = router.connect(method).unwrap_or_else(|error| panic!("{way}: {error}"));
        Self { way: way.to_owned(), processes, own, started, router, there }
    }

    fn answers(&self, text: &str) {
        assert!(self.there.call(ECHO, text.to_owned()).unwrap() == text, "{}", self.way);
    }

    /// It is lost soon, and whoever calls it then is told so.
    fn is_lost(&self) {
        let told = self.there.lost().wait_timeout(LIMIT);
        assert!(told.is_ok(), "{} tells of no loss", self.way);
        let error = self.there.call(ECHO, "lost".into()).unwrap_err();
        assert!(error.is_lost(), "{}: {error}", self.way);
    }

    fn is_told_to_end(&self) {
        let ended = self.there.shutdown().wait_timeout(LIMIT);
        assert!(ended.is_ok(), "{} does not end", self.way);
    }

    fn leaves_nothing(self) {
        leaves_nothing(&self.way, &self.processes);
    }
}

/// Of processes but those that were there before.
fn leaves_nothing(way: &str, before: &BTreeSet<u32>) {
    let left = || living().difference(before).copied().collect::<Vec<_>>();
    eventually(&format!("{way} leaves nothing"), LIMIT, || left().is_empty().then_some(()));
}

fn carries_much(way: &str, plan: Plan) {
    // Only a sudo that is to ask nobody looks in our session for whom it has asked.
    let transport = plan.transport.as_ref().unwrap();
    let asks_nobody = transport.question.as_ref().is_some_and(|question| question.answer.is_none());
    let is_ours = &*plan.method == "sudo" && asks_nobody && !transport.terminal;
    let visit = Visit::begin(way, Planned(plan));
    let leader = visit.started.recv().unwrap();
    let session = if is_ours { session_of(std::process::id()) } else { leader };
    assert_eq!(session_of(leader), session, "{way}");
    let text: String = ('\0'..='\u{7ff}').cycle().take(MUCH).collect();
    visit.answers(&text);
    visit.is_told_to_end();
    visit.leaves_nothing();
}

/// What leads there is killed.
fn loses_what_leads_there(leader: Leader, way: &str, method: impl Method) {
    let visit = Visit::begin(way, method);
    visit.answers("before");
    own_children().difference(&visit.own).for_each(|pid| kill(*pid, Signal::KILL));
    if leader == Carries {
        visit.is_lost();
    } else {
        visit.answers("after");
        visit.is_told_to_end();
    }
    visit.leaves_nothing();
}

/// The child itself is killed, wherever it is.
fn loses_the_far_side(way: &str, method: impl Method) {
    let size = fs::metadata(method.plan().payload.path().unwrap()).unwrap().len();
    let visit = Visit::begin(way, method);
    visit.answers("before");
    let pid_there = visit.router.tree().pid(visit.there.id()).unwrap();
    let come = living().difference(&visit.processes).copied().collect::<Vec<_>>();
    kill(process_of(pid_there, size, come.into_iter()), Signal::KILL);
    visit.is_lost();
    visit.leaves_nothing();
}

/// A program of the user's hears that there is no more, and what it says then arrives.
fn is_half_closed(way: &str, method: &dyn Method) {
    let before = living();
    let mut plan = method.plan();
    plan.payload = listener();
    let there =
        launch(&plan, Instant::now() + PATIENCE, None).unwrap_or_else(|error| panic!("{way}: {error}"));
    let bytes = vec![b'x'; MUCH / 10];
    let (mut link, mut heard) = (there.link, there.said);
    let mut up = link.take_writer().unwrap();
    thread::scope(|scope| {
        let bytes = &bytes;
        // Dropped at the end, it closes the stdin of the program.
        scope.spawn(move || up.write_all(bytes).unwrap());
        let read = Bounded(&mut link).read_to_end(&mut heard);
        assert!(read.is_ok(), "{way}: after {} bytes {read:?}", heard.len());
    });
    let is_ended = heard.ends_with(b"the end");
    assert!(heard == [&bytes, &b"the end"[..]].concat(), "{way}: {} bytes, ended: {is_ended}", heard.len());
    let mut process = there.process;
    let status = eventually(&format!("{way} ends"), LIMIT, || process.try_wait().unwrap());
    assert!(status.success(), "{way}: {status}");
    leaves_nothing(way, &before);
}

/// A link of which each piece must come in time.
struct Bounded<'a>(&'a mut Link);

impl Read for Bounded<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec::try_from(LIMIT).unwrap()))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => self.0.read(buf),
        }
    }
}

/// Built once, by the compiler that has built this.
fn listener() -> Payload {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let [source, program] = ["listener.rs", "listener"].map(|name| folder.path().join(name));
        fs::write(&source, LISTENER).unwrap();
        let [source, built] = [&source, &program].map(|path| path.to_str().unwrap());
        let compiler = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let options = ["--edition=2021", "-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-Cpanic=abort"];
        run(&[&[&*compiler][..], &options, &["-o", built, source]].concat());
        fs::read(program).unwrap()
    });
    Payload::bytes("listener", bytes.clone()).unwrap()
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
    passes_with(StandsBy, "sudo", || Box::new(Sudo::new().payload(hop.clone())));
    {
        let _rule = SudoRule::new("root", "Defaults:root use_pty");
        passes("sudo with use_pty", || Box::new(Sudo::new().terminal().payload(hop.clone())));
    }
    passes_with(StandsBy, "su", || Box::new(Sudo::by_su().payload(hop.clone())));
    passes("su on a terminal", || Box::new(Sudo::by_su().terminal().payload(hop.clone())));
    let _rule = DoasRule::new("permit nopass root as root")?;
    passes_with(StandsBy, "doas", || Box::new(Sudo::by_doas().payload(hop.clone())));
    Ok(())
}

/// A user with a password who runs a tool of that kind, as a program that takes its words.
struct Asked {
    user: User,
    folder: TempDir,
}

impl Asked {
    fn new(name: &str, group: Option<&str>) -> Result<Self, Missing> {
        let user = User::new(name, &program("bash")?)?;
        user.password(PASSWORD);
        if let Some(group) = group {
            run(&["usermod", "-aG", group, &user.name]);
        }
        Ok(Self { user, folder: tempfile::tempdir().unwrap() })
    }

    fn runs(&self, tool: &str) -> Result<String, Missing> {
        let at = self.folder.path().join(tool).display().to_string();
        let (setpriv, name) = (program("setpriv")?, &self.user.name);
        let as_user = format!("{} --reuid={name} --regid={name} --init-groups", setpriv.display());
        fs::write(&at, format!("#!/bin/sh\nexec {as_user} {} \"$@\"\n", program(tool)?.display())).unwrap();
        run(&["chmod", "700", &at]);
        Ok(at)
    }
}

fn sudo_su_and_doas_with_a_password() -> Result<(), Missing> {
    let hop = hop()?;
    let (asked, other) = (Asked::new("suite", Some("sudo"))?, Asked::new("suited", None)?);
    let [sudo, su] = [asked.runs("sudo")?, asked.runs("su")?];
    // What it remembers of the last time is of no use.
    passes_with(StandsBy, "sudo with a password", || {
        Box::new(Sudo::new().program(&sudo).option(["-k"]).password(PASSWORD).payload(hop.clone()))
    });
    passes_with(StandsBy, "su with a password", || {
        Box::new(Sudo::by_su().program(&su).user(&other.user.name).password(PASSWORD).payload(hop.clone()))
    });
    let doas = asked.runs("doas")?;
    let _rule = DoasRule::new(&format!("permit {} as root", asked.user.name))?;
    passes("doas with a password", || {
        Box::new(Sudo::by_doas().program(&doas).password(PASSWORD).payload(hop.clone()))
    });
    Ok(())
}

fn sudo_rs() -> Result<(), Missing> {
    let (hop, tool) = (hop()?, SudoRs::new("root")?);
    passes_with(StandsBy, "sudo-rs", || Box::new(tool.sudo().payload(hop.clone())));
    Ok(())
}

fn chroot_and_nspawn() -> Result<(), Missing> {
    let (root, hop) = (busybox_root()?, hop()?);
    let at = root.path().to_str().unwrap();
    passes_with(StandsBy, "chroot", || Box::new(Chroot::new(at).payload(hop.clone())));
    program("systemd-nspawn")?;
    fs::create_dir(root.path().join("usr")).unwrap();
    fs::write(root.path().join("etc/os-release"), "ID=far\n").unwrap();
    let nspawn = || Nspawn::new(at).option(["--private-network"]).payload(hop.clone());
    nspawn_makes_one_of(root.path())?;
    passes_with(StandsBy, "nspawn", || Box::new(nspawn()));
    Ok(())
}

fn namespaces() -> Result<(), Missing> {
    let (hop, namespaces) = (hop()?, Namespaces::new()?);
    passes_with(StandsBy, "nsenter", || Box::new(Container::nsenter(namespaces.pid).payload(hop.clone())));
    passes_with(StandsBy, "nsenter as another user", || {
        Box::new(Container::nsenter(namespaces.pid).user("65534").payload(hop.clone()))
    });
    passes_with(StandsBy, "nsenter without a shell", || {
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
    passes_with(StandsBy, "lxc-attach", || Box::new(engine.enter("far", &hop)));
    passes_with(StandsBy, "lxc-attach as another user", || {
        Box::new(engine.enter("far", &hop).user("1000:100"))
    });
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

fn machine() -> Result<(), Missing> {
    let (hop, machines) = (hop()?, Machines::new()?);
    passes_with(StandsBy, "a machine", || Box::new(machines.enter("far", &hop)));
    passes_with(StandsBy, "a machine as another user", || {
        Box::new(machines.enter("far", &hop).user("daemon"))
    });
    Ok(())
}

fn slurm() -> Result<(), Missing> {
    let (hop, cluster) = (hop()?, Cluster::new()?);
    passes("srun", || Box::new(Planned(cluster.plan(hop.clone()))));
    Ok(())
}
