//! A tree of its own, which nobody attacks: a root of another process, and its leaf, which calls it when asked to.
//!
//! What the machine does to one tree it does to another: how late calls are here in the same seconds is what no router can
//! help.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::Programs;

/// The processes, which end with the value.
#[derive(Debug)]
pub(super) struct Bystander {
    process: Child,
    /// A line of it asks for a round; at its end the tree ends.
    asks: Option<ChildStdin>,
    tells: BufReader<ChildStdout>,
}

impl Bystander {
    pub(super) fn new(programs: Programs) -> Self {
        let mut command = Command::new(programs.bystander);
        command.arg(programs.leaf).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a tree beside ours");
        let (asks, tells) = (process.stdin.take(), process.stdout.take().expect("its stdout"));
        Self { process, asks, tells: BufReader::new(tells) }
    }

    /// So many calls there, in microseconds each.
    pub(super) fn probe(&mut self, calls: u32) -> Vec<u32> {
        let asks = self.asks.as_mut().expect("it is open until the end");
        writeln!(asks, "{calls}").expect("it is asked");
        let mut line = String::new();
        self.tells.read_line(&mut line).expect("it tells");
        let took: Vec<u32> = line.split_whitespace().map(|took| took.parse().expect("a number")).collect();
        assert_eq!(took.len(), calls as usize, "the tree beside has ended");
        took
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        drop(self.asks.take());
        drop(self.process.wait());
    }
}
