//! The smallest whole program: one binary that is both the root and its child.
//!
//! `cargo run -p offshoot-parent --example hello`

#![allow(clippy::print_stdout)]

use offshoot_parent::prelude::*;

const GREET: Function<String, String> = Function::new("greet");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let functions =
        Functions::new().serve(GREET, |call, who| format!("hello {who}, from context {}", call.here().id()));
    offshoot_parent::run(functions, || {
        // What the child prints comes as records of the `log` crate: a logger for level info, set here, would show it.
        let router = Router::new()?;
        let child = router.connect(Local::new(Payload::this_program()).name("child"))?;
        println!("{}", child.call(GREET, "tree".into())?);
        println!("{}", router.tree());
        Ok(())
    })
}
