//! What the logger of the root was told, for tests to read.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{PATIENCE, wait::eventually_or};

/// Keeps every record as one line: level, target, text.
struct Kept(Mutex<Vec<String>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl Kept {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut line = format!("{} {}: {}", record.level(), record.target(), record.args());
        line.shrink_to_fit();
        self.lines().push(line);
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

/// Does something, and tells the records of every level that were logged meanwhile.
pub fn of_every_level(act: impl FnOnce()) -> Vec<String> {
    let (level, mark) = (log::max_level(), mark());
    log::set_max_level(log::LevelFilter::Trace);
    act();
    log::set_max_level(level);
    mark.lines()
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
        KEPT.lines().get(self.0..).unwrap_or_default().to_vec()
    }

    /// How many bytes are kept of that.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        KEPT.lines().get(self.0..).unwrap_or_default().iter().map(|line| line.len() as u64).sum()
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
            let new = lines.get(self.0..).unwrap_or_default();
            new.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned()
        })
    }
}
