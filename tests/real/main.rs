//! Tests with real processes, named and numbered as in the issue that asked for them.
//!
//! This program is the whole tree of each test: `offshoot_parent::run` sees whether it was started as a child. Tests
//! run one after another, since each looks for what it left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod authority;
mod bed;
mod bulk;
mod calls;
mod chains;
mod connect;
mod dead;
mod grown;
mod ids;
mod input;
mod life;
mod logs;
mod loss;
mod order;
mod rest;
mod shutdown;
mod streams;
mod tools;
mod turns;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use offshoot_tests::real::{self, table};
pub(crate) use offshoot_tests::trials as tests;

fn main() -> ExitCode {
    offshoot_parent::run(table::functions().and(chains::functions()).and(grown::functions()), || {
        if let Some(folder) = grown::is_root_alone() {
            grown::root_alone(&folder);
            return ExitCode::SUCCESS;
        }
        real::logs::keep();
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let modules: &[fn() -> Vec<Trial>] = &[
            dead::tests,      // 1 to 7
            ids::tests,       // 8 to 11
            chains::tests,    // 12, 13
            connect::tests,   // children that do not come up
            authority::tests, // 14 to 17
            calls::tests,     // 18 to 21, 23
            streams::tests,   // 22
            bulk::tests,      // 22
            shutdown::tests,  // 24, 25, 28, 29
            life::tests,      // 26, 27, 31
            loss::tests,      // 30
            order::tests,     // 32
            logs::tests,      // log records and captured outputs
            input::tests,     // bad input
            tools::tests,     // recordings, routers, workers
            turns::tests,     // who reads a link
            rest::tests,      // what rests before it is written
        ];
        let trials = modules.iter().flat_map(|tests| tests()).collect();
        libtest_mimic::run(&arguments, trials).exit_code()
    })
}
