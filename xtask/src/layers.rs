//! The arrows between our crates: which may depend on which, and that a leaf carries nothing of a parent.

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Every arrow that may exist. `offshoot-tests` may depend on all.
const ARROWS: &[(&str, &[&str])] = &[
    ("offshoot-wire", &[]),
    ("offshoot-latch", &[]),
    ("offshoot-core", &["offshoot-wire", "offshoot-latch"]),
    ("offshoot-bootstrap", &["offshoot-wire"]),
    ("offshoot-parent", &["offshoot-core", "offshoot-bootstrap"]),
    ("xtask", &["offshoot-bootstrap"]),
    ("offshoot-hops", &["offshoot-core", "offshoot-parent"]),
];
const ABOVE_ALL: &str = "offshoot-tests";
const LEAF: &str = "offshoot-core";
const NOT_IN_A_LEAF: [&str; 2] = ["offshoot-parent", "offshoot-bootstrap"];

/// What is wrong, one line each.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for member in workspace.members().filter(|member| member.name != ABOVE_ALL) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == member.name) else {
            problems.push(format!(
                "{} is a new member: say in xtask/src/layers.rs what it may depend on",
                member.name
            ));
            continue;
        };
        let ours = |name: &str| workspace.member(name).is_some();
        for dependency in member.dependencies.iter().filter(|it| it.is_built_in() && ours(&it.name)) {
            if !allowed.contains(&dependency.name.as_str()) {
                problems
                    .push(format!("{} -> {} is not an arrow of the design", member.name, dependency.name));
            }
        }
    }
    let leaf = workspace.member(LEAF).with_context(|| format!("{LEAF} is not a member"))?;
    let inside = workspace.built_from(leaf);
    for name in NOT_IN_A_LEAF.into_iter().filter(|name| inside.contains(name)) {
        problems.push(format!("a leaf would carry {name}: see `cargo tree -p {LEAF} -i {name}`"));
    }
    Ok(problems)
}
