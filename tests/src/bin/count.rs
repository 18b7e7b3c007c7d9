//! Does one thing so many times, for `cargo xtask bench instructions` to count what one of them takes.
//!
//! `count call N LEAF [HOP...]` calls a leaf behind these hops; `count latch N` puts and gets on one thread.
#![forbid(unsafe_code)]

use std::{env, hint::black_box};

use anyhow::{Context as _, Result, bail, ensure};
use offshoot_latch::Latch;
use offshoot_parent::prelude::*;

/// Function of the reference leaf.
const ADD: Function<(i64, i64), i64> = Function::new("add");

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["call", n, leaf, hops @ ..] => call(n.parse()?, leaf, hops),
        ["latch", n] => latch(n.parse()?),
        other => bail!("nothing is counted by {other:?}"),
    }
}

fn call(n: i64, leaf: &str, hops: &[&str]) -> Result<()> {
    let router = Router::new()?;
    let method = |file: &str| Ok::<_, offshoot_parent::PayloadError>(Local::new(Payload::file(file)?));
    let mut at = router.here();
    for hop in hops {
        at = at.connect(method(hop)?)?;
    }
    let leaf = at.connect(method(leaf)?).context("the leaf")?;
    for number in 0..n {
        ensure!(leaf.call(ADD, (number, 1))? == number + 1, "the leaf cannot add");
    }
    Ok(())
}

fn latch(n: u64) -> Result<()> {
    let latch = Latch::new();
    for number in 0..n {
        latch.put(black_box(number))?;
        black_box(latch.get()?);
    }
    Ok(())
}
