//! Tests that must leave nothing behind.

use std::{panic, thread};

use libtest_mimic::Trial;

use super::{Watch, ground};

/// A test that must leave nothing behind. It has a thread of its own, whose descriptor to sleep on goes with it.
pub fn trial(name: &'static str, test: fn()) -> Trial {
    Trial::test(name, move || {
        let watch = Watch::begin();
        let ran = thread::Builder::new().name(name.to_owned()).spawn(move || ground::play(test))?.join();
        if let Err(panic) = ran {
            panic::resume_unwind(panic);
        }
        watch.end();
        Ok(())
    })
}

/// The tests of a module, by name, each a [`trial`](crate::real::trial()).
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::real::trial(stringify!($name), $name)),*]
        }
    };
}
