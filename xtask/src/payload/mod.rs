//! `cargo xtask payload`: builds the programs that become children, small and static, and says how large they are.

mod bloat;
mod musl;
mod sizes;
mod tools;

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use offshoot_bootstrap::{BuildError, Entry, Machine, Profile, Recipe, Role};

use crate::{
    run::{self, Captured},
    workspace::Workspace,
};
pub(crate) use sizes::check;
pub(crate) use tools::compiler_with_source;

/// Build the payload programs and list role, profile, machine, size and hash of each.
///
/// The sets end up in `payloads/PROFILE/NAME` of the target folder, the programs of `static` for this machine in
/// `payloads/NAME` too; the first time takes some minutes. A leaf cannot have children, a parent can. What a profile needs
/// is installed where that can be done: by apt, as root.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// How to build them: `static`, `small` or `tiny`; each of them unless given
    #[arg(long)]
    profile: Vec<Profile>,
    /// A machine to build for, as `uname -m` calls it; this one unless given, and may be given several times
    #[arg(long)]
    target: Vec<Machine>,
    /// The programs to build, of `smallest`, `leaf`, `hop`, `conforming`, `demo_leaf` and `demo_hop`; the first three unless given
    programs: Vec<String>,
    /// Show which crates the bytes come from (needs `nm`)
    #[arg(long)]
    bloat: bool,
    /// Keep the sizes, for the suite of `cargo xtask test` that compares with them
    #[arg(long, conflicts_with_all = ["profile", "target", "programs", "bloat"])]
    record: bool,
}

/// A payload program, known by what it is of which package.
struct Program {
    name: &'static str,
    package: &'static str,
    kind: Kind,
}

/// What cargo builds it as.
#[derive(Clone, Copy)]
enum Kind {
    Example,
    Binary,
}

const PROGRAMS: [Program; 6] = [
    Program::leaf("smallest"),
    Program::leaf("leaf"),
    Program::leaf(CONFORMING),
    Program::hop("hop"),
    Program::leaf("demo_leaf"),
    Program::hop("demo_hop"),
];

/// The programs that tests send.
pub(crate) const REFERENCE: [&str; 2] = ["leaf", "hop"];
/// The programs that the demo sends.
pub(crate) const DEMO: [&str; 2] = ["demo_leaf", "demo_hop"];
/// The program that is tried on other machines.
const CONFORMING: &str = "conforming";
/// The programs that are built where none is named.
const USUAL: [&str; 3] = ["smallest", "leaf", "hop"];

/// A program that has been built.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    pub(crate) profile: Profile,
    pub(crate) entry: Entry,
    /// Its size as gzip packs it best, in bytes.
    pub(crate) gzip: usize,
    /// The compiler that made it, and the libc where it is not the usual one.
    compiler: String,
}

/// What a build came to: what there is, and why the rest cannot be had here.
#[derive(Default)]
pub(crate) struct Haul {
    pub(crate) built: Vec<Built>,
    pub(crate) skipped: Vec<String>,
}

/// Whether cargo tells its progress.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Shown,
    Silent,
}

impl Progress {
    /// Runs `command` with our own terminal, or in silence.
    pub(crate) fn run(self, command: &mut Command) -> Result<()> {
        match self {
            Self::Shown => run::pass_through(command),
            Self::Silent => run::quietly(command),
        }
    }
}

pub(crate) fn main(flags: &Flags, workspace: &Workspace) -> Result<ExitCode> {
    if flags.record {
        return sizes::record(workspace);
    }
    let profiles = if flags.profile.is_empty() { &Profile::ALL[..] } else { &flags.profile };
    let here = Machine::here().map(|here| vec![here]).context("payloads are built on Linux")?;
    let machines = if flags.target.is_empty() { &here } else { &flags.target };
    let names: Vec<&str> = flags.programs.iter().map(String::as_str).collect();
    let names = if names.is_empty() { &USUAL[..] } else { &names };
    if let Some(unknown) = names.iter().find(|name| PROGRAMS.iter().all(|program| program.name != **name)) {
        bail!("there is no payload program `{unknown}`");
    }
    let mut haul = Haul::default();
    for (profile, machine) in pairs(profiles, machines) {
        haul.take(workspace, profile, machine, names, Progress::Shown)?;
    }
    print!("{}", table(&haul.built));
    println!("in {}", workspace.target_dir().join("payloads").display());
    for reason in &haul.skipped {
        println!("skipped: {reason}");
    }
    if flags.bloat {
        for Built { name, profile, entry, .. } in &haul.built {
            let Some(program) = PROGRAMS.iter().find(|program| program.name == *name) else { continue };
            let recipe = program.recipe(workspace, *profile).symbols().verbose();
            let file =
                recipe.work(workspace.target_dir().join("payload-symbols")).compile(entry.machine())?;
            println!("\n{}", bloat::report(&format!("{name}, {profile}"), &file)?);
        }
    }
    // Whoever asked for something in particular has not got it.
    let was_asked = !flags.profile.is_empty() || !flags.target.is_empty();
    Ok(if was_asked && !haul.skipped.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn pairs(profiles: &[Profile], machines: &[Machine]) -> impl Iterator<Item = (Profile, Machine)> {
    profiles.iter().flat_map(|profile| machines.iter().map(|machine| (*profile, *machine)))
}

impl Haul {
    /// Builds programs in one profile for one machine; that it cannot be done here is no error.
    pub(crate) fn take(
        &mut self,
        workspace: &Workspace,
        profile: Profile,
        machine: Machine,
        names: &[&str],
        progress: Progress,
    ) -> Result<()> {
        // Suites that run at once both build some of these, into the same files.
        static STATIC: Mutex<()> = Mutex::new(());
        let _alone =
            (profile == Profile::Static).then(|| STATIC.lock().unwrap_or_else(PoisonError::into_inner));
        if profile != Profile::Static {
            tools::install(workspace, machine)?;
        }
        for program in PROGRAMS.iter().filter(|program| names.contains(&program.name)) {
            let recipe = program.recipe(workspace, profile);
            let recipe = recipe.work(work(workspace, machine)).machines([machine]);
            let recipe = if progress == Progress::Shown { recipe.verbose() } else { recipe };
            let set = match recipe.build(folder(workspace, profile, program.name)) {
                Err(error @ BuildError::Impossible { .. }) => {
                    self.skipped.push(error.to_string());
                    return Ok(());
                }
                set => set.with_context(|| format!("cannot build the payload `{}`", program.name))?,
            };
            let entry = set.entry(machine).context("what was built is not in the set")?.clone();
            let file = folder(workspace, profile, program.name).join(machine.to_string());
            let gzip =
                gzip_len(&fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?)?;
            if profile == Profile::Static && Machine::here() == Some(machine) {
                install(&file, &path(workspace, program.name))?;
            }
            let mut compiler = recipe.compiler(machine)?;
            if profile != Profile::Static && !tools::has_small_musl(workspace, machine) {
                compiler.push_str(", musl of the package");
            }
            self.built.push(Built { name: program.name, profile, entry, gzip, compiler });
        }
        Ok(())
    }
}

/// Whether there is any program to build.
pub(crate) fn exist(workspace: &Workspace) -> bool {
    PROGRAMS.iter().any(|program| program.is_in(workspace))
}

/// Where the program of this name is, in the profile `static` for this machine.
pub(crate) fn path(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target_dir().join("payloads").join(name)
}

/// Builds the named programs in the profile `static` for this machine.
pub(crate) fn build(workspace: &Workspace, names: &[&str], progress: Progress) -> Result<Vec<Built>> {
    let here = Machine::here().context("payloads are built on Linux")?;
    let mut haul = Haul::default();
    haul.take(workspace, Profile::Static, here, names, progress)?;
    if let Some(reason) = haul.skipped.first() {
        bail!("{reason}");
    }
    Ok(haul.built)
}

/// Builds a program in the profile `tiny` for this machine: where it is, or why that cannot be done here.
pub(crate) fn tiny(workspace: &Workspace, name: &str) -> Result<Result<PathBuf, String>> {
    let here = Machine::here().context("payloads are built on Linux")?;
    let mut haul = Haul::default();
    haul.take(workspace, Profile::Tiny, here, &[name], Progress::Shown)?;
    let file = folder(workspace, Profile::Tiny, name).join(here.to_string());
    Ok(haul.skipped.pop().map_or(Ok(file), Err))
}

/// Builds the leaf that is tried on other machines, for each of them where that can be done here.
/// The reasons where it cannot.
pub(crate) fn conforming(workspace: &Workspace) -> Result<Vec<String>> {
    let mut haul = Haul::default();
    let others = Machine::ALL.into_iter().filter(|machine| Machine::here() != Some(*machine));
    for machine in others {
        haul.take(workspace, Profile::Tiny, machine, &[CONFORMING], Progress::Silent)?;
    }
    Ok(haul.skipped)
}

/// The programs with their sizes, one line each, for people and for `column`.
pub(crate) fn table(built: &[Built]) -> String {
    let mut out = format!(
        "{:9} {:7} {:8} {:8} {:16} {:>9} {:>9}  sha256\n",
        "name", "role", "profile", "machine", "build id", "bytes", "gzip -9"
    );
    for Built { name, profile, entry, gzip, .. } in built {
        let role = match entry.role() {
            Some(Role::Leaf) => "leaf",
            Some(Role::Parent) => "parent",
            None => "not run",
        };
        let build = entry.build_id().map(|id| format!("{id:016x}")).unwrap_or_default();
        let (machine, raw, hash) = (entry.machine(), entry.size(), entry.hash());
        let _ =
            writeln!(out, "{name:9} {role:7} {profile:8} {machine:8} {build:16} {raw:9} {gzip:9}  {hash}");
    }
    out
}

impl Program {
    const fn leaf(name: &'static str) -> Self {
        Self { name, package: "offshoot-core", kind: Kind::Example }
    }

    const fn hop(name: &'static str) -> Self {
        Self { name, package: "offshoot-hops", kind: Kind::Binary }
    }

    fn is_in(&self, workspace: &Workspace) -> bool {
        let kind = match self.kind {
            Kind::Example => "example",
            Kind::Binary => "bin",
        };
        workspace.member(self.package).is_some_and(|package| package.target(kind, self.name).is_some())
    }

    /// How it is built.
    fn recipe(&self, workspace: &Workspace, profile: Profile) -> Recipe {
        let (root, name) = (workspace.root(), self.name);
        let recipe = match self.kind {
            Kind::Example => Recipe::example(root, name),
            Kind::Binary => Recipe::binary(root, name),
        };
        recipe
            .package(self.package)
            .profile(profile)
            .sysroot(tools::sysroot(workspace))
            .command(format!("cargo xtask payload {name} --profile {profile} --target"))
    }
}

/// Where the set of a program is kept.
fn folder(workspace: &Workspace, profile: Profile, name: &str) -> PathBuf {
    workspace.target_dir().join("payloads").join(profile.to_string()).join(name)
}

/// Where cargo builds for a machine: it locks that folder, and what is for others is built beside what is for this one.
fn work(workspace: &Workspace, machine: Machine) -> PathBuf {
    let is_here = Machine::here() == Some(machine);
    workspace.target_dir().join(if is_here { "payload-build" } else { "payload-build-elsewhere" })
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
    let here = Machine::here().context("payloads are built on Linux")?;
    let build = |name: &&str| {
        let recipe =
            Recipe::binary(children.folder, *name).args(["--locked", "--no-default-features"]).verbose();
        recipe.work(workspace.target_dir().join("bench")).compile(here).context("cannot build the children")
    };
    children.names.iter().map(build).collect()
}

/// A package whose build script builds the payload that it carries.
pub(crate) const EMBED: &str = "tests/embed";

/// Runs that package: it is well if a call into its payload, into those that were built here and into itself returns what
/// it should. It is built as docs/methods.md says that a program becomes static.
pub(crate) fn embedded(workspace: &Workspace) -> Result<Captured> {
    let kept = Profile::ALL.iter().map(|profile| folder(workspace, *profile, "smallest"));
    let sets: Vec<PathBuf> = kept.filter(|set| set.is_dir()).collect();
    let mut command = run::cargo(&workspace.root().join(EMBED));
    command
        .args(["run", "--locked", "--target", workspace.host(), "--target-dir"])
        .arg(workspace.target_dir().join("embed"))
        .arg("--")
        .args(&sets);
    // They are for the program; the payload is not to change by them.
    command
        .env("RUSTFLAGS", "-C target-cpu=native -C target-feature=+crt-static")
        .env("RUSTC_WORKSPACE_WRAPPER", "");
    let mut captured = run::capture(&mut command)?;
    let is_answer = |line: &&str| {
        ["smallest for ", "itself: "].iter().any(|of| line.starts_with(of)) && line.ends_with(": 5")
    };
    captured.success &= captured.text.lines().filter(is_answer).count() == 2 + sets.len();
    Ok(captured)
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
