//! A child on another host, by the user's own OpenSSH client.

use std::fmt;

use crate::{
    Dialect, Method, Plan, Text, Transport,
    options::{Options, check_word, common_options},
};

/// What is asked of the client whatever the user's configuration says: no terminal, no command and no forwarding of
/// theirs, no question that nobody can answer, and nothing on stderr but what has gone wrong.
const ALWAYS: [&str; 10] = [
    "RequestTTY=no",
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "Tunnel=no",
    "LogLevel=ERROR",
    "BatchMode=yes",
    "EscapeChar=none",
];

/// A host that `ssh` reaches: with the user's configuration, keys, agent, jump hosts and known hosts.
///
/// ```
/// use offshoot_bootstrap::Ssh;
///
/// let web = Ssh::new("web1").user("deploy").port(2222);
/// assert_eq!(web.to_string(), "ssh:deploy@web1:2222");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Ssh {
    host: String,
    user: Option<String>,
    port: Option<u16>,
    program: String,
    identity: Option<String>,
    extra: Vec<String>,
    options: Options,
}

impl Ssh {
    /// A host, by a name that `ssh` knows or can look up, or by its address.
    pub fn new(host: impl AsRef<str>) -> Self {
        Self {
            host: host.as_ref().to_owned(),
            user: None,
            port: None,
            program: "ssh".to_owned(),
            identity: None,
            extra: Vec::new(),
            options: Options::default(),
        }
    }

    /// The user to log in as: the configuration's where it is not said.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The port: the configuration's where it is not said, and that is 22 mostly.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The file of the key to log in with, and no other key.
    pub fn identity(mut self, file: impl Into<String>) -> Self {
        self.identity = Some(file.into());
        self
    }

    /// The client to run: `ssh`, out of the PATH, where it is not said.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// One option for the client, as it stands in `ssh_config`: `StrictHostKeyChecking=accept-new`. The first that
    /// sets a thing holds, and what this crate needs is set before.
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.extra.extend(["-o".to_owned(), option.into()]);
        self
    }

    /// The configuration to read in place of the user's and the system's.
    pub fn config(mut self, file: impl Into<String>) -> Self {
        self.extra.extend(["-F".to_owned(), file.into()]);
        self
    }

    common_options!();

    fn leader(&self) -> Vec<String> {
        let mut argv = vec![self.program.clone(), "-T".to_owned()];
        argv.extend(ALWAYS.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        let seconds = self.options.timeout.as_secs().clamp(1, 3600);
        argv.extend(["-o".to_owned(), format!("ConnectTimeout={seconds}")]);
        argv.extend(self.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        argv.extend(self.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]));
        if let Some(identity) = &self.identity {
            let only = "IdentitiesOnly=yes".to_owned();
            argv.extend(["-i".to_owned(), identity.clone(), "-o".to_owned(), only]);
        }
        argv.extend(self.extra.iter().cloned());
        argv.extend(["--".to_owned(), self.host.clone()]);
        argv
    }
}

impl Method for Ssh {
    fn plan(&self) -> Plan {
        let user = self.user.as_ref().and_then(|user| check_word("user", user));
        let flaw = check_word("host", &self.host).or(user);
        let transport = Transport { dialect: Dialect::Ssh, flaw, ..Transport::line(self.leader()) };
        self.options.plan("ssh", &self.host, transport)
    }
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh:")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", Text::from(user.as_str()))?;
        }
        write!(f, "{}", Text::from(self.host.as_str()))?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
