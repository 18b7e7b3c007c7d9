//! Faults with real processes: what becomes of a tree when something goes wrong at each step of its life.
//!
//! The matrix of [`table`] is one test a cell, each in a process of its own, so that they can run side by side and each
//! sees what it has left. This program is all of it: the test, the root of its tree, what leads to the far side, and
//! what runs there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they do not do")]

mod accounts;
mod cell;
mod far;
mod needs;
mod page;
mod root;
mod signals;
mod table;

use std::{
    env,
    process::{self, Command, ExitCode},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::table::{Cell, name};

/// What the first argument of this program is when it is to be one test.
const TEST: &str = "--alone";
/// What has it write the page on faults.
const WRITE_PAGE: &str = "--write-page";
/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// How many tests run side by side where nobody said otherwise: most of them wait.
const SIDE_BY_SIDE: usize = 10;

fn main() -> ExitCode {
    offshoot_parent::run(far::functions(), || {
        let words: Vec<String> = env::args().skip(1).collect();
        let played = far::play(&words).or_else(|| root::play(&words)).or_else(|| accounts::play(&words));
        if let Some(code) = played.or_else(|| signals::play(&words)) {
            return code;
        }
        match words.first().map(String::as_str) {
            Some(TEST) => alone(&words[1]),
            Some(WRITE_PAGE) => page::write(),
            _ => return all(),
        }
        ExitCode::SUCCESS
    })
}

/// Every test by name, each to be run in a process of its own.
fn tests() -> Vec<(String, Box<dyn FnOnce()>)> {
    let cells = page::all().filter_map(|(fault, step)| match table::cell(fault, step) {
        Cell::Test(outcome) => {
            let test = move || cell::run(fault, step, outcome);
            Some((name(fault, step), Box::new(test) as Box<dyn FnOnce()>))
        }
        _ => None,
    });
    cells.chain(accounts::tests()).chain(signals::tests()).collect()
}

fn alone(wanted: &str) {
    end_if_it_hangs(wanted.to_owned());
    let (_, test) = tests()
        .into_iter()
        .find(|(name, _)| name == wanted)
        .unwrap_or_else(|| panic!("there is no test {wanted}"));
    test();
}

/// Ends this process, and with it the tree that it has grown, once it takes too long.
#[expect(clippy::disallowed_methods, reason = "a test that hangs does not return")]
fn end_if_it_hangs(test: String) {
    let end = Instant::now() + LIMIT;
    thread::spawn(move || {
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        eprintln!("{test} has not ended after {LIMIT:?}");
        process::exit(1);
    });
}

fn all() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(SIDE_BY_SIDE));
    for (fault, step) in page::all() {
        if let Some(why) = page::elsewhere(table::cell(fault, step)) {
            println!("not tested here: {}: {why}", name(fault, step));
        }
    }
    let apart = tests()
        .into_iter()
        .map(|(name, _)| Trial::test(name.clone(), move || in_a_process_of_its_own(&name)));
    let here: [(&str, fn()); 3] = [
        ("the_page_on_faults_says_what_is_tested", page::the_page_on_faults_says_what_is_tested),
        (
            "what_the_matrix_leaves_to_other_tests_is_there",
            page::what_the_matrix_leaves_to_other_tests_is_there,
        ),
        ("nothing_reads_the_wall_clock", page::nothing_reads_the_wall_clock),
    ];
    let here = here.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, here.into_iter().chain(apart).collect()).exit_code()
}

/// What it puts anywhere is where no other test puts something.
fn in_a_process_of_its_own(name: &str) -> Result<(), Failed> {
    /// Held by the one of the large ones whose turn it is.
    static LARGE: Mutex<()> = Mutex::new(());
    let _turn = signals::is_large(name).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
    let folder = tempfile::Builder::new().prefix("fault-").tempdir()?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open)?;
    let mut command = Command::new(env::current_exe()?);
    command.args([TEST, name]).env("TMPDIR", folder.path()).env_remove("XDG_RUNTIME_DIR");
    let output = command.output()?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    print!("{}", said[0]);
    if output.status.success() { Ok(()) } else { Err(format!("{}{}", said[0], said[1]).into()) }
}
