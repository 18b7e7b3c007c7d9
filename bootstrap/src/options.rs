//! What can be said of every child that is made at another place.

use std::time::Duration;

use offshoot_wire::clean_name;

use crate::{ConnectErrorKind, Machine, Payload, Plan, Text, Transport, method::DEFAULT_TIMEOUT};

/// The options that all methods with a transport have.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) payload: Option<Payload>,
    pub(crate) name: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) stamped: bool,
    pub(crate) folders: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) keep: bool,
    pub(crate) cache: bool,
    pub(crate) memory: bool,
    pub(crate) preplaced: Option<String>,
    pub(crate) machine: Option<Machine>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            payload: None,
            name: None,
            timeout: DEFAULT_TIMEOUT,
            stamped: false,
            folders: Vec::new(),
            args: Vec::new(),
            keep: false,
            cache: false,
            memory: false,
            preplaced: None,
            machine: None,
        }
    }
}

impl Options {
    /// The plan of a method that goes by `transport` to `place`. A child that was not named is named after both.
    pub(crate) fn plan(&self, method: &'static str, place: &str, transport: Transport) -> Plan {
        let name = self.name.clone().unwrap_or_else(|| clean_name(&format!("{method}:{place}")));
        let payload = self.payload.clone().unwrap_or_else(Payload::this_program);
        let (folders, args) = (self.folders.clone(), self.args.clone());
        let (keep, cache, memory, preplaced) = (self.keep, self.cache, self.memory, self.preplaced.clone());
        let machine = self.machine;
        let flaw = preplaced.as_ref().and_then(|path| check_folder(path)).or_else(|| self.check_memory());
        let flaw = flaw.or(transport.flaw);
        Plan {
            transport: Some(Transport {
                folders,
                args,
                keep,
                cache,
                memory,
                preplaced,
                machine,
                flaw,
                ..transport
            }),
            timeout: self.timeout,
            stamped: self.stamped,
            ..Plan::new(Text::from(place), Text::from(method), name, payload)
        }
    }

    /// Refuses memory beside what wants a file.
    fn check_memory(&self) -> Option<ConnectErrorKind> {
        let beside = self.wanted_file().filter(|_| self.memory)?;
        let why = format!("makes no file, and `.{beside}(..)` wants one: say one of both");
        Some(ConnectErrorKind::BadPlace { what: "placement".into(), text: "memory".into(), why: why.into() })
    }

    /// Refuses whatever says where a program is to be put, for a command that is the program.
    pub(crate) fn check_whole(&self) -> Option<ConnectErrorKind> {
        let beside = self.wanted_file().or_else(|| self.memory.then_some("memory"))?;
        let why = "is for a program that is put somewhere, and a whole command is one that is there".into();
        Some(ConnectErrorKind::BadPlace { what: "placement".into(), text: beside.into(), why })
    }

    /// The first of what was said that wants a file.
    fn wanted_file(&self) -> Option<&'static str> {
        let wants = [
            ("folder", !self.folders.is_empty()),
            ("keep_file", self.keep),
            ("cache", self.cache),
            ("preplaced", self.preplaced.is_some()),
        ];
        wants.into_iter().find_map(|(option, is_wanted)| is_wanted.then_some(option))
    }
}

/// Refuses a word of the user's that a command would take for something else: for an option, or for more than one word.
pub(crate) fn check_word(what: &'static str, word: &str) -> Option<ConnectErrorKind> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:@%+=,/[]".contains(c);
    let why = match word.chars().next() {
        None => "is empty",
        Some('-') => "begins like an option",
        Some(_) if !word.chars().all(is_plain) => "has characters in it that no name has",
        Some(_) => return None,
    };
    Some(ConnectErrorKind::BadPlace { what: what.into(), text: word.into(), why: why.into() })
}

/// Refuses what is no path from the root of the file system, and so might be taken for an option or another folder.
pub(crate) fn check_folder(folder: &str) -> Option<ConnectErrorKind> {
    let why = match folder {
        _ if !folder.starts_with('/') => "is not an absolute path",
        _ if folder.chars().any(char::is_control) => "has characters in it that no name has",
        _ => return None,
    };
    Some(ConnectErrorKind::BadPlace { what: "folder".into(), text: folder.into(), why: why.into() })
}

/// The builder's methods for the options that all methods with a transport have.
macro_rules! common_options {
    () => {
        /// The program that becomes the child: this very one where it is not said. It must be static.
        pub fn payload(mut self, payload: $crate::Payload) -> Self {
            self.options.payload = Some(payload);
            self
        }

        /// What the child is called: its part of the name, 1 to 64 bytes, letters, digits and any of `-_@:+=`. After
        /// the way and the place where it is not said: `ssh:web1`.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.options.name = Some(name.into());
            self
        }

        /// How long all of the connect may take: 30 s where it is not said.
        pub fn timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.options.timeout = timeout;
            self
        }

        /// Puts the authority of the context that makes the child in place of the child's own, in all that comes by
        /// its link.
        pub fn stamped(mut self) -> Self {
            self.options.stamped = true;
            self
        }

        /// The arguments of the program. What runs `Child` or `run` takes none.
        pub fn args<W: Into<String>>(mut self, args: impl IntoIterator<Item = W>) -> Self {
            self.options.args = args.into_iter().map(Into::into).collect();
            self
        }

        /// The folder in which the program is put there, in place of those that there usually are: the runtime
        /// directory of the user, `TMPDIR`, `/tmp`, `/var/tmp`, the home, `/dev/shm`, and then memory. May be called
        /// more than once: the first in which a file can be made and run is taken.
        pub fn folder(mut self, folder: impl Into<String>) -> Self {
            self.options.folders.push(folder.into());
            self
        }

        /// Leaves the program there for the next connect, which sends nothing then: in `$XDG_CACHE_HOME/offshoot` or
        /// `~/.cache/offshoot`, under its hash, which is checked before it is run. The folder is used only if it is the
        /// user's own and nobody else may enter it.
        pub fn cache(mut self, cache: bool) -> Self {
            self.options.cache = cache;
            self
        }

        /// Takes the program into sealed memory there, and makes no file: by the perl or the python3 that must be there then,
        /// or, where what leads there can see this process, out of its memory. Where a file may be made that is the better
        /// way: a program without one may be taken for an attack. Does not go with `folder`, `cache`, `keep_file` and
        /// `preplaced`.
        pub fn memory(mut self) -> Self {
            self.options.memory = true;
            self
        }

        /// Runs the program that somebody else has put there, by its absolute path: a package, or whoever may say what runs on
        /// that machine. It must be the one of [`payload`](Self::payload), by its hash. Nothing is written there.
        pub fn preplaced(mut self, path: impl Into<String>) -> Self {
            self.options.preplaced = Some(path.into());
            self
        }

        /// What machine it is there, where its `uname -m` says another than the one whose programs run there: below `linux32`
        /// an x86_64 calls itself an i686.
        pub fn taken_for(mut self, machine: $crate::Machine) -> Self {
            self.options.machine = Some(machine);
            self
        }

        /// Leaves the file of the program where it is while it runs, under the program's own name, and removes it at the
        /// end: security monitors may take a program without a file for an attack, and some programs go by their name.
        pub fn keep_file(mut self) -> Self {
            self.options.keep = true;
            self
        }
    };
}

/// The builder's method for the tool of a method; the field is `program`.
macro_rules! program_option {
    () => {
        program_option!("The program to run, where it is not in the PATH by its usual name.");
    };
    ($doc:literal) => {
        #[doc = $doc]
        pub fn program(mut self, program: impl Into<String>) -> Self {
            self.program = program.into();
            self
        }
    };
}

/// The builder's method for who the child is to run as; the field is `user`.
macro_rules! user_option {
    ($doc:literal) => {
        #[doc = $doc]
        pub fn user(mut self, user: impl Into<String>) -> Self {
            self.user = Some(user.into());
            self
        }
    };
}

/// The builder's method for words that its tool is given as they are; the field is `extra`.
macro_rules! words_option {
    ($doc:literal) => {
        #[doc = $doc]
        pub fn option<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
            self.extra.extend(words.into_iter().map(Into::into));
            self
        }
    };
}

pub(crate) use {common_options, program_option, user_option, words_option};
