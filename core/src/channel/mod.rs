//! Streams of items between contexts, and what carries their ends from one to another.

pub(crate) mod ambient;
pub(crate) mod carry;
pub(crate) mod freight;
mod half;
mod leg;
mod pipe;
mod receiver;
mod sender;
mod state;
#[cfg(feature = "stream")]
mod stream;

pub use receiver::{IntoIter, Iter, Receiver, Receiving};
pub use sender::{Sender, Sending};
#[cfg(feature = "stream")]
pub use stream::IntoStream;

use std::sync::Arc;

use crate::{Message, here::Running};

/// A new channel of this context.
pub(crate) fn channel<T: Message>(node: &Arc<Running>) -> (Sender<T>, Receiver<T>) {
    let (writes, reads) = half::pair(node);
    (Sender::new(writes), Receiver::new(reads))
}
