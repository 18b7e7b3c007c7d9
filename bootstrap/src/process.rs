//! A child process that is always ended and always reaped.

use std::{
    io,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{ExitReport, guard::Guard, sys, terminal::Terminal};

/// How long a dropped process may take to go after SIGKILL, before it is left to init: only one that hangs in
/// the kernel takes so long.
const GOING: Duration = Duration::from_secs(1);

/// Owns a child process. Dropping it kills the process and waits until it has gone (within a second); give it to
/// a [`Reaper`](crate::Reaper) for a gentler end.
///
/// The process leads a process group of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Its number may belong to somebody else by now: it must not be signalled.
    gone: bool,
    /// That of its session, which hangs up with it.
    terminal: Option<Terminal>,
    is_tied: bool,
    /// What sees to its group where we cannot.
    guard: Option<Guard>,
}

impl Process {
    pub(crate) const fn new(child: Child, terminal: Option<Terminal>, is_tied: bool) -> Self {
        Self { child, gone: false, terminal, is_tied, guard: None }
    }

    /// With what was to start guards of it.
    pub(crate) fn guarded(mut self, guard: Option<Guard>) -> Self {
        self.guard = guard;
        self
    }

    /// Whoever guards it has no cause to any more.
    pub(crate) fn dismiss_guards(&mut self) {
        self.guard.take().into_iter().for_each(Guard::dismiss);
    }

    /// Whether the kernel ends it when this program does.
    pub(crate) const fn goes_with_us(&self) -> bool {
        self.is_tied && sys::TIES
    }

    /// The terminal of its session, if it has one from us.
    pub(crate) const fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status if it has ended; it is reaped then. Never blocks. If a signal has ended it, whoever sent that, what is
    /// left of its group is sent SIGKILL first: it could not see to what it had started.
    ///
    /// # Errors
    ///
    /// The process is gone and its status with it: somebody else in this program waits for all children, or
    /// SIGCHLD is ignored.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if !self.gone
            && let Some(pid) = self.number()
            && sys::was_killed(pid)
        {
            end_group(pid);
        }
        let looked = self.child.try_wait();
        self.gone |= !matches!(looked, Ok(None));
        if self.gone {
            self.dismiss_guards();
        }
        looked
    }

    /// Sends SIGKILL to the process and to what is left of its group. Nothing happens to one that has gone. It
    /// still has to be reaped, by [`try_wait`](Self::try_wait) or by dropping it.
    pub fn kill(&mut self) {
        if self.signal(Signal::KILL)
            && let Some(group) = self.number()
        {
            end_group(group);
        }
    }

    /// Sends SIGTERM to the process alone: it knows best what to do with its own children.
    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Whether the signal was sent, and so whether the process is still ours.
    fn signal(&mut self, signal: Signal) -> bool {
        // Looks first: a number that was reaped, by us or behind our back, may be a stranger's.
        match (self.try_wait(), self.number()) {
            (Ok(None), Some(pid)) => kill_process(pid, signal).is_ok(),
            _ => false,
        }
    }

    pub(crate) fn number(&self) -> Option<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw)
    }

    /// How it ended, if it has.
    pub(crate) fn look(&mut self) -> Option<ExitReport> {
        match self.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.into()),
            Err(_) => Some(ExitReport::Unknown),
        }
    }

    /// Waits until it has ended, at most so long.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitReport> {
        let deadline = Instant::now().checked_add(limit);
        let watch = self.number().and_then(sys::watch);
        loop {
            // The look decides; why the sleep ended does not matter (its end makes the watch readable).
            if let Some(report) = self.look() {
                return Some(report);
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return None;
            }
            sys::sleep(watch.iter(), deadline, watch.is_none());
        }
    }

    /// Gives up on a process that does not go: it becomes a child of init when this program ends.
    pub(crate) fn abandon(mut self) {
        self.gone = true;
    }
}

/// Sends SIGKILL to the group of a process that nobody has reaped: until then its number names no other group. That it left an
/// empty one is no error.
fn end_group(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.gone {
            self.kill();
            drop(self.wait(GOING));
        }
    }
}
