//! What a child says first: what it is and what it can do.

use serde::{Deserialize, Serialize};

/// HELLO: the first frame of a child. It makes the link up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The version that the child speaks.
    pub version: u16,
    /// What it can do beyond it, as bits.
    pub features: u32,
    /// Whether it can have children.
    pub role: Role,
    /// The process id over there, for people to read.
    pub pid: u32,
    /// A digest of the table of functions it serves.
    pub build: u64,
}

/// Whether a context can have children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It cannot: its program links `offshoot-core` alone.
    Leaf,
    /// It can.
    Parent,
}
