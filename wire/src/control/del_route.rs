//! The news of contexts that are gone, on its way up or down.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::ContextId;

/// DEL_ROUTE: contexts that are gone. Upward `ids` holds the top alone; a refused ADD_ROUTE comes back as one too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DelRoute {
    /// Who is gone.
    pub ids: Vec<ContextId>,
    /// The top of what was lost.
    pub top: ContextId,
    /// The name of the top.
    pub name: String,
    /// Why.
    pub reason: String,
}
