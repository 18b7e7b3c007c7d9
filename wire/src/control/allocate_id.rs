//! Ranges of ids, asked for and granted.

use serde::{Deserialize, Serialize};

use crate::IdRange;

/// ALLOCATE_ID: ranges of ids, asked for upward and granted downward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AllocateId {
    /// One more range, please.
    Ask,
    /// This range is yours.
    Grant(IdRange),
    /// There is none: the quota of the link or all ids are used up.
    Refused,
}
