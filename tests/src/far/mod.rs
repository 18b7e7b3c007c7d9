//! Far sides that tests and benches set up on this machine for themselves, as root: each has one owner, and leaves nothing.

mod daemon;
mod docker;
mod image;

use std::{env, fmt, path::PathBuf, process::Command};

pub use self::{
    daemon::{Apart, Daemon},
    docker::Docker,
    image::{busybox_root, root_with},
};

/// What is not there.
#[derive(Debug)]
pub struct Missing(String);

impl Missing {
    /// For that reason.
    pub fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Where a program is.
///
/// # Errors
/// If it is in none of the usual folders, nor in one of the PATH.
pub fn program(name: &str) -> Result<PathBuf, Missing> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let places = usual.into_iter().chain(env::split_paths(&path));
    let mut files = places.map(|folder| folder.join(name));
    files.find(|file| file.is_file()).ok_or_else(|| Missing(format!("no {name} here")))
}

/// Whether this process may do anything here.
///
/// # Errors
/// If it is not root.
pub fn as_root() -> Result<(), Missing> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(Missing("not root here".to_owned())) }
}

/// Runs a command that must succeed; what it said.
///
/// # Panics
/// If it does not.
pub fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {} {}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that this machine may not allow.
///
/// # Errors
/// What it says then, as one line.
pub fn try_to(command: &mut Command) -> Result<(), Missing> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |why: String| Missing(format!("{name}: {}", why.trim().replace('\n', "; ")));
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&said).into_owned())) }
}
