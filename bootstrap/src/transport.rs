//! The process that leads to a far side, and what is known of its ways.

use offshoot_wire::Secret;
use serde::{Deserialize, Serialize};

use crate::{ConnectErrorKind, Login, Machine, Stdio, stage0};

/// How a program gets to a place where nothing of ours is: a process that leads to a shell there, over whose stdin the
/// program follows.
///
/// What is run is `argv` with the command of stage 0 behind it, which is the same for every connect, so that it can be
/// listed and allowed; see [`argv`](Self::argv).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Transport {
    /// The program that leads there and its arguments.
    pub leader: Vec<String>,
    /// How it takes the command.
    pub takes: Takes,
    /// Whether that shell is on the machine of this process and sees the processes there: the program is not sent then, but
    /// run from this one's memory, if no other place was asked for.
    pub near: bool,
    /// Words to put before the program where it is run: it is received and placed where the leader leads, and enters the
    /// place itself by them, through a descriptor that was opened before. Empty mostly.
    pub enter: Vec<String>,
    /// The folders in which the program is put there, in order; empty for those that there usually are.
    pub folders: Vec<String>,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// Whether the file of the program stays while it runs; else nothing has a name as soon as it does.
    pub keep: bool,
    /// Whether the program stays there for the next connect, in a folder of the user's own.
    pub cache: bool,
    /// Whether the program is taken into memory there, and no file is made.
    pub memory: bool,
    /// Where somebody else has put the program there, which is checked and run and never written.
    pub preplaced: Option<String>,
    /// Whose words are to be understood when it fails.
    pub dialect: Dialect,
    /// Whether it has a terminal of its own, on which it may ask as well; what it is sent and says passes that by.
    pub terminal: bool,
    /// Whether it runs in the session of the process that starts it, for a tool that looks there for whom it has asked; it has
    /// the terminal of that session then, and so has whoever it leads to. Else, and where it has a terminal of its own, it
    /// leads a session of its own.
    pub shares_session: bool,
    /// What may be asked on stderr before the shell speaks, and the answer.
    pub question: Option<Question>,
    /// The passwords for what an ssh client asks; `None`: what is run is not one, and does not ask by a helper.
    pub logins: Option<Vec<Login>>,
    /// Variables of the environment that are set for the process here.
    pub env: Vec<(String, String)>,
    /// What is wrong with the place, if its name cannot be one; nothing is started then.
    pub flaw: Option<ConnectErrorKind>,
    /// What it gets as its stdin and stdout. What it leads to has the same, unless a server gives it others.
    pub stdio: Stdio,
    /// Whether what an ssh client asks is for the [`Prompter`](crate::Prompter) where there is no password for it; else it is
    /// refused. The clients of jump hosts read the configuration alone, and may always ask.
    pub asks: bool,
    /// What machine it is there, whatever it says itself; `None`: what it says.
    pub machine: Option<Machine>,
    /// Whether what is run is the program itself, or becomes it by itself: no shell is asked for, and nothing is sent.
    pub is_whole: bool,
}

/// How a process that leads to a shell takes the command which that is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Takes {
    /// As the words of a program, as `docker exec` does.
    Words,
    /// The same, but `${name}` in them is a variable of the environment, and `$$` a dollar, as for systemd.
    Expanded,
    /// As one line for a shell there, as `ssh` does.
    Line,
}

/// The question that the way to a place is known to ask, and the one answer to it. What else is asked where it may be is for the
/// [`Prompter`](crate::Prompter).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// The words by which it is known, wherever they stand in what comes on stderr or a terminal of its own.
    pub words: String,
    /// The answer: given once, where it was asked for, and never unasked. `None`: the prompter is asked.
    pub answer: Option<Secret>,
}

impl Question {
    /// A question known by these words.
    pub fn new(words: impl Into<String>, answer: Option<Secret>) -> Self {
        Self { words: words.into(), answer }
    }
}

/// Whose texts a transport's stderr holds when it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Dialect {
    /// Nobody's that we know.
    #[default]
    Other,
    /// OpenSSH's.
    Ssh,
    /// Those of sudo, su and doas.
    Sudo,
    /// A container engine's.
    Container,
}

impl Transport {
    /// One whose process takes words, as they are.
    pub fn words<W: Into<String>>(leader: impl IntoIterator<Item = W>) -> Self {
        Self {
            leader: leader.into_iter().map(Into::into).collect(),
            takes: Takes::Words,
            near: false,
            enter: Vec::new(),
            folders: Vec::new(),
            args: Vec::new(),
            keep: false,
            cache: false,
            memory: false,
            preplaced: None,
            dialect: Dialect::Other,
            terminal: false,
            shares_session: false,
            question: None,
            logins: None,
            env: Vec::new(),
            flaw: None,
            stdio: Stdio::Socket,
            asks: false,
            machine: None,
            is_whole: false,
        }
    }

    /// One whose process takes one line for the shell of the far side.
    pub fn line<W: Into<String>>(leader: impl IntoIterator<Item = W>) -> Self {
        Self { takes: Takes::Line, ..Self::words(leader) }
    }

    /// Whether the program may be run from the memory of this process: no other place was asked for.
    pub(crate) fn is_lent(&self) -> bool {
        self.near && !self.keep && self.folders.is_empty() && self.preplaced.is_none()
    }

    /// Whether the program is surely sent, and packed where it can be unpacked.
    pub(crate) const fn is_packed(&self) -> bool {
        !self.near && !self.cache && !self.memory && self.preplaced.is_none()
    }

    /// All words of the process that is started.
    ///
    /// ```
    /// use offshoot_bootstrap::{Method as _, Payload, Ssh};
    ///
    /// let plan = Ssh::new("web1").payload(Payload::this_program()).plan();
    /// let argv = plan.transport.unwrap().argv();
    /// assert_eq!(argv[0], "ssh");
    /// assert!(argv.last().unwrap().starts_with("sh -c '"));
    /// ```
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let mut argv = self.leader.clone();
        let words = stage0::command_words();
        match self.takes {
            _ if self.is_whole => argv.extend(self.args.iter().cloned()),
            Takes::Words => argv.extend(words.map(str::to_owned)),
            Takes::Expanded => argv.extend(words.map(|word| word.replace('$', "$$"))),
            Takes::Line => argv.push(stage0::command_line()),
        }
        argv
    }
}
