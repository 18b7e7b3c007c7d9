//! What passes by a way, both ways: kept in a file, so that it can be counted.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use anyhow::Result;

/// The file; it goes when this is dropped.
pub(crate) struct Wire {
    folder: PathBuf,
}

impl Wire {
    /// For a way of this name.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("bench-wire-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The path of a program that does what this command does, and has what passes by stdin and stdout kept. It ends with
    /// the command, and does not wait for the end of what comes in.
    pub(crate) fn client(&self, command: &str) -> Result<String> {
        let (client, kept) = (self.file("client"), self.file("kept"));
        let script = format!(
            "#!/bin/sh\nexec 3<&0\n{{ tee -a {kept} <&3 & }} | {command} \"$@\" 3<&- | tee -a {kept} 3<&-\n"
        );
        fs::write(&client, script)?;
        fs::set_permissions(&client, Permissions::from_mode(0o700))?;
        Ok(client)
    }

    /// What passed since this was asked the last time, in bytes.
    pub(crate) fn passed(&self) -> Result<u64> {
        let kept = self.file("kept");
        let passed = fs::metadata(&kept).map_or(0, |file| file.len());
        fs::write(&kept, "")?;
        Ok(passed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}
