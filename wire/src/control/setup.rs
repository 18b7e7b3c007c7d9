//! What a parent tells a new child first: who it is and by which bounds it lives.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::ContextId;

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// SETUP: the first frame to a child. It says who the child is and by which bounds it lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setup {
    /// The version that the parent speaks.
    pub version: u16,
    /// What the parent can do beyond it, as bits.
    pub features: u32,
    /// The id of the child.
    pub id: ContextId,
    /// Its ancestors, parent first, root last.
    pub ancestors: Vec<ContextId>,
    /// Its name, without dots.
    pub name: String,
    /// Whether frames may turn between siblings in this tree (false) or not (true).
    pub one_way: bool,
    /// The longest body that it may send or take, in bytes.
    pub body_limit: u32,
    /// How long a link may be idle before a PING is sent, in milliseconds; 0 turns PING off.
    pub ping_ms: u32,
    /// How long it may go on once told to end, or once its parent is lost, in milliseconds.
    pub grace_ms: u32,
    /// The most verbose level of log records that are wanted: 0 none to 5 trace.
    pub log_level: u8,
}
