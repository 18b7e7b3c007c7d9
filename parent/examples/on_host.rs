//! A child on another host: `cargo run --example on_host -- web1 target/payloads/leaf`. A configuration of ssh may be
//! named behind that. The payload is the reference leaf, which `cargo xtask payload` builds.

#![allow(clippy::print_stdout)]

use std::{error::Error, time::Instant};

use offshoot_parent::prelude::*;

/// Served by the reference leaf.
const ADD: Function<(i64, i64), i64> = Function::new("add");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().ok_or("which host?")?;
    let payload = args.next().unwrap_or_else(|| "target/payloads/leaf".to_owned());
    let mut method = Ssh::new(&host).payload(Payload::file(payload)?);
    if let Some(config) = args.next() {
        method = method.config(config);
    }

    let router = Router::new()?;
    let start = Instant::now();
    let there = router.connect(method)?;
    println!("{there} is up after {:?}", start.elapsed());
    println!("2 + 3 = {}, there", there.call(ADD, (2, 3))?);
    let start = Instant::now();
    for n in 0..100 {
        there.call(ADD, (n, 1))?;
    }
    println!("a call takes {:?}", start.elapsed() / 100);
    println!("{}", router.tree());
    Ok(())
}
