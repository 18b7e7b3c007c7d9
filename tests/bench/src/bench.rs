//! What a group of rows is given: how many rounds, on which CPUs, which programs; and where it leaves its rows.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    group::row_is,
    harness::{Id, Sample, Turns},
    peers::python::Python,
    report::Line,
};

/// Where a group runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cpus {
    /// Wherever the system puts its processes.
    Free,
    /// All processes on one CPU: a wake-up is a switch and no more.
    One,
}

impl Cpus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::One => "one_cpu",
        }
    }
}

/// The run of one group.
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) cpus: Cpus,
    pub(crate) programs: Programs,
    /// The rows that were named; all if none is.
    pub(crate) wanted: Vec<String>,
    /// Rows go here as they are ready.
    pub(crate) emit: Box<dyn Fn(Line) -> Result<()>>,
}

/// What becomes children, all built before.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Programs {
    /// The leaf of the bench, built as a payload
    #[arg(long)]
    pub(crate) leaf: PathBuf,
    /// The hop of the bench, built as a payload
    #[arg(long)]
    pub(crate) hop: PathBuf,
    /// The reference leaf of the project
    #[arg(long)]
    pub(crate) reference: PathBuf,
    /// The same in the profile `tiny`
    #[arg(long)]
    pub(crate) tiny: Option<PathBuf>,
    /// Why there is none
    #[arg(long, default_value = "none was named")]
    pub(crate) no_tiny: String,
    /// What the reference leaf takes when it is packed by gzip, in bytes
    #[arg(long)]
    pub(crate) gzip: u64,
    /// An interpreter that has mitogen and execnet
    #[arg(long)]
    pub(crate) python: Option<PathBuf>,
    /// Why there is none
    #[arg(long, default_value = "no interpreter was named")]
    pub(crate) no_python: String,
}

impl Bench {
    /// How much to do: less in a quick run.
    pub(crate) fn amount(&self, usual: usize) -> usize {
        if self.quick { usual.div_ceil(4) } else { usual }
    }

    /// How many times in a round something is started that takes long: once in a quick run.
    pub(crate) fn starts(&self, usual: usize) -> usize {
        if self.quick { 1 } else { usual }
    }

    /// Whether somebody wants to see this row: one that takes long need not be measured else.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|name| row_is(row, name) || row_is(name, row))
    }

    pub(crate) fn emit(&self, line: Line) -> Result<()> {
        (self.emit)(line)
    }

    /// A peer in Python, started here.
    pub(crate) fn python(&self, peer: &'static str) -> Result<Python> {
        Python::start(peer, &self.programs)
    }
}

impl<'a> Turns<'a> {
    /// Adds what a peer in Python says to a question.
    pub(crate) fn ask(&mut self, peer: &Python, question: String) -> Id {
        let peer = peer.clone();
        self.add_if(move || -> Result<Sample> { peer.ask(&question) })
    }
}
