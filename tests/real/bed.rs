//! A tree to test with: a root, and children of every kind.

use std::{io::ErrorKind, os::unix::fs::symlink, path::PathBuf};

use offshoot_parent::prelude::*;
use offshoot_tests::real::{puppet::Puppet, table};

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

/// A chain of parents, from the root down.
pub(crate) fn chain(router: &Router, length: usize) -> Vec<Context> {
    let mut chain: Vec<Context> = Vec::new();
    for level in 0..length {
        let parent = chain.last().cloned().unwrap_or_else(|| router.here());
        chain.push(parent.connect(hop(&format!("hop{level}"))).expect("a hop"));
    }
    chain
}
