//! The parent payload of `cargo xtask demo`: as its leaf, and it can have children.

#![forbid(unsafe_code)]

#[path = "../../../../core/examples/demo/functions.rs"]
mod functions;

fn main() -> ! {
    offshoot_parent::Hop::new().functions(functions::functions()).run()
}
