//! Debian's packages, for whatever a suite needs beyond the Rust toolchain.

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;

use crate::run;

/// A file by which it is seen whether a package is there, and the package.
pub(crate) type Needed = (&'static str, &'static str);

/// There is one apt at a time; suites that run at once would find its lock taken.
static APT: Mutex<()> = Mutex::new(());

/// Installs what is not there, where that can be done: by apt, as root. What is missing afterwards is for whoever needs
/// it to say.
pub(crate) fn install_missing(needed: impl IntoIterator<Item = Needed>) {
    let _one_at_a_time = APT.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = needed.into_iter().filter(|(file, _)| !Path::new(file).exists());
    let packages: Vec<&str> = missing.map(|(_, package)| package).collect();
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        // Without apt, or without a network, there is nothing more to do.
        let _ = apt(&["update"]).is_ok()
            && apt(&[&["install", "--no-install-recommends"], &packages[..]].concat()).is_ok();
    }
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    run::quietly(command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(words))
}
