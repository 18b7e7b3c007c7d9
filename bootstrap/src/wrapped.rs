//! A child at the end of any command that runs a program elsewhere, or as somebody else.

use std::fmt;

use crate::{
    ConnectErrorKind, Method, Payload, Plan, Stdio, Text, Transport,
    options::{Options, check_word, common_options},
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
    is_whole: bool,
    options: Options,
}

impl Wrapped {
    /// The command and its arguments; `sh -c ...` is put behind them.
    pub fn new<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        let leader = command.into_iter().map(Into::into).collect();
        Self { leader, is_whole: false, options: Options::default() }
    }

    /// A command that is the program itself or becomes it, such as `sudo -n -u agent -- /usr/lib/agent/leaf`: it needs no shell
    /// and no right to run one. Nothing is sent and nothing put anywhere, no hash is looked at, and what it asks is answered by
    /// nobody of ours: an ssh client is to be told so (`-o BatchMode=yes`). [`args`](Self::args) stand behind it; a [`payload`](Self::payload) means nothing.
    pub fn whole<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Self {
        Self { is_whole: true, ..Self::new(command) }
    }

    common_options!();

    fn check_whole(&self) -> Option<ConnectErrorKind> {
        let is_none = self.leader.is_empty().then(|| check_word("command", ""));
        is_none.flatten().or_else(|| self.options.check_whole())
    }
}

impl Method for Wrapped {
    fn plan(&self) -> Plan {
        let place = self.leader.first().map_or("sh", |program| program.as_str());
        // Where a command of the user's leads, nobody knows: what it leads to may be somebody else.
        let near = self.leader.is_empty();
        let stdio = if near { Stdio::Socket } else { Stdio::Pipes };
        let is_whole = self.is_whole;
        let flaw = if is_whole { self.check_whole() } else { None };
        let transport =
            Transport { near, stdio, is_whole, flaw, ..Transport::words(self.leader.iter().cloned()) };
        let plan = self.options.plan("command", place, transport);
        // What means nothing is not read, nor sent to whoever carries the plan out.
        if is_whole { Plan { payload: Payload::this_program(), ..plan } } else { plan }
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command:{}", Text::from(self.leader.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_command_is_run_as_it_is_and_nothing_is_put_anywhere() {
        let whole = Wrapped::whole(["sudo", "-n", "/usr/lib/agent/leaf"]).args(["-v"]);
        assert_eq!(whole.plan().transport.unwrap().argv(), ["sudo", "-n", "/usr/lib/agent/leaf", "-v"]);
        // Nobody reads the file or sends the program, wherever the plan goes.
        let payload =
            whole.clone().payload(Payload::bytes("cat", std::fs::read("/bin/cat").unwrap()).unwrap());
        assert_eq!((payload.plan().payload.size(), payload.plan().name), (0, whole.plan().name));
        let text = whole.explain();
        for part in [
            "runs here: sudo -n /usr/lib/agent/leaf -v\n",
            "is sent: nothing: it is the program, or becomes it\n",
            "is written there: nothing\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
        for (method, why) in [
            (whole.clone().cache(true), "the placement `cache` is for a program that is put somewhere"),
            (whole.memory(), "the placement `memory` is for a program that is put somewhere"),
            (Wrapped::whole([""; 0]), "the command `` is empty"),
        ] {
            let error = method.plan().check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
