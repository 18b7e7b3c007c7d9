//! Ctrl-C, SIGTERM and SIGHUP to a root whose two hundred children are on their way, some at each step.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, Signal, Watch, all_gone, descendants, eventually};
use rustix::process::{Pid, kill_process_group};

use crate::{
    root::{Scene, Told, end_on_signals, tell},
    table::Step,
};

/// What the first argument of a root with many children is.
const MANY: &str = "--many";
/// How many there are.
const CHILDREN: usize = 200;
/// The steps of a connect, at which they are held in turn.
const STEPS: [Step; 6] = [Step::Spawn, Step::Prompt, Step::Stage0, Step::Payload, Step::Exec, Step::Setup];
/// Local ones are all started at once, of the others as many as go on side by side.
const HELD: usize = CHILDREN.div_ceil(STEPS.len()) + 64;
/// How long what is far may take to be gone.
const LIMIT: Duration = Duration::from_secs(5);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

/// Whether a test of that name makes so many processes that no other such should run beside it.
pub(crate) fn is_large(name: &str) -> bool {
    tests().any(|(large, _)| large == name)
}

/// The tests, by name.
pub(crate) fn tests() -> impl Iterator<Item = (String, Box<dyn FnOnce()>)> {
    let one = |signal, what: &str| {
        let test = move || {
            let watch = Watch::begin();
            leaves_nothing(signal);
            watch.end();
        };
        (format!("{what}_leaves_nothing_of_200_children_on_their_way"), Box::new(test) as Box<dyn FnOnce()>)
    };
    let ends = || {
        let watch = Watch::begin();
        a_second_signal_ends_a_root_at_once();
        watch.end();
    };
    [
        one(Signal::INT, "sigint"),
        one(Signal::TERM, "sigterm"),
        one(Signal::HUP, "sighup"),
        ("a_second_signal_ends_a_root_at_once".to_owned(), Box::new(ends) as Box<dyn FnOnce()>),
    ]
    .into_iter()
}

/// A root of many, in a process group of its own.
struct Many {
    root: Child,
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
        let mut line = String::new();
        BufReader::new(root.stdout.take().expect("its stdout")).read_line(&mut line).expect("it tells");
        assert_eq!(serde_json::from_str::<Told>(&line).expect("something"), Told::Held { hop: None });
        Self { root, _folder: folder }
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.root.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process_group(group, signal).expect("it is there");
    }

    /// Until no process is left that could use the processor.
    fn all_gone(&mut self, limit: Duration) {
        all_gone(limit);
        self.root.wait().expect("the root is ours");
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

fn leaves_nothing(signal: Signal) {
    let mut many = Many::begin("dies");
    let there = descendants().len();
    assert!(there >= HELD, "only {there} processes are there");
    many.signal(signal);
    many.all_gone(LIMIT + SLACK);
}

/// The first one begins the end of the tree, which takes its time.
fn a_second_signal_ends_a_root_at_once() {
    let mut many = Many::begin("handles");
    let since = Instant::now();
    many.signal(Signal::TERM);
    many.signal(Signal::INT);
    many.all_gone(LIMIT + SLACK);
    assert!(since.elapsed() < LIMIT + SLACK);
}

/// If this program is to be a root of many: is it.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [MANY, how, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return None };
    let router = Arc::new(Router::new().expect("a router"));
    if how == "handles" {
        // The second one ends this program at once, where the first one is seen already.
        let seen = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for signal in [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw) {
            let second = Arc::clone(&seen);
            signal_hook::flag::register_conditional_shutdown(signal, 1, second).expect("a handler");
            signal_hook::flag::register(signal, Arc::clone(&seen)).expect("a handler");
        }
        drop(end_on_signals(&router));
    }
    let folders = (0..CHILDREN).map(|child| Path::new(folder).join(child.to_string())).collect::<Vec<_>>();
    let connecting: Vec<_> = folders
        .iter()
        .zip(STEPS.into_iter().cycle())
        .map(|(folder, step)| {
            fs::create_dir(folder).expect("a folder");
            router.connect_async(Scene::of(step, folder).method())
        })
        .collect();
    eventually("so many are held", 3 * PATIENCE, || {
        (folders.iter().filter(|folder| folder.join("held").exists()).count() >= HELD).then_some(())
    });
    tell(&Told::Held { hop: None });
    for connecting in connecting {
        drop(connecting.wait());
    }
    loop {
        thread::park();
    }
}
