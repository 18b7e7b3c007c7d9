//! Links against musl by a gcc that knows nothing of it, in one way for every machine.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{self, Path, PathBuf},
    process::Command,
};

use super::{BuildError, Profile, toolchain::ask};
use crate::{Machine, Text};

/// Musl's own names a thread of others by printf, and so brings all of it: 11 KB. Threads of Rust name themselves.
const NAME_STUB: &str = "int prctl(int, ...);\n\
    int pthread_setname_np(void *thread, const char *name) { (void)thread; return prctl(15, name); }\n";
/// The unwinder of gcc asks glibc's loader first; there is none, and it looks by itself.
const UNWIND_STUB: &str =
    "int _dl_find_object(void *at, void *found) { (void)at; (void)found; return -1; }\n";

/// What links a program for one machine.
pub(super) struct Linker {
    gcc: &'static str,
    /// Where the files of musl are.
    musl: PathBuf,
}

impl Linker {
    /// Looks for gcc and musl; the error says what to install.
    pub(super) fn find(machine: Machine, sysroots: &[PathBuf]) -> Result<Self, Text> {
        let (gcc, folder) = (machine.gcc(), machine.musl_folder());
        if ask(Path::new(gcc), &["-dumpversion"]).is_none() {
            return Err(format!("there is no {gcc}: install Debian's package {}", package(gcc)).into());
        }
        // The linker runs in another folder than whoever has named them.
        let named = sysroots.iter().filter_map(|root| path::absolute(root).ok());
        let roots = named.chain([PathBuf::from("/")]);
        let musl =
            roots.map(|root| root.join("usr/lib").join(folder)).find(|musl| musl.join("libc.a").is_file());
        match musl {
            Some(musl) => Ok(Self { gcc, musl }),
            None => Err(format!("there is no musl for it: install musl-dev, or unpack that of its architecture where `Recipe::sysroot` says, with usr/lib/{folder} in it; `cargo xtask payload --target {machine}` leaves such a folder in a checkout of offshoot, target/payload-sysroot").into()),
        }
    }

    /// Makes the script that rustc calls as its linker, and what it links besides.
    pub(super) fn prepare(&self, work: &Path, profile: Profile) -> Result<PathBuf, BuildError> {
        let folder = work.join(format!("link-{}", self.gcc));
        let made = || -> io::Result<PathBuf> {
            fs::create_dir_all(&folder)?;
            let mut objects = self.object(&folder, "name", NAME_STUB)?;
            let unwinder = folder.join("libunwind.a");
            match profile {
                // It is never called, but std's build names it.
                Profile::Tiny => write(&unwinder, b"!<arch>\n")?,
                Profile::Static | Profile::Small => {
                    let found =
                        ask(Path::new(self.gcc), &["-print-file-name=libgcc_eh.a"]).unwrap_or_default();
                    write(&unwinder, &fs::read(found.trim())?)?;
                    objects.push_str(&self.object(&folder, "unwind", UNWIND_STUB)?);
                }
            }
            let script = folder.join("link");
            write(&script, self.script(&folder, &objects).as_bytes())?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            Ok(script)
        };
        made().map_err(|error| BuildError::at(&folder, &error))
    }

    fn script(&self, folder: &Path, objects: &str) -> String {
        let (gcc, musl, folder) = (self.gcc, self.musl.display(), folder.display());
        format!(
            "#!/bin/sh\nexec {gcc} -nostdlib -nostartfiles '{musl}/crt1.o' '{musl}/crti.o' {objects} \
             \"$@\" -L'{folder}' -L'{musl}' -Wl,--start-group '{folder}/libunwind.a' '{musl}/libc.a' -lgcc -Wl,--end-group \
             '{musl}/crtn.o'\n"
        )
    }

    /// Compiles a few lines of C, and gives the object as a word of the script.
    fn object(&self, folder: &Path, name: &str, text: &str) -> io::Result<String> {
        let (source, object) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.o")));
        if !object.is_file() {
            write(&source, text.as_bytes())?;
            let mut gcc = Command::new(self.gcc);
            gcc.args(["-Os", "-c", "-fno-asynchronous-unwind-tables"]).arg(&source).arg("-o").arg(&object);
            let output = gcc.output()?;
            if !output.status.success() {
                return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
            }
        }
        Ok(format!("'{}' ", object.display()))
    }
}

/// Debian's package of a C compiler: on the machine that most have, `gcc` is the compiler for it.
fn package(gcc: &str) -> String {
    let triple = gcc.strip_suffix("-gcc").unwrap_or(gcc);
    if triple == "x86_64-linux-gnu" { "gcc".to_owned() } else { format!("gcc-{triple}") }
}

/// Writes a file in one step, and leaves it alone where it is as it should be: others may be building with it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn a_folder_of_musl_that_is_named_from_here_is_found_from_where_the_linker_runs() {
        let folder = tempfile::tempdir().unwrap();
        let machine =
            Machine::ALL.into_iter().find(|it| ask(Path::new(it.gcc()), &["-dumpversion"]).is_some());
        let Some(machine) = machine else { return };
        let musl = folder.path().join("usr/lib").join(machine.musl_folder());
        fs::create_dir_all(&musl).unwrap();
        fs::write(musl.join("libc.a"), "").unwrap();
        let up: PathBuf = env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
        let sysroot = up.join(folder.path().strip_prefix("/").unwrap());
        let linker = Linker::find(machine, &[sysroot]).unwrap();
        assert!(linker.musl.is_absolute() && linker.musl.ends_with(musl.strip_prefix("/").unwrap()));
    }

    #[test]
    fn the_package_of_each_compiler_is_named() {
        let packages = Machine::ALL.map(|machine| package(machine.gcc()));
        assert_eq!(
            packages,
            [
                "gcc",
                "gcc-aarch64-linux-gnu",
                "gcc-arm-linux-gnueabihf",
                "gcc-i686-linux-gnu",
                "gcc-riscv64-linux-gnu"
            ]
        );
    }
}
