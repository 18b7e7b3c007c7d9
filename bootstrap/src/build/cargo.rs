//! The cargo that builds a payload: nothing from around it changes what is built.

use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{BuildError, toolchain::Toolchain};

/// A cargo that is about to run.
pub(super) struct Cargo(Command);

impl Cargo {
    /// One that builds what is in `folder`, in a target folder of its own.
    pub(super) fn new(folder: &Path, toolchain: &Toolchain, work: &Path) -> Result<Self, BuildError> {
        fs::create_dir_all(work).map_err(|error| BuildError::at(work, &error))?;
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        scrub(&mut command);
        command.current_dir(folder).args(["build", "--profile", "payload"]);
        // With `--target`, even of this machine, the flags do not reach build scripts and procedural macros.
        command.args(["--target", toolchain.triple(), "--target-dir"]).arg(work);
        // Cargo sets this variable for build scripts, and it beats RUSTFLAGS and every configuration file.
        command.env("CARGO_ENCODED_RUSTFLAGS", toolchain.flags(work)?.join("\u{1f}"));
        toolchain.set_up(&mut command);
        let mut cargo = Self(command);
        // They are said here, so that a package needs no profile of this name.
        for setting in ["inherits='release'", "lto='fat'", "codegen-units=1", "debug=false"] {
            cargo.set(setting);
        }
        Ok(cargo)
    }

    /// Sets something of the profile.
    pub(super) fn set(&mut self, setting: &str) {
        self.0.args(["--config", &format!("profile.payload.{setting}")]);
    }

    /// One program by itself, so that no other package's features get into it.
    pub(super) fn select(&mut self, package: Option<&str>, is_example: bool, name: &str) {
        self.0.args(package.map(|package| format!("--package={package}")));
        self.0.args([if is_example { "--example" } else { "--bin" }, name]);
    }

    pub(super) fn args(&mut self, args: &[String]) {
        self.0.args(args);
    }

    pub(super) fn symbols(&mut self, are_kept: bool) {
        self.set(&format!("strip={}", !are_kept));
    }

    pub(super) fn run(mut self, is_verbose: bool) -> Result<(), BuildError> {
        let failed = |said: String| BuildError::Cargo { said };
        self.0.stdin(Stdio::null()).stdout(Stdio::null());
        self.0.stderr(if is_verbose { Stdio::inherit() } else { Stdio::piped() });
        let output = self.0.output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(format!("{}{}", String::from_utf8_lossy(&output.stderr), output.status)))
    }
}

/// Takes away every setting from outside that could change what is built, and leaves those that say where crates come
/// from.
fn scrub(command: &mut Command) {
    const SETTINGS: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_TERM_COLOR",
        "CARGO_NET",
        "CARGO_HTTP",
        "CARGO_REGISTR",
        "CARGO_SOURCE",
    ];
    let begins = |name: &OsString, with: &[&str]| {
        let name = name.to_string_lossy();
        with.iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os() {
        if name == "LD_LIBRARY_PATH" || begins(&name, &SETTINGS) && !begins(&name, &KEPT) {
            command.env_remove(name);
        }
    }
    // Empty, not absent: that is how the environment overrules a configuration file.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
}
