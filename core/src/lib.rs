//! What runs in every offshoot context: the router machine, the broker, calls and streams.
#![forbid(unsafe_code)]
// The threads that run this are about to be added.
#![allow(dead_code)]

mod answer;
mod call;
mod caller;
mod channel;
mod context;
mod dispatch;
mod error;
mod function;
mod functions;
mod lost;
pub mod machine;
mod message;
mod node;
mod open;
mod pending;
mod select;
mod shutdown;
mod sync;
mod wake;

pub use answer::{Failure, IntoReturn, Outcome};
pub use call::Call;
pub use caller::Caller;
pub use channel::{IntoIter, Iter, Receiver, Receiving, Sender, Sending};
pub use context::Context;
pub use error::{CallError, Cancelled, RecvError, SendError, TimedOut};
pub use function::Function;
pub use functions::Functions;
pub use lost::Lost;
pub use machine::{Policy, Progress};
pub use message::Message;
pub use offshoot_wire::{self as wire, ContextId};
pub use pending::Pending;
pub use select::{Key, Select, Source};
pub use shutdown::Shutdown;
