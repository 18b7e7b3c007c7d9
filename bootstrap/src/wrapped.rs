//! A child at the end of any command that runs a program elsewhere, or as somebody else.

use std::fmt;

use crate::{
    Method, Plan, Stdio, Text, Transport,
    options::{Options, common_options},
};

/// What a command leads to that runs the program named by its last words: `ssh-agent`, `nice -n 5`,
/// `ip netns exec blue`, `nsenter -t 77 -a`. No words at all lead to a shell on this machine.
///
/// ```
/// use offshoot_bootstrap::Wrapped;
///
/// let blue = Wrapped::new(["ip", "netns", "exec", "blue"]).name("blue");
/// assert_eq!(blue.to_string(), "command:ip netns exec blue");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Wrapped {
    leader: Vec<String>,
    options: Options,
}

impl Wrapped {
    /// The command and its arguments; `sh -c ...` is put behind them.
    pub fn new<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        Self { leader: command.into_iter().map(Into::into).collect(), options: Options::default() }
    }

    common_options!();
}

impl Method for Wrapped {
    fn plan(&self) -> Plan {
        let place = self.leader.first().map_or("sh", |program| program.as_str());
        // Where a command of the user's leads, nobody knows: what it leads to may be somebody else.
        let near = self.leader.is_empty();
        let stdio = if near { Stdio::Socket } else { Stdio::Pipes };
        let transport = Transport { near, stdio, ..Transport::words(self.leader.iter().cloned()) };
        self.options.plan("command", place, transport)
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command:{}", Text::from(self.leader.join(" ")))
    }
}
