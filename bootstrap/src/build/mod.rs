//! Builds payloads: small static programs for the machines that are named, whatever machine this is.

mod cargo;
mod identify;
mod linker;
mod toolchain;

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{Machine, PayloadError, PayloadSet, Text, set::Entry};
use cargo::Cargo;
use toolchain::Toolchain;

/// What a payload gives up for its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// Stable Rust as installed, for this kind of machine: musl where its std is installed, else glibc. Built for speed. A
    /// panic is an error of the call.
    Static,
    /// The standard library built anew for musl, and all of it for size. A panic is an error of the call.
    Small,
    /// As `Small`, but a panic ends the child, and `{:?}` prints nothing: texts for people must use `Display`.
    Tiny,
}

impl Profile {
    /// All of them, largest payloads first.
    pub const ALL: [Self; 3] = [Self::Static, Self::Small, Self::Tiny];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Small => "small",
            Self::Tiny => "tiny",
        }
    }

    /// What the compiler optimises for. Of calls in flight a leaf that is built for speed ends a fifth more than one that is
    /// built for size, though not at any price (`s`), and has 7 % more bytes for it; who needs few has two other profiles.
    const fn opt_level(self) -> &'static str {
        match self {
            Self::Static => "opt-level=2",
            Self::Small | Self::Tiny => "opt-level='z'",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(word: &str) -> Result<Self, UnknownProfile> {
        Self::ALL.into_iter().find(|profile| profile.word() == word).ok_or(UnknownProfile)
    }
}

/// No profile has this name.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a profile is `static`, `small` or `tiny`")]
pub struct UnknownProfile;

/// How to build one payload program: for which machines, in which profile.
///
/// In the `build.rs` of a program that sends it, with `offshoot-bootstrap` among the `build-dependencies`:
///
/// ```no_run
/// use offshoot_bootstrap::{Machine, Recipe};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // The package of the payload is not one that this package depends on.
///     Recipe::binary("../leaf", "leaf").machines([Machine::X86_64]).embed()?;
///     Ok(())
/// }
/// ```
///
/// and in the program itself `offshoot_bootstrap::embed!("leaf")` is the [`PayloadSet`].
#[derive(Clone, Debug)]
#[must_use = "nothing is built unless `build` or `embed` is called"]
pub struct Recipe {
    folder: PathBuf,
    name: String,
    kind: Kind,
    package: Option<String>,
    profile: Profile,
    machines: Vec<Machine>,
    work: Option<PathBuf>,
    sysroots: Vec<PathBuf>,
    args: Vec<String>,
    symbols: bool,
    verbose: bool,
    command: Option<String>,
}

/// What of a package the program is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Binary,
    Example,
}

impl Recipe {
    /// A binary of the package in `folder`.
    pub fn binary(folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self::new(folder.into(), name.into(), Kind::Binary)
    }

    /// An example of the package in `folder`.
    pub fn example(folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self::new(folder.into(), name.into(), Kind::Example)
    }

    const fn new(folder: PathBuf, name: String, kind: Kind) -> Self {
        Self {
            folder,
            name,
            kind,
            package: None,
            profile: Profile::Static,
            machines: Vec::new(),
            work: None,
            sysroots: Vec::new(),
            args: Vec::new(),
            symbols: false,
            verbose: false,
            command: None,
        }
    }

    /// The package, where `folder` is that of a workspace.
    pub fn package(mut self, package: impl Into<String>) -> Self {
        self.package = Some(package.into());
        self
    }

    /// [`Profile::Static`] unless set.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// The machines that it is built for: this one unless set.
    pub fn machines(mut self, machines: impl IntoIterator<Item = Machine>) -> Self {
        self.machines = machines.into_iter().collect();
        self
    }

    /// Where cargo works: a folder of its own, since the one that a build script is called from is locked.
    pub fn work(mut self, folder: impl Into<PathBuf>) -> Self {
        self.work = Some(folder.into());
        self
    }

    /// A folder in which `usr/lib/ARCHITECTURE-linux-musl` may be, beside `/`: the files of Debian's `musl-dev`.
    pub fn sysroot(mut self, folder: impl Into<PathBuf>) -> Self {
        self.sysroots.push(folder.into());
        self
    }

    /// More words for `cargo build`: features, or `--locked`.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Leaves symbols in the program, for whoever wants to know what it is made of.
    pub const fn symbols(mut self) -> Self {
        self.symbols = true;
        self
    }

    /// Lets cargo tell its progress on stderr.
    pub const fn verbose(mut self) -> Self {
        self.verbose = true;
        self
    }

    /// The command that adds a machine whose name is appended to it, for the error of whoever meets one that is
    /// missing. Unless set the reader is told to add it to the recipe.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Builds it and keeps the set in `folder`, from where [`PayloadSet::load`] takes it. What was kept there for other
    /// machines stays.
    ///
    /// # Errors
    ///
    /// A compiler, linker or library for one of the machines is not there, or cargo failed.
    pub fn build(&self, folder: impl AsRef<Path>) -> Result<PayloadSet, BuildError> {
        static SET: Mutex<()> = Mutex::new(());

        let folder = folder.as_ref();
        let machines = self.wanted()?;
        // What is missing for one is told before minutes go into another.
        machines.iter().try_for_each(|machine| self.toolchain(*machine).map(drop))?;
        let entries = machines.into_iter().map(|machine| self.entry(machine));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        // Not before all is built: other threads may add machines to it meanwhile, one at a time.
        let _alone = SET.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = PayloadSet::load(folder).unwrap_or_else(|_| PayloadSet::new(self.name.as_str()));
        set.advise(self.hint());
        entries.into_iter().for_each(|entry| set.add(entry));
        set.store(folder).map_err(|error| BuildError::at(folder, &error))?;
        Ok(set)
    }

    /// Builds it from a build script, for [`embed!`](crate::embed), and tells cargo when to do it again.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and where this is no build script.
    pub fn embed(&self) -> Result<PayloadSet, BuildError> {
        let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(BuildError::NoBuildScript)?;
        let recipe = match &self.work {
            Some(_) => self.clone(),
            None => self.clone().work(out.join("payload-build")),
        };
        let folder = out.join("payloads").join(&self.name);
        // What an earlier recipe left is not to be embedded.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BuildError::at(&folder, &error));
            }
            _ => {}
        }
        let set = recipe.build(&folder)?;
        for machine in recipe.wanted()? {
            announce(&recipe.folder.join("Cargo.toml"), &recipe.built(recipe.toolchain(machine)?.triple())?);
        }
        Ok(set)
    }

    /// Compiles it for one machine, and says where the program is.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn compile(&self, machine: Machine) -> Result<PathBuf, BuildError> {
        let (toolchain, work) = (self.toolchain(machine)?, self.place()?);
        let mut cargo = Cargo::new(&self.folder, &toolchain, &work)?;
        cargo.set(self.profile.opt_level());
        cargo.select(self.package.as_deref(), matches!(self.kind, Kind::Example), &self.name);
        cargo.symbols(self.symbols);
        cargo.args(&self.args);
        cargo.run(self.verbose)?;
        self.built(toolchain.triple())
    }

    /// The target folder of cargo. Two profiles share neither flags nor std: each would throw away what the other has
    /// built.
    fn place(&self) -> Result<PathBuf, BuildError> {
        let work = self.work.clone().unwrap_or_else(|| self.folder.join("target").join("payload-build"));
        let work = std::path::absolute(&work).map_err(|error| BuildError::at(&work, &error))?;
        Ok(work.join(self.profile.word()))
    }

    /// Where cargo leaves the program.
    fn built(&self, triple: &str) -> Result<PathBuf, BuildError> {
        let folder = self.place()?.join(triple).join("payload");
        Ok(match self.kind {
            Kind::Binary => folder.join(&self.name),
            Kind::Example => folder.join("examples").join(&self.name),
        })
    }

    /// The compiler that builds it for a machine, with its version: sizes can be compared within one alone.
    ///
    /// # Errors
    ///
    /// [`BuildError::Impossible`], where something is missing.
    pub fn compiler(&self, machine: Machine) -> Result<String, BuildError> {
        self.toolchain(machine).map(|toolchain| toolchain.version())
    }

    fn toolchain(&self, machine: Machine) -> Result<Toolchain, BuildError> {
        let impossible = |reason| BuildError::Impossible { profile: self.profile, machine, reason };
        Toolchain::find(self.profile, machine, &self.sysroots).map_err(impossible)
    }

    fn entry(&self, machine: Machine) -> Result<Entry, BuildError> {
        let file = self.compile(machine)?;
        let bytes = fs::read(&file).map_err(|error| BuildError::at(&file, &error))?;
        let identity = identify::ask(&file, machine);
        Ok(Entry::new(&self.name, Some(self.profile), identity, bytes)?)
    }

    fn wanted(&self) -> Result<Vec<Machine>, BuildError> {
        if !self.machines.is_empty() {
            return Ok(self.machines.clone());
        }
        Machine::here().map(|here| vec![here]).ok_or(BuildError::UnknownMachine)
    }

    fn hint(&self) -> String {
        let by_recipe =
            || "add it to the `machines` of the recipe in build.rs, then `cargo build`".to_owned();
        self.command.as_ref().map_or_else(by_recipe, |command| format!("build it by `{command} MACHINE`"))
    }
}

/// Tells cargo what the payload is made of: every file that the compiler has read, of packages beside it too.
#[allow(clippy::print_stdout, reason = "that is how a build script speaks with cargo")]
fn announce(manifest: &Path, program: &Path) {
    println!("cargo::rerun-if-changed={}", manifest.display());
    // Cargo leaves one rule of make beside the program; a space in a name has a backslash in front.
    let rule = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let (_, files) = rule.split_once(": ").unwrap_or_default();
    for file in files.trim().replace("\\ ", "\0").split(' ').filter(|file| !file.is_empty()) {
        println!("cargo::rerun-if-changed={}", file.replace('\0', " "));
    }
}

/// Why a payload could not be built.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something that the profile needs for that machine is not there.
    #[error("no {profile} payload for {machine} can be built here: {reason}")]
    Impossible {
        /// The profile.
        profile: Profile,
        /// The machine.
        machine: Machine,
        /// What is missing, and how to get it.
        reason: Text,
    },
    /// No machine was named, and this one is of no kind that is known.
    #[error("no payload is built for this kind of machine; name others by `machines`")]
    UnknownMachine,
    /// Cargo refused or failed.
    #[error("cargo cannot build it:\n{said}")]
    Cargo {
        /// What it said.
        said: String,
    },
    /// It was asked for what only a build script can do.
    #[error("OUT_DIR is not set: `embed` is for a build script; elsewhere use `build` with a folder")]
    NoBuildScript,
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: Text,
        /// What the system says.
        error: Text,
    },
    /// What was built is no payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl BuildError {
    fn at(path: &Path, error: &io::Error) -> Self {
        Self::File { path: path.into(), error: error.to_string().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let recipe = Recipe::binary(".", "leaf");
        assert_eq!(
            recipe.embed().unwrap_err().to_string(),
            "OUT_DIR is not set: `embed` is for a build script; elsewhere use `build` with a folder"
        );
        let elsewhere = Machine::ALL.into_iter().find(|machine| Machine::here() != Some(*machine)).unwrap();
        // No rustup has it unless somebody has asked for it.
        if let Err(error) = recipe.compiler(elsewhere) {
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("no static payload for {elsewhere} can be built here: ")),
                "{error}"
            );
            assert!(error.contains("`rustup target add "), "{error}");
        }
    }

    #[test]
    fn a_build_script_that_returns_it_prints_what_cargo_said_line_by_line() {
        let error = BuildError::Cargo { said: "error: one\nerror: two".to_owned() };
        assert_eq!(format!("{error:?}"), "cargo cannot build it:\nerror: one\nerror: two");
    }

    #[test]
    fn what_is_missing_for_the_last_machine_is_told_before_the_first_is_built_for() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::binary(folder.path().join("none"), "leaf");
        let (here, all) = (Machine::here().unwrap(), Machine::ALL.into_iter());
        let Some(lacking) = all.rev().find(|machine| recipe.compiler(*machine).is_err()) else { return };
        let error = recipe.machines([here, lacking]).build(folder.path().join("set")).unwrap_err();
        assert!(matches!(error, BuildError::Impossible { machine, .. } if machine == lacking), "{error}");
    }

    #[test]
    fn a_profile_is_known_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!(
            "large".parse::<Profile>().unwrap_err().to_string(),
            "a profile is `static`, `small` or `tiny`"
        );
    }
}
