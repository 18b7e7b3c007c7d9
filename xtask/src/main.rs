//! The project's own commands: `cargo xtask test`, `payload`, `bench`, `demo`, `sim`, `soak`, `fuzz`, `conformance` and `readme`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod apt;
mod bench;
mod conformance;
mod demo;
mod deny;
mod far_sides;
mod fuzz;
mod instructions;
mod layers;
mod libtest;
mod payload;
mod readme;
mod run;
mod sim;
mod soak;
mod suites;
mod systems;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// The project's own commands. Everything they need beyond the Rust toolchain is built on the way.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Command {
    Test(test::Flags),
    Payload(payload::Flags),
    Bench(bench::Flags),
    Demo(demo::Flags),
    Sim(sim::Flags),
    Soak(soak::Flags),
    Fuzz(fuzz::Flags),
    Conformance(conformance::Flags),
    /// Write the README of every crate from its documentation
    Readme,
}

fn main() -> ExitCode {
    let command = Command::parse();
    run_command(&command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_command(command: &Command) -> anyhow::Result<ExitCode> {
    let workspace = workspace::Workspace::load()?;
    match command {
        Command::Test(flags) => test::main(flags, &workspace),
        Command::Payload(flags) => payload::main(flags, &workspace),
        Command::Bench(flags) => bench::main(flags, &workspace),
        Command::Demo(flags) => demo::main(flags, &workspace),
        Command::Sim(flags) => sim::main(flags, &workspace),
        Command::Soak(flags) => soak::main(flags, &workspace),
        Command::Fuzz(flags) => fuzz::main(flags, &workspace),
        Command::Conformance(flags) => conformance::main(flags, &workspace),
        Command::Readme => readme::main(&workspace),
    }
}
