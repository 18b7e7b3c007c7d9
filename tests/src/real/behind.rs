//! A place behind a real shell of this machine, where a program of the tests runs though it is not static.

use std::{fmt, fs, sync::OnceLock};

use offshoot_bootstrap::{Method, Payload, Plan, Stdio, Wrapped};

use crate::world::Dice;

/// How long the program is that is sent, in bytes: more than any pipe holds.
const SIZE: usize = 200_000;
/// The head of a program for a machine with words of 64 bits.
const HEAD: usize = 64;

/// A way on which everything is real but the program: one is sent that nobody could run, and when it has been placed and
/// checked another runs in its place, with the file as its last argument.
#[derive(Clone, Debug)]
pub struct Behind(Plan);

impl Behind {
    /// Where `leader` leads, `program` runs.
    pub fn new<L: Into<String>, P: Into<String>>(
        leader: impl IntoIterator<Item = L>,
        program: impl IntoIterator<Item = P>,
    ) -> Self {
        Self::by(&Wrapped::new(leader), program)
    }

    /// Where a method leads, `program` runs.
    pub fn by<P: Into<String>>(method: &impl Method, program: impl IntoIterator<Item = P>) -> Self {
        let mut plan = method.plan();
        plan.payload = stand_in();
        if let Some(transport) = &mut plan.transport {
            transport.enter = program.into_iter().map(Into::into).collect();
        }
        Self(plan)
    }

    /// Whatever leads there has a socket as its stdin and stdout, as an ssh client does.
    #[must_use]
    pub fn by_socket(mut self) -> Self {
        if let Some(transport) = &mut self.0.transport {
            transport.stdio = Stdio::Socket;
        }
        self
    }

    /// What the child is called.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }
}

impl Method for Behind {
    fn plan(&self) -> Plan {
        self.0.clone()
    }
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.method, self.0.place)
    }
}

/// The head of a program for this machine that needs no loader, and noise that nothing packs.
fn stand_in() -> Payload {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let mut bytes = fs::read("/proc/self/exe").expect("this program can be read");
        bytes.truncate(HEAD);
        // Where its tables of segments and sections are, and how many of each there are: none.
        for tables in [32..48, 56..58, 60..64] {
            bytes[tables].fill(0);
        }
        let mut dice = Dice::new(1);
        bytes.extend(std::iter::repeat_with(|| dice.next() as u8).take(SIZE - HEAD));
        bytes
    });
    Payload::bytes("stand-in", bytes.as_slice()).expect("this is the head of a program")
}
