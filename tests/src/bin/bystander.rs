//! A root with one leaf, which nobody attacks: for each number that it is told its leaf calls it so often, and it says
//! how many microseconds each call took. Its argument is the program of the leaf.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "that is how it tells")]

use std::io::{self, BufRead as _};

use anyhow::{Context as _, Result};
use offshoot_parent::prelude::*;
use offshoot_tests::real::{
    PATIENCE,
    flows::{PROBE, TAKE},
};

fn main() -> Result<()> {
    let leaf = std::env::args().nth(1).context("it is told which program its leaf is")?;
    let functions = Functions::new().serve_to(Policy::Anyone, TAKE, |_, number| number);
    let router = Router::builder().functions(functions).workers(4).build()?;
    let leaf = router.connect(Local::new(Payload::file(leaf)?).name("leaf"))?;
    for calls in io::stdin().lock().lines() {
        let took = leaf.with_timeout(PATIENCE).call(PROBE, calls?.parse()?)?;
        println!("{}", took.iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
