//! Worker threads: each takes the next call, in order of arrival, and runs it.

use std::{io, sync::Arc};

use crate::{Functions, dispatch, here::Here, lease::Lease, node::Pace, shared::Shared, sync};

/// Runs calls on this thread until the context ends.
///
/// A worker without a call reads the link to the parent, if nobody else does: so a call need not be handed over.
pub(crate) fn serve<R: Here>(shared: &Arc<Shared<R>>, functions: &Functions, worker: usize) {
    let node = shared.node();
    let mut lease = None;
    while let Some((call, taken_at)) = shared.next_call(&node, worker, lease.take()) {
        let loan = dispatch::run(&node, functions, call, Pace::Since(taken_at));
        lease = loan.map(|loan| Lease::new(&node, loan));
    }
}

/// Starts a thread for each worker from `first` on, of `count` in all.
///
/// # Errors
/// A thread cannot be started; those that were go on.
pub fn spawn<R: Here>(
    shared: &Arc<Shared<R>>,
    functions: &Functions,
    first: usize,
    count: usize,
) -> io::Result<()> {
    shared.set_workers(count);
    for worker in first..count {
        let (shared, functions) = (Arc::clone(shared), functions.clone());
        // It ends by itself once the context does; a handler that never returns cannot be made to.
        let body = move || serve(&shared, &functions, worker);
        drop(sync::spawn(&format!("offshoot-worker-{worker}"), Box::new(body))?);
    }
    Ok(())
}
