//! The matrix: what becomes of a tree when a fault meets it at a step, and where that is proven.

use offshoot_tests::real::Signal;
use serde::{Deserialize, Serialize};

/// Where a tree is when a fault meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Step {
    Spawn,
    Prompt,
    Stage0,
    Payload,
    Exec,
    Setup,
    Idle,
    Call,
    Stream,
    Hop,
    Shutdown,
}

impl Step {
    pub(crate) const ALL: [Self; 11] = [
        Self::Spawn,
        Self::Prompt,
        Self::Stage0,
        Self::Payload,
        Self::Exec,
        Self::Setup,
        Self::Idle,
        Self::Call,
        Self::Stream,
        Self::Hop,
        Self::Shutdown,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Prompt => "prompt",
            Self::Stage0 => "stage0",
            Self::Payload => "payload",
            Self::Exec => "exec",
            Self::Setup => "setup",
            Self::Idle => "idle",
            Self::Call => "call",
            Self::Stream => "stream",
            Self::Hop => "hop",
            Self::Shutdown => "shutdown",
        }
    }

    /// How a tree is held there.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Spawn => "a local child has been started and says nothing",
            Self::Prompt => "what leads there has asked for a password, has it, and thinks about it",
            Self::Stage0 => "the shell there has spoken, and hears nothing",
            Self::Payload => "a part of the program is there, and no more comes",
            Self::Exec => "the program runs there and says nothing",
            Self::Setup => "it has been told who it is and does not say who it is",
            Self::Idle => "it is up, and nobody wants anything",
            Self::Call => "a call runs there",
            Self::Stream => "a stream comes from there, whose reader does not read, and a call runs there",
            Self::Hop => "a hop makes a child, whose program runs and says nothing",
            Self::Shutdown => "the tree was told to end, and the child does not come back from a call",
        }
    }

    pub(crate) const fn is_connecting(self) -> bool {
        matches!(
            self,
            Self::Spawn | Self::Prompt | Self::Stage0 | Self::Payload | Self::Exec | Self::Setup | Self::Hop
        )
    }

    /// What the error of a connect that fails here may say of how far it had come.
    pub(crate) const fn phases(self) -> &'static [&'static str] {
        match self {
            Self::Spawn => &["Marker"],
            Self::Prompt => &["Shell"],
            Self::Stage0 => &["Shell", "Place"],
            Self::Payload => &["Place", "Send"],
            Self::Exec | Self::Hop => &["Send", "Marker"],
            // SETUP is written before the first word is read, and the far side's may still be on its way.
            Self::Setup => &["Marker", "Setup", "Hello"],
            _ => &[],
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillChild,
    KillTransport,
    KillHop,
    KillRoot,
    StopChild,
    StopRoot,
    HalfClosed,
    Deaf,
    HalfOpen,
    FullPipe,
    NoDescriptor,
    NoProcess,
    NoSpace,
    Interrupts,
    Clock,
    SigInt,
    SigTerm,
    SigHup,
    NoTerminal,
    NoStdin,
}

impl Fault {
    pub(crate) const ALL: [Self; 20] = [
        Self::KillChild,
        Self::KillTransport,
        Self::KillHop,
        Self::KillRoot,
        Self::StopChild,
        Self::StopRoot,
        Self::HalfClosed,
        Self::Deaf,
        Self::HalfOpen,
        Self::FullPipe,
        Self::NoDescriptor,
        Self::NoProcess,
        Self::NoSpace,
        Self::Interrupts,
        Self::Clock,
        Self::SigInt,
        Self::SigTerm,
        Self::SigHup,
        Self::NoTerminal,
        Self::NoStdin,
    ];

    /// What is sent to the process group of the root, if it is a signal.
    pub(crate) const fn signal(self) -> Option<Signal> {
        match self {
            Self::SigInt => Some(Signal::INT),
            Self::SigTerm => Some(Signal::TERM),
            Self::SigHup => Some(Signal::HUP),
            _ => None,
        }
    }

    /// Its part of the names of tests.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::KillChild => "kill_child",
            Self::KillTransport => "kill_transport",
            Self::KillHop => "kill_hop",
            Self::KillRoot => "kill_root",
            Self::StopChild => "stop_child",
            Self::StopRoot => "stop_root",
            Self::HalfClosed => "half_closed",
            Self::Deaf => "deaf",
            Self::HalfOpen => "half_open",
            Self::FullPipe => "full_pipe",
            Self::NoDescriptor => "no_descriptor",
            Self::NoProcess => "no_process",
            Self::NoSpace => "no_space",
            Self::Interrupts => "interrupts",
            Self::Clock => "clock",
            Self::SigInt => "sigint",
            Self::SigTerm => "sigterm",
            Self::SigHup => "sighup",
            Self::NoTerminal => "no_terminal",
            Self::NoStdin => "no_stdin",
        }
    }

    /// What it is, and how the tests make it.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::KillChild => "the process of the child is killed by SIGKILL",
            Self::KillTransport => "the process that leads to the child is killed by SIGKILL",
            Self::KillHop => "the hop that makes or has made the child is killed by SIGKILL",
            Self::KillRoot => "the root is killed by SIGKILL",
            Self::StopChild => "the child is stopped, and resumed a little later",
            Self::StopRoot => "the root is stopped, and resumed a little later",
            Self::HalfClosed => "what leads to the child closes the way up and stays",
            Self::Deaf => {
                "what leads to the child shuts down its receiving side (SHUT_RD), passes on what was on its way, and stays; nothing tells of it but the next write, a PING where there is nothing else to say, so that a child that has its SETUP comes up and is lost by its first call"
            }
            Self::HalfOpen => {
                "nothing passes either way any more, and nothing is closed: what leads there is stopped for good"
            }
            Self::FullPipe => "what leads to the child reads nothing any more",
            Self::NoDescriptor => {
                "no descriptor is left: the limit is lowered to what is open; what a connect or a call needs here is there before it begins"
            }
            Self::NoProcess => {
                "no process or thread may be added: the limit is lowered below what there is; what a connect or a call needs here is there before it begins"
            }
            Self::NoSpace => {
                "no file can be written: the limit of its size is lowered, or no folder takes one"
            }
            Self::Interrupts => "signals with a handler interrupt the root's system calls all the time",
            Self::Clock => "the wall clock jumps",
            Self::SigInt => "Ctrl-C: SIGINT to the process group of a root that ends its tree on it",
            Self::SigTerm => "SIGTERM to the process group of such a root",
            Self::SigHup => "SIGHUP to the process group of such a root",
            Self::NoTerminal => {
                "the terminal of a root that ignores SIGHUP hangs up: what the root writes there is refused (EIO), and so is the password that it is reading there, or where it reads too late there is none"
            }
            Self::NoStdin => {
                "the root was started with its stdin closed, in whose place the start of a Rust program opens /dev/null; a password that is asked for would be read from it"
            }
        }
    }
}

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An error at once, the limit named.
    Refused,
    /// A connect error within a second, with the step, the cause, the last words.
    Error,
    /// The same, told by the far side.
    FarError,
    /// A connect error at its deadline.
    Deadline,
    /// What goes there ends as lost, within two seconds.
    Lost,
    /// The same when it was silent for as long as a link may be.
    Silent,
    /// It waits, and completes once when the fault ends.
    Waits,
    /// The connect is called off within a second.
    Cancelled,
    /// There is no room: the caller's deadline passes.
    NoRoom,
    /// The end completes, by grace, SIGTERM and SIGKILL.
    Ends,
    /// Nobody is left to tell; every process here is gone within two seconds, there within five.
    Gone,
    /// Nothing.
    Nothing,
}

impl Outcome {
    /// One for each letter.
    pub(crate) const ALL: [Self; 11] = [
        Self::Refused,
        Self::Error,
        Self::Deadline,
        Self::Lost,
        Self::Silent,
        Self::Waits,
        Self::Cancelled,
        Self::NoRoom,
        Self::Ends,
        Self::Gone,
        Self::Nothing,
    ];

    /// What it means, with its bound.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Refused => "an error at once, which names the limit",
            Self::Error | Self::FarError => {
                "a connect error within a second, with the step, the cause and the last words"
            }
            Self::Deadline => "the same at the deadline of the connect",
            Self::Lost => {
                "each call and stream into the loss ends as lost within two seconds, and says whether it may have run"
            }
            Self::Silent => "the same once the link was silent for three intervals of PING",
            Self::Waits => "nothing, until the fault ends; then it completes, once",
            Self::Cancelled => "the connect is called off within a second",
            Self::NoRoom => "there is no room: the caller's deadline passes",
            Self::Ends => {
                "the end completes by grace, SIGTERM and SIGKILL, two seconds after the grace at the latest"
            }
            Self::Gone => {
                "nobody is left to tell: each process here is gone within two seconds, each one there within five"
            }
            Self::Nothing => "nothing: it completes as if there were no fault",
        }
    }

    /// As the notes on faults have it.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Refused => 'A',
            Self::Error | Self::FarError => 'E',
            Self::Deadline => 'T',
            Self::Lost => 'L',
            Self::Silent => 'P',
            Self::Waits => 'W',
            Self::Cancelled => 'C',
            Self::NoRoom => 'B',
            Self::Ends => 'G',
            Self::Gone => 'K',
            Self::Nothing => 'N',
        }
    }
}

/// A cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A test of this program.
    Test(Outcome),
    /// It cannot occur.
    Never(&'static str),
    /// It follows from something else.
    Follows(Outcome, &'static str),
}

/// The name of the test of a cell.
pub(crate) fn name(fault: Fault, step: Step) -> String {
    format!("fault_{}_at_{}", fault.word(), step.word())
}

/// What leads to a child of this machine is the child.
const LOCAL: &str = "a local child has nothing that leads to it";
const NOT_WRITTEN: &str = "nothing is written then";

/// The matrix itself.
pub(crate) const fn cell(fault: Fault, step: Step) -> Cell {
    use Cell::{Follows, Never, Test};
    use Outcome::*;
    match (fault, step) {
        (Fault::KillTransport | Fault::HalfClosed | Fault::Deaf, Step::Spawn) => Never(LOCAL),
        (Fault::Deaf, Step::Exec | Step::Setup | Step::Idle | Step::Call | Step::Stream | Step::Hop) => {
            Test(Lost)
        }
        (Fault::Deaf, Step::Shutdown) => Test(Ends),
        (Fault::Deaf, _) => Test(Error),
        (Fault::KillChild | Fault::KillTransport | Fault::KillHop | Fault::HalfClosed, Step::Shutdown) => {
            Test(Nothing)
        }
        (
            Fault::KillChild | Fault::KillTransport | Fault::KillHop | Fault::HalfClosed,
            Step::Idle | Step::Call | Step::Stream,
        ) => Test(Lost),
        (Fault::KillChild | Fault::KillTransport | Fault::KillHop | Fault::HalfClosed, _) => Test(Error),

        (Fault::KillRoot, _) => Test(Gone),

        (Fault::StopChild, Step::Shutdown) => Test(Ends),
        (Fault::StopChild | Fault::StopRoot, _) => Test(Waits),

        (Fault::HalfOpen, Step::Idle | Step::Call | Step::Stream) => Test(Silent),
        (Fault::HalfOpen, Step::Shutdown) => Test(Ends),
        (Fault::HalfOpen, _) => Test(Deadline),

        (Fault::FullPipe, Step::Spawn) => Never(LOCAL),
        (Fault::FullPipe, Step::Exec) => Never(NOT_WRITTEN),
        (Fault::FullPipe, Step::Idle) => Test(Nothing),
        (Fault::FullPipe, Step::Call | Step::Stream) => Test(NoRoom),
        (Fault::FullPipe, Step::Shutdown) => Test(Ends),
        (Fault::FullPipe, _) => Test(Deadline),

        (Fault::NoDescriptor | Fault::NoProcess, Step::Spawn) => Test(Refused),
        (Fault::NoDescriptor | Fault::NoProcess, Step::Stage0 | Step::Payload | Step::Exec | Step::Hop) => {
            Test(FarError)
        }
        (Fault::NoDescriptor | Fault::NoProcess, _) => Test(Nothing),

        (Fault::NoSpace, Step::Spawn) => Follows(Nothing, "t29_a_program_that_came_as_bytes_leaves_no_file"),
        (Fault::NoSpace, Step::Prompt) => Never(NOT_WRITTEN),
        (Fault::NoSpace, Step::Exec | Step::Setup) => Never("no file is written once the program runs"),
        (Fault::NoSpace, Step::Stage0 | Step::Payload) => Test(FarError),
        (Fault::NoSpace, Step::Hop) => Test(FarError),
        (Fault::NoSpace, _) => Test(Nothing),

        (Fault::Interrupts, _) => Test(Nothing),
        (Fault::Clock, _) => Follows(Nothing, "nothing_reads_the_wall_clock"),

        (
            Fault::SigInt | Fault::SigTerm | Fault::SigHup,
            Step::Idle | Step::Call | Step::Stream | Step::Shutdown,
        ) => Test(Ends),
        (Fault::SigInt | Fault::SigTerm | Fault::SigHup, _) => Test(Cancelled),

        (Fault::NoTerminal | Fault::NoStdin, Step::Prompt) => Test(Error),
        (Fault::NoTerminal | Fault::NoStdin, _) => Test(Nothing),
    }
}
