//! What docs/protocol.md asks of a leaf, as claims that any program can be tried against.
//!
//! The program must serve the functions that the document lists at its end, as [`real::table`](crate::real::table) declares
//! them. Most claims are made by a parent of raw frames ([`Peer`]); some by a
//! real root.

mod bodies;
mod calls;
mod credit;
mod frames;
mod greeting;
mod life;
mod own;
mod peer;
mod streams;
mod tree;

use std::{fmt, process::Command, time::Duration};

pub use peer::Peer;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// How long anything that is awaited may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a claim does not hold.
pub type Fault = String;

/// The program that is tried: its words.
#[derive(Clone, Debug)]
pub struct Program(pub Vec<String>);

impl Program {
    /// The command that starts it.
    ///
    /// # Panics
    /// If it has no words.
    #[must_use]
    pub fn command(&self) -> Command {
        let (name, arguments) = self.0.split_first().expect("a program has a name");
        let mut command = Command::new(name);
        command.args(arguments);
        command
    }
}

/// One claim, and the clauses of the document that make it.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The claim.
    pub name: &'static str,
    clauses: &'static [&'static str],
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// A child that is started, and nothing said yet.
    Silent(fn(&mut Peer) -> Result<(), Fault>),
    /// A child that is up.
    Up(fn(&mut Peer) -> Result<(), Fault>),
    /// A real root makes the child.
    Rooted(fn(&Program) -> Result<(), Fault>),
}

/// Every claim, in the order of the document.
#[must_use]
pub fn claims() -> Vec<Claim> {
    [greeting::CLAIMS, frames::CLAIMS, bodies::CLAIMS, calls::CLAIMS, own::CLAIMS, streams::CLAIMS]
        .into_iter()
        .chain([credit::CLAIMS, life::CLAIMS, tree::CLAIMS])
        .flatten()
        .copied()
        .collect()
}

impl Claim {
    const fn silent(
        name: &'static str,
        clauses: &'static [&'static str],
        how: fn(&mut Peer) -> Result<(), Fault>,
    ) -> Self {
        Self { name, clauses, how: How::Silent(how) }
    }

    const fn up(
        name: &'static str,
        clauses: &'static [&'static str],
        how: fn(&mut Peer) -> Result<(), Fault>,
    ) -> Self {
        Self { name, clauses, how: How::Up(how) }
    }

    const fn rooted(
        name: &'static str,
        clauses: &'static [&'static str],
        how: fn(&Program) -> Result<(), Fault>,
    ) -> Self {
        Self { name, clauses, how: How::Rooted(how) }
    }

    /// Tries it.
    ///
    /// # Errors
    /// What was said, what came, and what the document says of it.
    pub fn check(&self, program: &Program) -> Result<(), Complaint> {
        let complain = |fault, story| Complaint { fault, story, clauses: self.clauses };
        if let How::Rooted(how) = self.how {
            return how(program).map_err(|fault| complain(fault, Vec::new()));
        }
        let mut peer = Peer::start(program).map_err(|fault| complain(fault, Vec::new()))?;
        let outcome = match self.how {
            How::Up(how) => peer.greet().and_then(|()| how(&mut peer)),
            How::Silent(how) => how(&mut peer),
            How::Rooted(_) => Ok(()),
        };
        outcome.map_err(|fault| complain(fault, peer.into_story()))
    }

    /// The clauses that it is about.
    #[must_use]
    pub const fn clauses(&self) -> &'static [&'static str] {
        self.clauses
    }
}

/// A claim that does not hold.
#[derive(Debug)]
pub struct Complaint {
    fault: Fault,
    story: Vec<String>,
    clauses: &'static [&'static str],
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.fault)?;
        for line in &self.story {
            writeln!(f, "    {line}")?;
        }
        for number in self.clauses {
            writeln!(f, "  the document, {}", text_of(number).unwrap_or("which has no such clause"))?;
        }
        Ok(())
    }
}

/// What the document says in a clause, from its number on.
#[must_use]
pub fn text_of(number: &str) -> Option<&'static str> {
    let mut clauses = DOCUMENT.split("\n### ").map(|text| text.split("\n## ").next().unwrap_or_default());
    clauses
        .find(|text| {
            text.strip_prefix(number).is_some_and(|rest| rest.starts_with([' ', '\n']) || rest.is_empty())
        })
        .map(str::trim_end)
}
