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
mod asks;
mod beside;
mod buildah;
mod cache;
mod cluster;
mod containers;
mod demo;
mod docker;
mod doctor;
mod far;
mod field;
mod fleet;
mod hops;
mod hunt;
mod images;
mod killed;
mod kinds;
mod lies;
mod life;
mod lxc;
mod lxd;
mod machines;
mod passwords;
mod pods;
mod sealed;
mod shells;
mod ssh;
mod stdio;
mod sudo_rs;
mod suite;
mod terminal;

use std::{collections::BTreeSet, env, fs, process::ExitCode};

use libtest_mimic::{Arguments, Trial};
use offshoot_tests::real::{Watch, ground, logs};

/// Whose words alone are tested, and why: `cargo xtask test` shows it in its summary.
const STAND_INS: &str = "not run for real: kubectl (no cluster without images from outside), incus (no package; it takes lxd's words), \
     jail (FreeBSD's)";

fn main() -> ExitCode {
    killed::be_root_if_asked();
    if let Some(code) = terminal::be_root_if_asked().or_else(sealed::be_root_if_asked) {
        return code;
    }
    logs::keep();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = [
        shells::tests(),
        cache::tests(),
        argv::tests(),
        lies::tests(),
        images::tests(),
        life::tests(),
        killed::tests(),
        kinds::tests(),
        hops::tests(),
        fleet::tests(),
        doctor::tests(),
        anywhere::tests(),
        demo::tests(),
        field::tests(),
        hunt::tests(),
        suite::tests(),
        stdio::tests(),
        ssh::tests(),
        passwords::tests(),
        sealed::tests(),
        accounts::tests(),
        asks::tests(),
        terminal::tests(),
        sudo_rs::tests(),
        containers::tests(),
        docker::tests(),
        buildah::tests(),
        lxc::tests(),
        lxd::tests(),
        machines::tests(),
        pods::tests(),
        cluster::tests(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let verdict = ground::verdict();
    let (Ok(said) | Err(said)) = &verdict;
    println!("NOTE: {said}; {STAND_INS}");
    if verdict.is_ok() { conclusion.exit_code() } else { ExitCode::FAILURE }
}

/// A test that must leave nothing behind. What it needs and cannot have is the reason not to run it.
fn trial(name: &'static str, test: fn() -> Result<(), far::Missing>) -> Trial {
    Trial::test(name, move || {
        let (watch, before) = (Watch::begin(), of_far_sides());
        let ran = std::thread::Builder::new().name(name.to_owned()).spawn(move || ground::play(test))?.join();
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(missing)) => println!("SKIPPED {name}: {missing}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        watch.end();
        let left: Vec<_> = of_far_sides().difference(&before).cloned().collect();
        assert!(left.is_empty(), "what far sides had is still there: {left:?}");
        Ok(())
    })
}

/// How the folders begin that far sides have.
const FOLDERS: [&str; 9] =
    ["buildah-", "docker-", "far-", "home-", "lxc-", "lxd-", "podman-", "root-", "sudo-rs-"];

/// The folders of far sides, and what is mounted in them.
fn of_far_sides() -> BTreeSet<String> {
    let temp = env::temp_dir();
    let names = fs::read_dir(&temp).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let folders = names.filter(|name| FOLDERS.iter().any(|front| name.starts_with(front)));
    let fronts = FOLDERS.map(|front| temp.join(front).display().to_string());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4).map(str::to_owned));
    let mounted = points.filter(|point| fronts.iter().any(|front| point.starts_with(front)));
    folders.chain(mounted).collect()
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
