//! Ways to other places, tried on real ones: shells, ssh, sudo, containers. Tests run one after another, and each looks
//! for what it left behind.
//!
//! What cannot be had here is skipped, with the reason; as root on a machine with apt, `cargo xtask test` installs it
//! and builds the payloads first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod accounts;
mod anywhere;
mod argv;
mod cluster;
mod containers;
mod doctor;
mod far;
mod field;
mod fleet;
mod hops;
mod killed;
mod life;
mod passwords;
mod shells;
mod ssh;
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use offshoot_tests::real::{Watch, logs};

fn main() -> ExitCode {
    killed::be_root_if_asked();
    logs::keep();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = [
        shells::tests(),
        argv::tests(),
        life::tests(),
        killed::tests(),
        hops::tests(),
        fleet::tests(),
        doctor::tests(),
        anywhere::tests(),
        field::tests(),
        suite::tests(),
        ssh::tests(),
        passwords::tests(),
        accounts::tests(),
        containers::tests(),
        cluster::tests(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A test that must leave nothing behind. What it needs and cannot have is the reason not to run it.
fn trial(name: &'static str, test: fn() -> Result<(), far::Missing>) -> Trial {
    Trial::test(name, move || {
        let watch = Watch::begin();
        let ran = std::thread::Builder::new().name(name.to_owned()).spawn(test)?.join();
        match ran {
            Ok(Ok(())) => watch.end(),
            Ok(Err(missing)) => println!("SKIPPED {name}: {missing}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Ok(())
    })
}

/// The tests of a module, by name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::trial(stringify!($name), $name)),*]
        }
    };
}
pub(crate) use tests;
