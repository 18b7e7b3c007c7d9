//! What can travel between contexts: everything that serde can write and read back.

use serde::{Serialize, de::DeserializeOwned};

/// A value that can travel between contexts as an argument, a result or an item of a stream.
///
/// There is nothing to implement: every type that is `Serialize`, `DeserializeOwned` and `'static` is one, and
/// so are [`Context`](crate::Context), [`Sender`](crate::Sender) and [`Receiver`](crate::Receiver).
/// Bytes travel best as a [`Blob`](crate::Blob): a `Vec<u8>` is an array of integers to serde.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between contexts",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, and let it own its data (no references)"
)]
pub trait Message: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Message for T {}
