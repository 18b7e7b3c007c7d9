//! What runs in every offshoot context: the router machine, the broker, calls and streams.

#[cfg(not(unix))]
compile_error!(
    "offshoot runs on Unix only: its processes talk over descriptors that other systems do not have"
);

mod answer;
mod broker;
mod call;
mod caller;
mod channel;
mod child;
mod close;
mod context;
mod dispatch;
mod error;
mod forward;
mod function;
mod functions;
#[doc(hidden)]
pub mod internal;
mod link;
mod lost;
pub mod machine;
mod message;
mod node;
mod open;
#[cfg(test)]
mod pair;
mod pending;
mod select;
mod shared;
mod shutdown;
mod sink;
mod stdio;
mod sync;
#[cfg(test)]
mod tests;
mod wake;
mod worker;

pub use answer::{Failure, IntoReturn, Outcome};
pub use call::Call;
pub use caller::Caller;
pub use channel::{IntoIter, Iter, Receiver, Receiving, Sender, Sending};
pub use child::Child;
pub use context::Context;
pub use error::{CallError, Cancelled, RecvError, SendError, TimedOut};
pub use function::Function;
pub use functions::Functions;
pub use lost::Lost;
pub use machine::{Policy, Progress};
pub use message::Message;
pub use offshoot_wire::{self as wire, Blob, ContextId};
pub use pending::Pending;
pub use select::{Key, Select, Source};
pub use shutdown::Shutdown;
