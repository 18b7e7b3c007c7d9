//! The leaf whose size is kept: one function, and everything that every leaf has.
//!
//! `cargo xtask payload` says how large it is in each profile.

use offshoot_core::{Child, Function};

/// The length of a text in bytes.
const LENGTH: Function<String, u64> = Function::new("length");

fn main() -> ! {
    Child::new().serve(LENGTH, |_call, text| text.len() as u64).run()
}
