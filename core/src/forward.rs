//! Log records and captured lines on their way to the root, and out of it into the program's own logger.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use crate::{
    plain::{Plain, front},
    sink::Sink,
};

/// The longest text of one record, in bytes.
const MAX_TEXT: usize = 8 * 1024;
/// The longest target of one record, in bytes.
const MAX_TARGET: usize = 256;
/// What decoding a record may take, in bytes.
pub(crate) const BUDGET: usize = 64 * 1024;

/// A log record or a captured line, as it travels to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// 1 error to 5 trace, as in `log`.
    pub(crate) level: u8,
    /// Where in its program it comes from.
    pub(crate) target: String,
    /// What it says: one line.
    pub(crate) text: String,
}

impl Record {
    pub(crate) fn new(level: log::Level, target: &str, text: fmt::Arguments<'_>) -> Self {
        let mut cut = Cut { text: String::new(), limit: MAX_TEXT };
        // It ends early where the text is too long, and keeps what fits.
        let _ = cut.write_fmt(text);
        Self { level: level as u8, target: front(target, MAX_TARGET).to_owned(), text: cut.text }
    }

    /// Hands the record to the logger of this program, under the name of the context it comes from.
    pub(crate) fn log(&self, from: &str) {
        let level = match self.level {
            0 | 1 => log::Level::Error,
            2 => log::Level::Warn,
            3 => log::Level::Info,
            4 => log::Level::Debug,
            _ => log::Level::Trace,
        };
        let target = Plain(front(&self.target, MAX_TARGET)).to_string();
        if level <= log::max_level() {
            let text = Plain(front(&self.text, MAX_TEXT));
            log::logger().log(
                &log::Record::builder()
                    .level(level)
                    .target(&target)
                    .args(format_args!("{}: {text}", Plain(from)))
                    .build(),
            );
        }
    }
}

/// Text that takes no more than its limit, however long what is formatted into it.
struct Cut {
    text: String,
    limit: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = self.limit.saturating_sub(self.text.len());
        let taken = front(piece, room);
        self.text.push_str(taken);
        if taken.len() < piece.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The logger of a child: what is logged goes to the root.
struct Forwarder {
    sink: OnceLock<Arc<Sink>>,
}

static FORWARDER: Forwarder = Forwarder { sink: OnceLock::new() };

/// Makes the records of this process go to the root, unless its program has a logger of its own.
pub(crate) fn install(sink: &Arc<Sink>, level: u8) {
    if FORWARDER.sink.set(Arc::clone(sink)).is_ok() && log::set_logger(&FORWARDER).is_ok() {
        log::set_max_level(match level {
            0 => log::LevelFilter::Off,
            1 => log::LevelFilter::Error,
            2 => log::LevelFilter::Warn,
            3 => log::LevelFilter::Info,
            4 => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        });
    }
}

impl log::Log for Forwarder {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if let Some(sink) = self.sink.get().filter(|_| self.enabled(record.metadata())) {
            sink.record(Record::new(record.level(), record.target(), *record.args()));
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    // protocol 6.7
    #[test]
    fn a_long_record_is_cut_between_two_characters() {
        let text = "é".repeat(MAX_TEXT);
        let record = Record::new(log::Level::Info, "t", format_args!("x{text}"));
        assert_eq!(record.text.len(), MAX_TEXT - 1);
    }
}
