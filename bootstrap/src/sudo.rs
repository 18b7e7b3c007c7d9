//! A child of another user on the same machine: by sudo, su or doas.

use std::fmt;

use offshoot_wire::Secret;

use crate::{
    Dialect, Method, Plan, Question, Stdio, Takes, Text, Transport, locale,
    options::{Options, check_word, common_options, program_option, words_option},
};

/// What sudo is told to ask for the password with, so that nothing else is taken for that question.
const SUDO_ASKS: &str = "[offshoot] password: ";
/// The variable by which it is told: by its `-p` it would ask for all that PAM wants to know, such as a code, in these words alone.
const SUDO_PROMPT: &str = "SUDO_PROMPT";

/// Another user of the same machine.
///
/// sudo without a [`password`](Self::password) or [`ask`](Self::ask) asks nobody, and may go on what it was told at the terminal of this program,
/// which it knows by its session: it runs in that, and so does the child. A child of another user who is not to be trusted could
/// type into that terminal then, unless sudo gives it one of its own (`use_pty`) or [`terminal`](Self::terminal) does. Whatever
/// else leads to another user runs in a session of its own.
///
/// sudo and su read a password from the stream by which the program follows, and get it when they have asked for it and
/// not before. doas asks nobody but a terminal: it has one of its own where a password is given or it may ask, by which nothing else
/// goes.
///
/// ```
/// use offshoot_bootstrap::Sudo;
///
/// assert_eq!(Sudo::new().to_string(), "sudo:root");
/// assert_eq!(Sudo::by_su().user("www").to_string(), "su:www");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Sudo {
    tool: Tool,
    program: String,
    user: String,
    password: Option<Secret>,
    asks_person: bool,
    asks: Option<String>,
    terminal: bool,
    extra: Vec<String>,
    options: Options,
}

#[derive(Clone, Copy, Debug)]
enum Tool {
    Sudo,
    Su,
    Doas,
}

impl Tool {
    const fn word(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Doas => "doas",
        }
    }
}

impl Sudo {
    /// By sudo; root where no [`user`](Self::user) is said.
    pub fn new() -> Self {
        Self::by(Tool::Sudo)
    }

    /// By su; root where no [`user`](Self::user) is said.
    pub fn by_su() -> Self {
        Self::by(Tool::Su)
    }

    /// By doas; root where no [`user`](Self::user) is said.
    pub fn by_doas() -> Self {
        Self::by(Tool::Doas)
    }

    fn by(tool: Tool) -> Self {
        Self {
            tool,
            program: tool.word().to_owned(),
            user: "root".to_owned(),
            password: None,
            asks_person: false,
            asks: None,
            terminal: false,
            extra: Vec::new(),
            options: Options::default(),
        }
    }

    /// Who the child is to run as.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// The password: the own one for sudo and doas, that of the other user for su. It is given once, when it is asked
    /// for.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Has sudo and doas ask for the password that was not given: whoever makes the connect must have a
    /// [`Prompter`](crate::Prompter), as the root of a tree may and a hop never has, and else it is an error. su asks in any case, as PAM may have all of them ask for
    /// other things, such as a code, where a password was given: what has no answer is asked of the prompter. Its answer
    /// goes out once, to that question, and not if anything was said meanwhile.
    pub fn ask(mut self) -> Self {
        self.asks_person = true;
        self
    }

    /// The words by which the password is asked for, where they are not `Password: ` of su, `password: ` of doas, or those that
    /// sudo is told: where PAM asks in words of its own, such as `First Factor: `, it asks in these.
    pub fn asks(mut self, words: impl Into<String>) -> Self {
        self.asks = Some(words.into());
        self
    }

    /// Gives it a terminal of its own, for a sudo that wants one (`requiretty`) or an su that asks on nothing else, or that
    /// a child may not have that of this program. What the program is sent and says does not go by it.
    pub fn terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    words_option!(
        "Options of the tool, such as `-i` (by a login shell), `-E` (keep the environment), `-H`, `-g` and a group, or `-r` and `-t` of SELinux."
    );
    program_option!();

    common_options!();

    fn transport(&self) -> Transport {
        let may_ask = self.password.is_some() || self.asks_person;
        let extra = || self.extra.iter().map(String::as_str);
        let words = |before: &[&str], behind: &[&str]| {
            let before = before.iter().copied().chain(extra());
            let all = std::iter::once(&*self.program).chain(before).chain(behind.iter().copied());
            Transport::words(all)
        };
        let user = ["-u", &*self.user, "--"];
        let transport = match self.tool {
            Tool::Sudo if may_ask => words(&["-S"], &user),
            // What is behind the user is for his shell, to every su. Before him `-c` is a class of logins to some.
            Tool::Su => Transport { takes: Takes::Line, ..words(&[], &["--", &self.user, "-c"]) },
            Tool::Doas if may_ask => words(&[], &user),
            Tool::Sudo => Transport { shares_session: true, ..words(&["-n"], &user) },
            Tool::Doas => words(&["-n"], &user),
        };
        let asks = |usual: &str| self.asks.clone().unwrap_or_else(|| usual.to_owned());
        let asks = match self.tool {
            Tool::Sudo => asks(SUDO_ASKS),
            Tool::Su => asks("Password: "),
            Tool::Doas => asks("password: "),
        };
        // Its words are to be the ones that we know.
        let mut env = vec![locale::english()];
        if matches!(self.tool, Tool::Sudo) && may_ask {
            env.push((SUDO_PROMPT.to_owned(), asks.replace('%', "%%")));
        }
        Transport {
            near: true,
            dialect: Dialect::Sudo,
            terminal: self.terminal || (may_ask && matches!(self.tool, Tool::Doas)),
            question: Some(Question::new(asks, self.password.clone())),
            env,
            flaw: check_word("user", &self.user),
            stdio: Stdio::Pipes,
            ..transport
        }
    }
}

impl Default for Sudo {
    fn default() -> Self {
        Self::new()
    }
}

impl Method for Sudo {
    fn plan(&self) -> Plan {
        self.options.plan(self.tool.word(), &self.user, self.transport())
    }
}

impl fmt::Display for Sudo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tool.word(), Text::from(self.user.as_str()))
    }
}
