//! The reference leaf: the smallest payload that does something, linking `offshoot-core` alone.
//!
//! Build it as a payload with `cargo xtask payload`; a program connects to it with
//! `router.connect(Local::new(Payload::file("target/payloads/leaf")?))`.

use offshoot_core::{Child, Function};

/// The length of a text in bytes.
const LENGTH: Function<String, u64> = Function::new("length");
/// The sum of two numbers.
const ADD: Function<(i64, i64), i64> = Function::new("add");

fn main() -> ! {
    Child::new().serve(LENGTH, |_call, text| text.len() as u64).serve(ADD, |_call, (a, b)| a + b).run()
}
