//! Which kind of running context the typed face of this program holds.

// Only this crate gives a context to the typed face.
#![allow(private_interfaces)]

use std::sync::Arc;

use crate::{machine::Routes, shared::Shared};

/// Any: a program that may have children has a table of its own.
#[cfg(any(feature = "children", test))]
pub(crate) type Running = dyn crate::node::Node;
/// That of a leaf, known by its type: what of it a program does not call is left out by the linker.
#[cfg(not(any(feature = "children", test)))]
pub(crate) type Running = Shared<crate::machine::UpOnly>;

/// Whether this program has one context, which lives as long as the process.
pub(crate) const IS_LEAF: bool = !cfg!(any(feature = "children", test));

/// A routing table that contexts of this program can have.
pub trait Here: Routes + Send + 'static {
    /// A context with this table as the typed face sees it.
    #[doc(hidden)]
    fn running(shared: Arc<Shared<Self>>) -> Arc<Running>;
}

#[cfg(any(feature = "children", test))]
impl<R: Routes + Send + 'static> Here for R {
    fn running(shared: Arc<Shared<Self>>) -> Arc<Running> {
        shared
    }
}

#[cfg(not(any(feature = "children", test)))]
impl Here for crate::machine::UpOnly {
    fn running(shared: Arc<Shared<Self>>) -> Arc<Running> {
        shared
    }
}
