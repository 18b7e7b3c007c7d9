//! Who reads and who writes a link, and how a context ends, under loom: every order of the steps, and for each rule a
//! mistake that must be found.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p offshoot-core --release --test model`; in a target folder of its own it leaves
//! the other builds alone. `LOOM_MAX_PREEMPTIONS` (2 unless set) says how deep it goes. The files under test are taken
//! in by themselves, with loom's locks in place of the crate's.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

#[path = "../../src/crew.rs"]
mod crew;
mod ending;
#[path = "../../src/flaw.rs"]
mod flaw;
mod reading;
#[path = "../../src/link/token.rs"]
mod token;
#[path = "../../src/link/turn.rs"]
mod turn;
mod writing;

use std::{env, process::Command};

use flaw::Flaw;

/// The locks of the crate, by loom.
mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

/// Which mistake is made.
mod model {
    use std::{env, sync::OnceLock};

    use crate::flaw::Flaw;

    /// The environment variable that names the one mistake to make, as `Flaw`'s `Debug` does.
    pub(crate) const FLAW: &str = "CORE_FLAW";

    pub(crate) fn has(flaw: Flaw) -> bool {
        static MADE: OnceLock<Option<String>> = OnceLock::new();
        let made = MADE.get_or_init(|| env::var(FLAW).ok());
        made.as_ref().is_some_and(|made| *made == format!("{flaw:?}"))
    }
}

/// Runs the model in every order, of at most two preemptions if not said otherwise.
///
/// What the models count by std, since what loom counts is one more step to try in every order.
fn holds(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.check(model);
}

/// Runs the test of that name with a mistake built in, which it must not survive.
///
/// In a process of its own: loom cannot unwind out of every deadlock that it finds.
fn finds(flaw: Flaw, test: &str) {
    let mut again = Command::new(env::current_exe().unwrap());
    let run = again.args(["--exact", test]).env(model::FLAW, format!("{flaw:?}")).output().unwrap();
    let said = String::from_utf8([run.stderr, run.stdout].concat()).unwrap();
    assert!(!run.status.success(), "{test} passes with {flaw:?}: {said}");
    assert!(said.contains(&format!("thread '{test}'")) && said.contains("panicked"), "{said}");
}
