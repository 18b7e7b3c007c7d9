//! What becomes the child: this program, a file, or bytes.

use std::{
    borrow::Cow,
    collections::VecDeque,
    ffi::OsStr,
    fmt, fs,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use flate2::{Compression, write::GzEncoder};
use rustix::fs::{Access, access};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::{ConnectErrorKind, Machine, PayloadSet, Text, machine::Build, raw::Raw, sys};

/// The program that becomes the child. Cloning shares its bytes.
///
/// ```
/// use offshoot_bootstrap::Payload;
///
/// let cat = Payload::file("/bin/cat")?;
/// let copy = Payload::bytes("copy", std::fs::read("/bin/cat")?)?;
/// let script = Payload::bytes("script", b"#!/bin/sh\necho no\n".as_slice());
/// assert_eq!(
///     script.unwrap_err().to_string(),
///     "script: a script, and bytes must be a program in the ELF format; write it to a file and use `Payload::file`",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(pub(crate) Source);

/// Where the program is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Source {
    /// The program that carries the plan out, wherever that is.
    ThisProgram,
    /// A file on the machine where the plan is carried out.
    File(#[serde(with = "path_bytes")] PathBuf),
    Bytes(Program),
    /// A program in memory, or a set, that whoever carries the plan out has been sent before, by its SHA-256.
    Sent {
        name: String,
        hash: String,
    },
    /// Whichever of them is for the machine where it is to run.
    Set(PayloadSet),
}

/// What there is to send, before the far side has said what it is.
#[derive(Clone, Debug)]
pub(crate) enum Offer {
    Program(Program),
    Set(PayloadSet),
}

impl Offer {
    /// What such a machine can run.
    pub(crate) fn choose(&self, host: &str, machine: Option<Machine>) -> Result<Program, ConnectErrorKind> {
        let program = match self {
            Self::Set(set) => return set.choose(host, machine).cloned().map(Program::kept),
            Self::Program(program) => program,
        };
        let build = Build::of(program.bytes()).and_then(|build| build.machine);
        if matches!((machine, build), (Some(host), Some(program)) if host.may_run(program)) {
            return Ok(program.clone());
        }
        let program =
            build.map_or_else(|| "another machine".to_owned(), |machine| format!("Linux {machine}"));
        Err(ConnectErrorKind::WrongMachine { host: host.into(), program: program.into() })
    }

    /// Packs it, if it is known what is sent: while the way is made there is time for that.
    pub(crate) fn pack(&self) {
        if let Self::Program(program) = self {
            program.sent(true);
        }
    }

    /// Whether one of them needs a loader, and so is for its own machine alone.
    pub(crate) fn needs_loader(&self) -> bool {
        let needs = |program: &Program| Build::of(program.bytes()).is_some_and(|build| build.needs_loader);
        match self {
            Self::Program(program) => needs(program),
            Self::Set(set) => set.programs().any(needs),
        }
    }
}

impl Payload {
    /// The running program, started once more with [`CHILD_ARG`](crate::CHILD_ARG) as its only argument. Its `main` must see
    /// that and become a child, as `offshoot_parent::run` does: all of `main` goes into it.
    ///
    /// In a plan that another context carries out, this is the program of that context.
    #[must_use]
    pub const fn this_program() -> Self {
        Self(Source::ThisProgram)
    }

    /// An executable file, a script included. A relative path is taken from the current directory, now. In a plan that another
    /// context carries out it is sent, which no script can be, if what leads to the child is a process of its own; a child by [`Local`](crate::Local) is
    /// a file of that context's machine, unless this is [`loaded`](Self::loaded).
    ///
    /// # Errors
    ///
    /// There is no such file, it is not a file, or it may not be executed.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, PayloadError> {
        let given = path.as_ref();
        let broken = |error: io::Error| PayloadError::Unreadable {
            path: given.into(),
            error: error.to_string().into(),
        };
        if given.as_os_str().is_empty() {
            return Err(PayloadError::Nameless);
        }
        let path = std::path::absolute(given).map_err(broken)?;
        match fs::metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(PayloadError::NotAFile { path: path.as_path().into(), what: what(&found) });
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(PayloadError::NotFound { path: path.as_path().into() });
            }
            Err(error) => return Err(broken(error)),
        }
        if access(&path, Access::EXEC_OK).is_err() {
            return Err(PayloadError::NotExecutable { path: path.as_path().into() });
        }
        Ok(Self(Source::File(path)))
    }

    /// A program in memory, in the ELF format. It is run from a sealed image in memory, or where that is not
    /// allowed from a private file that is removed as soon as it runs.
    ///
    /// `name` is what people read in lists of processes.
    ///
    /// # Errors
    ///
    /// The bytes are not such a program; the error says what they are.
    pub fn bytes(
        name: impl Into<String>,
        bytes: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, PayloadError> {
        Program::new(name.into(), Raw::from(bytes.into())).map(|program| Self(Source::Bytes(program)))
    }

    /// The SHA-256 of a program in memory, or of the list of a set, or what it is of the one that it
    /// [stands for](Self::stand_in), in hexadecimal; `None` of what is found by whoever carries the plan out.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        match &self.0 {
            Source::Bytes(program) => Some(program.hash()),
            Source::Sent { hash, .. } => Some(hash),
            Source::Set(set) => Some(set.hash()),
            Source::ThisProgram | Source::File(_) => None,
        }
    }

    /// What stands for a program in memory, or a set of them, in a plan for somebody who has been sent that itself: its name and
    /// its hash. Nothing can be started from it. `None` for anything else.
    #[must_use]
    pub fn stand_in(&self) -> Option<Self> {
        match &self.0 {
            Source::Bytes(_) | Source::Set(_) => {
                let (name, hash) = (self.name().into_owned(), self.hash()?.to_owned());
                Some(Self(Source::Sent { name, hash }))
            }
            Source::ThisProgram | Source::File(_) | Source::Sent { .. } => None,
        }
    }

    /// Whether it only [stands for](Self::stand_in) a program.
    #[must_use]
    pub const fn is_stand_in(&self) -> bool {
        matches!(self.0, Source::Sent { .. })
    }

    /// How many bytes a program in memory has, or all of a set; 0 of anything else.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.0 {
            Source::Bytes(program) => program.bytes().len(),
            Source::Set(set) => set.size(),
            Source::ThisProgram | Source::File(_) | Source::Sent { .. } => 0,
        }
    }

    pub(crate) const fn is_this_program(&self) -> bool {
        matches!(self.0, Source::ThisProgram)
    }

    /// What is sent elsewhere; hashed and packed once for all connects that follow each other.
    pub(crate) fn offer(&self) -> Result<Offer, ConnectErrorKind> {
        let from = |path: &Path| Ok(Offer::Program(self.read(path)?.kept()));
        match &self.0 {
            Source::ThisProgram => {
                from(&sys::this_program().map_err(|error| ConnectErrorKind::from_system(&error))?)
            }
            Source::File(path) => from(path),
            Source::Bytes(program) => Ok(Offer::Program(program.clone().kept())),
            Source::Sent { .. } => Err(self.not_here()),
            Source::Set(set) => Ok(Offer::Set(set.clone())),
        }
    }

    /// The program in a file.
    fn read(&self, path: &Path) -> Result<Program, ConnectErrorKind> {
        let bytes = fs::read(path).map_err(|error| ConnectErrorKind::from_exec(&error, path))?;
        let broken = |error: PayloadError| ConnectErrorKind::WrongFormat {
            path: path.into(),
            what: error.what().into(),
        };
        Program::new(self.name().into_owned(), bytes.into()).map_err(broken)
    }

    /// The file that it is, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Source::File(path) => Some(path),
            Source::ThisProgram | Source::Bytes(_) | Source::Sent { .. } | Source::Set(_) => None,
        }
    }

    /// The same with its file in memory, so that it can be sent to where that is not; as it is if it is no file, or one that
    /// cannot be read, which whoever uses it says.
    #[must_use]
    pub fn loaded(&self) -> Self {
        self.load().unwrap_or_else(|_| self.clone())
    }

    /// The same with its file in memory, so that it can be sent to where that is not; as it is if it is no file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none that can be sent, such as a script.
    pub fn load(&self) -> Result<Self, ConnectErrorKind> {
        self.path().map_or_else(|| Ok(self.clone()), |path| Ok(Self(Source::Bytes(self.read(path)?))))
    }

    /// Nobody has sent what it stands for.
    pub(crate) fn not_here(&self) -> ConnectErrorKind {
        ConnectErrorKind::NotFound { path: self.to_string().into() }
    }

    /// What a child of this payload is called where nobody named it.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match &self.0 {
            Source::ThisProgram => Cow::Borrowed("self"),
            Source::File(path) => path.file_name().unwrap_or_default().to_string_lossy(),
            Source::Bytes(program) => Cow::Borrowed(&program.0.name),
            Source::Sent { name, .. } => Cow::Borrowed(name),
            Source::Set(set) => Cow::Borrowed(set.name()),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::ThisProgram => f.write_str("this program"),
            Source::File(path) => Text::from(path.as_path()).fmt(f),
            Source::Bytes(program) => {
                write!(f, "{} ({} bytes)", Text::from(&*program.0.name), program.bytes().len())
            }
            Source::Sent { name, hash } => {
                write!(f, "{} (SHA-256 {})", Text::from(name.as_str()), Text::from(hash.as_str()))
            }
            Source::Set(set) => set.fmt(f),
        }
    }
}

/// What a directory entry is that is not a file.
fn what(found: &fs::Metadata) -> &'static str {
    if found.is_dir() { "a directory" } else { "neither a file nor a directory" }
}

/// A program in memory: its bytes were seen to be ELF.
#[derive(Clone)]
pub(crate) struct Program(Arc<Image>);

struct Image {
    name: String,
    bytes: Raw,
    hash: OnceLock<String>,
    packed: OnceLock<Vec<u8>>,
    lent: Mutex<Weak<OwnedFd>>,
}

impl Program {
    pub(crate) fn new(name: String, bytes: Raw) -> Result<Self, PayloadError> {
        match other_than_elf(&bytes) {
            None => {
                let (hash, packed, lent) = (OnceLock::new(), OnceLock::new(), Mutex::default());
                Ok(Self(Arc::new(Image { name, bytes, hash, packed, lent })))
            }
            Some(what) => Err(PayloadError::NotElf { name: name.into(), what: what.into() }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The same program as one that was sent before, if there was such a one.
    fn kept(self) -> Self {
        /// A fleet is of a few kinds of machines.
        const AT_MOST: usize = 4;
        static KEPT: Mutex<VecDeque<Program>> = Mutex::new(VecDeque::new());

        self.hash();
        // What a panic leaves here is whole.
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|known| known.hash() == self.hash());
        let program = known.and_then(|at| kept.remove(at)).unwrap_or(self);
        kept.push_back(program.clone());
        if kept.len() > AT_MOST {
            kept.pop_front();
        }
        program
    }

    /// Its SHA-256, in hexadecimal.
    pub(crate) fn hash(&self) -> &str {
        self.0.hash.get_or_init(|| sha256(self.bytes()))
    }

    /// It as a sealed image in memory: one for all who need it at the same time.
    pub(crate) fn image(&self) -> io::Result<Arc<OwnedFd>> {
        // What a panic leaves here is whole. Of two who make one at once each has his own.
        let lent = || self.0.lent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lent().upgrade();
        if let Some(image) = known {
            return Ok(image);
        }
        let (image, _) = sys::memory_image(self.name(), self.bytes())?;
        let image = Arc::new(image);
        *lent() = Arc::downgrade(&image);
        Ok(image)
    }

    /// What is sent of it, packed by gzip or as it is. It is packed once.
    pub(crate) fn sent(&self, is_packed: bool) -> &[u8] {
        if !is_packed {
            return self.bytes();
        }
        self.0.packed.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            // Into memory: there is nothing that can fail.
            let written = encoder.write_all(self.bytes()).and_then(|()| encoder.finish());
            written.unwrap_or_default()
        })
    }
}

/// The SHA-256 of these bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What the bytes are, if they are not the beginning of a program in the ELF format.
pub(crate) fn other_than_elf(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x7f, b'E', b'L', b'F', class, ..] if !matches!(class, 1 | 2) => Some("a damaged ELF file"),
        // Bytes 16 and 17 are the kind of the file in its own byte order: 2 a program, 3 one that can be moved.
        [0x7f, b'E', b'L', b'F', ..] => match (bytes.get(16), bytes.get(17)) {
            (Some(2 | 3), Some(0)) | (Some(0), Some(2 | 3)) => None,
            (Some(1), Some(0)) | (Some(0), Some(1)) => Some("an object file that was not linked"),
            _ => Some("a damaged ELF file"),
        },
        [] => Some("empty"),
        [b'#', b'!', ..] => Some("a script"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => Some("a program for macOS"),
        [b'M', b'Z', ..] => Some("a program for Windows"),
        [0x1f, 0x8b, ..] | [0xfd, b'7', b'z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("compressed"),
        [b'!', b'<', b'a', b'r', ..] => Some("a library archive"),
        _ => Some("no program"),
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({:?}, {} bytes)", self.0.name, self.0.bytes.len())
    }
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0.name, &self.0.bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, bytes) = Deserialize::deserialize(deserializer)?;
        Self::new(name, bytes).map_err(de::Error::custom)
    }
}

/// Paths are bytes: they need not be UTF-8.
mod path_bytes {
    use std::os::unix::ffi::OsStrExt as _;

    use super::{Deserialize as _, Deserializer, OsStr, Path, PathBuf, Raw, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(path.as_os_str().as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Raw::deserialize(deserializer).map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)))
    }
}

/// Why something cannot be a payload.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// No file is named.
    #[error("the path of a payload is empty; name the file of a program")]
    Nameless,
    /// There is no such file.
    #[error("{path}: no such file")]
    NotFound {
        /// Where it was looked for.
        path: Text,
    },
    /// It is something else.
    #[error("{path}: {what}, not a program")]
    NotAFile {
        /// Where it is.
        path: Text,
        /// What it is.
        what: &'static str,
    },
    /// It may not be executed.
    #[error("{path}: not executable for this user; `chmod +x` it, or build the program and name its binary")]
    NotExecutable {
        /// Where it is.
        path: Text,
    },
    /// It could not be looked at.
    #[error("{path}: {error}")]
    Unreadable {
        /// Where it is.
        path: Text,
        /// What the system says.
        error: Text,
    },
    /// The bytes are no ELF program.
    #[error(
        "{name}: {what}, and bytes must be a program in the ELF format; write it to a file and use `Payload::file`"
    )]
    NotElf {
        /// The name that was given.
        name: Text,
        /// What they look like.
        what: Text,
    },
    /// A set is not one, or not whole.
    #[error("{what}: not a payload set, or damaged; build it anew")]
    BadSet {
        /// Where it is, or what of it is wrong.
        what: Text,
    },
}

impl PayloadError {
    /// The same of a set in this folder.
    pub(crate) fn in_set(self, folder: &Path) -> Self {
        match self {
            Self::BadSet { what } => Self::BadSet { what: format!("{}: {what}", folder.display()).into() },
            other => other,
        }
    }

    /// What the bytes are instead of a program.
    fn what(&self) -> &str {
        match self {
            Self::NotElf { what, .. } => what,
            _ => "no program",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        Payload::bytes("x", bytes.to_vec()).unwrap_err().to_string()
    }

    #[test]
    fn bytes_that_are_no_program_are_refused_by_what_they_are() {
        for (bytes, what) in [
            (&b""[..], "x: empty,"),
            (b"#!/bin/sh\n", "x: a script,"),
            (b"\x7fELF", "x: a damaged ELF file,"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0", "x: an object file that was not linked,"),
            (b"MZ\x90", "x: a program for Windows,"),
            (b"\xcf\xfa\xed\xfe", "x: a program for macOS,"),
            (b"\x1f\x8b\x08", "x: compressed,"),
            (b"!<arch>\n", "x: a library archive,"),
            (b"hello", "x: no program,"),
        ] {
            assert!(refused(bytes).starts_with(what), "{}", refused(bytes));
        }
    }

    #[test]
    fn a_program_of_either_byte_order_is_taken() {
        for kind in [[2, 0], [3, 0], [0, 2], [0, 3]] {
            let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
            bytes.extend(kind);
            assert!(Payload::bytes("x", bytes).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn a_payload_shows_what_it_is_without_its_bytes() {
        let bytes = fs::read("/bin/cat").unwrap();
        let size = bytes.len();
        let payload = Payload::bytes("c\x1bat", bytes).unwrap();
        assert_eq!(payload.to_string(), format!("c\\u{{1b}}at ({size} bytes)"));
        assert!(format!("{payload:?}").len() < 100);
        assert_eq!(Payload::this_program().to_string(), "this program");
    }

    #[test]
    fn a_program_that_was_sent_is_known_by_its_hash_and_is_not_one_itself() {
        let payload = Payload::bytes("cat", fs::read("/bin/cat").unwrap()).unwrap();
        let stand_in = payload.stand_in().unwrap();
        assert_eq!((stand_in.hash(), stand_in.size()), (payload.hash(), 0));
        assert!(stand_in.is_stand_in() && !payload.is_stand_in());
        assert_eq!(stand_in.offer().unwrap_err().code(), "not_found");
        assert!(stand_in.stand_in().is_none() && Payload::this_program().stand_in().is_none());
    }

    #[test]
    fn a_set_is_known_by_its_hash_and_another_one_by_another() {
        let cat = fs::read("/bin/cat").unwrap();
        let size = cat.len();
        let set = PayloadSet::new("cat").with(cat).unwrap();
        let payload = |set: &PayloadSet| Payload::from(set.clone());
        let stand_in = payload(&set).stand_in().unwrap();
        assert_eq!((stand_in.hash(), payload(&set).size()), (payload(&set).hash(), size));
        assert_eq!((&*stand_in.name(), stand_in.is_stand_in()), ("cat", true));
        // Though its own is known already.
        let more = set.clone().with(fs::read("/bin/true").unwrap()).unwrap();
        assert_ne!(payload(&more).hash(), payload(&set).hash());
    }
}
