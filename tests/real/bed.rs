//! A tree to test with: a root, and children of every kind.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use offshoot_parent::{
    RouterBuilder,
    prelude::*,
    record::{Recorded, RecordedFrame, Recording},
};
use offshoot_tests::real::{PATIENCE, eventually, puppet::Puppet, table};

/// A root that serves the functions of the tests.
pub(crate) fn root() -> Router {
    Router::builder().functions(table::functions()).build().expect("a router")
}

/// A parent of the same program.
pub(crate) fn hop(name: &str) -> Local {
    Local::new(Payload::this_program()).name(name)
}

/// A leaf.
pub(crate) fn leaf(name: &str) -> Local {
    let file = PathBuf::from(env!("CARGO_BIN_EXE_leaf"));
    Local::new(Payload::file(file).expect("the leaf has been built")).name(name)
}

/// A child written by hand, by the name of its script in `raw.rs`.
pub(crate) fn raw(script: &str, name: &str) -> Local {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("raw-{script}"));
    match symlink(env!("CARGO_BIN_EXE_raw"), &file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{}: {error}", file.display()),
        _ => Local::new(Payload::file(file).expect("the script is there")).name(name),
    }
}

/// A child of `parent` that is moved by hand and says that it is a leaf.
pub(crate) fn puppet(parent: &Context, name: &str) -> Puppet {
    Puppet::new(parent.connect(raw("puppet", name)).expect("a puppet"))
}

/// A child of `parent` that is moved by hand and says that it can have children.
pub(crate) fn puppet_parent(parent: &Context, name: &str) -> Puppet {
    Puppet::new(parent.connect(raw("puppet-parent", name)).expect("a puppet"))
}

/// A chain of parents, from the root down.
pub(crate) fn chain(router: &Router, length: usize) -> Vec<Context> {
    let mut chain: Vec<Context> = Vec::new();
    for level in 0..length {
        let parent = chain.last().cloned().unwrap_or_else(|| router.here());
        chain.push(parent.connect(hop(&format!("hop{level}"))).expect("a hop"));
    }
    chain
}

/// The recording of a root's links.
pub(crate) struct Tape {
    dir: tempfile::TempDir,
}

/// A root whose frames are recorded.
pub(crate) fn recorded(builder: RouterBuilder) -> (Router, Tape) {
    let dir = tempfile::tempdir().expect("a folder for the recording");
    let builder = builder.functions(table::functions()).record(dir.path().join("tape"));
    (builder.build().expect("a router"), Tape { dir })
}

impl Tape {
    /// Every frame that has been written so far.
    pub(crate) fn frames(&self) -> Vec<RecordedFrame> {
        let recording = Recording::open(self.dir.path().join("tape")).expect("a recording");
        // It ends in an error where it is just being written.
        let items = recording.map_while(Result::ok);
        let frames = items.map(|item| match item {
            Recorded::Frame(frame) => frame,
            other => panic!("the recording is whole: {other:?}"),
        });
        frames.collect()
    }
}

/// Longer than any test: what waits so long waits for something else.
pub(crate) const FOREVER_MS: u64 = Duration::from_secs(600).as_millis() as u64;

/// The process of a context.
pub(crate) fn pid(router: &Router, context: &Context) -> u32 {
    router.tree().pid(context.id()).expect("the tree knows the pid of what it connected")
}

/// Makes a call that sends ticks, and waits until it has run for long enough to have told its caller that it began.
pub(crate) fn until_begun<R>(
    at: &Context,
    call: impl FnOnce(Sender<u64>) -> Pending<R>,
) -> (Pending<R>, Receiver<u64>) {
    let (sender, ticks) = at.channel();
    let pending = call(sender);
    for _ in 0..20 {
        ticks.recv_timeout(PATIENCE).expect("a tick").expect("the call goes on");
    }
    (pending, ticks)
}

/// A program that is the leaf, and ignores SIGTERM.
pub(crate) fn stubborn(folder: &Path) -> PathBuf {
    script(folder, "stubborn", &format!("LEAF_IS_STUBBORN=1 exec {}", env!("CARGO_BIN_EXE_leaf")))
}

/// A leaf that a shell has started, which holds nothing of the link and notes in a file how the leaf ended.
pub(crate) fn watched(folder: &Path) -> (Local, PathBuf) {
    let status = folder.join("status");
    let text = format!(
        "exec 3<&0 4>&1 </dev/null >/dev/null 2>&1\n{} <&3 >&4 3<&- 4>&- &\nexec 3<&- 4>&-\nwait $!\necho $? >{}",
        env!("CARGO_BIN_EXE_leaf"),
        status.display()
    );
    let file = script(folder, "watched", &text);
    (Local::new(Payload::file(file).expect("a script")), status)
}

/// How a watched leaf ended: its exit status, or 128 and its signal.
pub(crate) fn ended(status: &Path) -> u8 {
    let text = eventually("the shell has noted the end", PATIENCE, || {
        fs::read_to_string(status).ok().filter(|text| text.ends_with('\n'))
    });
    text.trim().parse().expect("a number")
}

/// A shell script to be started as a payload.
pub(crate) fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("a script can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("and made executable");
    file
}
