//! The far side as it is played: what leads there, and programs that stop where they are told to until there is a sign.
//!
//! Signs are files in the folder of a test: `child` and `way` hold pids; `held` says that the tree is where it was to
//! be; `go` lets it go on, `half` closes the way up, `full` has what comes down left unread, `deaf` has the way shut down
//! its receiving side, which `is_deaf` says.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    panic,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use offshoot_core::wire::Role;
use offshoot_parent::prelude::*;
use offshoot_tests::real::{puppet, raw::Raw, table};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What the first argument of what leads to the far side is.
pub(crate) const WAY: &str = "--way";
/// What the first argument of a program of the far side is.
pub(crate) const FAR: &str = "--far";

/// Says that it runs, and returns when there is a file of that name.
pub(crate) const HOLD: Function<(Sender<()>, String), u64> = Function::new("hold");
/// Says that it runs, and returns when nobody waits for it any more.
pub(crate) const LINGER: Function<Sender<()>, u64> = Function::new("linger");

/// The folder of a test in which its programs are put, where that is looked at.
pub(crate) const PLACE: &str = "place";

/// How long it takes at most until a sign is looked for again.
const LOOK: Duration = Duration::from_millis(24);

/// How long to wait between two looks: ever longer, so that many who wait long leave the machine to others.
struct Rest(Duration);

impl Rest {
    const fn new() -> Self {
        Self(Duration::from_millis(1))
    }

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (2 * now).min(LOOK);
        now
    }

    fn take(&mut self) {
        thread::park_timeout(self.next());
    }
}

/// The folder of a test.
#[derive(Clone, Debug)]
pub(crate) struct Signs(pub(crate) PathBuf);

impl Signs {
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Whoever looks sees all of it or nothing.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let unfinished = self.0.join(format!("{name}.{}", std::process::id()));
        fs::write(&unfinished, text).expect("a sign can be written");
        fs::rename(unfinished, self.0.join(name)).expect("and put in its place");
    }

    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.0.join(name)).ok()?.parse().ok()
    }

    /// Until there is one; ends this program if the other end of its stdin goes first.
    fn wait(&self, name: &str) {
        let mut rest = Rest::new();
        while !self.is_there(name) {
            let stdin = io::stdin();
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            let look = Timespec::try_from(rest.next()).expect("a short time");
            if poll(&mut fds, Some(&look)).is_ok_and(|ready| ready > 0) {
                // Hundreds at once: none has anything to say of it.
                panic::resume_unwind(Box::new("nobody is at the other end"));
            }
        }
    }
}

/// If this program is to be a part of the way or the far side: is it.
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    match words {
        [way, folder, pass, program @ ..] if way == WAY => {
            Some(lead(&Signs(folder.into()), pass.parse().ok(), program))
        }
        [far, kind, folder, rest @ ..] if far == FAR => {
            let signs = Signs(folder.into());
            signs.put("child", &std::process::id().to_string());
            match kind.as_str() {
                "leaf" => {}
                "late" => hold(&signs),
                "mute" => return Some(mute(&signs)),
                "ask" => return Some(ask(&signs, rest)),
                other => panic!("there is no {other}"),
            }
            serve()
        }
        _ => None,
    }
}

/// What every far leaf serves.
pub(crate) fn functions() -> Functions {
    table::functions()
        .serve(HOLD, |_, (ready, file): (Sender<()>, String)| run_until(&ready, || Path::new(&file).exists()))
        .serve(LINGER, |call: &Call, ready: Sender<()>| run_until(&ready, || call.is_cancelled()))
}

fn run_until(ready: &Sender<()>, is_over: impl Fn() -> bool) -> Outcome<u64> {
    ready.send(())?;
    let mut rest = Rest::new();
    while !is_over() {
        rest.take();
    }
    Ok(5)
}

fn serve() -> ! {
    offshoot_core::Child::new().functions(functions()).run()
}

fn hold(signs: &Signs) {
    signs.put("held", "");
    signs.wait("go");
}

/// Has heard who it is, and does not say who it is before it may.
fn mute(signs: &Signs) -> ExitCode {
    let mut raw = Raw::silent();
    hold(signs);
    raw.greet(Role::Leaf);
    puppet::play_on(raw);
    ExitCode::SUCCESS
}

/// Asks for a password, and thinks about it.
fn ask(signs: &Signs, line: &[String]) -> ExitCode {
    drop(io::stderr().write_all(b"Password: "));
    let mut byte = [0];
    // Not one byte more than the answer: what follows is for the shell.
    let mut stdin = fs::File::from(io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    while stdin.read(&mut byte).is_ok_and(|read| read > 0) && byte != *b"\n" {}
    hold(signs);
    let error = Command::new("sh").arg("-c").args(line.last()).exec();
    panic!("no shell: {error}");
}

/// Leads to a program as an ssh client does: by pipes of its own, and until that ends. `pass` so many bytes go there
/// before there is a sign.
fn lead(signs: &Signs, pass: Option<usize>, program: &[String]) -> ExitCode {
    signs.put("way", &std::process::id().to_string());
    let link = || UnixStream::from(io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut child = Command::new(&program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the far side starts");
    signs.put("child", &child.id().to_string());
    let (down, up) = (child.stdin.take().expect("its stdin"), child.stdout.take().expect("its stdout"));
    thread::spawn({
        let (signs, link) = (signs.clone(), link());
        move || pass_down(&signs, link, down, pass)
    });
    thread::spawn({
        let (signs, link) = (signs.clone(), link());
        move || close_half(&signs, &link)
    });
    let up = thread::spawn({
        let (signs, link) = (signs.clone(), link());
        move || pass_up(&signs, link, up)
    });
    let status = wait(&mut child);
    drop(up.join());
    status
}

/// Closes the half of the link that there is a sign for.
fn close_half(signs: &Signs, link: &UnixStream) {
    let mut rest = Rest::new();
    loop {
        if signs.is_there("half") {
            return drop(link.shutdown(Shutdown::Write));
        }
        if signs.is_there("deaf") {
            drop(link.shutdown(Shutdown::Read));
            return signs.put("is_deaf", "");
        }
        rest.take();
    }
}

fn wait(child: &mut Child) -> ExitCode {
    let status = child.wait().ok().and_then(|status| status.code());
    ExitCode::from(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(137))
}

/// Ends with the link, or what it leads to; either closes the other.
fn pass_down(signs: &Signs, mut link: UnixStream, mut down: impl Write, pass: Option<usize>) {
    let mut left = pass;
    loop {
        if left == Some(0) {
            // Where nothing is passed at all, the far side has spoken; else it has a place, where nothing has a name.
            signs.wait(if pass == Some(0) { "spoken" } else { "placed" });
            let mut rest = Rest::new();
            while fs::read_dir(signs.path(PLACE)).is_ok_and(|mut files| files.next().is_some()) {
                rest.take();
            }
            hold(signs);
            left = None;
        }
        let mut piece = [0; 4096];
        let most = left.unwrap_or(piece.len()).min(piece.len());
        let Ok(read) = link.read(&mut piece[..most]) else { return };
        while signs.is_there("full") {
            thread::park_timeout(LOOK);
        }
        if read == 0 && signs.is_there("deaf") {
            // What is passed on does not end until the link has.
            return until_hang_up(&link);
        }
        if read == 0 || down.write_all(&piece[..read]).is_err() {
            return;
        }
        left = left.map(|left| left - read);
    }
}

fn until_hang_up(link: &UnixStream) {
    while poll(&mut [PollFd::new(link, PollFlags::empty())], None).is_err() {}
}

/// What can go nowhere any more is read all the same.
fn pass_up(signs: &Signs, mut link: UnixStream, mut up: impl Read) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = up.read(&mut piece) {
        drop(link.write_all(&piece[..read]));
        if !signs.is_there("spoken") {
            signs.put("spoken", "");
        }
        // As the shell there says where it is.
        if piece[..read].windows(5).any(|word| word == b" at /") {
            signs.put("placed", "");
        }
    }
}

/// The words of the way by this program, behind which a far program follows.
pub(crate) fn way(signs: &Signs, pass: &str) -> Vec<String> {
    vec![this(), WAY.to_owned(), signs.0.display().to_string(), pass.to_owned()]
}

/// The words of a far program.
pub(crate) fn far(signs: &Signs, kind: &str) -> Vec<String> {
    vec![this(), FAR.to_owned(), kind.to_owned(), signs.0.display().to_string()]
}

fn this() -> String {
    env::current_exe().expect("this program is a file").display().to_string()
}
