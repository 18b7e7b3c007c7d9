//! Has something run when a future has ended, without a thread that waits for it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll, Wake, Waker},
};

use crate::nursery::lock;

/// Runs `then` with the outcome of `future`, here if it has ended, else where that is woken: it must be short.
pub(crate) fn then<F>(future: F, then: impl FnOnce(F::Output) + Send + 'static)
where
    F: Future + Unpin + Send + 'static,
{
    Arc::new(Watched(Mutex::new(Some((future, then))))).look();
}

/// Gone once it has ended.
struct Watched<F, T>(Mutex<Option<(F, T)>>);

impl<F, T> Watched<F, T>
where
    F: Future + Unpin + Send + 'static,
    T: FnOnce(F::Output) + Send + 'static,
{
    fn look(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut held = lock(&self.0);
        let Some((future, _)) = held.as_mut() else { return };
        let Poll::Ready(outcome) = Pin::new(future).poll(&mut TaskContext::from_waker(&waker)) else {
            return;
        };
        let ended = held.take();
        drop(held);
        if let Some((_, then)) = ended {
            then(outcome);
        }
    }
}

impl<F, T> Wake for Watched<F, T>
where
    F: Future + Unpin + Send + 'static,
    T: FnOnce(F::Output) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.look();
    }
}
