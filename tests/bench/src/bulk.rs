//! How many bytes go one way in a second, in messages of 128 KiB and under flow control.

use anyhow::{Result, ensure};
use offshoot_bench::table::{SINK, SOURCE};
use offshoot_parent::prelude::*;

use crate::{
    bench::Bench,
    harness::{Turns, seconds},
    limits::{OneWay, Way},
    peers::tarpc::Tarpc,
    report::Line,
    tree,
};

pub(crate) const ROWS: &[&str] = &[
    "bulk.leaf.up",
    "bulk.leaf.up.tarpc",
    "bulk.leaf.up.mitogen",
    "bulk.leaf.up.execnet",
    "bulk.leaf.down",
    "bulk.leaf.down.tarpc",
    "bulk.leaf.down.mitogen",
    "bulk.leaf.down.execnet",
    "bulk.hop1.up",
    "bulk.hop1.up.mitogen",
    "bulk.hop1.up.execnet",
    "bulk.hop1.down",
    "bulk.hop1.down.mitogen",
    "bulk.hop1.down.execnet",
];

pub(crate) const MESSAGE: usize = 128 * 1024;

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (bytes, less) = (bench.amount(512 << 20), bench.amount(64 << 20));
    let router = Router::new()?;
    let (mitogen, execnet) = (bench.python("mitogen")?, bench.python("execnet")?);
    let tarpc = Tarpc::start()?;
    let (router, tarpc) = (&router, &tarpc);
    let mut turns = Turns::default();
    let mut ids = Vec::new();
    for (hops, name) in [(0, "leaf"), (1, "hop1")] {
        let leaf = tree::leaf_behind(router, hops, &bench.programs)?;
        for way in Way::BOTH {
            let leaf = leaf.clone();
            let mut bare = OneWay::new(hops, way, MESSAGE)?;
            let ours = turns.add(move || megabytes(router, &leaf, way, bytes));
            let bare = turns.add(move || bare.megabytes(bytes));
            let theirs = [("Mitogen", &mitogen), ("execnet", &execnet)].map(|(peer, python)| {
                (peer, turns.ask(python, format!("bulk {hops} {} {MESSAGE} {}", way.name(), less / MESSAGE)))
            });
            let tarpc = (hops == 0).then(|| turns.add(move || tarpc.megabytes(way, bytes, MESSAGE)));
            ids.push((hops, format!("bulk.{name}.{}", way.name()), ours, bare, theirs, tarpc));
        }
    }
    let mut measured = turns.run(bench.rounds)?;
    for (hops, name, ours, bare, theirs, tarpc) in ids {
        let ours = measured.take(ours);
        let line = |suffix: &str| Line::new(format!("{name}{suffix}"), "MB/s", &ours);
        let (shape, target) = if hops == 0 { ("socketpair", 0.8) } else { ("relay", 0.85) };
        bench.emit(line("").against(shape, &measured.take(bare)).at_least_times(target))?;
        if let Some(tarpc) = tarpc {
            bench.emit(line(".tarpc").against("tarpc, 8 in flight", &measured.take(tarpc)))?;
        }
        for (peer, id) in theirs {
            let suffix = format!(".{}", peer.to_lowercase());
            bench.emit(line(&suffix).against(peer, &measured.take(id)).above())?;
        }
    }
    Ok(())
}

/// Megabytes (of 10^6) a second through a stream; ends when the receiver has them all.
pub(crate) fn megabytes(router: &Router, leaf: &Context, way: Way, bytes: usize) -> Result<f64> {
    let count = bytes / MESSAGE;
    let message = Blob::from(vec![7; MESSAGE]);
    let mut got = 0;
    let all = seconds(|| {
        match way {
            Way::Up => {
                for message in leaf.call(SOURCE, (count as u64, MESSAGE as u64))? {
                    got += message?.len() as u64;
                }
            }
            Way::Down => {
                let (sender, receiver) = router.channel();
                let sink = leaf.call_async(SINK, receiver);
                for _ in 0..count {
                    sender.send(message.clone())?;
                }
                drop(sender);
                got = sink.wait()?;
            }
        }
        Ok(())
    })?;
    ensure!(got == bytes as u64, "{got} of {bytes} bytes have come");
    Ok(bytes as f64 / 1e6 / all)
}
