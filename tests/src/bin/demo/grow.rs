//! The tree of the demo: a chain of three hops, a leaf at its end, and twenty leaves beside them.

use std::time::{Duration, Instant};

use offshoot_parent::prelude::*;
use serde_json::json;

use crate::{Options, say::Say};

/// The contexts of the tree.
pub(crate) struct Grown {
    /// The chain, from the root down.
    pub(crate) hops: Vec<Context>,
    /// The leaf at the end of the chain: four levels below the root.
    pub(crate) deep: Context,
    /// Twenty leaves, five at the root and five at each hop.
    pub(crate) leaves: Vec<Context>,
}

impl Grown {
    /// Every context but the root.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Context> {
        self.hops.iter().chain([&self.deep]).chain(&self.leaves)
    }
}

/// Grows the tree, telling each context as it comes.
pub(crate) fn grow(router: &Router, options: &Options, say: &mut Say) -> anyhow::Result<Grown> {
    let hop = Payload::file(&options.hop)?;
    let leaf = Payload::file(&options.leaf)?;
    let mut parents = vec![router.here()];
    for level in 1..=3 {
        let name = format!("hop{level}");
        let child = made(say, &parents[level - 1], Local::new(hop.clone()).name(&name))?;
        parents.push(child);
    }
    let deep = made(say, &parents[3], Local::new(leaf.clone()).name("deep"))?;
    // All twenty at once: nobody waits for anybody.
    let start = Instant::now();
    let connecting: Vec<_> = (0..20)
        .map(|n| parents[n / 5].connect_async(Local::new(leaf.clone()).name(format!("leaf{n}"))))
        .collect();
    let leaves = connecting
        .into_iter()
        .map(|connecting| connecting.wait_timeout(Duration::from_secs(30)))
        .collect::<Result<Vec<_>, _>>()?;
    let took = start.elapsed();
    say.good(
        &format!("20 leaves, five below each of the root and the hops, at once in {:.1} ms", ms(took)),
        json!({ "event": "leaves", "count": leaves.len(), "ms": ms(took) }),
    );
    Ok(Grown { hops: parents.split_off(1), deep, leaves })
}

fn made(say: &mut Say, parent: &Context, method: Local) -> anyhow::Result<Context> {
    let start = Instant::now();
    let child = parent.connect(method)?;
    let took = start.elapsed();
    say.good(
        &format!("{child} is context {}, made by {parent} in {:.1} ms", child.id(), ms(took)),
        json!({
            "event": "connected", "name": child.name(), "id": child.id().number(),
            "parent": parent.id().number(), "ms": ms(took),
        }),
    );
    Ok(child)
}

/// Milliseconds, for people.
pub(crate) fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
