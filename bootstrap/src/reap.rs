//! One thread that sees every process of a program to its end, with growing insistence.

use std::{
    fmt,
    io::{self, PipeWriter, Write as _},
    iter,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Escalation, Exit, ExitReport, Process, sys};

/// How long a reaper that is dropped waits for processes that were sent SIGKILL.
const CLOSING: Duration = Duration::from_secs(2);

/// Ends and reaps processes: waits for each to go by itself, then sends SIGTERM, then SIGKILL.
///
/// One thread does it for all, started by the first process. While it waits it has one more descriptor a process
/// open, where there are process descriptors and one is left; else it looks every 10 ms.
///
/// Dropping it sends SIGKILL to every process that it still has, waits until they are gone (at most 2 s) and ends
/// the thread. Every report is made, whatever happens.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
///
/// use offshoot_bootstrap::{Local, Method as _, Payload, Reaper, spawn};
///
/// let reaper = Reaper::new()?;
/// let spawned = spawn(&Local::new(Payload::file("/bin/cat")?).plan())?;
/// drop(spawned.link);                                          // `cat` ends at the end of its input
/// let (sender, reports) = mpsc::channel();
/// reaper.end(spawned.process, Duration::from_secs(5), move |exit| drop(sender.send(exit)));
/// assert_eq!(reports.recv()?.to_string(), "exit status 0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reaper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    waker: PipeWriter,
    sleeper: OwnedFd,
}

#[derive(Default)]
struct Inbox {
    jobs: Vec<Job>,
    closing: bool,
    /// A byte is in the pipe, or about to be: another would only fill it.
    woken: bool,
}

impl Reaper {
    /// A reaper without a thread as yet. It opens its two descriptors now, so that ending a process needs none.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let (sleeper, waker) = io::pipe()?;
        let shared = Arc::new(Shared { inbox: Mutex::default(), waker, sleeper: sleeper.into() });
        Ok(Self { shared, thread: Mutex::default() })
    }

    /// Sees the process to its end: it has one grace to go by itself, another after SIGTERM, then it is killed.
    ///
    /// The reaper must be kept for as long: dropping it cuts the grace, and kills what has not gone.
    ///
    /// Returns at once. `report` runs once, on the thread of the reaper, after the process was reaped: it must be
    /// short and not block, for it holds up the end of all others.
    ///
    /// Where no thread can be had, the process is killed and reaped before this returns.
    pub fn end(&self, process: Process, grace: Duration, report: impl FnOnce(Exit) + Send + 'static) {
        self.take(Job::new(process, grace, Box::new(report)));
    }

    /// Kills the process now and reaps it; all else as [`end`](Self::end).
    pub fn kill_now(&self, process: Process, report: impl FnOnce(Exit) + Send + 'static) {
        let mut job = Job::new(process, Duration::MAX, Box::new(report));
        job.kill();
        self.take(job);
    }

    fn take(&self, mut job: Job) {
        if self.start() {
            lock(&self.shared.inbox).jobs.push(job);
            self.shared.wake();
        } else {
            job.kill();
            let report = job.process.wait(CLOSING).unwrap_or(ExitReport::Stuck);
            job.finish(report);
        }
    }

    /// Whether the thread runs: it is started here if it does not.
    fn start(&self) -> bool {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            *thread = thread::Builder::new().name("offshoot-reaper".into()).spawn(move || run(&shared)).ok();
        }
        thread.is_some()
    }
}

impl fmt::Debug for Reaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaper").finish_non_exhaustive()
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        lock(&self.shared.inbox).closing = true;
        self.shared.wake();
        let thread = lock(&self.thread).take();
        // A report may drop the last owner of the reaper: the thread cannot wait for itself, and ends anyway.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // The thread bounds its own end, and catches what reports throw.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn wake(&self) {
        let woken = std::mem::replace(&mut lock(&self.inbox).woken, true);
        if !woken {
            // At most one byte is ever in the pipe and its other end is ours: it neither blocks nor fails.
            drop((&self.waker).write_all(&[0]));
        }
    }

    /// Takes what has come, and the byte that announced it.
    fn drain(&self, jobs: &mut Vec<Job>) -> bool {
        let (new, closing, woken) = {
            let mut inbox = lock(&self.inbox);
            (std::mem::take(&mut inbox.jobs), inbox.closing, std::mem::take(&mut inbox.woken))
        };
        if woken {
            // At worst it waits for the instant between setting the flag and writing the byte.
            let _ = rustix::io::retry_on_intr(|| rustix::io::read(&self.sleeper, &mut [0]));
        }
        jobs.extend(new.into_iter().map(Job::watched));
        closing
    }
}

/// The thread: sleeps until something ended, came or is due, and looks at it.
fn run(shared: &Shared) {
    let mut jobs: Vec<Job> = Vec::new();
    let mut closing: Option<Instant> = None;
    loop {
        let due = jobs.iter().filter_map(|job| job.due).chain(closing).min();
        let blind = jobs.iter().any(|job| job.watch.is_none());
        let watches = jobs.iter().filter_map(|job| job.watch.as_ref());
        // Woken by the pipe (a process came, or the end), by a process that ended, or by the first deadline.
        let ready = sys::sleep(iter::once(&shared.sleeper).chain(watches), due, blind);

        let now = Instant::now();
        let mut ready = ready.into_iter().skip(1);
        let mut ended = Vec::new();
        let mut left = Vec::new();
        for mut job in jobs {
            let looked_at = job.watch.is_none() || ready.next().unwrap_or(true);
            match if looked_at { job.process.look() } else { None } {
                Some(report) => ended.push((job, report)),
                None => left.push(job),
            }
        }
        jobs = left;
        jobs.iter_mut().for_each(|job| job.escalate(now));
        ended.into_iter().for_each(|(job, report)| job.finish(report));

        if shared.drain(&mut jobs) {
            let until = *closing.get_or_insert_with(|| now + CLOSING);
            jobs.iter_mut().for_each(Job::kill);
            if now >= until {
                jobs.drain(..).for_each(|job| job.finish(ExitReport::Stuck));
            }
            if jobs.is_empty() {
                return;
            }
        }
    }
}

/// A process on its way out.
struct Job {
    process: Process,
    grace: Duration,
    /// When the next means is due; none is left after SIGKILL.
    due: Option<Instant>,
    sent: Escalation,
    watch: Option<OwnedFd>,
    report: Report,
}

type Report = Box<dyn FnOnce(Exit) + Send>;

impl Job {
    fn new(process: Process, grace: Duration, report: Report) -> Self {
        let due = Instant::now().checked_add(grace);
        Self { process, grace, due, sent: Escalation::None, watch: None, report }
    }

    /// With its descriptor open, if one can be had: from now on it is waited for.
    fn watched(mut self) -> Self {
        self.watch = self.process.number().and_then(sys::watch);
        self
    }

    fn escalate(&mut self, now: Instant) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        match self.sent {
            Escalation::None => {
                self.process.terminate();
                self.sent = Escalation::Term;
                self.due = now.checked_add(self.grace);
            }
            Escalation::Term | Escalation::Kill => self.kill(),
        }
    }

    fn kill(&mut self) {
        if self.sent != Escalation::Kill {
            self.process.kill();
            self.sent = Escalation::Kill;
        }
        self.due = None;
    }

    /// Lets go of the process and its descriptor, then reports.
    fn finish(self, report: ExitReport) {
        let Self { process, watch, sent, report: tell, .. } = self;
        drop(watch);
        if report == ExitReport::Stuck {
            process.abandon();
        } else {
            drop(process);
        }
        // A panic in one report must not keep the others from being reaped, nor must what it leaves, which may panic once
        // more as it is dropped.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| tell(Exit { report, escalated: sent }))) {
            std::mem::forget(panic);
        }
    }
}

/// Nothing that can panic runs under these locks; if it did, the data would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
