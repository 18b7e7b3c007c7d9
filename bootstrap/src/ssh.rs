//! A child on another host, by the user's own OpenSSH client.

use std::fmt;

use offshoot_wire::Secret;

use crate::{
    Account, Dialect, Login, Method, Plan, Text, Transport,
    options::{Options, check_word, common_options, program_option, user_option},
};

/// What is asked of the client whatever the user's configuration says: no terminal, no command and no forwarding of
/// theirs, and nothing on stderr but what has gone wrong.
const ALWAYS: [&str; 9] = [
    "RequestTTY=no",
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "Tunnel=no",
    "LogLevel=ERROR",
    "EscapeChar=none",
];

/// What is asked of it where nobody can answer its questions, and where somebody can: once, and nothing afterwards.
const SILENT: [&str; 1] = ["BatchMode=yes"];
const ASKING: [&str; 3] = ["BatchMode=no", "NumberOfPasswordPrompts=1", "UpdateHostKeys=no"];

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
    password: Option<Secret>,
    jumps: Vec<Login>,
    asks: bool,
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
            password: None,
            jumps: Vec::new(),
            asks: false,
            options: Options::default(),
        }
    }

    user_option!("The user to log in as: the configuration's where it is not said.");

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

    program_option!();

    /// The password of the account there, for where no key lets one in. It is given once, to the client that is started
    /// for this host and to no other, and only for the [`user`](Self::user) if one is said. OpenSSH 8.4 or later and
    /// Linux here.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The password of an account at a jump host on the way: `account` is `user@host`, as the client calls it when it
    /// asks. It is given once, and not to the host itself.
    pub fn jump_password(mut self, account: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.jumps.push(Login::new(Account::Jump(account.into()), password.into()));
        self
    }

    /// Lets the client ask what there is no password for: whoever makes the connect must have a
    /// [`Prompter`](crate::Prompter). Else there are no questions, but errors.
    pub fn ask(mut self) -> Self {
        self.asks = true;
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
        let asks = self.asks || self.password.is_some() || !self.jumps.is_empty();
        let asking: &[&str] = if asks { &ASKING } else { &SILENT };
        argv.extend(ALWAYS.iter().chain(asking).flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
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
        let account = Account::Place(self.user.clone());
        let own = self.password.iter().map(|password| Login::new(account.clone(), password.clone()));
        // A jump host may ask though this client does not.
        let logins = Some(own.chain(self.jumps.iter().cloned()).collect());
        let transport = Transport { dialect: Dialect::Ssh, logins, flaw, ..Transport::line(self.leader()) };
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
