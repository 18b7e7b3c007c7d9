//! How a process ended, as data that can be printed and passed on.

use std::{borrow::Cow, fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// How a process ended. Unlike [`ExitStatus`] it can travel to another machine.
///
/// ```
/// use offshoot_bootstrap::ExitReport;
///
/// let status = std::process::Command::new("sh").args(["-c", "kill -9 $$"]).status()?;
/// assert_eq!(ExitReport::from(status).to_string(), "killed by signal 9 (KILL)");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExitReport {
    /// It ended by itself.
    Exited {
        /// What it returned: 0 is success.
        code: i32,
    },
    /// A signal ended it.
    Killed {
        /// The number of the signal on the machine where it ran.
        signal: i32,
        /// The name that this number has there, without `SIG`, or `?`.
        name: Cow<'static, str>,
    },
    /// It has ended, but somebody else took its status (another part of the program waits for all children, or
    /// the program ignores SIGCHLD).
    Unknown,
    /// It was sent SIGKILL and had not gone when nobody could wait for it any longer.
    Stuck,
}

impl ExitReport {
    /// Whether it ended by itself and returned 0.
    #[must_use]
    pub const fn success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }
}

impl From<ExitStatus> for ExitReport {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited { code },
            (None, Some(signal)) => Self::Killed { signal, name: Cow::Borrowed(name(signal)) },
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit status {code}"),
            // The name may come from a peer.
            Self::Killed { signal, name } => {
                write!(f, "killed by signal {signal} ({})", crate::Text::from(&**name))
            }
            Self::Unknown => f.write_str("exit status not known, somebody else took it"),
            Self::Stuck => f.write_str("sent SIGKILL and still not gone"),
        }
    }
}

/// The names of the signals that end processes in practice; their numbers differ between systems.
const NAMES: [(Signal, &str); 15] = [
    (Signal::HUP, "HUP"),
    (Signal::INT, "INT"),
    (Signal::QUIT, "QUIT"),
    (Signal::ILL, "ILL"),
    (Signal::TRAP, "TRAP"),
    (Signal::ABORT, "ABRT"),
    (Signal::BUS, "BUS"),
    (Signal::FPE, "FPE"),
    (Signal::KILL, "KILL"),
    (Signal::SEGV, "SEGV"),
    (Signal::PIPE, "PIPE"),
    (Signal::ALARM, "ALRM"),
    (Signal::TERM, "TERM"),
    (Signal::XCPU, "XCPU"),
    (Signal::SYS, "SYS"),
];

fn name(number: i32) -> &'static str {
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map_or("?", |(_, name)| name)
}

/// What the [`Reaper`](crate::Reaper) says of a process that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// How it ended.
    pub report: ExitReport,
    /// How much it took.
    pub escalated: Escalation,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.report, self.escalated) {
            // What ends by SIGKILL has no status: it had gone before the signal came.
            (ExitReport::Exited { .. }, Escalation::Kill) => self.report.fmt(f),
            (report, escalated) => write!(f, "{report}{escalated}"),
        }
    }
}

/// The strongest means that was used to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Escalation {
    /// None: it went by itself.
    None,
    /// SIGTERM, after one grace.
    Term,
    /// SIGKILL, after another or because that was asked for.
    Kill,
}

impl fmt::Display for Escalation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Term => ", after SIGTERM",
            Self::Kill => ", after SIGKILL",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_like_a_sentence() {
        let text = |raw| ExitReport::from(ExitStatus::from_raw(raw)).to_string();
        assert_eq!(text(3 << 8), "exit status 3");
        assert_eq!(text(9), "killed by signal 9 (KILL)");
        assert_eq!(text(15), "killed by signal 15 (TERM)");
        assert_eq!(text(64), "killed by signal 64 (?)");
        assert_eq!(ExitReport::Stuck.to_string(), "sent SIGKILL and still not gone");
    }

    #[test]
    fn an_exit_says_what_it_took() {
        let exit = Exit { report: ExitStatus::from_raw(9).into(), escalated: Escalation::Kill };
        assert_eq!(exit.to_string(), "killed by signal 9 (KILL), after SIGKILL");
        let exit = Exit { report: ExitStatus::from_raw(0).into(), escalated: Escalation::None };
        assert_eq!(exit.to_string(), "exit status 0");
        let exit = Exit { report: ExitStatus::from_raw(1 << 8).into(), escalated: Escalation::Term };
        assert_eq!(exit.to_string(), "exit status 1, after SIGTERM");
    }

    #[test]
    fn who_went_before_sigkill_came_went_by_itself() {
        let exit = Exit { report: ExitStatus::from_raw(1 << 8).into(), escalated: Escalation::Kill };
        assert_eq!(exit.to_string(), "exit status 1");
    }
}
