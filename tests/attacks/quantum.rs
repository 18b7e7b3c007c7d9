//! That of a link so much is read and no more before the others have their turn: row 8's fair read quantum.
//!
//! Nothing here is a matter of time. The root, a process of its own, is stopped until two children have filled their links;
//! its recording tells in which order it has read them.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use offshoot_parent::{
    prelude::*,
    record::{Recorded, RecordedFrame, Recording},
};
use offshoot_tests::real::{Signal, kill};

use crate::strings::Loose;

crate::tests![two_floods_are_read_in_turns];

/// What the first argument of a root is that is recorded.
const RECORDED: &str = "--recorded";
/// The floods go to this, which nobody has.
const FLOODED: u32 = 1_000_001;
/// The bytes of a frame without a body.
const HEADER: usize = 26;
/// Frames that a link holds unread, and that are more than a turn.
const FLOOD: usize = 7_000;
/// The most frames that are read of one link in a turn: each weighs 128 bytes more than it has, what is read last begins
/// short of 64 KiB, and is 16 KiB at most.
const TURN: usize = (64 << 10) / (HEADER + 128) + (16 << 10) / HEADER + 1;

fn two_floods_are_read_in_turns() {
    const { assert!(FLOOD > TURN + TURN / 4, "there must be more than a turn") };
    let folder = tempfile::tempdir().unwrap();
    let children = ["one", "other"].map(|name| Loose::new(folder.path(), "leaf", name));
    let record = folder.path().join("record");
    let mut root = Root::new(&record, children.each_ref().map(|child| &child.program));
    let children = children.map(Loose::taken);
    let each_does = |order: &str| {
        for child in &children {
            child.begin(order);
            child.done().unwrap();
        }
    };
    root.wait_up();
    // Nothing else comes of them, which the root might have in hand; what comes by a new link may be read by who made it.
    each_does("stingy");
    (0..2).for_each(|_| each_does("settle"));
    kill(root.process.id(), Signal::STOP);
    // That is done when the links hold it.
    each_does(&format!("write {FLOODED} {FLOOD}"));
    kill(root.process.id(), Signal::CONT);
    each_does("settle");
    root.end();
    let floods: Vec<_> = frames(&record).filter(|frame| frame.handle.number() == FLOODED).collect();
    assert_eq!(floods.len(), 2 * FLOOD);
    // Both links have more than their turn, so that of the first two none may be longer.
    let turns = floods.chunk_by(|one, next| one.peer == next.peer).map(<[_]>::len);
    let turns: Vec<usize> = turns.collect();
    assert!(turns[..2].iter().all(|turn| *turn <= TURN), "frames at a time, in turn: {turns:?}");
}

fn frames(record: &Path) -> impl Iterator<Item = RecordedFrame> {
    Recording::open(record).unwrap().map(|item| match item.unwrap() {
        Recorded::Frame(frame) => frame,
        other => panic!("{other:?}"),
    })
}

/// A root of its own process with two children, which ends with the value.
struct Root {
    process: Child,
}

impl Root {
    fn new(record: &Path, children: [&PathBuf; 2]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.arg(RECORDED).arg(record).args(children).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { process: command.spawn().unwrap() }
    }

    /// Waits until it says that both are up.
    fn wait_up(&mut self) {
        let mut line = String::new();
        BufReader::new(self.process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
    }

    /// Lets it end, with all that it has recorded.
    fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Longer than a test takes.
const NEVER: Duration = Duration::from_secs(3600);

/// Plays the root, if that is what this program is to be, until its stdin ends.
#[expect(clippy::print_stdout, reason = "that is how it tells")]
pub(crate) fn play(words: &[String]) -> Option<ExitCode> {
    let [RECORDED, record, children @ ..] = &words.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return None;
    };
    let router = Router::builder().record(record).ping(NEVER).build().expect("a router");
    let connect = |program: &&str| {
        let leaf = Payload::file(program).expect("a script");
        router.connect(Local::new(leaf)).expect("it comes up")
    };
    let _children: Vec<Context> = children.iter().map(connect).collect();
    println!("up");
    io::stdin().read_to_end(&mut Vec::new()).expect("stdin ends");
    Some(ExitCode::SUCCESS)
}
