//! A tree to test with: a root, and children of every kind.

use std::path::PathBuf;

use offshoot_parent::prelude::*;
use offshoot_tests::real::table;

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

/// A chain of parents, from the root down.
pub(crate) fn chain(router: &Router, length: usize) -> Vec<Context> {
    let mut chain: Vec<Context> = Vec::new();
    for level in 0..length {
        let parent = chain.last().cloned().unwrap_or_else(|| router.here());
        chain.push(parent.connect(hop(&format!("hop{level}"))).expect("a hop"));
    }
    chain
}
