//! Tries the claims of docs/protocol.md against any program, and says of each whether it holds.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::process::ExitCode;

use offshoot_tests::conformance::{Program, claims};

fn main() -> ExitCode {
    let program = Program(std::env::args().skip(1).collect());
    if program.0.is_empty() {
        println!("usage: conformance COMMAND...");
        return ExitCode::FAILURE;
    }
    let claims = claims();
    let mut failed = 0;
    for claim in &claims {
        let clauses = claim.clauses().join(", ");
        match claim.check(&program) {
            Ok(()) => println!("passed  {} ({clauses})", claim.name),
            Err(complaint) => {
                failed += 1;
                println!("FAILED  {} ({clauses})\n{complaint}", claim.name);
            }
        }
    }
    println!("{} of {} claims hold", claims.len() - failed, claims.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
