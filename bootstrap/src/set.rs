//! One program, built for several machines: the far side says what it is, and gets the one that it can run.

use std::{
    fmt::{self, Write as _},
    fs, io,
    path::Path,
};

use offshoot_wire::Role;
use serde::{Deserialize, Serialize};

use crate::{
    ConnectErrorKind, Machine, Payload, PayloadError, Profile, Text,
    machine::Build,
    payload::{Program, Source},
    raw::Raw,
};

/// The file that lists a set, in its folder; beside it there is a file a machine, of that name.
const LIST: &str = "set";
/// The first line of that file.
const HEAD: &str = "offshoot payload set 1";
/// What stands in the advice for the machine that is missing.
const MACHINE: &str = "MACHINE";

/// A program for each of several machines, from which a connect takes the one for the machine that it comes to.
///
/// `cargo xtask payload` makes one, and so does a [`Recipe`](crate::Recipe). It is loaded from its folder, or
/// embedded by [`embed!`](crate::embed), and goes wherever a [`Payload`] does:
///
/// ```no_run
/// use offshoot_bootstrap::{PayloadSet, Ssh};
///
/// let set = PayloadSet::load("target/payloads/tiny/leaf")?;
/// let to_web = Ssh::new("web1").payload(set.into());
/// # Ok::<(), offshoot_bootstrap::PayloadError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayloadSet {
    name: String,
    /// What the reader can do about a machine that is missing.
    hint: String,
    entries: Vec<Entry>,
}

/// The program for one machine, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    #[serde(with = "word")]
    machine: Machine,
    #[serde(with = "word")]
    profile: Profile,
    identity: Option<Identity>,
    program: Program,
}

/// What a context says of its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) role: Role,
    pub(crate) build: u64,
}

impl PayloadSet {
    pub(crate) const fn of(name: String) -> Self {
        Self { name, hint: String::new(), entries: Vec::new() }
    }

    /// A set that a [`Recipe`](crate::Recipe) has left in `folder`. Each program is checked against its hash.
    ///
    /// # Errors
    ///
    /// There is no set, a file of it is missing, or is not what it was.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, PayloadError> {
        let folder = folder.as_ref();
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => PayloadError::NotFound { path: path.as_path().into() },
                _ => {
                    PayloadError::Unreadable { path: path.as_path().into(), error: error.to_string().into() }
                }
            })
        };
        let list = read(LIST)?;
        Self::parse(&String::from_utf8_lossy(&list), |machine| read(machine).map(Raw::from))
            .map_err(|error| error.in_set(folder))
    }

    /// A set that is part of the running program; [`embed!`](crate::embed) calls it.
    #[doc(hidden)]
    pub fn embedded(list: &str, files: &[(&str, &'static [u8])]) -> Result<Self, PayloadError> {
        Self::parse(list, |machine| {
            let found = files.iter().find(|(name, _)| *name == machine);
            let missing = || PayloadError::NotFound { path: machine.into() };
            found.map(|(_, bytes)| Raw::from(std::borrow::Cow::Borrowed(*bytes))).ok_or_else(missing)
        })
    }

    /// What it holds.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The program that a machine of this kind can run; one of its own kind before one that it merely can.
    #[must_use]
    pub fn entry(&self, machine: Machine) -> Option<&Entry> {
        let exact = self.entries.iter().find(|entry| entry.machine == machine);
        exact.or_else(|| self.entries.iter().find(|entry| machine.may_run(entry.machine)))
    }

    /// What there is for a machine: the error says what it is, what the set has, and what to do.
    pub(crate) fn choose(&self, host: &str, machine: Option<Machine>) -> Result<&Program, ConnectErrorKind> {
        let found = machine.and_then(|machine| self.entry(machine));
        found.map(|entry| &entry.program).ok_or_else(|| {
            let has: Vec<_> = self.entries.iter().map(|entry| entry.machine.to_string()).collect();
            let hint = match machine {
                Some(machine) => self.hint.replace(MACHINE, &machine.to_string()),
                None => "no payload is built for that kind of machine".to_owned(),
            };
            ConnectErrorKind::NoPayload {
                host: host.into(),
                has: if has.is_empty() { "no machine".into() } else { has.join(", ").into() },
                hint: hint.into(),
            }
        })
    }

    pub(crate) fn programs(&self) -> impl Iterator<Item = &Program> {
        self.entries.iter().map(|entry| &entry.program)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn advise(&mut self, hint: String) {
        self.hint = hint;
    }

    /// Adds a program, in the place of the one that is there for its machine.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.retain(|held| held.machine != entry.machine);
        self.entries.push(entry);
        self.entries.sort_by_key(|entry| entry.machine);
    }

    /// Writes it to a folder, the list last.
    pub(crate) fn store(&self, folder: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        // In one step each: an old one may be running.
        let put = |name: &str, bytes: &[u8], mode| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut file, bytes)?;
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode))?;
            file.persist(folder.join(name)).map(drop).map_err(io::Error::from)
        };
        fs::create_dir_all(folder)?;
        let mut files = String::from("&[");
        for entry in &self.entries {
            let name = entry.machine.to_string();
            put(&name, entry.program.bytes(), 0o755)?;
            let _ = write!(files, "({name:?}, include_bytes!({name:?}).as_slice()), ");
        }
        put("files.rs", format!("{files}]\n").as_bytes(), 0o644)?;
        put(LIST, self.list().as_bytes(), 0o644)
    }

    fn list(&self) -> String {
        let mut list = format!("{HEAD}\nname {}\nhint {}\n", self.name, self.hint);
        for entry in &self.entries {
            let (role, build) = match entry.identity {
                Some(Identity { role: Role::Leaf, build }) => ("leaf", build),
                Some(Identity { role: Role::Parent, build }) => ("parent", build),
                None => ("unknown", 0),
            };
            let (machine, profile, size, hash) = (entry.machine, entry.profile, entry.size(), entry.hash());
            let _ = writeln!(list, "{machine} {profile} {role} {build:016x} {size} {hash}");
        }
        list
    }

    fn parse(list: &str, read: impl Fn(&str) -> Result<Raw, PayloadError>) -> Result<Self, PayloadError> {
        let broken = |line: &str| PayloadError::BadSet { what: format!("`{line}`").into() };
        let mut lines = list.lines();
        let mut field = |name: &str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(name).map(str::to_owned).ok_or_else(|| broken(line))
        };
        field(HEAD)?;
        let mut set = Self { name: field("name ")?, hint: field("hint ")?, entries: Vec::new() };
        for line in lines {
            let entry = Entry::parse(line, &set.name, &read)?.ok_or_else(|| broken(line))?;
            set.entries.push(entry);
        }
        Ok(set)
    }
}

impl Entry {
    pub(crate) fn new(
        name: &str,
        profile: Profile,
        identity: Option<Identity>,
        bytes: Vec<u8>,
    ) -> Result<Self, PayloadError> {
        let program = Program::new(name.to_owned(), bytes.into())?;
        let machine = Build::of(program.bytes()).and_then(|build| build.machine);
        let unknown = || PayloadError::BadSet { what: "a program for no machine that is known".into() };
        Ok(Self { machine: machine.ok_or_else(unknown)?, profile, identity, program })
    }

    /// The machine that it is for.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// How it was built.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether it can have children; `None` where it could not be asked, or is no context.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.identity.map(|identity| identity.role)
    }

    /// A digest of its table of functions; `None` where it could not be asked, or is no context.
    #[must_use]
    pub fn build_id(&self) -> Option<u64> {
        self.identity.map(|identity| identity.build)
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.program.bytes().len()
    }

    /// Its SHA-256, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.program.hash()
    }

    /// One line of the list; nothing if it is not one.
    fn parse(
        line: &str,
        name: &str,
        read: impl Fn(&str) -> Result<Raw, PayloadError>,
    ) -> Result<Option<Self>, PayloadError> {
        let words: Vec<&str> = line.split(' ').collect();
        let [file, profile, role, build, size, hash] = words[..] else { return Ok(None) };
        let (Ok(machine), Ok(profile)) = (file.parse::<Machine>(), profile.parse()) else { return Ok(None) };
        let (Ok(build), Ok(size)) = (u64::from_str_radix(build, 16), size.parse::<usize>()) else {
            return Ok(None);
        };
        let identity = match role {
            "leaf" => Some(Identity { role: Role::Leaf, build }),
            "parent" => Some(Identity { role: Role::Parent, build }),
            _ => None,
        };
        let entry = Self { machine, profile, identity, program: Program::new(name.to_owned(), read(file)?)? };
        if entry.size() != size || entry.hash() != hash {
            return Err(PayloadError::BadSet {
                what: format!("the program for {machine} is not what it was").into(),
            });
        }
        Ok(Some(entry))
    }
}

impl From<PayloadSet> for Payload {
    fn from(set: PayloadSet) -> Self {
        Self(Source::Set(set))
    }
}

impl fmt::Display for PayloadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for", Text::from(self.name.as_str()))?;
        self.entries.iter().try_for_each(|entry| write!(f, " {}", entry.machine))
    }
}

/// The [`PayloadSet`] of this name, that the build script has made by [`Recipe::embed`](crate::Recipe::embed).
///
/// It is a `Result`: a build script can be broken.
#[macro_export]
macro_rules! embed {
    ($name:literal) => {
        $crate::PayloadSet::embedded(
            include_str!(concat!(env!("OUT_DIR"), "/payloads/", $name, "/set")),
            include!(concat!(env!("OUT_DIR"), "/payloads/", $name, "/files.rs")),
        )
    };
}

/// What has a name travels by it.
mod word {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
    {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
