//! What `cargo metadata` says about this workspace, as far as the commands ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::run;

/// The workspace as cargo resolved it for this machine.
pub(crate) struct Workspace {
    metadata: Metadata,
    host: String,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    workspace_members: BTreeSet<String>,
    packages: Vec<Package>,
    resolve: Resolve,
}

/// A package: a member, or one from outside.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Where it comes from; nothing for a path of ours.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) rust_version: Option<String>,
    /// The registries that it may be published to; nothing for any, an empty list for none.
    pub(crate) publish: Option<Vec<String>>,
    pub(crate) targets: Vec<Target>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// Something that a package is compiled to.
#[derive(Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

/// A line in a manifest.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    #[serde(default)]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks the cargo that runs us.
    pub(crate) fn load() -> Result<Self> {
        let version = run::output(Command::new("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("`rustc -vV` names no host")?
            .to_owned();
        let mut command = run::cargo(Path::new("."));
        command.args(["metadata", "--format-version", "1", "--filter-platform", &host]);
        let metadata = serde_json::from_str(&run::output(&mut command)?)
            .context("`cargo metadata` printed something unexpected")?;
        Ok(Self { metadata, host })
    }

    /// The folder of the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.metadata.workspace_root
    }

    /// Where build products go; `CARGO_TARGET_DIR` is honoured.
    pub(crate) fn target_dir(&self) -> &Path {
        &self.metadata.target_directory
    }

    /// The machine that runs us, as the compiler calls it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Every package that this machine's build can involve.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.metadata.packages
    }

    /// The packages of the workspace itself.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages().iter().filter(|package| self.metadata.workspace_members.contains(&package.id))
    }

    /// The member of this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.members().find(|package| package.name == name)
    }

    /// The names of all packages that `package` is built from, its own included.
    ///
    /// Its dev-dependencies count, since examples are linked with them; those of its dependencies do not.
    pub(crate) fn built_from(&self, package: &Package) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> =
            self.packages().iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let nodes: BTreeMap<&str, &Node> =
            self.metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut seen = BTreeSet::from([package.id.as_str()]);
        let mut todo = vec![package.id.as_str()];
        while let Some(id) = todo.pop() {
            let edges = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let wanted = |kind: &EdgeKind| id == package.id || kind.kind.as_deref() != Some("dev");
            for edge in edges.iter().filter(|edge| edge.dep_kinds.iter().any(wanted)) {
                if seen.insert(&edge.pkg) {
                    todo.push(&edge.pkg);
                }
            }
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}

impl Package {
    /// The target of this kind (`lib`, `bin`, `example`, `test`) and name.
    pub(crate) fn target(&self, kind: &str, name: &str) -> Option<&Target> {
        self.targets_of(kind).find(|target| target.name == name)
    }

    /// All its targets of one kind.
    pub(crate) fn targets_of(&self, kind: &str) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.kind.iter().any(|one| one == kind))
    }

    /// The folder of its manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Whether it is meant for others.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }
}

impl Dependency {
    /// Whether it ends up in what is built, rather than only in tests.
    pub(crate) fn is_built_in(&self) -> bool {
        self.kind.as_deref() != Some("dev")
    }
}
