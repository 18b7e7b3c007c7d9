//! A root that grows a tree four levels deep, tells the processes of it, and waits to be killed.
//!
//! `grow PING_MS [spin] PAYLOAD...`: below each of the root and three hops in a chain comes a leaf of each payload; with
//! `spin` the leaves never come back from a call. One pid a line is printed, then an empty one.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{env, thread, time::Duration};

use offshoot_parent::prelude::*;
use offshoot_tests::real::table::{self, SPIN};

fn main() {
    offshoot_parent::run(table::functions(), || {
        let mut args = env::args().skip(1).peekable();
        let ping = Duration::from_millis(args.next().unwrap().parse().unwrap());
        let spin = args.next_if_eq("spin").is_some();
        let payloads: Vec<_> = args.map(|file| Payload::file(file).unwrap()).collect();
        let router = Router::builder().ping(ping).build().unwrap();
        let mut parents = vec![router.here()];
        let mut leaves = Vec::new();
        for level in 1..=4 {
            let parent = parents.last().unwrap().clone();
            leaves
                .extend(payloads.iter().map(|payload| parent.connect(Local::new(payload.clone())).unwrap()));
            if level < 4 {
                let hop = Local::new(Payload::this_program()).name(format!("hop{level}"));
                parents.push(parent.connect(hop).unwrap());
            }
        }
        if spin {
            leaves.iter().for_each(|leaf| leaf.call_no_reply(SPIN, ()).unwrap());
        }
        for node in router.tree().iter().skip(1) {
            println!("{}", node.pid().unwrap());
        }
        println!();
        loop {
            thread::park();
        }
    });
}
