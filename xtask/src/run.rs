//! Starts other programs, cargo above all: always from the root of the workspace, and says what it ran when that failed.

use std::{
    env, fs,
    io::{Read, Seek},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// A cargo of the toolchain that runs us, with the root of the workspace as its directory.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// A cargo that builds programs of the workspace out of what the tests are built of, so that nothing is built twice: the
/// features of dependencies are the same only where there is some test to build beside.
pub(crate) fn programs(root: &Path, names: &[&str]) -> Command {
    let mut command = cargo(root);
    command.args(["build", "--workspace", "--test", "machine"]);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    command
}

/// Where a program is that was built by [`programs`].
pub(crate) fn program(target_dir: &Path, name: &str) -> Command {
    Command::new(target_dir.join("debug").join(name))
}

/// Whether a run decides if a change lands: nobody reads there what was left out.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some()
}

/// What a program that was run to its end has left.
pub(crate) struct Captured {
    pub(crate) success: bool,
    /// The command line, then both outputs in the order in which they came.
    pub(crate) text: String,
}

/// Runs `command` without input and keeps what it prints.
///
/// The output goes through a file: a pipe would keep us waiting for whatever the program has left behind.
pub(crate) fn capture(command: &mut Command) -> Result<Captured> {
    let line = shown(command);
    let mut file = tempfile::tempfile().context("no temporary file for the output")?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file.try_clone()?);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Captured { success: status.success(), text: format!("$ {line}\n{}", String::from_utf8_lossy(&bytes)) })
}

/// Runs `command` with our own terminal, and fails if it does.
pub(crate) fn pass_through(command: &mut Command) -> Result<()> {
    let line = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// Runs `command` in silence; what it printed is in the error if it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let captured = capture(command)?;
    if !captured.success {
        bail!("{}", captured.text);
    }
    Ok(())
}

/// What `command` prints to its standard output; an error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something that is not UTF-8"))
}

/// A file as text, with its name in the error.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The command as one would type it, as far as its environment and arguments were set here.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_else(|| command.get_program());
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut words: Vec<String> =
        set.map(|(name, value)| format!("{}={:?}", name.to_string_lossy(), value)).collect();
    words.push(program.to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
