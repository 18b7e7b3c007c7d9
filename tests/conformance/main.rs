//! The claims of docs/protocol.md, tried on our own leaf and on one in Python that shares no code with it.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Failed, Trial};
use offshoot_tests::conformance::{Claim, Program, claims, text_of};

fn main() -> ExitCode {
    let ours = Program(vec![env!("CARGO_BIN_EXE_leaf").to_owned()]);
    let mut trials = tried("rust", &ours);
    let foreign = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/leaf.py");
    trials.extend(if has_python() {
        tried("python", &Program(vec!["python3".to_owned(), foreign.to_string_lossy().into_owned()]))
    } else {
        vec![Trial::test("python::leaf", skip)]
    });
    trials.push(Trial::test("every_claim_is_about_clauses_that_exist", clauses_exist));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn tried(name: &str, program: &Program) -> Vec<Trial> {
    claims().into_iter().map(|claim| trial(name, claim, program.clone())).collect()
}

fn trial(name: &str, claim: Claim, program: Program) -> Trial {
    Trial::test(format!("{name}::{}", claim.name), move || {
        claim.check(&program).map_err(|complaint| Failed::from(complaint.to_string()))
    })
}

/// Whether there is a Python with all of its library: what some systems bring is less.
fn has_python() -> bool {
    let imports = "import dataclasses, select, subprocess, threading";
    Command::new("python3").args(["-c", imports]).output().is_ok_and(|output| output.status.success())
}

#[expect(clippy::print_stdout, reason = "the runner of the suites reads this")]
#[expect(clippy::unnecessary_wraps, reason = "a trial returns a result")]
fn skip() -> Result<(), Failed> {
    println!(
        "SKIPPED python::leaf: there is no python3 with its standard library: `apt-get install python3`"
    );
    Ok(())
}

fn clauses_exist() -> Result<(), Failed> {
    let clauses =
        claims().into_iter().flat_map(|claim| claim.clauses().iter().map(move |it| (claim.name, *it)));
    let missing: Vec<_> = clauses.filter(|(_, number)| text_of(number).is_none()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("no such clauses: {missing:?}").into()) }
}
