//! The news of a new context, on its way up.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::ContextId;

/// ADD_ROUTE: a new context, told upward.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddRoute {
    /// The new context.
    pub id: ContextId,
    /// The context that made it.
    pub parent: ContextId,
    /// Its part of a dotted name.
    pub name: String,
}
