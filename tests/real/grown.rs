//! What hops of the tests can do beside what every context can: they grow, from handlers of their own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{PATIENCE, eventually, table::ADD};

use crate::bed::{hop, leaf};

/// Waits for the file `go` of a folder, makes a child and calls it, and writes the file `done`: its id and the answer.
pub(crate) const GROW_AT_SIGNAL: Function<String, ()> = Function::new("grow_at_signal");
/// Uses all but the last three ids of its first range up, writes the file `ready`, waits for the file `go`, makes and
/// calls six children more, and writes their ids to the file `done`.
pub(crate) const CROSS_A_RANGE: Function<String, ()> = Function::new("cross_a_range");
/// What is known of another context: its name, and whether it is there.
pub(crate) const KNOWN: Function<Context, (String, bool)> = Function::new("known");

pub(crate) fn functions() -> Functions {
    Functions::new()
        .serve(GROW_AT_SIGNAL, |call, folder| grow_at_signal(&call.here(), Path::new(&folder)))
        .serve(CROSS_A_RANGE, |call, folder| cross_a_range(&call.here(), Path::new(&folder)))
        .serve(KNOWN, |_, whom| (whom.name().to_owned(), whom.is_alive()))
}

/// The first argument of this program where it is to be a root in a process of its own; the second is a folder.
pub(crate) const ROOT_ALONE: &str = "--root-alone";

/// The folder, if this process is such a root.
pub(crate) fn is_root_alone() -> Option<PathBuf> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == ROOT_ALONE).then(|| arguments.next().map(PathBuf::from))?
}

/// A root with a hop that has a hop, which grows at a signal. It says that all is set by the file `ready`, and ends
/// when the file `end` is there.
pub(crate) fn root_alone(folder: &Path) {
    let router = Router::new().unwrap();
    let inner = router.connect(hop("outer")).unwrap().connect(hop("inner")).unwrap();
    // It has its ids already: those are asked for, and that question must be answered.
    inner.connect(leaf("before")).unwrap();
    let grown = inner.call_async(GROW_AT_SIGNAL, folder.to_str().unwrap().to_owned());
    say(folder, "ready", "");
    grown.wait().unwrap();
    assert_eq!(router.tree().len(), 5);
    say(folder, "known", &router.tree().to_string());
    await_file(folder, "end");
}

/// Waits for a file to appear; what is in it.
pub(crate) fn await_file(folder: &Path, name: &str) -> String {
    eventually(&format!("the file `{name}`"), PATIENCE, || fs::read_to_string(folder.join(name)).ok())
}

/// Makes a file appear, with all that is in it.
pub(crate) fn say(folder: &Path, name: &str, text: &str) {
    let draft = folder.join(format!("{name}.draft"));
    fs::write(&draft, text).unwrap();
    fs::rename(draft, folder.join(name)).unwrap();
}

fn grow_at_signal(here: &Context, folder: &Path) -> Outcome<()> {
    await_file(folder, "go");
    let child = here.connect(leaf("new"))?;
    let sum = child.call(ADD, (2, 3))?;
    say(folder, "done", &format!("{} {sum}", child.id()));
    Ok(())
}

fn cross_a_range(here: &Context, folder: &Path) -> Outcome<()> {
    // A program that is gone when it is to be started costs an id and little else.
    let link = folder.join("vanishing");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_leaf"), &link)?;
    let vanished = Local::new(Payload::file(&link)?).name("vanished");
    fs::remove_file(&link)?;
    for _ in 0..997 {
        let error = here.connect(vanished.clone()).expect_err("it is not there");
        assert_eq!(error.kind().code(), "not_found");
    }
    say(folder, "ready", "");
    await_file(folder, "go");
    let mut ids = String::new();
    for _ in 0..6 {
        let child = here.connect(leaf("new"))?;
        assert_eq!(child.call(ADD, (2, 3))?, 5);
        ids += &format!("{} ", child.id());
    }
    say(folder, "done", &ids);
    Ok(())
}
