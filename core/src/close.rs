//! The end of a child process: its phases, its graces, and the only call of `exit`.

use std::{
    fmt,
    io::Write as _,
    process,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Signal, getpid, kill_process};

use crate::{
    ever::Ever,
    here::Here,
    shared::Shared,
    sync::{self, later, lock, rest},
};

/// What a context that has lost its parent may take to end, with all that is below it.
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// Between SIGTERM and SIGKILL to such a one: all below a killed root is gone within two seconds.
const ORPHAN_KILL: Duration = Duration::from_millis(500);

/// What user code wants done, once, when the parent is lost.
pub(crate) struct Hook {
    grace: Duration,
    run: Box<dyn FnOnce() + Send>,
}

/// Whether this program wants anything done: most do not, and carry no code for it.
static HOOKS: Ever = Ever::new();

impl Hook {
    pub(crate) fn new(grace: Duration, run: Box<dyn FnOnce() + Send>) -> Self {
        HOOKS.begin();
        Self { grace, run }
    }
}

/// How a child process ends. A root has none: its program goes on.
pub(crate) struct Life {
    /// Between SIGTERM and SIGKILL to the own process.
    grace: Duration,
    phase: Mutex<Phase>,
    changed: Condvar,
}

enum Phase {
    Running(Option<Hook>),
    Ending(Ending),
}

#[derive(Clone, Copy, Debug)]
struct Ending {
    why: Why,
    /// When the main thread goes, whatever is left to do.
    leave_at: Instant,
    /// When everything must be done; SIGTERM follows.
    deadline: Instant,
    /// When SIGKILL follows.
    kill_at: Instant,
    was_terminated: bool,
    hook_runs: bool,
}

/// Why a context ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was told to.
    Told,
    /// Its parent is gone.
    Orphaned,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("grace", &self.grace).finish_non_exhaustive()
    }
}

impl Life {
    pub(crate) fn new(grace: Duration, hook: Option<Hook>) -> Arc<Self> {
        Arc::new(Self { grace, phase: Mutex::new(Phase::Running(hook)), changed: Condvar::new() })
    }

    /// The time that an orphan has.
    pub(crate) fn orphan_grace(&self) -> Duration {
        match &*lock(&self.phase) {
            Phase::Running(Some(hook)) if HOOKS.began() => hook.grace.max(ORPHAN_GRACE),
            Phase::Running(_) | Phase::Ending(_) => ORPHAN_GRACE,
        }
    }

    /// The end begins. A second reason never gives more time.
    pub(crate) fn begin(self: &Arc<Self>, why: Why, left: Duration) {
        let deadline = later(left);
        let kill_at = deadline
            + match why {
                Why::Told => self.grace,
                Why::Orphaned => self.grace.min(ORPHAN_KILL),
            };
        let mut phase = lock(&self.phase);
        let hook = match &mut *phase {
            Phase::Running(hook) => hook.take().filter(|_| HOOKS.began() && why == Why::Orphaned),
            Phase::Ending(ending) => {
                ending.kill_at = ending.kill_at.min(kill_at);
                if deadline < ending.deadline {
                    (ending.deadline, ending.leave_at) = (deadline, before(deadline));
                    self.changed.notify_all();
                }
                return;
            }
        };
        let hook_runs = hook.is_some();
        let leave_at = before(deadline);
        *phase = Phase::Ending(Ending { why, leave_at, deadline, kill_at, was_terminated: false, hook_runs });
        drop(phase);
        self.changed.notify_all();
        if let Some(hook) = hook {
            self.run_hook(hook);
        }
    }

    /// User code: not on the broker, which begins the end.
    fn run_hook(self: &Arc<Self>, hook: Hook) {
        /// Tells the end of the hook even if it panics.
        struct Done(Arc<Life>);
        impl Drop for Done {
            fn drop(&mut self) {
                if let Phase::Ending(ending) = &mut *lock(&self.0.phase) {
                    ending.hook_runs = false;
                }
                self.0.changed.notify_all();
            }
        }
        let done = Done(Arc::clone(self));
        let body = move || {
            let _done = done;
            (hook.run)();
        };
        // Where no thread can be had, dropping the closure says that it is done.
        drop(sync::spawn("offshoot-orphan", Box::new(body)));
    }

    /// When [`judge`](Self::judge) has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match &*lock(&self.phase) {
            Phase::Running(_) => None,
            Phase::Ending(ending) if ending.was_terminated => Some(ending.kill_at),
            Phase::Ending(ending) => Some(ending.deadline),
        }
    }

    /// On the broker: the main thread has not returned in its time, so the process is made to end.
    pub(crate) fn judge(&self, now: Instant) {
        let mut phase = lock(&self.phase);
        let Phase::Ending(ending) = &mut *phase else { return };
        let signal = if now >= ending.kill_at {
            Signal::KILL
        } else if now >= ending.deadline && !ending.was_terminated {
            ending.was_terminated = true;
            Signal::TERM
        } else {
            return;
        };
        drop(phase);
        // A process may always signal itself.
        let _ = kill_process(getpid(), signal);
    }

    /// Waits until it is known why this process ends; `None` if its broker has stopped without a word.
    fn wait_for_ending(&self, is_stopped: impl Fn() -> bool) -> Option<Why> {
        let mut phase = lock(&self.phase);
        loop {
            match &mut *phase {
                Phase::Ending(ending) => {
                    // Of what its last call has left to it.
                    ending.leave_at = before(ending.deadline);
                    return Some(ending.why);
                }
                Phase::Running(_) if is_stopped() => return None,
                // Notified when the end begins, which the machine knows a moment earlier, and when the broker stops.
                Phase::Running(_) => phase = rest(&self.changed, phase, None),
            }
        }
    }

    /// The broker has stopped.
    pub(crate) fn stopped(&self) {
        // Under the lock: whoever has just looked is asleep before this is told.
        let _phase = lock(&self.phase);
        self.changed.notify_all();
    }

    /// When the main thread goes.
    fn leave_at(&self) -> Instant {
        match &*lock(&self.phase) {
            Phase::Ending(ending) => ending.leave_at,
            Phase::Running(_) => Instant::now(),
        }
    }

    /// Waits for what user code does about a lost parent.
    fn wait_for_hook(&self) {
        let mut phase = lock(&self.phase);
        while HOOKS.began()
            && let Phase::Ending(Ending { hook_runs: true, leave_at, .. }) = *phase
            && Instant::now() < leave_at
        {
            // Notified when the hook has returned, and when there is less time.
            phase = rest(&self.changed, phase, Some(leave_at));
        }
    }
}

/// Some time before a deadline: the exit must come before the broker's SIGTERM.
fn before(deadline: Instant) -> Instant {
    let margin = deadline.saturating_duration_since(Instant::now()) / 16;
    deadline.checked_sub(margin).unwrap_or(deadline)
}

/// On the main thread, after its last call: hands on what is held, and ends the process.
pub(crate) fn finish<R: Here>(shared: &Shared<R>, life: &Life) -> ! {
    // A broker that has panicked leaves nothing to wait for.
    let Some(why) = life.wait_for_ending(|| shared.is_stopped()) else { exit(Code::Broken) };
    life.wait_for_hook();
    shared.wait_for_workers(|| life.leave_at());
    if let Some(hooks) = shared.hooks() {
        hooks.finish(life.leave_at());
    }
    // Whoever reads our stdout may be gone; what matters is that it is not lost in our own buffer.
    drop(std::io::stdout().flush());
    shared.drain_stdio();
    if why == Why::Told {
        shared.sink.flush(life.leave_at());
        shared.wait_until_quiet(life.leave_at());
    }
    exit(match why {
        Why::Told => Code::Ended,
        Why::Orphaned => Code::Orphaned,
    })
}

/// With what status a child ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    /// It was told to.
    Ended = 0,
    /// Its parent is gone.
    Orphaned = 1,
    /// It was started by something that is no parent.
    Misused = 2,
    /// It could not be set up, or its broker has panicked.
    Broken = 70,
}

#[expect(clippy::disallowed_methods, reason = "this is where a context ends")]
pub(crate) fn exit(code: Code) -> ! {
    process::exit(code as i32)
}
