//! The leaf payload of `cargo xtask demo`.

#[path = "demo/functions.rs"]
mod functions;

fn main() -> ! {
    offshoot_core::Child::new().functions(functions::functions()).run()
}
