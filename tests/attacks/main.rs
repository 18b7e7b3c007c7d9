//! Hostile children, with real processes: each row of the table in docs/security.md, played by a program that shares no
//! code with offshoot.
//!
//! This program is the root of each test and every honest hop below it. Tests run one after another: each looks for what
//! it left behind, and for what others had to suffer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod attacker;
mod control;
mod credit;
mod decoding;
mod fragments;
mod framing;
mod others;
mod quantum;
mod replies;
mod routes;
mod sources;
mod stage;
mod strings;
mod text;
mod watched;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use offshoot_tests::real::{self, table};
pub(crate) use offshoot_tests::trials as tests;

fn main() -> ExitCode {
    offshoot_parent::run(table::functions(), || {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if let Some(code) = watched::play(&words).or_else(|| quantum::play(&words)) {
            return code;
        }
        real::logs::keep();
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let modules: &[fn() -> Vec<Trial>] = &[
            framing::tests,   // 1 to 8
            fragments::tests, // 9 to 12
            sources::tests,   // 13 to 18
            replies::tests,   // 19 to 25
            decoding::tests,  // 26 to 29
            routes::tests,    // 30 to 38
            control::tests,   // 40 to 43
            credit::tests,    // 44 to 49
            text::tests,      // 50 to 52
            watched::tests,   // the rule over all
            quantum::tests,   // how much is read at a time
            others::tests,    // that the general condition is looked at
        ];
        let trials = modules.iter().flat_map(|tests| tests()).collect();
        let ended = libtest_mimic::run(&arguments, trials);
        if stage::sum_up() { ended.exit_code() } else { ExitCode::FAILURE }
    })
}
