//! Where a program that comes as bytes is put to be run: in memory, else in a private file that goes at once.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{ConnectErrorKind, payload::Program, sys};

/// Puts the program where it can be run and calls `start` with its path, until a place lets it run. When this
/// returns, nothing is left but the process.
pub(crate) fn run<T>(
    program: &Program,
    start: impl Fn(&Path) -> io::Result<T>,
) -> Result<T, ConnectErrorKind> {
    run_in(program, sys::memory_image, folders(), start)
}

fn run_in<T, Hold>(
    program: &Program,
    in_memory: impl FnOnce(&str, &[u8]) -> io::Result<(Hold, PathBuf)>,
    folders: Vec<PathBuf>,
    start: impl Fn(&Path) -> io::Result<T>,
) -> Result<T, ConnectErrorKind> {
    let mut tried = Vec::new();
    let mut attempt = |place: &str, made: io::Result<T>| match made {
        Ok(started) => Some(Ok(started)),
        Err(error) if depends_on_place(&error) => {
            tried.push(format!("{place}: {error}"));
            None
        }
        Err(error) => Some(Err(error)),
    };
    let memory = in_memory(program.name(), program.bytes()).and_then(|(_held, path)| start(&path));
    let mut settled = attempt("memory", memory);
    for folder in folders {
        if settled.is_some() {
            break;
        }
        settled = attempt(&folder.to_string_lossy(), in_file(program, &folder, &start));
    }
    match settled {
        Some(Ok(started)) => Ok(started),
        Some(Err(error)) => Err(ConnectErrorKind::from_exec(&error, Path::new(program.name()))),
        None => Err(ConnectErrorKind::no_place(&tried)),
    }
}

/// Whether another place may do better. A program for another machine, or a want of processes, is the same everywhere.
fn depends_on_place(error: &io::Error) -> bool {
    use rustix::io::Errno;

    !matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NOEXEC | Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

/// Runs it from a file in a folder that nobody else may enter; both are gone when this returns.
fn in_file<T>(program: &Program, folder: &Path, start: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    // A random name, never one that exists, for this user alone from the first moment on.
    let private = tempfile::Builder::new()
        .prefix(".offshoot-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(folder)?;
    let path = private.path().join("payload");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    file.write_all(program.bytes())?;
    // A program that is open for writing cannot be run.
    drop(file);
    start(&path)
}

/// The folders to try, the most private first; which of them exist and let programs run is seen by trying.
fn folders() -> Vec<PathBuf> {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let fixed = |path: &str| Some(PathBuf::from(path));
    let all = [
        named("XDG_RUNTIME_DIR"),
        named("TMPDIR"),
        fixed("/tmp"),
        fixed("/var/tmp"),
        named("HOME"),
        fixed("/dev/shm"),
    ];
    // A relative path would be another folder in each process.
    all.into_iter().flatten().filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, process::Command};

    use rustix::io::Errno;

    use super::*;

    fn cat() -> Program {
        Program::new("kitty".into(), std::borrow::Cow::from(fs::read("/bin/cat").unwrap()).into()).unwrap()
    }

    fn no_memory(_: &str, _: &[u8]) -> io::Result<((), PathBuf)> {
        Err(Errno::ACCESS.into())
    }

    #[test]
    fn without_images_in_memory_it_runs_from_a_private_file_that_goes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let folders = vec![missing, folder.path().to_owned()];
        let output = run_in(&cat(), no_memory, folders, |path| {
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(path), mode(path.parent().unwrap())), (0o700, 0o700));
            Command::new(path).arg("/dev/null").output()
        });
        assert!(output.unwrap().status.success());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_no_place_will_do_the_error_lists_them_all() {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().join("missing"), folder.path().to_owned()];
        let refuse = |_: &Path| Err::<(), _>(io::Error::from(Errno::ACCESS));
        let error = run_in(&cat(), no_memory, folders, refuse).unwrap_err().to_string();
        let places = ["(memory: Permission denied", "missing: No such file", ": Permission denied"];
        assert!(places.iter().all(|place| error.contains(place)), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_the_same_everywhere_is_not_tried_everywhere() {
        let tries = Cell::new(0);
        let folder = tempfile::tempdir().unwrap();
        let refuse = |_: &Path| {
            tries.set(tries.get() + 1);
            Err::<(), _>(io::Error::from(Errno::AGAIN))
        };
        let memory = |_: &str, _: &[u8]| Ok(((), PathBuf::from("/memory")));
        let error = run_in(&cat(), memory, vec![folder.path().to_owned()], refuse).unwrap_err();
        assert_eq!((error, tries.get()), (ConnectErrorKind::TooManyProcesses, 1));
    }
}
