//! What the demo prints: lines for people, coloured on a terminal, or one JSON object a line.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
};

use serde_json::{Value, json};

/// The voice of the demo.
pub(crate) struct Say {
    json: bool,
    colour: bool,
}

impl Say {
    pub(crate) fn new(json: bool) -> Self {
        let colour = !json && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// A new part of the demo begins.
    pub(crate) fn stage(&mut self, title: &str) {
        let text = if self.colour { format!("\n\x1b[1m{title}\x1b[0m") } else { format!("\n{title}") };
        self.line(&text, json!({ "event": "stage", "title": title }));
    }

    /// Something happened as it should.
    pub(crate) fn good(&mut self, text: &str, event: Value) {
        let mark = if self.colour { "\x1b[32m+\x1b[0m" } else { "+" };
        self.line(&format!("  {mark} {text}"), event);
    }

    /// Something was refused or lost, as it should be.
    pub(crate) fn refused(&mut self, text: &str, event: Value) {
        let mark = if self.colour { "\x1b[33m-\x1b[0m" } else { "-" };
        self.line(&format!("  {mark} {text}"), event);
    }

    /// Text that stands by itself.
    pub(crate) fn plain(&mut self, text: &str, event: Value) {
        self.line(text, event);
    }

    /// The demo itself went wrong.
    pub(crate) fn failure(&mut self, error: &dyn Display) {
        let mark = if self.colour { "\x1b[31mfailed:\x1b[0m" } else { "failed:" };
        self.line(&format!("\n{mark} {error}"), json!({ "event": "failed", "error": error.to_string() }));
    }

    fn line(&mut self, text: &str, event: Value) {
        let mut out = std::io::stdout().lock();
        // Whoever closed the pipe does not want to read on.
        let _written = if self.json { writeln!(out, "{event}") } else { writeln!(out, "{text}") };
    }
}
