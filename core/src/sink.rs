//! The sink thread: log records, captured lines and the wakers of user futures, away from the broker.

use std::{
    collections::VecDeque,
    iter,
    sync::{Arc, Condvar, Mutex, OnceLock, Weak},
    time::{Duration, Instant},
};

use offshoot_wire::{Body, ContextId, Handle, codec};

use crate::{
    ever::Ever,
    forward::Record,
    here::Running,
    machine::Unsent,
    node::Node,
    sync::{self, contain, lock, rest},
    wake::Wake,
};

/// Records that may wait; over it they are dropped and counted.
const MAX_RECORDS: usize = 4096;
/// How long nothing must be dropped before the drops are told: whoever takes the records on may have a bound a second,
/// over which the word of them would go as they did.
const LULL: Duration = Duration::from_secs(1);
/// Bytes of text that may wait, in bytes.
const MAX_BYTES: usize = 4 << 20;

static WAKES: Ever = Ever::new();

/// Takes what the broker and loggers leave, and hands it on from a thread of its own, which its first entry starts.
#[derive(Default)]
pub(crate) struct Sink {
    queue: Mutex<Queue>,
    /// An entry has come, room to send has come, everything is done, or the end has.
    changed: Condvar,
    node: OnceLock<Weak<Running>>,
    /// At the root: the program's own logger. Children hand on what they have, and carry no code for more.
    logger: Option<Logger>,
}

/// Takes an entry in the place of handing it on.
type Logger = fn(Entry, &Running);

#[derive(Default)]
struct Queue {
    records: VecDeque<Entry>,
    bytes: usize,
    /// In all; told as one record once nothing waits and nothing has been dropped for a while.
    dropped: u64,
    dropped_last: Option<Instant>,
    /// Somebody waits until everything is told.
    is_flushed: bool,
    wakes: VecDeque<Wake>,
    is_started: bool,
    /// The thread is at work on something.
    is_busy: bool,
    is_ended: bool,
    /// How often there was room to send, and the count at which there was none.
    rooms: u64,
    full_at: Option<u64>,
}

#[derive(Debug)]
enum Entry {
    /// Of this context.
    Own(Record),
    /// Of another, for the logger of this program, the root.
    Foreign { from: String, record: Record },
    /// Made already, but there was no room for it.
    Unsent(Body),
}

impl Entry {
    fn size(&self) -> usize {
        match self {
            Self::Own(record) | Self::Foreign { record, .. } => {
                record.text.len().saturating_add(record.target.len())
            }
            Self::Unsent(body) => body.capacity(),
        }
    }
}

enum Job {
    Wake(Wake),
    Entry(Entry),
    Dropped(u64),
}

impl Sink {
    /// That of the root, whose program has a logger.
    pub(crate) fn of_root() -> Self {
        Self { logger: Some(log_entry), ..Self::default() }
    }

    /// Names the context that records are sent by. Before it they wait.
    pub(crate) fn attach(&self, node: Weak<Running>) {
        // A context has one sink, so nobody was here before.
        drop(self.node.set(node));
    }

    /// Takes a record of this context. Never blocks on anything but the queue.
    pub(crate) fn record(self: &Arc<Self>, record: Record) {
        self.put(Entry::Own(record));
    }

    /// At the root: takes a record of another context.
    pub(crate) fn foreign(self: &Arc<Self>, from: String, record: Record) {
        self.put(Entry::Foreign { from, record });
    }

    /// Takes wakers of tasks, which are foreign code. They are never dropped.
    pub(crate) fn wake(self: &Arc<Self>, wake: Wake) {
        WAKES.begin();
        self.add(|queue| queue.wakes.push_back(wake));
    }

    /// There is room to send records again.
    pub(crate) fn room(&self) {
        let mut queue = lock(&self.queue);
        queue.rooms = queue.rooms.wrapping_add(1);
        drop(queue);
        self.changed.notify_all();
    }

    /// Waits until all that came before has been handed on, at most until `deadline`.
    pub(crate) fn flush(&self, deadline: Instant) {
        let mut queue = lock(&self.queue);
        queue.is_flushed = true;
        self.changed.notify_all();
        // Notified by the thread after each job; without a thread nothing waits.
        while queue.is_started && !queue.is_idle() && !queue.is_ended && Instant::now() < deadline {
            queue = rest(&self.changed, queue, Some(deadline));
        }
    }

    /// Ends the thread as soon as it has done what it is at, and has woken whom it was left.
    pub(crate) fn end(&self) {
        lock(&self.queue).is_ended = true;
        self.changed.notify_all();
    }

    fn put(self: &Arc<Self>, entry: Entry) {
        self.add(|queue| {
            let size = entry.size();
            if queue.is_ended {
                // There is nobody to tell.
            } else if queue.records.len() < MAX_RECORDS && queue.bytes.saturating_add(size) <= MAX_BYTES {
                queue.bytes = queue.bytes.saturating_add(size);
                queue.records.push_back(entry);
            } else {
                queue.drop_one();
            }
        });
    }

    fn add(self: &Arc<Self>, entry: impl FnOnce(&mut Queue)) {
        let mut queue = lock(&self.queue);
        entry(&mut queue);
        if queue.is_ended && queue.wakes.is_empty() {
            return;
        }
        let is_first = !std::mem::replace(&mut queue.is_started, true);
        drop(queue);
        self.changed.notify_all();
        if is_first {
            self.start();
        }
    }

    /// Where the system has no thread left, records wait for the next entry, which tries again. Who sleeps might make
    /// none, so he is woken by this thread, be it the broker.
    fn start(self: &Arc<Self>) {
        let sink = Arc::clone(self);
        if sync::spawn("offshoot-sink", Box::new(move || sink.run())).is_ok() {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.is_started = false;
        let wakes: Vec<Wake> = iter::from_fn(|| queue.next_wake()).collect();
        drop(queue);
        wakes.into_iter().for_each(Wake::fire);
    }

    fn run(&self) {
        while let Some(job) = self.next() {
            match job {
                Job::Wake(wake) => wake.fire(),
                Job::Entry(entry) => self.hand_on(entry),
                Job::Dropped(count) => self.hand_on(Entry::Own(Record::new(
                    log::Level::Warn,
                    "offshoot",
                    format_args!(
                        "{count} records were dropped: they came faster than they could be forwarded"
                    ),
                ))),
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        queue.is_busy = false;
        loop {
            if queue.is_ended {
                // The end is what most of them wait for. Who comes later is woken by another thread.
                let last = queue.next_wake();
                queue.is_started = last.is_some();
                return last.map(Job::Wake);
            }
            if let Some(job) = queue.take() {
                queue.is_busy = true;
                return Some(job);
            }
            self.changed.notify_all();
            // Woken by an entry, by room to send, by a flush or the end, and when there are drops to tell.
            let due = queue.lull();
            queue = rest(&self.changed, queue, due);
        }
    }

    fn hand_on(&self, entry: Entry) {
        let Some(node) = self.node.get().and_then(Weak::upgrade) else { return };
        if let Some(log) = self.logger {
            return log(entry, node.as_ref());
        }
        match entry {
            Entry::Own(record) => {
                if let Ok(bytes) = codec::encode(&record) {
                    self.send(node.as_ref(), Body::from(bytes));
                }
            }
            Entry::Unsent(body) => self.send(node.as_ref(), body),
            // They are for the root.
            Entry::Foreign { .. } => {}
        }
    }

    /// Sends without waiting: wakers must not wait behind a record.
    fn send(&self, node: &Running, body: Body) {
        let rooms = lock(&self.queue).rooms;
        let sent =
            node.send_one_way(ContextId::ROOT, Handle::FORWARD_LOG, body, Vec::new(), Some(Instant::now()));
        let mut queue = lock(&self.queue);
        match sent {
            Ok(()) => queue.full_at = None,
            Err(Unsent::Full(body)) => {
                queue.full_at = Some(rooms);
                queue.bytes = queue.bytes.saturating_add(body.capacity());
                queue.records.push_front(Entry::Unsent(body));
            }
            // There is nobody to tell, nor to whom to tell it later.
            Err(_) => {}
        }
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        !self.is_busy && self.records.is_empty() && self.wakes.is_empty() && self.dropped == 0
    }

    fn next_wake(&mut self) -> Option<Wake> {
        if WAKES.began() { self.wakes.pop_front() } else { None }
    }

    fn drop_one(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
        self.dropped_last = Some(Instant::now());
    }

    /// There was no room to send, and none has come since.
    fn is_full(&self) -> bool {
        self.full_at == Some(self.rooms)
    }

    /// When what was dropped can be told.
    fn lull(&self) -> Option<Instant> {
        self.dropped_last.filter(|_| !self.is_full())?.checked_add(LULL)
    }

    fn take(&mut self) -> Option<Job> {
        if let Some(wake) = self.next_wake() {
            return Some(Job::Wake(wake));
        }
        if self.is_full() {
            return None;
        }
        if let Some(entry) = self.records.pop_front() {
            self.bytes = self.bytes.saturating_sub(entry.size());
            return Some(Job::Entry(entry));
        }
        let is_due = self.is_flushed || self.lull().is_some_and(|at| at <= Instant::now());
        if self.dropped == 0 || !is_due {
            return None;
        }
        self.dropped_last = None;
        Some(Job::Dropped(std::mem::take(&mut self.dropped)))
    }
}

/// At the root: gives a record to the logger of this program.
fn log_entry(entry: Entry, node: &Running) {
    match entry {
        Entry::Own(record) => log_safely(&record, &node.name_of(node.me())),
        Entry::Foreign { from, record } => log_safely(&record, &from),
        // Nothing is sent from here.
        Entry::Unsent(_) => {}
    }
}

/// The program's logger is foreign code.
fn log_safely(record: &Record, from: &str) {
    contain(|| record.log(from), |_| ());
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command, sync::mpsc, task, thread, time::Duration};

    use super::*;

    /// Tells when it is woken.
    struct Bell(Mutex<mpsc::Sender<()>>);

    impl task::Wake for Bell {
        fn wake(self: Arc<Self>) {
            lock(&self.0).send(()).unwrap();
        }
    }

    #[test]
    fn whoever_waits_is_woken_though_the_end_came_before_or_behind() {
        let (sender, rings) = mpsc::channel();
        let wake = || Wake::Task(Arc::new(Bell(Mutex::new(sender.clone()))).into());
        for _ in 0..100 {
            let sink = Arc::new(Sink::default());
            sink.wake(wake());
            sink.end();
            sink.wake(wake());
            for _ in 0..2 {
                rings.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        }
    }

    /// In a process of its own, whose threads want a stack that no machine has.
    #[test]
    fn whoever_waits_is_woken_though_no_thread_can_be_started() {
        const HERE: &str = "OFFSHOOT_WITHOUT_THREADS";
        if env::var_os(HERE).is_none() {
            let name = "sink::tests::whoever_waits_is_woken_though_no_thread_can_be_started";
            let mut again = Command::new(env::current_exe().unwrap());
            again
                .args(["--exact", name, "--test-threads=1"])
                .env(HERE, "")
                .env("RUST_MIN_STACK", "70368744177664");
            let run = again.output().unwrap();
            return assert!(
                run.status.success(),
                "{}",
                String::from_utf8_lossy(&[run.stdout, run.stderr].concat())
            );
        }
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "a thread can be started");
        let (sender, rings) = mpsc::channel();
        let sink = Arc::new(Sink::default());
        for _ in 0..2 {
            sink.wake(Wake::Task(Arc::new(Bell(Mutex::new(sender.clone()))).into()));
            rings.recv_timeout(Duration::from_secs(5)).unwrap();
        }
    }
}
