//! The workers of a context: whom a call that comes wakes, and when all of them may go, once the end has begun.

use crate::flaw::{Flaw, has};

/// Who has nothing to do, and who waits for those that have.
///
/// It lies under the lock under which calls come and the end begins. Whoever is named by it is woken after that, and
/// looks again.
pub(crate) struct Crew<L> {
    /// Workers that wait for a call; the one that reads the link to the parent is the last, and served first.
    idle: Vec<(usize, L)>,
    /// Who waits until no call runs.
    waiter: Option<L>,
}

/// The calls that wait and those that run.
pub(crate) trait Calls {
    type Call;
    /// A worker holds no call any more.
    fn release(&mut self, worker: usize);
    /// The next call, from now on held by that worker.
    fn take(&mut self, worker: usize) -> Option<Self::Call>;
    /// Whether a worker holds a call.
    fn are_running(&self) -> bool;
    /// Whether no more will come.
    fn are_over(&self) -> bool;
}

/// What a worker does next.
#[derive(Debug)]
pub(crate) enum Next<C, L> {
    Run(C),
    /// Sleep, and look again when it is woken.
    Wait,
    /// Go, and wake whoever waited for the last call to end.
    Go(Option<L>),
}

/// A worker that looks for a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worker<'a, L> {
    pub(crate) number: usize,
    pub(crate) listener: &'a L,
    /// It reads the link to the parent while it waits.
    pub(crate) reads: bool,
}

impl<L: Clone> Crew<L> {
    pub(crate) const fn new() -> Self {
        Self { idle: Vec::new(), waiter: None }
    }

    /// What a worker does that has no call any more, if it had one.
    pub(crate) fn look<C: Calls>(&mut self, worker: Worker<'_, L>, calls: &mut C) -> Next<C::Call, L> {
        let number = worker.number;
        self.idle.retain(|(idle, _)| *idle != number);
        if !has(Flaw::GoHolding) {
            calls.release(number);
        }
        if has(Flaw::GoBeforeTheLast) && calls.are_over() {
            return self.go(calls);
        }
        // First, whether the end has begun or not: what came before it is run.
        if let Some(call) = calls.take(number) {
            return Next::Run(call);
        }
        if calls.are_over() {
            return self.go(calls);
        }
        let entry = (number, worker.listener.clone());
        if has(Flaw::WaitUnlisted) {
            return Next::Wait;
        }
        if worker.reads {
            self.idle.push(entry);
        } else {
            self.idle.insert(0, entry);
        }
        Next::Wait
    }

    fn go<C: Calls>(&mut self, calls: &C) -> Next<C::Call, L> {
        let is_last = !calls.are_running() && !has(Flaw::GoSilently);
        Next::Go(self.waiter.take_if(|_| is_last))
    }

    /// A call has come: whom to wake. Without one that is idle, the first worker that has done its work looks.
    pub(crate) fn call_ready(&mut self) -> Option<L> {
        self.idle.pop().map(|(_, listener)| listener)
    }

    /// Whether no call runs; else `listener` is woken when that may be so.
    pub(crate) fn is_done(&mut self, listener: &L, calls: &impl Calls) -> bool {
        let is_done = !calls.are_running();
        self.waiter = (!is_done).then(|| listener.clone());
        is_done
    }

    /// No call will come any more, or all is over: everybody who is to be woken.
    pub(crate) fn dismiss(&mut self) -> Vec<L> {
        let mut all = Vec::new();
        while let Some((_, idle)) = self.idle.pop() {
            all.push(idle);
            if has(Flaw::DismissOne) {
                break;
            }
        }
        all.extend(self.waiter.take());
        all
    }
}
