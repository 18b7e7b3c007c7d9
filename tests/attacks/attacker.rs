//! A hostile context, as its test pulls its strings: see `tests/src/bin/hostile`.

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use offshoot_parent::{ConnectError, Connecting, prelude::*};
use offshoot_tests::real::{PATIENCE, eventually};

/// Longer than any act takes on a busy machine.
const LONGEST_ACT: Duration = Duration::from_secs(60);

/// One who attacks.
pub(crate) struct Attacker {
    context: Context,
    strings: RefCell<BufReader<UnixStream>>,
}

impl Attacker {
    /// A child of `parent` in that part, as which it comes up.
    pub(crate) fn enter(folder: &Path, parent: &Context, part: &str, name: &str) -> Self {
        let (listener, connecting) = begin(folder, parent, part, name);
        let strings = accepted(&listener);
        let context = connecting.wait().expect("it comes up");
        Self { context, strings: RefCell::new(BufReader::new(strings)) }
    }

    /// The same for a part as which it does not: why not.
    pub(crate) fn refused(folder: &Path, parent: &Context, part: &str, name: &str) -> ConnectError {
        let (_listener, connecting) = begin(folder, parent, part, name);
        connecting.wait().expect_err("it does not come up")
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) const fn id(&self) -> ContextId {
        self.context.id()
    }

    /// Has it do something, and waits until it has; what it told.
    #[track_caller]
    pub(crate) fn act(&self, order: &str) -> Vec<String> {
        self.begin(order);
        self.done()
    }

    /// Has it do something.
    #[track_caller]
    pub(crate) fn begin(&self, order: &str) {
        let mut strings = self.strings.borrow_mut();
        writeln!(strings.get_mut(), "{order}").expect("it hears its orders");
    }

    /// Waits until it has done what it was told; what it told.
    #[track_caller]
    pub(crate) fn done(&self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.told().as_str() {
                "done" => return told,
                line => told.push(line.to_owned()),
            }
        }
    }

    /// The next thing that it tells.
    #[track_caller]
    pub(crate) fn told(&self) -> String {
        let mut line = String::new();
        self.strings.borrow_mut().read_line(&mut line).expect("it tells something in time");
        assert!(
            line.ends_with('\n'),
            "it has ended without a word: {:?}",
            self.context.lost().wait_timeout(PATIENCE)
        );
        line.trim_end().to_owned()
    }
}

/// Starts one, with its strings at a path in `folder`.
fn begin(folder: &Path, parent: &Context, part: &str, name: &str) -> (UnixListener, Connecting) {
    let path = folder.join(name);
    let listener = UnixListener::bind(path.with_extension("strings")).expect("a socket");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let program = program(&path, part);
    let method = Local::new(Payload::file(program).expect("a script")).name(name);
    (listener, parent.connect_async(method))
}

/// A script that starts it in that part.
fn program(path: &Path, part: &str) -> PathBuf {
    let file = path.with_extension("sh");
    let (program, strings) = (env!("CARGO_BIN_EXE_hostile"), path.with_extension("strings"));
    let text = format!("#!/bin/sh\nexec {program} {part} {}\n", strings.display());
    std::fs::write(&file, text).expect("a script can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("and made executable");
    file
}

fn accepted(listener: &UnixListener) -> UnixStream {
    let (strings, _) = eventually("it takes its strings", PATIENCE, || match listener.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        accepted => Some(accepted.expect("a connection")),
    });
    strings.set_nonblocking(false).expect("it can be waited for");
    strings.set_read_timeout(Some(LONGEST_ACT)).expect("with a bound");
    strings
}
