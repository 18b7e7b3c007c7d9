//! Our side: a router with children in a line or side by side.

use std::path::Path;

use anyhow::{Context as _, Result};
use offshoot_bench::table::NOOP;
use offshoot_parent::prelude::*;

use crate::{bench::Programs, harness::micros_each};

/// A method that starts the program in this file.
pub(crate) fn local(program: &Path) -> Result<Local> {
    Ok(Local::new(Payload::file(program)?))
}

/// A leaf with so many hops between.
pub(crate) fn leaf_behind(router: &Router, hops: usize, programs: &Programs) -> Result<Context> {
    let mut at = router.here();
    for _ in 0..hops {
        at = at.connect(local(&programs.hop)?)?;
    }
    at.connect(local(&programs.leaf)?).context("the leaf")
}

/// So many children of the root, made at the same time.
pub(crate) fn children(router: &Router, n: usize, program: &Path) -> Result<Vec<Context>> {
    let method = local(program)?;
    let connecting: Vec<Connecting> = (0..n).map(|_| router.connect_async(method.clone())).collect();
    connecting.into_iter().map(|one| one.wait().context("a child")).collect()
}

/// Calls all, then waits for all.
pub(crate) fn broadcast(children: &[Context]) -> Result<()> {
    let pending: Vec<Pending<()>> = children.iter().map(|child| child.call_async(NOOP, ())).collect();
    pending.into_iter().try_for_each(|pending| Ok(pending.wait()?))
}

/// Ends all and waits until they are gone.
pub(crate) fn end(children: &[Context]) -> Result<()> {
    let ending: Vec<Shutdown> = children.iter().map(Context::shutdown).collect();
    ending.into_iter().try_for_each(|ending| Ok(ending.wait()?))
}

/// Microseconds a call that does nothing, one after the other.
pub(crate) fn round_trips(context: &Context, n: usize) -> Result<f64> {
    micros_each(n, || Ok(context.call(NOOP, ())?))
}
