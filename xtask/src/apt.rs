//! Debian's packages, for whatever a suite needs beyond the Rust toolchain.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use crate::run;

/// A file by which it is seen whether a package is there, and the package.
pub(crate) type Needed = (&'static str, &'static str);

const APT_GET: &str = "/usr/bin/apt-get";

/// There is one apt at a time; suites that run at once would find its lock taken.
static APT: Mutex<()> = Mutex::new(());

/// Installs what is not there, where that can be done: by apt, as root. What is missing afterwards is for whoever needs
/// it to say.
///
/// # Errors
/// In CI, if a package that apt knows has not become what was needed, or apt may only not have heard of it.
pub(crate) fn install_missing(needed: impl IntoIterator<Item = Needed>) -> Result<()> {
    let _one_at_a_time = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<Needed> = needed.into_iter().filter(is_missing).collect();
    if missing.is_empty() || !rustix::process::geteuid().is_root() || !Path::new(APT_GET).exists() {
        return Ok(());
    }
    let _silence = Silence::keep();
    // What could not be fetched must not look like what is not known.
    let updated = apt(&["update", "-o", "APT::Update::Error-Mode=any"]);
    // One that is not known would keep apt from all others.
    let (known, unknown): (Vec<Needed>, Vec<Needed>) = missing.into_iter().partition(is_known);
    let packages: Vec<&str> = known.iter().map(|(_, package)| *package).collect();
    let installed = apt(&[&["install", "--no-install-recommends"], &packages[..]].concat());
    let left: Vec<Needed> = known.into_iter().filter(is_missing).collect();
    if !run::is_ci() {
        return Ok(());
    }
    if !left.is_empty() {
        installed.with_context(|| format!("{packages:?} are needed here, and apt has not installed them"))?;
        bail!("apt has installed {packages:?}, and {left:?} are not there");
    }
    if unknown.is_empty() {
        return Ok(());
    }
    updated.with_context(|| format!("{unknown:?} are needed here, and apt has not fetched all its lists"))
}

fn is_known((_, package): &Needed) -> bool {
    run::quietly(Command::new("apt-cache").args(["show", package])).is_ok()
}

fn is_missing((file, _): &Needed) -> bool {
    !Path::new(file).exists()
}

/// Debian asks this program whether the daemon of a package may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// What it says while packages are installed here; known by its words where it was left behind.
const NONE_MAY: &str =
    "#!/bin/sh\n# Written by offshoot's cargo xtask test, for as long as it installs packages.\nexit 101\n";

/// While this lives no daemon is started for a package that is installed: tests have their own, in places of their own.
struct Silence {
    is_ours: bool,
}

impl Silence {
    /// Unless somebody else has said already which are.
    fn keep() -> Self {
        let is_ours = match fs::read_to_string(POLICY) {
            Ok(text) => text == NONE_MAY,
            Err(_) => !Path::new(POLICY).exists(),
        };
        if is_ours {
            let written = fs::write(POLICY, NONE_MAY);
            // Where that cannot be, apt cannot install anything either.
            drop(written.and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))));
        }
        Self { is_ours }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if self.is_ours {
            drop(fs::remove_file(POLICY));
        }
    }
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new(APT_GET);
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y", "-o", "Acquire::Retries=3"]);
    run::quietly(command.args(words))
}

/// An apt with lists of its own, beside that of the system.
pub(crate) struct Apart {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apart {
    /// One that keeps all that it has in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let option = |name: &str, part: &str| format!("{name}={}", folder.join(part).display());
        // It may not enter the folder of the one who builds.
        let root = "APT::Sandbox::User=root".to_owned();
        let options = vec![option("Dir::State::lists", "lists"), option("Dir::Cache", "cache"), root];
        Ok(Self { folder: folder.to_owned(), options })
    }

    /// Runs it with `more` options; what it downloads comes into its folder.
    pub(crate) fn run(&self, more: &[String], words: &[&str]) -> Result<()> {
        let options = self.options.iter().chain(more).flat_map(|option| ["-o", option]);
        run::quietly(Command::new(APT_GET).current_dir(&self.folder).arg("-q").args(options).args(words))
    }

    /// The file of this ending that it has brought.
    pub(crate) fn brought(&self, ending: &str) -> Result<PathBuf> {
        let mut files = fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let ends = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
        files.find(ends).with_context(|| format!("apt has downloaded no {ending}"))
    }
}

/// Unpacks the package of another architecture into a folder. `lists` is where apt keeps what it knows of it.
pub(crate) fn unpack(package: &str, architecture: &str, lists: &Path, into: &Path) -> Result<()> {
    let apt = Apart::new(lists)?;
    let options = [
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        "Dir::State::status=/dev/null".to_owned(),
    ];
    // It fails where one list of several could not be had; what is needed may be in the others.
    drop(apt.run(&options, &["update"]));
    apt.run(&options, &["download", package])?;
    run::quietly(Command::new("dpkg").arg("-x").arg(apt.brought(".deb")?).arg(into))
}
