//! sudo as it is written in Rust: it asks, and refuses, in other words.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use offshoot_parent::{Phase, prelude::*};
use tempfile::TempDir;

use crate::{
    accounts::{Desk, PASSWORD},
    far::{ADD, Missing, as_root, program, run},
};

crate::tests![sudo_rs_takes_the_password_when_it_has_asked_and_once, sudo_rs_says_who_is_not_allowed];

/// Where it remembers whom it has asked.
const MEMORY: &str = "/run/sudo-rs";

/// A copy of it that runs as root, while the value lives. Nobody reaches it but root and a group.
pub(crate) struct SudoRs {
    folder: TempDir,
    is_another_here: bool,
}

impl SudoRs {
    pub(crate) fn new(group: &str) -> Result<Self, Missing> {
        as_root()?;
        // Where `cargo xtask test` has it built.
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("sudo-rs/bin/sudo");
        let program = fs::read(built).map_err(|_| Missing::because("no sudo-rs here"))?;
        let folder = tempfile::Builder::new().prefix("sudo-rs-").tempdir().unwrap();
        let copy = Self { folder, is_another_here: fs::exists(MEMORY).unwrap() };
        fs::write(copy.file(), program).unwrap();
        // The rights of root come last: until then nobody enters the folder.
        for (file, mode) in [(copy.file().as_str(), 0o4750), (copy.folder.path().to_str().unwrap(), 0o710)] {
            run(&["chgrp", group, file]);
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        Ok(copy)
    }

    /// The way to root by it.
    pub(crate) fn sudo(&self) -> Sudo {
        Sudo::new().program(self.file())
    }

    pub(crate) fn file(&self) -> String {
        self.folder.path().join("sudo").display().to_string()
    }
}

impl Drop for SudoRs {
    fn drop(&mut self) {
        if !self.is_another_here {
            drop(fs::remove_dir_all(MEMORY));
        }
    }
}

fn sudo_rs_takes_the_password_when_it_has_asked_and_once() -> Result<(), Missing> {
    let desk = Desk::of_sudoer("sudors")?;
    let tool = SudoRs::new(desk.user_name())?;
    let error = desk.connect(tool.sudo()).unwrap_err();
    assert_eq!((error.code(), error.phase()), ("password_needed", Phase::Shell), "{error}");
    let error = desk.connect(tool.sudo().password("wrong")).unwrap_err();
    assert_eq!(error.code(), "password_wrong", "{error}");
    let root = desk.connect(tool.sudo().password(PASSWORD)).unwrap();
    assert_eq!((root.call(ADD, (2, 3)).unwrap(), desk.uid_of(&root)), (5, 0));
    let error = desk.connect(tool.sudo().password(PASSWORD).user("nosuch")).unwrap_err();
    assert_eq!(error.code(), "no_such_user", "{error}");
    Ok(())
}

fn sudo_rs_says_who_is_not_allowed() -> Result<(), Missing> {
    let desk = Desk::new("barredrs")?;
    let tool = SudoRs::new(desk.user_name())?;
    // The shell has shed what setpriv may still do for whom it becomes.
    let stranger = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "sh", "-c", "\"$0\" -V"];
    let refused = Command::new(program("setpriv")?).args(stranger).arg(tool.file()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Permission denied"), "others reach it: {said}");
    let error = desk.connect(tool.sudo().password(PASSWORD)).unwrap_err();
    assert_eq!(error.code(), "not_allowed", "{error}");
    Ok(())
}
