//! What the logger of the root was told, for tests to read.

use std::{
    cell::RefCell,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{PATIENCE, wait::eventually_or};

/// Keeps every record.
struct Kept(Mutex<Vec<Line>>);

/// A record as one line: level, target, text.
struct Line {
    text: String,
    /// The thread that called the logger, if it has a name.
    by: Option<String>,
}

thread_local! {
    static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
}

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl Kept {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Each takes what it is long: what grows and shrinks again leaves holes as large as itself.
        let text = SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            // A string takes everything.
            let _ = write!(scratch, "{} {}: {}", record.level(), record.target(), record.args());
            scratch.as_str().to_owned()
        });
        self.lines().push(Line { text, by: thread::current().name().map(str::to_owned) });
    }

    fn flush(&self) {}
}

/// Makes this program keep the records that it logs from now on.
///
/// # Panics
/// If it has a logger already.
pub fn keep() {
    log::set_logger(&KEPT).expect("this is the only logger");
    log::set_max_level(log::LevelFilter::Info);
}

/// Does something, and tells what came of it, and the records of every level that were logged meanwhile.
pub fn of_every_level<T>(act: impl FnOnce() -> T) -> (T, Vec<String>) {
    let (level, mark) = (log::max_level(), mark());
    log::set_max_level(log::LevelFilter::Trace);
    let value = act();
    log::set_max_level(level);
    (value, mark.lines())
}

/// The records from here on.
#[derive(Debug)]
pub struct Mark(usize);

/// Records from now on.
#[must_use]
pub fn mark() -> Mark {
    Mark(KEPT.lines().len())
}

impl Mark {
    /// What was logged since.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.each(|line| line.text.clone())
    }

    /// Looks at each line that was logged since, where it is kept: copies of very many would be memory of this process.
    pub fn look(&self, look: impl Fn(&str)) {
        self.each(|line| look(&line.text));
    }

    /// How many bytes are kept of that.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.each(|line| line.text.len() as u64).into_iter().sum()
    }

    /// The names of the threads that logged since.
    #[must_use]
    pub fn threads(&self) -> Vec<String> {
        self.each(|line| line.by.clone()).into_iter().flatten().collect()
    }

    fn each<T>(&self, what: impl Fn(&Line) -> T) -> Vec<T> {
        KEPT.lines().get(self.0..).unwrap_or_default().iter().map(what).collect()
    }

    /// Waits for a line in which all of `words` stand.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn until(&self, words: &[&str]) -> String {
        let what = || format!("a log line with {words:?} in {:?}", self.lines());
        eventually_or(what, PATIENCE, || {
            let lines = KEPT.lines();
            let mut since = lines.get(self.0..).unwrap_or_default().iter().map(|line| &line.text);
            since.find(|line| words.iter().all(|word| line.contains(word))).cloned()
        })
    }
}
