//! A child on another host, by the user's own OpenSSH client.

use std::{fmt, time::Duration};

use offshoot_wire::Secret;

use crate::{
    Account, Dialect, Login, Method, Plan, Text, Transport,
    options::{Options, check_word, common_options, program_option, user_option},
};

/// What is said to the client whatever the user's configuration and the program say, since all else would break the
/// stream or hide why there is none: what the client hears of an account from the server is said where not errors alone are.
const ALWAYS: [&str; 5] =
    ["RequestTTY=no", "RemoteCommand=none", "PermitLocalCommand=no", "LogLevel=INFO", "EscapeChar=none"];

/// What is said behind the options of the program, and so holds unless that asks for it, whatever the user's
/// configuration says: nothing of theirs is handed to the far side, and what is sent is packed already.
const UNLESS_ASKED: [&str; 5] =
    ["ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "Tunnel=no", "Compression=no"];

/// What it may ask where nobody can answer its questions, and where somebody can: once, and nothing afterwards. In its batch
/// mode it would ask nothing, but not say either which key an unknown host has.
const SILENT: [&str; 2] = ["BatchMode=no", "NumberOfPasswordPrompts=0"];
const ASKING: [&str; 3] = ["BatchMode=no", "NumberOfPasswordPrompts=1", "UpdateHostKeys=no"];

/// How many times the server may leave a question of [`Ssh::keepalive`] unanswered.
const UNANSWERED: u32 = 3;

/// The longest time between two of them, in seconds: one day.
const LONGEST: u128 = 86_400;

/// Which host keys are good enough, for [`Ssh::host_keys`]. That a key which has changed is accepted is none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostKeys {
    /// Those that the user's configuration accepts. OpenSSH's own default is that a person is asked about one that is
    /// unknown: it is an error where nobody can be asked.
    #[default]
    Configured,
    /// Those that are known: nobody is asked about another.
    Known,
    /// Those that are known, and the key of a host that never had one, which is known from then on.
    AcceptNew,
}

impl HostKeys {
    const fn option(self) -> Option<&'static str> {
        match self {
            Self::Configured => None,
            Self::Known => Some("StrictHostKeyChecking=yes"),
            Self::AcceptNew => Some("StrictHostKeyChecking=accept-new"),
        }
    }
}

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
    host_keys: HostKeys,
    keepalive: Option<Duration>,
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
            host_keys: HostKeys::Configured,
            keepalive: None,
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

    /// The file of the key to log in with. Besides it only those are tried that the configuration names for the host, and none
    /// else that an agent has.
    pub fn identity(mut self, file: impl Into<String>) -> Self {
        self.identity = Some(file.into());
        self
    }

    program_option!(
        "The client to run, where it is not in the PATH by its usual name. A script before it must `exec` it: whose question it is gets told by the process that was started."
    );

    /// The password of the account there, for where no key lets one in. It is given once, to the client that is started
    /// for this host and to no other, and only for the [`user`](Self::user) if one is said. OpenSSH 8.5 or later and
    /// Linux here.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The password of an account at a jump host on the way: `account` is `user@host`, as the client calls it when it
    /// asks: by its `HostKeyAlias`, if the configuration has one for it. It is given once, and not to the host itself.
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

    /// Which host keys are good enough: those that the user's configuration accepts where it is not said.
    ///
    /// ```
    /// use offshoot_bootstrap::{HostKeys, Method as _, Ssh};
    ///
    /// let fresh = Ssh::new("web1").host_keys(HostKeys::AcceptNew);
    /// assert!(fresh.explain().contains("-o StrictHostKeyChecking=accept-new"));
    /// ```
    pub const fn host_keys(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = host_keys;
        self
    }

    /// Has the client ask the server so often whether it is still there, and end if it has not answered three times:
    /// rounded up to seconds, from one to a day. As the configuration says where it is not said. Links between
    /// contexts find it out by themselves: this is for a line that something on the way cuts when it is silent, and for
    /// other programs, which nothing else tells. A client that shares a connection leaves it to the one that has made that.
    pub const fn keepalive(mut self, interval: Duration) -> Self {
        self.keepalive = Some(interval);
        self
    }

    /// Lets programs there use the user's agent while the child lives, as whoever is root there can too. Off unless it is
    /// asked for, whatever the configuration says.
    pub fn forward_agent(self) -> Self {
        self.option("ForwardAgent=yes")
    }

    /// Compresses what goes over the line: for one that is slower than that. The program is sent packed without it. Off
    /// unless it is asked for, whatever the configuration says.
    pub fn compress(self) -> Self {
        self.option("Compression=yes")
    }

    /// One option for the client, as it stands in `ssh_config`: `ConnectionAttempts=3`. The first that sets a thing holds,
    /// and all of them hold before the configuration.
    ///
    /// What this crate needs is set before, and cannot be changed: no terminal, no command and no escape character, and
    /// how much is said of errors. What is only off unless it is asked for is set behind: `ForwardAgent=yes`,
    /// `ForwardX11=yes`, `Compression=yes`, `Tunnel=yes`, and, with all that the configuration forwards,
    /// `ClearAllForwardings=no`; without that no `LocalForward`, `RemoteForward` or `DynamicForward` is made.
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

    const fn may_ask(&self) -> bool {
        self.asks || self.password.is_some() || !self.jumps.is_empty()
    }

    fn leader(&self) -> Vec<String> {
        let mut argv = vec![self.program.clone(), "-T".to_owned()];
        let asking: &[&str] = if self.may_ask() { &ASKING } else { &SILENT };
        argv.extend(options(ALWAYS.iter().chain(asking)));
        let seconds = self.options.timeout.as_secs().clamp(1, 3600);
        argv.extend(["-o".to_owned(), format!("ConnectTimeout={seconds}")]);
        argv.extend(self.port.iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
        argv.extend(self.user.iter().flat_map(|user| ["-l".to_owned(), user.clone()]));
        if let Some(identity) = &self.identity {
            let only = "IdentitiesOnly=yes".to_owned();
            argv.extend(["-i".to_owned(), identity.clone(), "-o".to_owned(), only]);
        }
        argv.extend(options(self.host_keys.option().iter()));
        if let Some(interval) = self.keepalive {
            let seconds = interval.as_millis().div_ceil(1000).clamp(1, LONGEST);
            let asks =
                [format!("ServerAliveInterval={seconds}"), format!("ServerAliveCountMax={UNANSWERED}")];
            argv.extend(options(asks.iter()));
        }
        argv.extend(self.extra.iter().cloned());
        argv.extend(options(UNLESS_ASKED.iter()));
        argv.extend(["--".to_owned(), self.host.clone()]);
        argv
    }
}

/// Options as words of the client.
fn options<'a, W: AsRef<str> + 'a>(all: impl Iterator<Item = &'a W>) -> impl Iterator<Item = String> {
    all.flat_map(|option| ["-o".to_owned(), option.as_ref().to_owned()])
}

impl Method for Ssh {
    fn plan(&self) -> Plan {
        let user = self.user.as_ref().and_then(|user| check_word("user", user));
        let flaw = check_word("host", &self.host).or(user);
        let account = Account::Place(self.user.clone());
        let own = self.password.iter().map(|password| Login::new(account.clone(), password.clone()));
        // A jump host may ask though this client does not.
        let logins = Some(own.chain(self.jumps.iter().cloned()).collect());
        let asks = self.may_ask();
        let transport =
            Transport { dialect: Dialect::Ssh, logins, flaw, asks, ..Transport::line(self.leader()) };
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
