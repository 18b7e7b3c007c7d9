//! What happens on the way to a place, for whoever wants to see it while it happens.

use std::fmt;

use crate::{Plan, Text};

/// Something that has happened on the way to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The process that leads there was started here.
    Started {
        /// Its number.
        pid: u32,
    },
    /// Something was asked on the way.
    Asked {
        /// The question, safe to print.
        question: Text,
        /// Whether there was an answer.
        is_answered: bool,
    },
    /// A client on the way says something that is no question, such as that a key wants to be touched.
    Told {
        /// What it says, safe to print.
        notice: Text,
    },
    /// A shell there has said what machine it is on, and which tools it has.
    Spoke {
        /// What it said.
        host: Text,
    },
    /// What stayed there since an earlier connect does not serve: the program is sent.
    NotCached,
    /// The program is on its way.
    Sending {
        /// How many bytes have left.
        sent: u64,
        /// Of how many.
        size: u64,
    },
    /// It is put there.
    Placed {
        /// The folder, or `memory`.
        place: Text,
    },
    /// It could not be put there.
    Refused {
        /// The place or places, each with the reason.
        reason: Text,
    },
    /// It runs.
    Running,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid } => write!(f, "the process that leads there is {pid}"),
            Self::Asked { question, is_answered: true } => write!(f, "asked `{question}`: answered"),
            Self::Asked { question, is_answered: false } => write!(f, "asked `{question}`: no answer"),
            Self::Told { notice } => write!(f, "told `{notice}`"),
            Self::Spoke { host } => write!(f, "a shell speaks: {host}"),
            Self::NotCached => f.write_str("the program has not stayed there, and is sent"),
            Self::Sending { sent, size } => write!(f, "{sent} of {size} bytes of the program have left"),
            Self::Placed { place } => write!(f, "the program is put into {place}"),
            Self::Refused { reason } => write!(f, "no place for the program: {reason}"),
            Self::Running => f.write_str("the program runs"),
        }
    }
}

/// Is told of every [`Step`] of a connect, such as how much of the program has left.
///
/// Any `Fn(&Plan, &Step)` is one. It is called on the thread that makes the connect, which waits for it. No step holds a
/// password of the plan, or what a prompter has answered, though a far side says it; the plan itself has its passwords.
pub trait Observer: Send + Sync {
    /// This has happened on the way to the place of that plan.
    fn saw(&self, plan: &Plan, step: &Step);
}

impl<F: Fn(&Plan, &Step) + Send + Sync> Observer for F {
    fn saw(&self, plan: &Plan, step: &Step) {
        self(plan, step);
    }
}

impl fmt::Debug for dyn Observer + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
