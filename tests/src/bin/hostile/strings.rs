//! The strings by which the test pulls: orders come as lines, and what was seen goes back as lines.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

pub(crate) struct Strings {
    orders: BufReader<UnixStream>,
    told: UnixStream,
}

impl Strings {
    /// Those at that path.
    pub(crate) fn of(path: &str) -> Self {
        let told = UnixStream::connect(path).expect("the test holds the strings");
        let orders = BufReader::new(told.try_clone().expect("a descriptor to spare"));
        Self { orders, told }
    }

    /// The next order; `None` once the test is over.
    pub(crate) fn order(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.orders.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Tells what was seen.
    pub(crate) fn tell(&mut self, line: &str) {
        // A test that is over hears nothing any more.
        drop(writeln!(self.told, "{line}"));
    }
}
