//! Who waits for something, and how he is woken once no lock is held.

use std::{
    sync::Arc,
    task::{Context as TaskContext, Waker},
    time::Instant,
};

use offshoot_latch::{GetError, Latch, Sleeper};

use crate::{ever::Ever, lease, sync::contain};

static TASKS: Ever = Ever::new();

/// What must be done because something was waited for; see [`Wake::fire`].
#[must_use = "whoever waits sleeps on until this is fired"]
pub(crate) enum Wake {
    /// A thread sleeps in [`wait`].
    Thread(Arc<Bell>),
    /// A future of the user was polled.
    Task(Waker),
    /// Something of this crate goes on; it does not block and runs no user code.
    Run(Arc<dyn Run>),
    /// Several.
    All(Vec<Self>),
}

/// Work that was waiting for something to happen.
pub(crate) trait Run: Send + Sync {
    /// Does what can be done now. Called without a lock; never blocks and runs no user code.
    fn run(self: Arc<Self>);
}

impl Wake {
    /// Wakes. Never under a lock: the waker of a future is user code, and everybody woken looks at what is locked.
    pub(crate) fn fire(self) {
        match self {
            // Nobody closes a bell.
            Self::Thread(bell) => drop(bell.put(())),
            // It takes none of the others with it.
            Self::Task(waker) => contain(|| waker.wake(), |_| ()),
            Self::Run(work) => work.run(),
            Self::All(wakes) => wakes.into_iter().for_each(Self::fire),
        }
    }

    /// Whether firing it runs code of the user's, which the broker must leave to the sink thread.
    pub(crate) fn is_foreign(&self) -> bool {
        TASKS.began()
            && match self {
                Self::Task(_) => true,
                Self::Thread(_) | Self::Run(_) => false,
                Self::All(wakes) => wakes.iter().any(Self::is_foreign),
            }
    }
}

/// Whom to wake: what a poll leaves behind when there is nothing yet.
#[derive(Clone)]
pub(crate) enum Listener {
    Thread(Arc<Bell>),
    Task(Waker),
    Run(Arc<dyn Run>),
}

impl Listener {
    /// The task that polls. It may sleep next, nobody knows where.
    pub(crate) fn task(task: &TaskContext<'_>) -> Self {
        lease::let_go();
        TASKS.begin();
        Self::Task(task.waker().clone())
    }
}

impl From<Listener> for Wake {
    fn from(listener: Listener) -> Self {
        match listener {
            Listener::Thread(bell) => Self::Thread(bell),
            Listener::Task(waker) => Self::Task(waker),
            Listener::Run(work) => Self::Run(work),
        }
    }
}

/// What a thread sleeps on. A stale ring costs one look.
pub(crate) type Bell = Latch<()>;

thread_local! {
    static BELL: Arc<Bell> = Arc::default();
}

/// Blocks this thread until `poll` has a value; `None` once `deadline` has passed without one.
///
/// `poll` must leave the listener where it is woken when it returns `None`.
pub(crate) fn wait<T>(deadline: Option<Instant>, poll: impl FnMut(&Listener) -> Option<T>) -> Option<T> {
    wait_by(deadline, poll, |sleeper| sleep(sleeper, deadline))
}

/// Sleeps until woken or until `deadline`, and at times for less: for a thread that does nothing else meanwhile.
pub(crate) fn sleep(sleeper: &Sleeper, deadline: Option<Instant>) {
    lease::let_go();
    sleeper.sleep(deadline.as_ref());
}

/// As [`wait`], with the sleeping left to `rest`, which returns when the sleeper is woken, or earlier.
pub(crate) fn wait_by<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&Listener) -> Option<T>,
    mut rest: impl FnMut(&Sleeper),
) -> Option<T> {
    // A thread that is ending has no bell of its own any more.
    let bell = BELL.try_with(Arc::clone).unwrap_or_default();
    let listener = Listener::Thread(Arc::clone(&bell));
    loop {
        if let Some(value) = poll(&listener) {
            return Some(value);
        }
        // Rung by whoever fires the `Wake` made from our listener.
        let rung = bell.get_with(deadline, &mut rest);
        if rung == Err(GetError::TimedOut) {
            return poll(&listener);
        }
    }
}

/// All who wait for one thing, each under a ticket so that he can leave.
#[derive(Default)]
pub(crate) struct Waiters {
    last: u64,
    list: Vec<(u64, Listener)>,
}

/// A place among [`Waiters`], taken at the first poll that finds nothing.
pub(crate) type Ticket = Option<u64>;

impl Waiters {
    /// Puts `listener` in the place of `ticket`; the caller drops what stood there after it has unlocked.
    pub(crate) fn register(&mut self, ticket: &mut Ticket, listener: &Listener) -> Option<Listener> {
        let own = *ticket.get_or_insert_with(|| {
            self.last = self.last.wrapping_add(1);
            self.last
        });
        match self.list.iter_mut().find(|(at, _)| *at == own) {
            Some((_, place)) => Some(std::mem::replace(place, listener.clone())),
            None => {
                self.list.push((own, listener.clone()));
                None
            }
        }
    }

    /// Leaves; the caller drops what is returned after it has unlocked.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<Listener> {
        let at = self.list.iter().position(|(at, _)| Some(*at) == ticket)?;
        Some(self.list.swap_remove(at).1)
    }

    /// Everybody who waits, to be woken; they register anew if it was not for them.
    pub(crate) fn wake_all(&mut self) -> Option<Wake> {
        // Mostly there is one.
        if self.list.len() <= 1 {
            return self.list.pop().map(|(_, listener)| listener.into());
        }
        Some(Wake::All(
            std::mem::take(&mut self.list).into_iter().map(|(_, listener)| listener.into()).collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::task;

    use super::*;

    struct Panics;

    impl task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("so it is");
        }
    }

    #[test]
    fn a_waker_that_panics_takes_none_of_the_others_with_it() {
        let bell = Arc::<Bell>::default();
        let task = || Wake::Task(Waker::from(Arc::new(Panics)));
        Wake::All(vec![task(), task(), Wake::Thread(Arc::clone(&bell))]).fire();
        assert_eq!(bell.try_get(), Ok(()));
    }
}
