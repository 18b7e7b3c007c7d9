//! A picture of the tree as its root knows it at one moment.

use std::{collections::BTreeMap, fmt};

use offshoot_core::{ContextId, internal::Shared};

use crate::{nursery::Nursery, table::Table};

/// A picture of the tree, parents before their children. It prints as an indented list:
///
/// ```text
/// root (0, pid 4242)
///   hop (1, pid 4250)
///     leaf (1000, pid 4251)
///   leaf (2, pid 4252)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// A context in a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    id: ContextId,
    parent: Option<ContextId>,
    depth: usize,
    name: String,
    path: String,
    pid: Option<u32>,
}

impl Tree {
    pub(crate) fn of(shared: &Shared<Table>, nursery: &Nursery) -> Self {
        let mut children: BTreeMap<ContextId, Vec<(ContextId, String)>> = BTreeMap::new();
        shared.routes(|table| {
            // In order of their ids, and so the children of each are.
            for entry in table.tree() {
                children.entry(entry.parent).or_default().push((entry.id, entry.name));
            }
        });
        let root = Node {
            id: ContextId::ROOT,
            parent: None,
            depth: 0,
            name: "root".to_owned(),
            path: String::new(),
            pid: Some(std::process::id()),
        };
        let mut nodes = Vec::new();
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            let below = children.remove(&node.id).unwrap_or_default();
            let child = |(id, name): (ContextId, String)| {
                let pid = nursery.about(id).map(|about| about.pid);
                let above = if node.path.is_empty() { String::new() } else { format!("{}.", node.path) };
                let path = above + &name;
                Node { id, parent: Some(node.id), depth: node.depth + 1, name, path, pid }
            };
            open.extend(below.into_iter().rev().map(child));
            nodes.push(node);
        }
        Self { nodes }
    }

    /// Every context, the root first, and each before what is below it.
    pub fn iter(&self) -> std::slice::Iter<'_, Node> {
        self.nodes.iter()
    }

    /// How many contexts there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none, which is never so: the root is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The context of this id.
    #[must_use]
    pub fn get(&self, id: ContextId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The process of a context, as [`Node::pid`].
    #[must_use]
    pub fn pid(&self, id: ContextId) -> Option<u32> {
        self.get(id)?.pid
    }
}

impl<'a> IntoIterator for &'a Tree {
    type Item = &'a Node;
    type IntoIter = std::slice::Iter<'a, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Node {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ContextId {
        self.id
    }

    /// The context that made it; none made the root.
    #[must_use]
    pub const fn parent(&self) -> Option<ContextId> {
        self.parent
    }

    /// How far below the root it is.
    #[must_use]
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// Its part of the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of all contexts from below the root down to this one, with dots between them: `ssh:web1.sudo:root`. That
    /// of the root is empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The number of its process on its own machine, as it said itself. Known for what the root connected, directly
    /// or through others; not for what others made for themselves.
    #[must_use]
    pub const fn pid(&self) -> Option<u32> {
        self.pid
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, node) in self.nodes.iter().enumerate() {
            if line > 0 {
                writeln!(f)?;
            }
            write!(f, "{:indent$}{node}", "", indent = 2 * node.depth)?;
        }
        Ok(())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.id)?;
        if let Some(pid) = self.pid {
            write!(f, ", pid {pid}")?;
        }
        f.write_str(")")
    }
}
