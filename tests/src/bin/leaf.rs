//! A leaf for the tests with real processes.
#![forbid(unsafe_code)]

fn main() -> ! {
    offshoot_core::Child::new().functions(offshoot_tests::real::table::functions()).run()
}
