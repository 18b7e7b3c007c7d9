//! What a program that links this crate can do with a context beyond calling it.

use offshoot_bootstrap::{ConnectError, Method};
use offshoot_core::Context;

use crate::{ConnectAll, Connecting};

/// Children for any context that can have some: the root, a hop, or in a handler `call.here()`.
///
/// ```no_run
/// # fn f(hop: offshoot_parent::Context) -> Result<(), offshoot_parent::ConnectError> {
/// use offshoot_parent::prelude::*;
///
/// let deep = hop.connect(Local::new(Payload::this_program()).name("deep"))?; // made by `hop`, where that is
/// println!("{deep} has the id {}", deep.id());
/// # Ok(()) }
/// ```
#[expect(private_bounds, reason = "sealed: contexts are made by offshoot-core alone")]
pub trait ContextExt: Sealed {
    /// Has this context make a child, and waits until the child is up.
    ///
    /// Blocks for at most the time-out of the method, 30 s unless it was set.
    ///
    /// # Errors
    /// [`ConnectError`] says where, by which method, in which phase and why. No process is left then, but for one that may be
    /// taking its file away, for some seconds.
    fn connect(&self, method: impl Method) -> Result<Context, ConnectError>;

    /// As [`connect`](Self::connect) without waiting: many can be made at once.
    fn connect_async(&self, method: impl Method) -> Connecting;

    /// Has this context make many children, some at a time; see [`ConnectAll`].
    fn connect_all<M: Method>(&self, methods: impl IntoIterator<Item = M>) -> ConnectAll;
}

/// Implemented by [`Context`] alone.
pub(crate) trait Sealed {}

impl Sealed for Context {}

impl ContextExt for Context {
    fn connect(&self, method: impl Method) -> Result<Context, ConnectError> {
        self.connect_async(method).wait()
    }

    fn connect_async(&self, method: impl Method) -> Connecting {
        Connecting::new(self, method.plan())
    }

    fn connect_all<M: Method>(&self, methods: impl IntoIterator<Item = M>) -> ConnectAll {
        ConnectAll::new(self.clone(), methods.into_iter().map(|method| method.plan()).collect())
    }
}
