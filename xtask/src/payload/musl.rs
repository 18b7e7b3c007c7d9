//! Musl built for size from Debian's source, or where that cannot be had, unpacked from its package for the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::run;

/// Musl for a machine.
pub(super) struct Musl {
    /// The machine as its C compiler calls it.
    pub(super) triple: &'static str,
    /// Where the files are, under `usr/lib`.
    pub(super) folder: &'static str,
    /// Debian's name of the architecture whose package has it; nothing where there is none, or it is this machine's.
    pub(super) package: Option<&'static str>,
}

impl Musl {
    /// Puts it under `usr/lib` in `sysroot`, unless it is there.
    pub(super) fn put(&self, sysroot: &Path) -> Result<()> {
        if self.is_built(sysroot) {
            return Ok(());
        }
        let apt = Apt::new(sysroot.join(format!("apt-{}", self.folder)))?;
        match (self.build(&apt, sysroot), self.package) {
            (Ok(()), _) => Ok(fs::write(self.mark(sysroot), "")?),
            (Err(_), Some(architecture)) => unpack(&apt, architecture, sysroot),
            (Err(error), None) => Err(error),
        }
    }

    /// Whether it was built from source, which makes a payload 3 KB smaller than that of the package.
    pub(super) fn is_built(&self, sysroot: &Path) -> bool {
        self.mark(sysroot).is_file()
    }

    fn mark(&self, sysroot: &Path) -> PathBuf {
        sysroot.join(format!("{}.built", self.folder))
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

impl Musl {
    fn build(&self, apt: &Apt, sysroot: &Path) -> Result<()> {
        // The system's own sources, as far as they are of packages: they are those of source code, too.
        let format = "deb-src $(SITE) $(RELEASE) $(COMPONENT)";
        let mut targets = Command::new("apt-get");
        let listed = run::output(targets.args(["indextargets", "--format", format, "Created-By: Packages"]))?;
        let list = apt.folder.join("sources.list");
        let main: Vec<&str> =
            listed.lines().filter(|line| line.contains("/debian ") && line.ends_with(" main")).collect();
        fs::write(&list, main.join("\n") + "\n")?;
        let options = [
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
        ];
        drop(apt.run(&options, &["update"]));
        apt.run(&options, &["source", "--download-only", "musl"])?;
        let source = apt.folder.join("source");
        fs::create_dir_all(&source)?;
        let archive = apt.brought(".orig.tar.gz")?;
        run::quietly(
            Command::new("tar").arg("-xzf").arg(archive).arg("--strip-components=1").arg("-C").arg(&source),
        )?;
        let lib = sysroot.join("usr/lib").join(self.folder);
        let mut configure = Command::new("./configure");
        configure.args([&format!("--target={}", self.triple), "--disable-shared"]);
        configure.arg(format!("--prefix={}", apt.folder.join("installed").display()));
        configure.arg(format!("--libdir={}", lib.display()));
        configure.env("CROSS_COMPILE", format!("{}-", self.triple));
        configure.env("CFLAGS", "-Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables");
        run::quietly(configure.current_dir(&source))?;
        run::quietly(Command::new("make").args(["-j2", "install"]).current_dir(&source))
    }
}
