//! Musl for machines that this system is not: unpacked from Debian's package for them, or built from its source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::run;

/// Where musl for a machine comes from.
pub(super) enum Musl {
    /// Debian has a package for the architecture of this name.
    Package(&'static str),
    /// It has none for this one, but a compiler.
    Source(&'static str),
}

impl Musl {
    /// Puts it under `usr/lib` in `sysroot`, unless it is there.
    pub(super) fn put(&self, sysroot: &Path) -> Result<()> {
        let (Self::Package(name) | Self::Source(name)) = self;
        let done = sysroot.join(format!("{name}.done"));
        if done.is_file() {
            return Ok(());
        }
        let apt = Apt::new(sysroot.join(format!("apt-{name}")))?;
        match self {
            Self::Package(architecture) => unpack(&apt, architecture, sysroot)?,
            Self::Source(architecture) => build(&apt, architecture, sysroot)?,
        }
        fs::write(done, "")?;
        Ok(())
    }
}

/// An apt with lists of its own, beside that of the system.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(folder: PathBuf) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let option = |name: &str, part: &str| format!("{name}={}", folder.join(part).display());
        // It may not enter the folder of the one who builds.
        let root = "APT::Sandbox::User=root".to_owned();
        let options = vec![option("Dir::State::lists", "lists"), option("Dir::Cache", "cache"), root];
        Ok(Self { folder, options })
    }

    fn run(&self, more: &[String], words: &[&str]) -> Result<()> {
        let options = self.options.iter().chain(more).flat_map(|option| ["-o", option]);
        run::quietly(Command::new("apt-get").current_dir(&self.folder).arg("-q").args(options).args(words))
    }

    /// The file of this ending that it has brought.
    fn brought(&self, ending: &str) -> Result<PathBuf> {
        let mut files = fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let ends = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
        files.find(ends).with_context(|| format!("apt has downloaded no {ending}"))
    }
}

fn unpack(apt: &Apt, architecture: &str, sysroot: &Path) -> Result<()> {
    let options = [
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        "Dir::State::status=/dev/null".to_owned(),
    ];
    // It fails where one list of several could not be had; what is needed may be in the others.
    drop(apt.run(&options, &["update"]));
    apt.run(&options, &["download", "musl-dev"])?;
    run::quietly(Command::new("dpkg").arg("-x").arg(apt.brought(".deb")?).arg(sysroot))
}

fn build(apt: &Apt, architecture: &str, sysroot: &Path) -> Result<()> {
    // The system's own sources, as far as they are of packages: they are those of source code, too.
    let format = "deb-src $(SITE) $(RELEASE) $(COMPONENT)";
    let mut targets = Command::new("apt-get");
    let listed = run::output(targets.args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let list = apt.folder.join("sources.list");
    let main: Vec<&str> =
        listed.lines().filter(|line| line.contains("/debian ") && line.ends_with(" main")).collect();
    fs::write(&list, main.join("\n") + "\n")?;
    let options =
        [format!("Dir::Etc::sourcelist={}", list.display()), "Dir::Etc::sourceparts=/dev/null".to_owned()];
    drop(apt.run(&options, &["update"]));
    apt.run(&options, &["source", "--download-only", "musl"])?;
    let source = apt.folder.join("source");
    fs::create_dir_all(&source)?;
    let archive = apt.brought(".orig.tar.gz")?;
    run::quietly(
        Command::new("tar").arg("-xzf").arg(archive).arg("--strip-components=1").arg("-C").arg(&source),
    )?;
    let lib = sysroot.join("usr/lib").join(format!("{architecture}-linux-musl"));
    let mut configure = Command::new("./configure");
    configure.args([&format!("--target={architecture}-linux-gnu"), "--disable-shared"]);
    configure.arg(format!("--prefix={}", apt.folder.join("installed").display()));
    configure.arg(format!("--libdir={}", lib.display()));
    configure.env("CROSS_COMPILE", format!("{architecture}-linux-gnu-"));
    configure.env("CFLAGS", "-Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables");
    run::quietly(configure.current_dir(&source))?;
    run::quietly(Command::new("make").args(["-j2", "install"]).current_dir(&source))
}
