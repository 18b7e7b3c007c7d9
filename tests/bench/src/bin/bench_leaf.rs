//! The leaf of the bench.
#![forbid(unsafe_code)]

fn main() -> ! {
    offshoot_bench::answer_first_byte();
    offshoot_core::Child::new().functions(offshoot_bench::table::functions()).run()
}
