//! `cargo xtask payload`: builds the programs that become children, small and static, and says how large they are.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{bloat, run, workspace::Workspace};

/// Build the payload programs and list role, profile, size and hash of each.
///
/// They end up in `target/payloads`. A leaf cannot have children, a parent can.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// How to build them
    #[arg(long, value_enum, default_value = "static")]
    profile: Profile,
    /// Show which crates the bytes come from (needs `nm`)
    #[arg(long)]
    bloat: bool,
}

/// A way to build payloads.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Profile {
    /// Stable Rust as installed: musl where rustup has it, else glibc; linked statically, panics unwind
    Static,
}

/// A payload program, known by the example that it is.
struct Program {
    name: &'static str,
    role: &'static str,
    package: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program { name: "leaf", role: "leaf", package: "offshoot-core" },
    Program { name: "hop", role: "parent", package: "offshoot-parent" },
    Program { name: "demo_leaf", role: "leaf", package: "offshoot-core" },
    Program { name: "demo_hop", role: "parent", package: "offshoot-parent" },
];

/// The programs that are measured: the smallest of their kind.
pub(crate) const REFERENCE: [&str; 2] = ["leaf", "hop"];
/// The programs that the demo sends.
pub(crate) const DEMO: [&str; 2] = ["demo_leaf", "demo_hop"];

/// A program that has been built.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    role: &'static str,
    target: String,
    raw: usize,
    /// Its size as gzip packs it best, in bytes.
    pub(crate) gzip: usize,
    sha256: String,
}

/// Whether symbols stay in the file, for those who want to know what it is made of.
#[derive(Clone, Copy)]
enum Symbols {
    Stripped,
    Kept,
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    let built = build(workspace, flags.profile, &REFERENCE, run::pass_through)?;
    print!("{}", table(&built));
    if flags.bloat {
        for program in present(workspace, &REFERENCE) {
            let file = compile(workspace, program, Symbols::Kept, run::pass_through)?;
            println!("\n{}", bloat::report(program.name, &file)?);
        }
    }
    for absent in PROGRAMS.iter().filter(|program| !program.is_in(workspace)) {
        eprintln!("{} is not there yet: {} has no example of this name", absent.name, absent.package);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there is any program to build.
pub(crate) fn exist(workspace: &Workspace) -> bool {
    present(workspace, &REFERENCE).next().is_some()
}

/// Where [`build`] leaves the program of this name.
pub(crate) fn path(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target_dir().join("payloads").join(name)
}

/// Builds those of the named programs that exist; `run` runs cargo.
pub(crate) fn build(
    workspace: &Workspace,
    profile: Profile,
    names: &[&str],
    run: fn(&mut Command) -> Result<()>,
) -> Result<Vec<Built>> {
    let Profile::Static = profile;
    if !exist(workspace) {
        bail!(
            "there is no payload program yet: neither offshoot-core's example `leaf` nor offshoot-parent's `hop`"
        );
    }
    present(workspace, names)
        .map(|program| {
            let file = compile(workspace, program, Symbols::Stripped, run)?;
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            install(&file, &path(workspace, program.name))?;
            Ok(Built {
                name: program.name,
                role: program.role,
                target: target(workspace)?,
                raw: bytes.len(),
                gzip: gzip_len(&bytes)?,
                sha256: Sha256::digest(&bytes)
                    .iter()
                    .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
            })
        })
        .collect()
}

/// The programs with their sizes, one line each, for people and for `column`.
pub(crate) fn table(built: &[Built]) -> String {
    let mut out = format!(
        "{:9} {:7} {:8} {:28} {:>10} {:>10}  sha256\n",
        "name", "role", "profile", "target", "bytes", "gzip -9"
    );
    for Built { name, role, target, raw, gzip, sha256 } in built {
        let _ = writeln!(out, "{name:9} {role:7} static   {target:28} {raw:10} {gzip:10}  {sha256}");
    }
    out
}

impl Built {
    /// Name and sizes, for a summary.
    pub(crate) fn in_short(&self) -> String {
        format!("{} {} bytes, {} gzip", self.name, self.raw, self.gzip)
    }
}

impl Program {
    fn is_in(&self, workspace: &Workspace) -> bool {
        workspace.member(self.package).is_some_and(|package| package.target("example", self.name).is_some())
    }
}

fn present(workspace: &Workspace, names: &[&str]) -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(move |program| names.contains(&program.name) && program.is_in(workspace))
}

/// Programs of a package outside the workspace that become children.
pub(crate) struct Children<'a> {
    /// The folder of the package.
    pub(crate) folder: &'a Path,
    /// Binaries of it, which need none of its default features.
    pub(crate) names: &'a [&'a str],
}

/// Builds programs from elsewhere as payloads, and says where they are.
pub(crate) fn build_children(workspace: &Workspace, children: &Children<'_>) -> Result<Vec<PathBuf>> {
    let target = target(workspace)?;
    let folder = workspace.target_dir().join("bench");
    let mut command = run::cargo(children.folder);
    as_payload(&mut command, &target, &folder);
    command.args(["--locked", "--no-default-features"]);
    command.args(children.names.iter().flat_map(|name| ["--bin", name]));
    run::pass_through(&mut command).context("cannot build the children")?;
    let built = folder.join(target).join("payload");
    Ok(children.names.iter().map(|name| built.join(name)).collect())
}

/// Compiles one program by itself, so that no other package's features get into it, and says where it is.
fn compile(
    workspace: &Workspace,
    program: &Program,
    symbols: Symbols,
    run: fn(&mut Command) -> Result<()>,
) -> Result<PathBuf> {
    let target = target(workspace)?;
    let folder = workspace.target_dir().join(match symbols {
        Symbols::Stripped => "payload-build",
        Symbols::Kept => "payload-symbols",
    });
    let mut command = run::cargo(workspace.root());
    as_payload(&mut command, &target, &folder);
    command.args(["--package", program.package, "--example", program.name]);
    if let Symbols::Kept = symbols {
        command.args(["--config", "profile.payload.strip=false"]);
    }
    run(&mut command).with_context(|| format!("cannot build the payload `{}`", program.name))?;
    Ok(folder.join(target).join("payload").join("examples").join(program.name))
}

/// Makes of a cargo command one that builds payloads for `target` into `folder`; what it builds is still to be said.
fn as_payload(command: &mut Command, target: &str, folder: &Path) {
    scrub(command);
    command.args(["build", "--profile", "payload"]);
    // With `--target`, even of this machine, the flags do not reach build scripts and procedural macros.
    command.args(["--target", target, "--target-dir"]).arg(folder);
    // Cargo sets this variable for build scripts, and it beats RUSTFLAGS and every configuration file.
    let flags = ["-C", "target-feature=+crt-static", "-C", "relocation-model=static"].join("\u{1f}");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags);
}

/// Takes away every setting from outside that could change what is built, and leaves those that say where crates come from.
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

/// The machine that payloads are built for: this one, by musl if its std is installed.
fn target(workspace: &Workspace) -> Result<String> {
    let Some((architecture, _)) = workspace.host.split_once("-unknown-linux-") else {
        return Ok(workspace.host.clone());
    };
    let musl = format!("{architecture}-unknown-linux-musl");
    let sysroot = run::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let std = Path::new(sysroot.trim()).join("lib/rustlib").join(&musl).join("lib");
    Ok(if std.is_dir() { musl } else { workspace.host.clone() })
}

/// Puts a copy of `file` at `path` in one step: the old one may be running.
fn install(file: &Path, path: &Path) -> Result<()> {
    let folder = path.parent().context("a payload has a folder")?;
    let copied = || -> Result<()> {
        fs::create_dir_all(folder)?;
        let new = path.with_extension("new");
        fs::copy(file, &new)?;
        fs::rename(new, path)?;
        Ok(())
    };
    copied().with_context(|| format!("cannot copy {} to {}", file.display(), path.display()))
}

/// How many bytes cross the wire where the far side has gzip.
fn gzip_len(bytes: &[u8]) -> Result<usize> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
