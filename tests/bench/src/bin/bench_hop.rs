//! The hop of the bench: a child that has children.
#![forbid(unsafe_code)]

fn main() -> ! {
    offshoot_parent::Hop::new().functions(offshoot_bench::table::functions()).run()
}
