//! What runs in every offshoot context: the router machine, the broker, calls and streams.
//!
//! A program that links this crate alone is a *leaf*: a child that serves functions, calls other contexts, sends and
//! receives streams, and has no children of its own. `offshoot-parent` adds those. It stands on `offshoot-wire`, the
//! frames, and `offshoot-latch`, the queue that threads sleep on.
//!
//! A whole leaf:
//!
//! ```no_run
//! use offshoot_core::{Child, Function};
//!
//! const LENGTH: Function<String, u64> = Function::new("length");
//!
//! fn main() -> ! {
//!     Child::new().serve(LENGTH, |_call, text| text.len() as u64).run()
//! }
//! ```
//!
//! Its parent calls it with the same constant: `leaf.call(LENGTH, "four".into())?`. A [`Function`] is a name with the
//! types of its argument and result; a [`Context`] is another process of the tree; [`Sender`] and [`Receiver`] travel
//! in arguments and results; a [`Pending`] is a call that goes on.
//!
//! What a leaf does with its process: descriptors 0 and 1 are the link to its parent, so user code gets `/dev/null` as
//! standard input, and what it prints is forwarded line by line to the root, as are records of the `log` crate: there a
//! logger for level info shows it, and without one nobody sees it. When the parent is lost the process ends within a
//! second, unless [`Child::on_parent_lost`] asks for more.
//!
//! Bytes travel as [`Blob`]: a `Vec<u8>` is an array of numbers to serde, twice as long and a hundred times slower.
//!
//! Everything that waits can be awaited as well; by the feature `stream` a receiver becomes a `futures_core::Stream`.
//!
//! It does not: start processes, listen on sockets, encrypt, restart what has ended, or collect handlers by itself.
//! What a peer may call is what is written at `serve`.

// The models bring in what they try by themselves; the rest knows no loom.
#![cfg(not(loom))]
// A trait is brought into scope for the verbs of a leaf's running context, which is known by its type (`here.rs`); where
// that is a trait object nothing needs it.
#![cfg_attr(any(feature = "children", test), allow(unused_imports))]

#[cfg(not(unix))]
compile_error!("offshoot runs on Linux and other Unix systems, not on this one: use WSL on Windows");

mod answer;
mod broker;
mod call;
mod caller;
mod channel;
mod child;
mod close;
mod context;
mod crew;
mod dispatch;
mod error;
mod ever;
mod fault;
mod flaw;
mod forward;
mod function;
mod functions;
mod greet;
mod here;
#[doc(hidden)]
pub mod internal;
mod lease;
mod link;
mod lost;
pub mod machine;
mod message;
mod node;
mod open;
#[cfg(test)]
mod pair;
mod pending;
mod plain;
mod select;
mod shared;
mod shutdown;
mod sink;
mod stay;
mod stdio;
mod sync;
mod sys;
#[cfg(test)]
mod tests;
mod wake;
mod worker;

pub use answer::{Failure, IntoReturn, Outcome};
pub use call::Call;
pub use caller::Caller;
#[cfg(feature = "stream")]
pub use channel::IntoStream;
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
