//! The root of a test, a process of its own: brings its tree to a step, says so, and tells what came of it.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE, Signal, Watch,
    behind::Behind,
    table::{ADD, COUNT, ECHO_BYTES, SUM},
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{
    far::{self, HOLD, LINGER, Signs},
    table::Step,
};

/// What the first argument of a root is.
pub(crate) const ROOT: &str = "--root";

/// How many items the stream of a test has: many windows.
const ITEMS: u64 = 100_000;
/// How long a call or item waits for room where there is none.
const NO_ROOM: Duration = Duration::from_millis(500);

/// What runs the rest so that no file of more than 4 KiB can be written.
const SMALL_FILES: [&str; 4] = ["sh", "-c", "ulimit -f 8; exec \"$@\"", "sh"];

/// How a root is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) step: Step,
    pub(crate) folder: String,
    /// What is connected is made by a hop.
    pub(crate) by_hop: bool,
    pub(crate) timeout_ms: u64,
    pub(crate) ping_ms: u64,
    pub(crate) grace_ms: u32,
    /// It waits for the sign before it begins anything.
    pub(crate) early: bool,
    /// It ends its tree when it gets a signal.
    pub(crate) handles: bool,
    /// It sends more than there is room for.
    pub(crate) bulky: bool,
    /// Where programs are put on the far side.
    pub(crate) place: Option<String>,
    /// No large file can be written there.
    pub(crate) has_small_files: bool,
    /// What the root has not.
    pub(crate) without: Option<Without>,
}

/// What a root has not of whom a password is asked, which it would read there.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Without {
    /// It has hung up.
    Terminal,
    /// It was closed at the start.
    Stdin,
}

impl Without {
    /// Whether it is so, or else how it is.
    fn check(self) -> Result<(), String> {
        match self {
            Self::Terminal => match io::stderr().write(b".") {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(()),
                other => Err(format!("the terminal has not hung up: {other:?}")),
            },
            // The start of a Rust program has it filled.
            Self::Stdin => match fs::read_link("/proc/self/fd/0") {
                Ok(file) if file == Path::new("/dev/null") => Ok(()),
                other => Err(format!("stdin is {other:?}")),
            },
        }
    }
}

impl Scene {
    /// A plain one, in a folder of its own.
    pub(crate) fn of(step: Step, folder: &Path) -> Self {
        Self {
            step,
            folder: folder.display().to_string(),
            by_hop: false,
            timeout_ms: 60_000,
            ping_ms: 10_000,
            grace_ms: 500,
            early: false,
            handles: false,
            bulky: false,
            place: None,
            has_small_files: false,
            without: None,
        }
    }

    /// The way to the child, on which it is held where it is to be.
    pub(crate) fn method(&self) -> Box<dyn Method> {
        let by = |pass: &str, kind: &str| -> Box<dyn Method> { Box::new(self.by(pass, kind)) };
        match self.step {
            Step::Spawn => {
                let late = Payload::file(self.script("late")).expect("a script");
                Box::new(Local::new(late).timeout(self.timeout()))
            }
            Step::Prompt if self.without.is_some() => {
                let ssh =
                    Ssh::new("web").user("me").program(self.script("ssh")).ask().timeout(self.timeout());
                Box::new(Behind::by(&ssh, far::far(&self.signs(), "leaf")))
            }
            Step::Prompt => {
                let su = Sudo::by_su().program(self.script("su")).password("secret").timeout(self.timeout());
                Box::new(Behind::by(&su, far::far(&self.signs(), "leaf")).by_socket())
            }
            Step::Stage0 => by("0", "leaf"),
            Step::Payload => by("20000", "leaf"),
            Step::Exec | Step::Hop => by("all", "late"),
            Step::Setup => by("all", "mute"),
            Step::Idle | Step::Call | Step::Stream | Step::Shutdown => by("all", "leaf"),
        }
    }

    /// By what leads there and lets so much pass; that far program runs.
    fn by(&self, pass: &str, kind: &str) -> Behind {
        let small: &[&str] = if self.has_small_files { &SMALL_FILES } else { &[] };
        let words = small.iter().map(|word| (*word).to_owned()).chain(far::way(&self.signs(), pass));
        let way = Wrapped::new(words).timeout(self.timeout());
        let way = self.place.iter().fold(way, |way, place| way.folder(place));
        Behind::by(&way, far::far(&self.signs(), kind)).by_socket()
    }

    /// A program of the test: `late` comes up when there is a sign, `su` and `ssh` ask for a password.
    fn script(&self, name: &str) -> String {
        let signs = self.signs();
        let line = match name {
            // It takes none, and asks as an ssh client does.
            "ssh" => "\"$SSH_ASKPASS\" \"me@web's password: \"".to_owned(),
            "su" => runs(&[far::way(&signs, "all"), far::far(&signs, "ask")].concat()),
            kind => runs(&far::far(&signs, kind)),
        };
        let file = signs.path(name);
        fs::write(&file, format!("#!/bin/sh\n{line}\n")).expect("a script can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("and made executable");
        file
    }

    fn signs(&self) -> Signs {
        Signs(self.folder.clone().into())
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// The line of a script that becomes a program.
fn runs(words: &[String]) -> String {
    format!("exec {} \"$@\"", words.join(" "))
}

/// What a root tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// The tree is where it was to be, made by that hop.
    Held { hop: Option<u32> },
    /// What was to come up is up and works; what was to end in order has.
    Fine,
    /// The connect failed.
    Unconnected { code: String, phase: String, text: String },
    /// What was up is lost, and a call into it ended of that; so did the streams from there.
    Lost { who: Who, may_have_run: bool, text: String },
    /// A call there has ended in another way.
    Failed { text: String },
    /// There was no room in time.
    NoRoom,
    /// The tree begins to end.
    Ending,
    /// Nothing is left of the tree.
    Clean,
}

/// Of whom the root says that he is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Who {
    Child,
    Hop,
}

pub(crate) fn tell(told: &Told) {
    let line = serde_json::to_string(told).expect("it is text");
    let mut out = io::stdout().lock();
    // Whoever has started this may be gone.
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// If this program is to be a root: is it.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [ROOT, scene] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] else { return None };
    let scene: Scene = serde_json::from_str(scene).expect("a scene");
    // A storm of them must do nothing but interrupt.
    signal_hook::flag::register(Signal::USR1.as_raw(), Arc::new(AtomicBool::new(false))).expect("a handler");
    let watch = Watch::begin();
    let body = move || Stage::new(scene).play();
    let played = thread::Builder::new().name("play".to_owned()).spawn(body).expect("a thread").join();
    if played.is_err() {
        return Some(ExitCode::FAILURE);
    }
    watch.end();
    tell(&Told::Clean);
    Some(ExitCode::SUCCESS)
}

struct Stage {
    scene: Scene,
    signs: Signs,
    router: Arc<Router>,
}

impl Stage {
    fn new(scene: Scene) -> Self {
        let signs = scene.signs();
        let mut limits = offshoot_parent::Limits::default();
        limits.grace_ms = scene.grace_ms;
        limits.ping_ms = u32::try_from(scene.ping_ms).expect("a short time");
        let builder = Router::builder().limits(limits);
        let asked = signs.clone();
        let builder = if scene.without.is_some() {
            builder.prompter(move |_: &Query| read_password(&asked))
        } else {
            builder
        };
        let router = builder.build().expect("a router");
        Self { scene, signs, router: Arc::new(router) }
    }

    fn play(self) {
        let ending = self.scene.handles.then(|| end_on_signals(&self.router));
        let told = if self.scene.step.is_connecting() { self.connect() } else { self.live() };
        let told = match self.scene.without.map_or(Ok(()), Without::check) {
            Ok(()) => told,
            Err(text) => Told::Failed { text },
        };
        tell(&told);
        // What was taken from this process is given back before anybody looks round in it.
        self.until("over");
        if let Some(ending) = ending {
            drop(ending.join());
        }
    }

    fn maker(&self) -> Context {
        if !self.scene.by_hop && self.scene.step != Step::Hop {
            return self.router.here();
        }
        self.router.connect(Local::new(Payload::this_program()).name("hop")).expect("a hop")
    }

    fn held(&self, maker: &Context) {
        let hop = (maker.id() != ContextId::ROOT).then(|| self.router.tree().pid(maker.id())).flatten();
        tell(&Told::Held { hop });
    }

    /// From the first word to a child that works.
    fn connect(&self) -> Told {
        let maker = self.maker();
        // Its files are there before anything is taken away.
        let method = self.scene.method();
        if self.scene.early {
            self.held(&maker);
            self.until("go");
        }
        let connecting = maker.connect_async(method);
        if !self.scene.early {
            self.until("held");
            self.held(&maker);
        }
        match connecting.wait() {
            Err(error) => {
                let (code, phase) = (error.code().to_owned(), format!("{:?}", error.phase()));
                Told::Unconnected { code, phase, text: error.to_string() }
            }
            Ok(child) => {
                let works = if self.scene.step == Step::Setup {
                    child.call(offshoot_tests::real::puppet::SEEN, ()).map(drop)
                } else {
                    child.call(ADD, (2, 3)).map(drop)
                };
                works.map_or_else(|error| lost(&maker, &child, &error), |()| Told::Fine)
            }
        }
    }

    /// With a child that is up.
    fn live(&self) -> Told {
        let maker = self.maker();
        let child = maker.connect(self.scene.method()).expect("a child");
        match self.scene.step {
            Step::Idle => self.idle(&maker, &child),
            Step::Call => self.call(&maker, &child),
            Step::Stream => self.stream(&maker, &child),
            _ => self.shutdown(&maker, &child),
        }
    }

    fn idle(&self, maker: &Context, child: &Context) -> Told {
        let loss = child.lost();
        self.held(maker);
        // Until there is the sign, or it is lost.
        while child.is_alive() && !self.signs.is_there("go") {
            thread::park_timeout(Duration::from_millis(2));
        }
        if self.scene.bulky && child.is_alive() {
            return Told::Fine;
        }
        match child.call(ADD, (2, 3)).map_err(|error| lost(maker, child, &error)) {
            Ok(_) => Told::Fine,
            Err(Told::Lost { who, may_have_run, text }) => {
                let why = loss.wait_timeout(PATIENCE).expect("it is lost");
                Told::Lost { who, may_have_run, text: format!("{why}: {text}") }
            }
            Err(other) => other,
        }
    }

    fn call(&self, maker: &Context, child: &Context) -> Told {
        let pending = begun(child, |ready| child.call_async(HOLD, (ready, self.signs.path("go"))));
        // Longer than a call runs before its caller is told that it does.
        assert!(!pending.ready_timeout(Duration::from_millis(60)), "it waits for the sign");
        self.held(maker);
        if self.scene.bulky {
            self.until("go");
            let much = child.with_timeout(NO_ROOM).call(ECHO_BYTES, vec![0; 8 << 20].into());
            return match much {
                Err(CallError::TimedOut { .. }) => Told::NoRoom,
                Err(error) => lost(maker, child, &error),
                Ok(_) => Told::Fine,
            };
        }
        pending.wait().map_or_else(|error| lost(maker, child, &error), |_| Told::Fine)
    }

    fn stream(&self, maker: &Context, child: &Context) -> Told {
        if self.scene.bulky {
            return self.stream_up(maker, child);
        }
        let items = child.call(COUNT, ITEMS).expect("a stream");
        let pending = begun(child, |ready| child.call_async(LINGER, ready));
        let mut due = 0;
        while due < 100 {
            assert_eq!(items.recv(), Ok(Some(due)));
            due += 1;
        }
        self.held(maker);
        self.until("go");
        loop {
            match items.recv() {
                Ok(Some(item)) if item == due => due += 1,
                // The call is given up.
                Ok(None) if due == ITEMS => return Told::Fine,
                Ok(other) => panic!("{other:?} came where {due} was due"),
                Err(error) => {
                    let call = pending.wait().expect_err("it is as lost as the stream");
                    return of_one_loss(maker, child, &call, &error);
                }
            }
        }
    }

    fn stream_up(&self, maker: &Context, child: &Context) -> Told {
        let (sender, receiver) = child.channel();
        let summing = child.call_async(SUM, receiver);
        sender.send(0).expect("there is room for one");
        self.held(maker);
        self.until("go");
        loop {
            match sender.send_timeout(1, NO_ROOM) {
                Ok(()) => {}
                Err(SendError::TimedOut) => {
                    drop(summing);
                    return Told::NoRoom;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Of a tree whose child does not come back from a call.
    fn shutdown(&self, maker: &Context, child: &Context) -> Told {
        let stays = self.signs.path("never");
        begun(child, |ready| child.call_no_reply(HOLD, (ready, stays)).expect("it is sent"));
        let shutdown = self.router.shutdown();
        self.held(maker);
        match shutdown.wait() {
            Ok(()) => Told::Fine,
            Err(error) => Told::Failed { text: error.to_string() },
        }
    }

    fn until(&self, sign: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.signs.is_there(sign) {
            assert!(Instant::now() < end, "there is no sign `{sign}`");
            thread::park_timeout(Duration::from_millis(2));
        }
    }
}

/// What is typed at the stdin of this process, once it is known that it has been asked for.
fn read_password(signs: &Signs) -> Option<Secret> {
    signs.put("held", "");
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    let came = match &read {
        Ok(0) => "the end",
        Err(error) if Errno::from_io_error(error) == Some(Errno::IO) => "EIO",
        _ => "something",
    };
    signs.put("read", came);
    // Nobody sees it where the terminal has hung up, and it panics there.
    eprintln!("this is what was typed: {line:?}");
    (read.ok()? > 0).then(|| line.trim_end().into())
}

/// A call that runs there.
pub(crate) fn begun<T>(child: &Context, call: impl FnOnce(Sender<()>) -> T) -> T {
    let (ready, begun) = child.channel();
    let called = call(ready);
    begun.recv_timeout(PATIENCE).expect("it has begun").expect("and goes on");
    called
}

/// What a call tells of a loss, if a stream from there tells the same.
fn of_one_loss(maker: &Context, child: &Context, call: &CallError, stream: &RecvError) -> Told {
    match (call, stream) {
        (CallError::Lost { context, id, reason, .. }, RecvError::Lost { reason: all, .. })
            if *all == format!("context {id} ({context}) is gone: {reason}") =>
        {
            lost(maker, child, call)
        }
        _ => Told::Failed { text: format!("the call tells {call:?}, and the stream {stream:?}") },
    }
}

fn lost(maker: &Context, child: &Context, error: &CallError) -> Told {
    let text = error.to_string();
    let who = match error {
        CallError::Lost { id, .. } if *id == child.id() => Who::Child,
        CallError::Lost { id, .. } if *id == maker.id() => Who::Hop,
        CallError::Stopped { .. } => return Told::Ending,
        _ => return Told::Failed { text },
    };
    Told::Lost { who, may_have_run: error.may_have_run(), text }
}

/// As a program does that wants to leave nothing: its tree ends on the first signal.
pub(crate) fn end_on_signals(router: &Arc<Router>) -> thread::JoinHandle<()> {
    let signals = [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw);
    let (noticed, router) = (Arc::new(AtomicBool::new(false)), Arc::clone(router));
    for signal in signals {
        signal_hook::flag::register(signal, Arc::clone(&noticed)).expect("a handler");
    }
    let body = move || {
        while !noticed.load(std::sync::atomic::Ordering::SeqCst) {
            thread::park_timeout(Duration::from_millis(2));
        }
        drop(router.shutdown().wait());
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body).expect("a thread")
}
