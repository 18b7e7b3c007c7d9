//! One program, built for several machines: the far side says what it is, and gets the one that it can run.

use std::{
    fmt::{self, Write as _},
    fs, io,
    path::Path,
    sync::OnceLock,
};

use offshoot_wire::Role;
use serde::{Deserialize, Serialize};

use crate::{
    ConnectErrorKind, Machine, Payload, PayloadError, Profile, Text,
    machine::Build,
    payload::{Program, Source, sha256},
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
    /// Made of the rest by whoever wants it, and so never believed.
    #[serde(skip)]
    hash: OnceLock<String>,
}

/// The program for one machine, and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    machine: Machine,
    profile: Option<Profile>,
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
    /// A set without programs; `name` is what people read in lists of processes.
    pub fn new(name: impl Into<String>) -> Self {
        let hint = "build it for that machine too".to_owned();
        Self { name: name.into(), hint, entries: Vec::new(), hash: OnceLock::new() }
    }

    /// The same set with one program more, which takes the place of the one that is there for its machine. The head of
    /// the program says which that is.
    ///
    /// # Errors
    ///
    /// The bytes are no program in the ELF format, or one for a machine that is not known.
    pub fn with(mut self, bytes: Vec<u8>) -> Result<Self, PayloadError> {
        self.add(Entry::new(&self.name, None, None, bytes)?);
        Ok(self)
    }

    /// A set that a [`Recipe`](crate::Recipe) has left in `folder`. Each program is checked against its hash.
    ///
    /// # Errors
    ///
    /// There is no set, a file of it is missing, or is not what it was.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, PayloadError> {
        let folder = Some(folder.as_ref())
            .filter(|path| !path.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => PayloadError::NotFound { path: path.as_path().into() },
                _ => {
                    PayloadError::Unreadable { path: path.as_path().into(), error: error.to_string().into() }
                }
            })
        };
        let list = read(LIST).map_err(|error| match error {
            PayloadError::NotFound { .. } if folder.is_dir() => {
                PayloadError::BadSet { what: format!("no file `{LIST}` is there").into() }
            }
            PayloadError::NotFound { .. } => PayloadError::NotFound { path: folder.into() },
            other => other,
        });
        list.and_then(|list| {
            Self::parse(&String::from_utf8_lossy(&list), |machine| read(machine).map(Raw::from))
        })
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

    /// The SHA-256 of its list, in which that of each program stands, in hexadecimal.
    pub(crate) fn hash(&self) -> &str {
        self.hash.get_or_init(|| sha256(self.list().as_bytes()))
    }

    /// How many bytes all of its programs have.
    pub(crate) fn size(&self) -> usize {
        self.entries.iter().map(Entry::size).fold(0, usize::saturating_add)
    }

    pub(crate) fn advise(&mut self, hint: String) {
        self.hint = hint;
        self.hash.take();
    }

    /// Adds a program, in the place of the one that is there for its machine.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.retain(|held| held.machine != entry.machine);
        self.entries.push(entry);
        self.entries.sort_by_key(|entry| entry.machine);
        self.hash.take();
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
            let (machine, size, hash) = (entry.machine, entry.size(), entry.hash());
            let profile = entry.profile.map_or("unknown", Profile::word);
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
        let mut set = Self::new(field("name ")?);
        set.advise(field("hint ")?);
        for line in lines {
            set.add(Entry::parse(line, &set.name, &read)?.ok_or_else(|| broken(line))?);
        }
        // It has one form, and whatever was not written so has been changed.
        if set.list() == list { Ok(set) } else { Err(broken(LIST)) }
    }
}

impl Entry {
    pub(crate) fn new(
        name: &str,
        profile: Option<Profile>,
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

    /// How it was built, if a [`Recipe`](crate::Recipe) did it.
    #[must_use]
    pub const fn profile(&self) -> Option<Profile> {
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
        let Ok(machine) = file.parse::<Machine>() else { return Ok(None) };
        let profile = profile.parse().ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of this machine, as if it were for others.
    fn for_machine(elf: u8) -> Vec<u8> {
        let mut bytes = fs::read("/proc/self/exe").unwrap();
        bytes.truncate(64 * 1024);
        // The machine is in the bytes 18 and 19; where the tables are that were cut off, does not matter here.
        bytes[18..20].copy_from_slice(&[elf, 0]);
        bytes[32..64].fill(0);
        bytes
    }

    const X86_64: u8 = 62;
    const AARCH64: u8 = 183;

    fn set() -> PayloadSet {
        let set = PayloadSet::new("leaf").with(for_machine(X86_64)).unwrap();
        set.with(for_machine(AARCH64)).unwrap()
    }

    #[test]
    fn a_machine_gets_the_program_that_it_can_run() {
        let set = set();
        let machine_of = |machine| set.choose("Linux x", machine).unwrap().bytes()[18];
        assert_eq!(machine_of(Some(Machine::X86_64)), X86_64);
        assert_eq!(machine_of(Some(Machine::Aarch64)), AARCH64);
        assert_eq!(set.entry(Machine::Aarch64).unwrap().machine(), Machine::Aarch64);
        assert!(set.entry(Machine::I686).is_none(), "a 32-bit machine runs no 64-bit program");
    }

    #[test]
    fn a_missing_machine_is_named_with_what_there_is_and_what_to_do() {
        let mut set = set();
        set.advise("build it by `make MACHINE`".to_owned());
        assert_eq!(
            set.choose("Linux armv7l", Some(Machine::Armv7)).unwrap_err().to_string(),
            "it is a Linux armv7l, and the payload set has x86_64, aarch64; build it by `make armv7l`, or, if it says so and \
             is none, say what it is by `.taken_for(..)`"
        );
        assert_eq!(
            PayloadSet::new("none").choose("Linux s390x", None).unwrap_err().to_string(),
            "it is a Linux s390x, and the payload set has no machine; no payload is built for that kind of machine, or, \
             if it says so and is none, say what it is by `.taken_for(..)`"
        );
    }

    #[test]
    fn a_set_is_kept_in_a_folder_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = set();
        let identity = Some(Identity { role: Role::Parent, build: 0xb1d });
        set.add(Entry::new("leaf", Some(Profile::Tiny), identity, for_machine(X86_64)).unwrap());
        set.store(folder.path()).unwrap();
        let found = PayloadSet::load(folder.path()).unwrap();
        assert_eq!(found.list(), set.list());
        let entry = found.entry(Machine::X86_64).unwrap();
        assert_eq!((entry.profile(), entry.role()), (Some(Profile::Tiny), Some(Role::Parent)));
        assert_eq!((entry.build_id(), entry.size()), (Some(0xb1d), 64 * 1024));
    }

    #[test]
    fn a_list_that_is_not_as_it_was_written_is_none() {
        static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| for_machine(X86_64)).as_slice();
        let written = PayloadSet::new("leaf").with(program.to_vec()).unwrap().list();
        let read = |list: &str| PayloadSet::embedded(list, &[("x86_64", program)]);
        assert_eq!(read(&written).unwrap().list(), written);
        let line = written.lines().last().unwrap();
        for (from, to) in [
            (" 65536 ", " 065536 "),
            (" 65536 ", " +65536 "),
            (" 0000000000000000 ", " 0 "),
            (" 0000000000000000 ", " 0000000000000001 "),
            (" unknown unknown ", " unknown nobody "),
            (" unknown unknown ", " small-ish unknown "),
            (line, &format!("{line}\n{line}")),
            (HEAD, &format!("{HEAD}2")),
            ("\n", "\r\n"),
            (&format!("{line}\n"), line),
        ] {
            let list = written.replace(from, to);
            assert_ne!(list, written);
            let error = read(&list).unwrap_err();
            assert!(matches!(error, PayloadError::BadSet { .. }), "{to}: {error}");
        }
    }

    #[test]
    fn a_program_that_was_changed_is_not_taken_for_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        set().store(folder.path()).unwrap();
        let file = folder.path().join("x86_64");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let error = PayloadSet::load(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "the program for x86_64 is not what it was: not a payload set, or damaged; build it anew"
            ),
            "{error}"
        );
        fs::remove_file(&file).unwrap();
        assert!(matches!(PayloadSet::load(folder.path()), Err(PayloadError::NotFound { .. })));
        fs::write(folder.path().join(LIST), "something else").unwrap();
        assert!(matches!(PayloadSet::load(folder.path()), Err(PayloadError::BadSet { .. })));
    }

    #[test]
    fn where_there_is_no_set_it_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let [there, gone] = [folder.path().to_owned(), folder.path().join("gone")];
        let said = [&there, &gone].map(|folder| PayloadSet::load(folder).unwrap_err().to_string());
        assert_eq!(
            said,
            [
                format!(
                    "{}: no file `set` is there: not a payload set, or damaged; build it anew",
                    there.display()
                ),
                format!("{}: no such file", gone.display()),
            ]
        );
    }
}
