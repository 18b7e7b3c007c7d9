//! What is in a container: busybox, and nothing else.

use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;

use super::{Missing, as_root, program, run};

/// A root folder in which there is busybox, and nothing else.
///
/// # Errors
/// If there is no busybox here, or this is not root.
///
/// # Panics
/// If the folder cannot be made.
pub fn busybox_root() -> Result<TempDir, Missing> {
    root_with(&program("busybox")?)
}

/// One in which the busybox is another, which may be for another machine.
///
/// # Errors
/// If there is no busybox here to ask for its tools, or this is not root.
///
/// # Panics
/// If the folder cannot be made.
pub fn root_with(other: &Path) -> Result<TempDir, Missing> {
    as_root()?;
    let busybox = program("busybox")?;
    let root = tempfile::Builder::new().prefix("root-").tempdir().unwrap();
    for folder in ["bin", "tmp", "proc", "dev", "etc"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    run(&["chmod", "1777", root.path().join("tmp").to_str().unwrap()]);
    run(&["chmod", "755", root.path().to_str().unwrap()]);
    fs::copy(other, root.path().join("bin/busybox")).unwrap();
    for tool in run(&[busybox.to_str().unwrap(), "--list"]).lines().filter(|tool| *tool != "busybox") {
        symlink("busybox", root.path().join("bin").join(tool)).unwrap();
    }
    Ok(root)
}
