//! The strings by which a hostile process is pulled: a socket for orders, and for what it tells.

use std::{
    cell::RefCell,
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use offshoot_tests::real::{PATIENCE, eventually};

/// Longer than any act takes on a busy machine.
const LONGEST_ACT: Duration = Duration::from_secs(60);

/// Where the strings of one are, before it has taken them.
pub(crate) struct Loose {
    listener: UnixListener,
    /// The script that starts it.
    pub(crate) program: PathBuf,
}

impl Loose {
    /// Of one who will take that part, by a name that no other in `folder` has.
    pub(crate) fn new(folder: &Path, part: &str, name: &str) -> Self {
        let path = folder.join(name);
        let listener = UnixListener::bind(path.with_extension("strings")).expect("a socket");
        listener.set_nonblocking(true).expect("it can be asked without waiting");
        Self { listener, program: program(&path, part) }
    }

    /// Waits until it takes them.
    #[track_caller]
    pub(crate) fn taken(self) -> Strings {
        let (stream, _) = eventually("it takes its strings", PATIENCE, || match self.listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            accepted => Some(accepted.expect("a connection")),
        });
        stream.set_nonblocking(false).expect("it can be waited for");
        stream.set_read_timeout(Some(LONGEST_ACT)).expect("with a bound");
        Strings(RefCell::new(BufReader::new(stream)))
    }
}

/// A script that starts it in that part.
fn program(path: &Path, part: &str) -> PathBuf {
    let file = path.with_extension("sh");
    let (program, strings) = (env!("CARGO_BIN_EXE_hostile"), path.with_extension("strings"));
    let text = format!("#!/bin/sh\nexec {program} {part} {}\n", strings.display());
    fs::write(&file, text).expect("a script can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("and made executable");
    file
}

/// The strings of one who has taken them.
pub(crate) struct Strings(RefCell<BufReader<UnixStream>>);

/// It has ended without a word.
#[derive(Debug)]
pub(crate) struct Ended;

impl Strings {
    /// Has it do something.
    #[track_caller]
    pub(crate) fn begin(&self, order: &str) {
        let mut strings = self.0.borrow_mut();
        writeln!(strings.get_mut(), "{order}").expect("it hears its orders");
    }

    /// Waits until it has done what it was told; what it told.
    #[track_caller]
    pub(crate) fn done(&self) -> Result<Vec<String>, Ended> {
        let mut told = Vec::new();
        loop {
            match self.told()?.as_str() {
                "done" => return Ok(told),
                line => told.push(line.to_owned()),
            }
        }
    }

    /// The next thing that it tells.
    #[track_caller]
    pub(crate) fn told(&self) -> Result<String, Ended> {
        let mut line = String::new();
        self.0.borrow_mut().read_line(&mut line).expect("it tells something in time");
        line.strip_suffix('\n').map(str::to_owned).ok_or(Ended)
    }
}
