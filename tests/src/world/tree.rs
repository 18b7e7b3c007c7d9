//! Trees as scripts write them: `"0>1 1>2p 1>3s"` is a root, its child, and two children of that.

/// One context to be made, by the names that a script uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Who makes it.
    pub parent: u32,
    /// How the script calls it.
    pub label: u32,
    /// Whether it can have children: said by `p`, or seen by its having some.
    pub is_parent: bool,
    /// Whether its frames get the authority of its parent: said by `s`.
    pub is_stamped: bool,
}

/// Reads a tree.
///
/// # Panics
/// Where the text is not one.
#[must_use]
pub fn parse(text: &str) -> Vec<Edge> {
    let mut edges: Vec<Edge> = text.split_whitespace().map(edge).collect();
    let parents: Vec<u32> = edges.iter().map(|edge| edge.parent).collect();
    for edge in &mut edges {
        edge.is_parent |= parents.contains(&edge.label);
    }
    edges
}

fn edge(text: &str) -> Edge {
    let (parent, child) = text.split_once('>').expect("an edge is `parent>child`");
    let digits = child.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let flags = &child[digits.len()..];
    Edge {
        parent: parent.parse().expect("a parent is a number"),
        label: digits.parse().expect("a child is a number"),
        is_parent: flags.contains('p'),
        is_stamped: flags.contains('s'),
    }
}
