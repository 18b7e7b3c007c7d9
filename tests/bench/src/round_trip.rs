//! How long a call takes that does nothing, from one to three hops away.

use anyhow::Result;
use offshoot_bench::table::NOOP;
use offshoot_core::wire::{CallHead, HEADER_LEN, ReplyHead, codec};
use offshoot_parent::prelude::*;

use crate::{
    bench::{Bench, Cpus},
    harness::Turns,
    limits::PingPong,
    peers::{remoc::Remoc, tarpc::Tarpc},
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "round_trip.leaf",
    "round_trip.leaf.mitogen",
    "round_trip.leaf.execnet",
    "round_trip.leaf.tarpc",
    "round_trip.leaf.remoc",
    "round_trip.hop1",
    "round_trip.hop1.mitogen",
    "round_trip.hop1.execnet",
    "round_trip.hop3",
    "round_trip.hop3.mitogen",
];

/// Hops between, with the name of the row.
const PLACES: [(usize, &str); 3] = [(0, "leaf"), (1, "hop1"), (3, "hop3")];

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (n, few) = (bench.amount(8000), bench.amount(800));
    let router = Router::new()?;
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let (tarpc, remoc) = (Tarpc::start()?, Remoc::start()?);
    let (call, reply) = frame_sizes()?;
    let mut turns = Turns::default();
    let mut ids = Vec::new();
    for (hops, name) in PLACES {
        let leaf = tree::leaf_behind(&router, hops, &bench.programs)?;
        let mut bare = PingPong::new(hops, call, reply)?;
        let ours = turns.add(move || tree::round_trips(&leaf, n));
        let bare = turns.add(move || bare.round_trips(n));
        let mitogen = turns.ask(&mitogen, format!("round_trip {hops} {few}"));
        let execnet = (hops < 2).then(|| turns.ask(&execnet, format!("round_trip {hops} {few}")));
        ids.push((hops, name, ours, bare, mitogen, execnet));
    }
    let (tarpc, remoc) = (turns.add(|| tarpc.round_trips(n)), turns.add(|| remoc.round_trips(n)));
    let mut measured = turns.run(bench.rounds)?;
    let (tarpc, remoc) = (measured.take(tarpc), measured.take(remoc));
    for (hops, name, ours, bare, mitogen, execnet) in ids {
        let ours = measured.take(ours);
        let line = |suffix: &str| Line::new(format!("round_trip.{name}{suffix}"), "us", &ours);
        let target = match (hops, bench.cpus) {
            (0, Cpus::One) => 1.6,
            (0, Cpus::Free) => 1.3,
            _ => 1.4,
        };
        let shape = if hops == 0 { "socketpair + epoll" } else { "epoll relays" };
        bench.emit(line("").against(shape, &measured.take(bare)).at_most_times(target))?;
        bench.emit(line(".mitogen").against("Mitogen", &measured.take(mitogen)).below())?;
        if let Some(execnet) = execnet {
            bench.emit(line(".execnet").against("execnet", &measured.take(execnet)).below())?;
        }
        if hops == 0 {
            bench.emit(line(".tarpc").against("tarpc, one thread", &tarpc))?;
            bench.emit(line(".remoc").against("remoc, one thread", &remoc))?;
        }
    }
    Ok(())
}

/// The bytes that one call of [`NOOP`] and its answer take on a link.
pub(crate) fn frame_sizes() -> Result<(usize, usize)> {
    let head =
        CallHead { function: NOOP.name().into(), left_ms: None, above: vec![], chain: None, ends: vec![] };
    let mut call = codec::encode(&head)?;
    codec::encode_into(&(), &mut call)?;
    let mut reply = codec::encode(&ReplyHead::Value(vec![]))?;
    codec::encode_into(&(), &mut reply)?;
    Ok((HEADER_LEN + call.len(), HEADER_LEN + reply.len()))
}
