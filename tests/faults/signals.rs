//! Ctrl-C, SIGTERM and SIGHUP to a root of which two hundred children are on their way, some at each step and half of them
//! made by a hop, while one is up and in a call.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Lines},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::{Limits, prelude::*};
use offshoot_tests::real::{PATIENCE, Signal, Watch, all_gone, descendants, eventually, is_gone};
use rustix::process::{Pid, kill_process_group};

use crate::{
    far::{HOLD, LINGER},
    root::{Scene, Told, begun, end_on_signals, tell},
    table::{Fault, Step},
};

/// What the first argument of a root with many children is.
const MANY: &str = "--many";
/// The second one, if it does nothing about signals.
const DIES: &str = "dies";
/// The same, if it ends its tree on the first signal, and itself on the second.
const ENDS: &str = "ends";
/// The status that it ends with then.
const ENDED: i32 = 3;
/// How many children are on their way.
const CHILDREN: usize = 200;
/// The steps of a connect, at which they are held in turn.
const STEPS: [Step; 6] = [Step::Spawn, Step::Prompt, Step::Stage0, Step::Payload, Step::Exec, Step::Setup];
/// How long a child may take to end whose time is over: no test waits for that.
const GRACE_MS: u32 = 60_000;
/// How often it is looked how many are held.
const LOOK: Duration = Duration::from_millis(20);
/// How long it takes at most until a connect is called off.
const CALLED_OFF: Duration = Duration::from_secs(1);
/// The same until everything here is gone, and everything there.
const GONE: Duration = Duration::from_secs(2);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(2500);

/// Whether a test of that name makes so many processes that no other such should run beside it.
pub(crate) fn is_large(name: &str) -> bool {
    tests().any(|(large, _)| large == name)
}

/// The tests, by name.
pub(crate) fn tests() -> impl Iterator<Item = (String, Box<dyn FnOnce()>)> {
    let signals = [Fault::SigInt, Fault::SigTerm, Fault::SigHup];
    let each = signals.into_iter().filter_map(|fault| Some((fault.word(), fault.signal()?)));
    let each = each.flat_map(|(word, signal)| {
        [
            test(format!("{word}_leaves_nothing_of_200_children_on_their_way"), move || {
                leaves_nothing(signal);
            }),
            test(format!("{word}_calls_off_200_children_on_their_way"), move || calls_off(signal)),
        ]
    });
    each.chain([test("a_second_signal_ends_a_root_at_once".to_owned(), a_second_signal_ends_a_root_at_once)])
}

fn test(name: String, body: impl FnOnce() + 'static) -> (String, Box<dyn FnOnce()>) {
    let body = move || {
        let watch = Watch::begin();
        body();
        watch.end();
    };
    (name, Box::new(body))
}

fn leaves_nothing(signal: Signal) {
    let mut many = Many::begin(DIES);
    let there = descendants().len();
    assert!(there > CHILDREN, "only {there} processes are there");
    assert_eq!(many.end_by(signal).signal(), Some(signal.as_raw()));
}

fn calls_off(signal: Signal) {
    let mut many = Many::begin(ENDS);
    let since = Instant::now();
    many.signal(signal);
    assert_eq!((many.told(), many.told()), (Some(Told::Ending), Some(Told::Fine)));
    let took = since.elapsed();
    assert!(took < CALLED_OFF + SLACK, "they are called off after {took:?}");
    assert_eq!(many.told(), Some(Told::Clean));
    // Programs of far sides go by themselves.
    let left = || descendants().into_iter().filter(|pid| !is_gone(*pid)).collect::<Vec<u32>>();
    eventually("nobody but the root is left", GONE + SLACK, || (left() == [many.root.id()]).then_some(()));
    assert_eq!(many.end_by(signal).code(), Some(ENDED));
}

/// While the tree ends, which takes its time.
fn a_second_signal_ends_a_root_at_once() {
    let mut many = Many::begin(ENDS);
    many.signal(Signal::TERM);
    assert_eq!(many.told(), Some(Told::Ending));
    assert_eq!(many.end_by(Signal::INT).code(), Some(ENDED));
}

/// A root of many, in a process group of its own.
struct Many {
    root: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _folder: tempfile::TempDir,
}

impl Many {
    fn begin(how: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("many-").tempdir().expect("a folder");
        // Whoever runs these tests may ignore some signals, as a shell does for what it leaves in the background.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT,TERM,HUP").arg(env::current_exe().expect("this program is a file"));
        command.args([MANY, how]).arg(folder.path()).stdout(Stdio::piped()).process_group(0);
        let mut root = command.spawn().expect("the root starts");
        let lines = BufReader::new(root.stdout.take().expect("its stdout")).lines();
        let mut many = Self { root, lines, _folder: folder };
        assert_eq!(many.told(), Some(Told::Held { hop: None }));
        many
    }

    fn told(&mut self) -> Option<Told> {
        let line = self.lines.next()?.expect("it can be read");
        Some(serde_json::from_str(&line).expect("something"))
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.root.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process_group(group, signal).expect("it is there");
    }

    /// By this one the root ends, and no process is left that could use the processor.
    fn end_by(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        all_gone(GONE + SLACK);
        self.root.wait().expect("the root is ours")
    }
}

/// Whatever a test finds, nothing of it stays.
impl Drop for Many {
    fn drop(&mut self) {
        // It is dead already where all went well.
        drop(self.root.kill());
        drop(self.root.wait());
    }
}

/// If this program is to be a root of many: is it.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [MANY, how, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return None };
    let mut limits = Limits::default();
    limits.grace_ms = GRACE_MS;
    let router = Arc::new(Router::builder().limits(limits).build().expect("a router"));
    let ending = (how == ENDS).then(|| {
        end_on_a_second_signal();
        end_on_signals(&router)
    });
    let folder = Path::new(folder);
    let busy = router.connect(scene(Step::Call, folder.join("busy")).method()).expect("a child");
    // Whoever ends its tree waits for a call that does not come back, which is another test's.
    let call = match ending {
        Some(_) => begun(&busy, |ready| busy.call_async(LINGER, ready)),
        None => begun(&busy, |ready| busy.call_async(HOLD, (ready, "/never".to_owned()))),
    };
    let hop = router.connect(Local::new(Payload::this_program()).name("hop")).expect("a hop");
    let steps = STEPS.into_iter().flat_map(|step| [(router.here(), step), (hop.clone(), step)]).cycle();
    let folders: Vec<PathBuf> = (0..CHILDREN).map(|child| folder.join(child.to_string())).collect();
    let connecting: Vec<_> = folders
        .iter()
        .zip(steps)
        .map(|(folder, (maker, step))| maker.connect_async(scene(step, folder.clone()).method()))
        .collect();
    let end = Instant::now() + 3 * PATIENCE;
    while !folders.iter().all(|folder| folder.join("held").exists()) {
        assert!(Instant::now() < end, "not all are held");
        thread::park_timeout(LOOK);
    }
    tell(&Told::Held { hop: None });
    for (at, connecting) in connecting.into_iter().enumerate() {
        let error = connecting.wait().expect_err("they are held");
        // The hop may be gone before it can say that it ends.
        assert!(matches!(error.code(), "shutting_down" | "lost"), "{error}");
        if at == 0 {
            tell(&Told::Ending);
        }
    }
    tell(&Told::Fine);
    drop((call, hop, busy));
    drop(ending.map(thread::JoinHandle::join));
    tell(&Told::Clean);
    loop {
        thread::park();
    }
}

fn scene(step: Step, folder: PathBuf) -> Scene {
    fs::create_dir(&folder).expect("a folder");
    Scene::of(step, &folder)
}

/// As a program does that is told twice.
fn end_on_a_second_signal() {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw) {
        let second = Arc::clone(&seen);
        signal_hook::flag::register_conditional_shutdown(signal, ENDED, second).expect("a handler");
        signal_hook::flag::register(signal, Arc::clone(&seen)).expect("a handler");
    }
}
