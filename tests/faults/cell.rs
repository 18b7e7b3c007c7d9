//! One cell of the matrix, in a process of its own: brings a root to a step, does the fault, and judges what becomes of it.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_tests::real::{PATIENCE, Signal, Watch, all_gone, eventually, is_gone, kill, signalled};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Resource, Rlimit, getrlimit, kill_process_group, prlimit},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::{
    far::{PLACE, Signs},
    needs,
    root::{ROOT, Scene, Told, Who, Without},
    table::{Fault, Outcome, Step, name},
};

/// What a busy machine may add to any bound.
const SLACK: Duration = Duration::from_millis(2500);
/// How long nothing is seen to happen while a fault lasts.
const PAUSE: Duration = Duration::from_millis(300);
/// The same for a root that asks for signs of life: longer than it would wait for one, and shorter than its child does.
const LONG_PAUSE: Duration = Duration::from_millis(900);
/// The deadline of a connect that is to reach it.
const SOON_MS: u64 = 1_500;
/// How soon a link that is to be lost by silence is asked for a sign of life; three times that is its limit.
const PING_MS: u64 = 200;
/// The same where its first PING shows that nobody hears; it is silent only after the bound of a loss.
const DEAF_PING_MS: u64 = 1_500;
/// How long what is told to end may take once its time is over.
const GRACE_MS: u32 = 500;
/// The same where nothing may wait for it.
const LONG_GRACE_MS: u32 = 20_000;
/// What starts a program as a user who may be refused processes, where this one may not.
const AS_NOBODY: [&str; 6] = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// A root at a step, and what it tells.
struct Bed {
    signs: Signs,
    root: Child,
    told: Receiver<Told>,
    hop: Option<u32>,
    terminal: Option<OwnedFd>,
    /// Limits that were lowered, with what they were.
    lowered: Vec<(u32, Resource, Rlimit)>,
    _folder: tempfile::TempDir,
}

/// Runs a cell. What is wrong is a panic, and so is what is left.
pub(crate) fn run(fault: Fault, step: Step, outcome: Outcome) {
    if let Some(reason) = lack(fault) {
        return println!("SKIPPED {}: {reason}", name(fault, step));
    }
    let watch = Watch::begin();
    let mut bed = Bed::make(fault, step, outcome);
    let since = Instant::now();
    let storm = bed.harm(fault, step);
    if goes_on(fault, step, outcome) {
        bed.signs.put("go", "");
    }
    bed.judge(fault, step, outcome, since);
    drop(storm);
    bed.restore();
    if fault == Fault::StopChild {
        // What is stopped acts when it is resumed, and then sees that its parent is gone.
        signalled(bed.far("child"), Signal::CONT);
    }
    bed.signs.put("over", "");
    if outcome != Outcome::Gone {
        assert_eq!(bed.next(PATIENCE), Some(Told::Clean));
        assert!(bed.ended().success(), "the root ends in order");
    }
    drop(bed);
    watch.end();
}

/// Whether what is held is let go once the fault is there.
fn goes_on(fault: Fault, step: Step, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Nothing | Outcome::Refused | Outcome::FarError | Outcome::Waits | Outcome::NoRoom => true,
        // Else nothing would be written.
        Outcome::Deadline => {
            fault == Fault::FullPipe && matches!(step, Step::Prompt | Step::Stage0 | Step::Payload)
        }
        // Whoever has nothing to write does not see it.
        _ if fault == Fault::Deaf && step.is_connecting() => true,
        // Whoever does not read does not see it.
        Outcome::Lost | Outcome::Silent | Outcome::Ends => step == Step::Stream,
        Outcome::Error | Outcome::Cancelled | Outcome::Gone => false,
    }
}

impl Bed {
    fn make(fault: Fault, step: Step, outcome: Outcome) -> Self {
        let folder = tempfile::Builder::new().prefix("cell-").tempdir().expect("a folder");
        let signs = Signs(folder.path().to_owned());
        let open: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), open.clone()).expect("a folder for everybody");
        fs::create_dir(signs.path(PLACE)).expect("a folder");
        fs::set_permissions(signs.path(PLACE), open).expect("for everybody");
        let at_start = matches!(step, Step::Spawn | Step::Hop);
        let scene = Scene {
            by_hop: fault == Fault::KillHop,
            timeout_ms: if outcome == Outcome::Deadline { SOON_MS } else { 20_000 },
            ping_ms: match (outcome, fault) {
                (Outcome::Silent, _) | (_, Fault::StopRoot) => PING_MS,
                (_, Fault::Deaf) => DEAF_PING_MS,
                _ => 10_000,
            },
            early: at_start && matches!(fault, Fault::NoDescriptor | Fault::NoProcess | Fault::NoSpace),
            handles: fault.signal().is_some(),
            grace_ms: if outcome == Outcome::Cancelled { LONG_GRACE_MS } else { GRACE_MS },
            bulky: fault == Fault::FullPipe,
            place: match (fault, step) {
                (Fault::NoSpace, Step::Stage0 | Step::Hop) => Some("/proc".to_owned()),
                // It can be seen there when nothing has a name any more.
                (_, Step::Payload) => Some(signs.path(PLACE)),
                _ => None,
            },
            has_small_files: fault == Fault::NoSpace && step == Step::Payload,
            without: match fault {
                Fault::NoTerminal => Some(Without::Terminal),
                Fault::NoStdin => Some(Without::Stdin),
                _ => None,
            },
            ..Scene::of(step, folder.path())
        };
        let (mut command, terminal) = launcher(fault);
        command.arg(ROOT).arg(serde_json::to_string(&scene).expect("it is text"));
        command.env("TMPDIR", folder.path()).stdout(Stdio::piped());
        let mut root = command.spawn().expect("the root starts");
        // What was given to the root is not held here.
        drop(command);
        let lines = BufReader::new(root.stdout.take().expect("its stdout")).lines();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                drop(tell.send(serde_json::from_str(&line).expect("a root tells what it is to tell")));
            }
        });
        let mut bed = Self { signs, root, told, hop: None, terminal, lowered: Vec::new(), _folder: folder };
        match bed.next(PATIENCE) {
            Some(Told::Held { hop }) => bed.hop = hop,
            other => panic!("the tree does not come so far: {other:?}"),
        }
        bed
    }

    fn next(&self, limit: Duration) -> Option<Told> {
        self.told.recv_timeout(limit).ok()
    }

    fn ended(&mut self) -> ExitStatus {
        self.root.wait().expect("the root is ours")
    }

    fn far(&self, sign: &str) -> u32 {
        self.signs.pid(sign).unwrap_or_else(|| panic!("there is no `{sign}`"))
    }

    /// What leads to the child, or where nothing does the child.
    fn transport(&self) -> u32 {
        self.signs.pid("way").unwrap_or_else(|| self.far("child"))
    }

    /// Whose limits are lowered so that the fault meets the step.
    fn limited(&self, step: Step) -> u32 {
        match step {
            Step::Stage0 | Step::Payload | Step::Exec => self.far("child"),
            Step::Hop => self.hop.expect("there is a hop"),
            _ => self.root.id(),
        }
    }

    fn harm(&mut self, fault: Fault, step: Step) -> Option<Storm> {
        match fault {
            Fault::KillChild => kill(self.far("child"), Signal::KILL),
            Fault::KillTransport => kill(self.far("way"), Signal::KILL),
            Fault::KillHop => kill(self.hop.expect("there is a hop"), Signal::KILL),
            Fault::KillRoot => kill(self.root.id(), Signal::KILL),
            Fault::StopChild => kill(self.far("child"), Signal::STOP),
            Fault::StopRoot => kill(self.root.id(), Signal::STOP),
            Fault::HalfClosed => self.signs.put("half", ""),
            Fault::Deaf => {
                self.signs.put("deaf", "");
                eventually("it is deaf", PATIENCE, || self.signs.is_there("is_deaf").then_some(()));
            }
            Fault::HalfOpen => kill(self.transport(), Signal::STOP),
            Fault::FullPipe => self.signs.put("full", ""),
            Fault::NoDescriptor => {
                let pid = self.limited(step);
                self.lower(pid, Resource::Nofile, first_free(pid));
            }
            Fault::NoProcess => self.lower(self.limited(step), Resource::Nproc, 0),
            Fault::NoSpace if !step.is_connecting() => {
                for pid in [self.root.id(), self.far("child")] {
                    self.lower(pid, Resource::Fsize, 0);
                }
            }
            Fault::Interrupts => return Some(Storm::begin(self.root.id())),
            Fault::SigInt | Fault::SigTerm | Fault::SigHup => {
                let signalled = fault.signal().map(|it| kill_process_group(process(self.root.id()), it));
                assert_eq!(signalled, Some(Ok(())));
            }
            Fault::NoTerminal => drop(self.terminal.take()),
            Fault::NoSpace | Fault::Clock | Fault::NoStdin => {}
        }
        None
    }

    fn lower(&mut self, pid: u32, what: Resource, to: u64) {
        // Whoever is below this process has its limits.
        let before = getrlimit(what);
        let set = set_limit(pid, what, Rlimit { current: Some(to), maximum: before.maximum });
        assert!(set, "the limit of {pid} is not lowered");
        self.lowered.push((pid, what, before));
    }

    fn restore(&mut self) {
        for (pid, what, before) in self.lowered.drain(..) {
            // It may have ended of it.
            set_limit(pid, what, before);
        }
    }

    fn judge(&mut self, fault: Fault, step: Step, outcome: Outcome, since: Instant) {
        let bound = |limit: Duration| limit + SLACK;
        let second = Duration::from_secs(1);
        match outcome {
            Outcome::Gone => {
                let here = [self.hop, self.signs.pid("way")];
                eventually("nothing of this machine is left", bound(second * 2), || {
                    here.into_iter().flatten().all(is_gone).then_some(())
                });
                let all = bound(second * if step == Step::Spawn { 2 } else { 5 });
                return self.all_gone(all.saturating_sub(since.elapsed()));
            }
            Outcome::Waits => {
                let stopped = if fault == Fault::StopRoot { self.root.id() } else { self.far("child") };
                let pause = if fault == Fault::StopRoot { LONG_PAUSE } else { PAUSE };
                assert_eq!(self.next(pause), None, "nothing is known while it is stopped");
                kill(stopped, Signal::CONT);
            }
            _ => {}
        }
        let told = self.next(PATIENCE).unwrap_or_else(|| panic!("nothing is told"));
        let took = since.elapsed();
        let within = |limit: Duration| assert!(took <= bound(limit), "{told:?} after {took:?}");
        match (outcome, &told) {
            (Outcome::Nothing | Outcome::Waits, Told::Fine) | (Outcome::NoRoom, Told::NoRoom) => {}
            // A root that ends its tree on a signal ends what was under way there; else the end is all that is awaited.
            (Outcome::Ends, Told::Fine) => within(second * 3),
            (Outcome::Ends, Told::Ending) if fault.signal().is_some() && step == Step::Idle => {
                within(second * 3);
            }
            (Outcome::Ends, Told::Lost { who, may_have_run, .. }) if fault.signal().is_some() => {
                assert_eq!((*who, *may_have_run), loss(fault, step), "{told:?}");
                within(second * 3);
            }
            // It has come up, as whatever was written before is heard; or SETUP was not, in time.
            (Outcome::Lost, Told::Lost { who: Who::Child, .. }) if step.is_connecting() => within(second),
            (Outcome::Lost, Told::Unconnected { code, .. }) if matches!(step, Step::Exec | Step::Hop) => {
                assert_ne!(code, "no_answer", "{told:?}");
                within(second);
            }
            (Outcome::Lost | Outcome::Silent, Told::Lost { who, may_have_run, text }) => {
                assert_eq!((*who, *may_have_run), loss(fault, step), "{told:?}");
                let is_silent = outcome == Outcome::Silent;
                assert_eq!(text.contains("it has been silent for "), is_silent, "{told:?}");
                within(if is_silent { Duration::from_millis(4 * PING_MS) } else { second * 2 });
            }
            (Outcome::Cancelled, Told::Unconnected { code, .. }) => {
                // The hop that was to make it may be gone first.
                let is_told = code == "shutting_down" || step == Step::Hop && code == "lost";
                assert!(is_told, "{told:?}");
                within(second);
            }
            (Outcome::Deadline, Told::Unconnected { code, phase, text }) => {
                assert_eq!(code, "no_answer", "{told:?}");
                // What comes from a full pipe has come as far as a whole shell.
                let came =
                    step.phases().contains(&phase.as_str()) || fault == Fault::FullPipe && phase == "Place";
                assert!(text.contains("no answer within 1.") && came, "{told:?}");
                within(second * 2);
            }
            (Outcome::Refused, Told::Unconnected { code, phase, .. }) => {
                assert_eq!((code.as_str(), phase.as_str()), (refusal(fault), "Spawn"), "{told:?}");
                within(second);
            }
            (Outcome::FarError, Told::Unconnected { code, .. })
                if step == Step::Hop && fault != Fault::NoSpace =>
            {
                assert_eq!(code, refusal(fault), "{told:?}");
                within(second);
            }
            (Outcome::Error | Outcome::FarError, Told::Unconnected { code, phase, .. }) => {
                let is_told = match fault {
                    Fault::KillHop => code == "lost",
                    Fault::NoSpace => code == "no_place",
                    Fault::NoTerminal | Fault::NoStdin => {
                        let came = fs::read_to_string(self.signs.path("read")).unwrap_or_default();
                        // Who reads before a terminal hangs up gets EIO, who comes later the end.
                        let nothing_came = came == "the end" || fault == Fault::NoTerminal && came == "EIO";
                        (code.as_str(), phase.as_str()) == ("password_needed", "Shell") && nothing_came
                    }
                    // All that receives the program runs by then: it is the first that misses something.
                    Fault::NoDescriptor | Fault::NoProcess if step == Step::Payload => phase == "Marker",
                    // The shell has spoken by then, and the rest of the program may be on its way.
                    Fault::Deaf => matches!(phase.as_str(), "Place" | "Send" | "Marker"),
                    _ => step.phases().contains(&phase.as_str()),
                };
                assert!(is_told && code != "no_answer", "{told:?}");
                within(second);
            }
            _ => panic!("{outcome:?} was to be told, and {told:?} is"),
        }
    }

    /// Nothing lives any more but this process.
    fn all_gone(&mut self, limit: Duration) {
        all_gone(limit);
        self.ended();
    }
}

/// Whatever a test finds, nothing of it stays: what stands still would for ever.
impl Drop for Bed {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        drop(self.root.kill());
        drop(self.root.wait());
        for sign in ["child", "way"] {
            self.signs.pid(sign).map(|pid| signalled(pid, Signal::CONT));
        }
    }
}

/// Who is lost, and whether a call there may have run. While the tree is idle nobody calls until the loss is known.
fn loss(fault: Fault, step: Step) -> (Who, bool) {
    match (fault, step) {
        (_, Step::Idle) => (Who::Child, false),
        (Fault::KillHop, _) => (Who::Hop, true),
        _ => (Who::Child, true),
    }
}

/// A connect that the system refuses says so.
const fn refusal(fault: Fault) -> &'static str {
    if matches!(fault, Fault::NoDescriptor) { "too_many_descriptors" } else { "too_many_processes" }
}

/// The command that starts a root as the fault needs it; and the other end of its terminal.
fn launcher(fault: Fault) -> (Command, Option<OwnedFd>) {
    let this = env::current_exe().expect("this program is a file");
    let by = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&this);
        command
    };
    let mut command = match fault {
        Fault::NoStdin => by(&["sh", "-c", "exec \"$@\" <&-", "sh"]),
        Fault::NoProcess if is_root() => by(&AS_NOBODY),
        Fault::NoTerminal => {
            let mut command = by(&["setsid", "-c", "sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
            let (ours, theirs) = terminal();
            let copy = || theirs.try_clone().expect("a descriptor");
            command.stdin(copy()).stderr(copy());
            return (command, Some(ours));
        }
        _ => Command::new(&this),
    };
    command.process_group(0);
    (command, None)
}

fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = open(&name, flags, Mode::empty()).expect("its other end");
    (ours, theirs)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Why a fault cannot be made here, if it cannot.
fn lack(fault: Fault) -> Option<String> {
    let denied = "this user can always add processes, and cannot become another";
    match fault {
        Fault::NoProcess if is_root() => {
            needs::lack(["setpriv", "prlimit"]).or_else(|| (!can_be_refused()).then(|| denied.to_owned()))
        }
        Fault::NoTerminal => needs::lack(["setsid"]),
        _ => None,
    }
}

/// Whether a root can be started that may be refused processes.
fn can_be_refused() -> bool {
    let mut test = Command::new(AS_NOBODY[0]);
    test.args(&AS_NOBODY[1..]).args(["test", "-x"]).arg(env::current_exe().expect("this program is a file"));
    test.status().is_ok_and(|status| status.success())
}

fn process(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid")
}

/// Sets a limit of a process, as its own user if that is another one; whether it could.
fn set_limit(pid: u32, what: Resource, to: Rlimit) -> bool {
    if what != Resource::Nproc || !is_root() {
        return prlimit(Some(process(pid)), what, to).is_ok();
    }
    let text = |bound: Option<u64>| bound.map_or_else(|| "unlimited".to_owned(), |bound| bound.to_string());
    let (pid, to) = (pid.to_string(), format!("--nproc={}:{}", text(to.current), text(to.maximum)));
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).args(["prlimit", "--pid", &pid, &to]);
    command.status().is_ok_and(|status| status.success())
}

/// The number that the next descriptor of a process would have.
fn first_free(pid: u32) -> u64 {
    let is_open = |fd: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{fd}")).is_ok();
    (0..).find(|fd| !is_open(fd)).expect("there is always a next")
}

/// Signals to every thread of a process, without a pause, while the value lives.
struct Storm {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Storm {
    fn begin(pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let body = move || {
            while !over.load(Ordering::Relaxed) {
                for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                    // By its own number a thread is the first that is asked to take it.
                    let number = thread.file_name().to_str().and_then(|name| name.parse().ok());
                    number.map(|number| signalled(number, Signal::USR1));
                }
                thread::park_timeout(Duration::from_micros(200));
            }
        };
        Self { is_over, thread: Some(thread::spawn(body)) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(thread::JoinHandle::join));
    }
}
