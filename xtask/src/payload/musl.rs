//! Musl built for size from Debian's source, or where that cannot be had, unpacked from its package for the machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    apt::{self, Apart},
    run,
};

/// How it is compiled: for programs that lie where they are linked to, and in which nothing of C unwinds.
const FLAGS: &str = "-Os -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables";

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
        match (self.build(sysroot), self.package) {
            (Ok(()), _) => Ok(fs::write(self.mark(sysroot), FLAGS)?),
            (Err(_), Some(architecture)) => {
                apt::unpack("musl-dev", architecture, &sysroot.join(format!("apt-{architecture}")), sysroot)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Whether it was built from source, and so, which makes a payload 3 KB smaller than that of the package.
    pub(super) fn is_built(&self, sysroot: &Path) -> bool {
        fs::read(self.mark(sysroot)).is_ok_and(|flags| flags == FLAGS.as_bytes())
    }

    fn mark(&self, sysroot: &Path) -> PathBuf {
        sysroot.join(format!("{}.built", self.folder))
    }

    fn build(&self, sysroot: &Path) -> Result<()> {
        let configure = source(&sysroot.join("apt-source"))?.join("configure");
        let folder = sysroot.join(format!("build-{}", self.folder));
        // What was compiled otherwise is not to stay there.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let lib = sysroot.join("usr/lib").join(self.folder);
        let mut configure = Command::new(configure);
        configure.args([&format!("--target={}", self.triple), "--disable-shared"]);
        configure.arg(format!("--prefix={}", folder.join("installed").display()));
        configure.arg(format!("--libdir={}", lib.display()));
        configure.env("CROSS_COMPILE", format!("{}-", self.triple));
        configure.env("CFLAGS", FLAGS);
        run::quietly(configure.current_dir(&folder))?;
        run::quietly(Command::new("make").args(["-j2", "install"]).current_dir(&folder))
    }
}

/// Debian's source of musl, brought into a folder below this one, unless it is there: it is the same for every machine.
fn source(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("source");
    if source.is_dir() {
        return Ok(source);
    }
    let apt = Apart::new(folder)?;
    // The system's own sources, as far as they are of packages: they are those of source code, too.
    let format = "deb-src $(SITE) $(RELEASE) $(COMPONENT)";
    let mut targets = Command::new("apt-get");
    let listed = run::output(targets.args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let list = folder.join("sources.list");
    let main: Vec<&str> =
        listed.lines().filter(|line| line.contains("/debian ") && line.ends_with(" main")).collect();
    fs::write(&list, main.join("\n") + "\n")?;
    let options =
        [format!("Dir::Etc::sourcelist={}", list.display()), "Dir::Etc::sourceparts=/dev/null".to_owned()];
    drop(apt.run(&options, &["update"]));
    apt.run(&options, &["source", "--download-only", "musl"])?;
    let new = folder.join("source.new");
    fs::create_dir_all(&new)?;
    let archive = apt.brought(".orig.tar.gz")?;
    run::quietly(
        Command::new("tar").arg("-xzf").arg(archive).arg("--strip-components=1").arg("-C").arg(&new),
    )?;
    fs::rename(new, &source)?;
    Ok(source)
}
