//! Does one thing so many times, for `cargo xtask bench instructions` to count what one of them takes.
//!
//! `count call N LEAF [HOP...]` calls a leaf behind these hops, one call after the other, `count flight` with many in
//! flight; `count latch N` puts and gets on one thread.
#![forbid(unsafe_code)]

use std::{collections::VecDeque, env, hint::black_box};

use anyhow::{Context as _, Result, bail, ensure};
use offshoot_latch::Latch;
use offshoot_parent::prelude::*;

/// Function of the reference leaf.
const ADD: Function<(i64, i64), i64> = Function::new("add");

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["call", n, leaf, hops @ ..] => call(n.parse()?, leaf, hops),
        ["flight", n, leaf, hops @ ..] => flight(n.parse()?, leaf, hops),
        ["latch", n] => latch(n.parse()?),
        other => bail!("nothing is counted by {other:?}"),
    }
}

/// Calls that are in flight at a time.
const IN_FLIGHT: usize = 256;

fn call(n: i64, leaf: &str, hops: &[&str]) -> Result<()> {
    let router = Router::new()?;
    let leaf = connect(&router, leaf, hops)?;
    for number in 0..n {
        ensure!(leaf.call(ADD, (number, 1))? == number + 1, "the leaf cannot add");
    }
    Ok(())
}

/// As soon as the oldest has ended, the next is made.
fn flight(n: i64, leaf: &str, hops: &[&str]) -> Result<()> {
    let router = Router::new()?;
    let leaf = connect(&router, leaf, hops)?;
    let mut open = VecDeque::new();
    let mut ended = 0..n;
    for number in 0..n {
        if open.len() == IN_FLIGHT {
            end(open.pop_front(), &mut ended)?;
        }
        open.push_back(leaf.call_async(ADD, (number, 1)));
    }
    open.into_iter().try_for_each(|call| end(Some(call), &mut ended))
}

fn end(call: Option<Pending<i64>>, numbers: &mut impl Iterator<Item = i64>) -> Result<()> {
    let (Some(call), Some(number)) = (call, numbers.next()) else { bail!("there is no call") };
    ensure!(call.wait()? == number + 1, "the leaf cannot add");
    Ok(())
}

fn connect(router: &Router, leaf: &str, hops: &[&str]) -> Result<Context> {
    let method = |file: &str| Ok::<_, offshoot_parent::PayloadError>(Local::new(Payload::file(file)?));
    let mut at = router.here();
    for hop in hops {
        at = at.connect(method(hop)?)?;
    }
    at.connect(method(leaf)?).context("the leaf")
}

fn latch(n: u64) -> Result<()> {
    let latch = Latch::new();
    for number in 0..n {
        latch.put(black_box(number))?;
        black_box(latch.get()?);
    }
    Ok(())
}
