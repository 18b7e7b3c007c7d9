//! A leaf for the tests with real processes; one that does not go on SIGTERM where its environment says so.
#![forbid(unsafe_code)]

use std::sync::{Arc, atomic::AtomicBool};

use offshoot_core::Child;
use offshoot_tests::{
    real::{Signal, table},
    soak,
};

fn main() -> ! {
    let child = Child::new();
    if std::env::var_os("LEAF_IS_STUBBORN").is_some() {
        // Whoever has a handler for it is not ended by it.
        let noticed = Arc::new(AtomicBool::new(false));
        if signal_hook::flag::register(Signal::TERM.as_raw(), noticed).is_err() {
            std::process::abort();
        }
    }
    child.functions(table::functions().and(soak::functions())).run()
}
