//! The parent side of offshoot: contexts that grow contexts.
//!
//! A [`Router`] is the root of a tree of processes. [`connect`](Router::connect) makes a child of it,
//! [`ContextExt::connect`] one of any other context that can have children; each is a [`Context`] that can be called
//! from wherever policy allows. Dropping the router ends the tree.
//!
//! ```no_run
//! use offshoot_parent::prelude::*;
//!
//! const GREET: Function<String, String> = Function::new("greet");
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let functions = Functions::new().serve(GREET, |call, who| format!("hello {who}, from {}", call.here()));
//!     // The children are this same program; there `main` is not entered.
//!     offshoot_parent::run(functions, || {
//!         let router = Router::new()?;
//!         let child = router.connect(Local::new(Payload::this_program()))?;
//!         println!("{}", child.call(GREET, "tree".into())?);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! A child elsewhere is made by the way that leads there, and its program is sent:
//!
//! ```no_run
//! use offshoot_parent::prelude::*;
//!
//! const LENGTH: Function<String, u64> = Function::new("length");
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let router = Router::new()?;
//!     let leaf = Payload::file("../leaf/target/x86_64-unknown-linux-musl/release/leaf")?;
//!     match router.connect(Ssh::new("web1").user("deploy").payload(leaf)) {
//!         Ok(web) => println!("{}", web.call(LENGTH, "four".into())?),
//!         Err(error) => eprintln!("{}: {error}", error.code()),                // what failed where, and what to do
//!     }
//!     Ok(())
//! }
//! ```
//!
//! What is sent runs `offshoot_core::Child`, or to have children of its own [`run`] or [`Hop`]. It must be static (else:
//! `not_static`), which no Rust program is by default: build it with `--target x86_64-unknown-linux-musl`, which
//! `rustup target add` gets, or with `RUSTFLAGS='-C target-feature=+crt-static'` and `--target x86_64-unknown-linux-gnu`.
//! Where no `payload` is said it is this very program. [`embed!`] carries one that the `build.rs` has built, for several
//! machines. What runs where, and what each error means, is in docs/methods.md, which is
//! [`offshoot_bootstrap::guide::methods`] too.
//!
//! What a child prints (`println!`, `eprintln!`, a panic) comes to the root as records of the `log` crate, of level info:
//! nobody sees it unless the root has a logger for them, set before [`Router::new`].
//!
//! `cargo run -p offshoot-parent --example hello` runs the first, and `show_record` prints what [`RouterBuilder::record`] has written.
//!
//! It stands on `offshoot-core`, which runs in every context, and `offshoot-bootstrap`, which starts programs in
//! places; what a program needs of both is here too. What it adds is the routing [`table`](table::Table) of a context
//! with children, the thread that makes them and sees them to their end, and the root.
//!
//! It does not restart what has ended, and keeps no list of what should run: a context that is lost stays lost.
#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("offshoot runs on Linux and other Unix systems, not on this one: use WSL on Windows");

mod connect_all;
mod connecting;
mod context_ext;
mod create;
mod descriptors;
mod doctor;
mod gateway;
mod hearers;
mod helpers;
mod hop;
mod ids;
mod larder;
mod launching;
mod monitor;
mod nest;
mod nursery;
mod proof;
pub mod record;
mod router;
mod run;
mod spawner;
pub mod table;
mod text;
mod then;
pub mod tree;
mod turn;
mod word;

pub use connect_all::{Arrivals, ConnectAll};
pub use connecting::Connecting;
pub use context_ext::ContextExt;
pub use doctor::Report;
pub use hop::Hop;
pub use offshoot_bootstrap::{
    Chroot, ConnectError, ConnectErrorKind, Container, ExitReport, HostKeys, Image, Local, Machine, Method,
    Notice, Nspawn, Observer, Payload, PayloadError, PayloadSet, Phase, Plan, Prompter, Query, QueryKind,
    Secret, Srun, Ssh, Step, Sudo, Transport, Wrapped, embed,
};
pub use offshoot_core::wire::Blob;
pub use offshoot_core::{
    Call, CallError, Caller, Cancelled, Context, ContextId, Failure, Function, Functions, IntoReturn, Key,
    Lost, Message, Outcome, Pending, Policy, Progress, Receiver, RecvError, Select, SendError, Sender,
    Shutdown, Source, TimedOut,
    machine::{DropKind, Limits, Sizes},
};
pub use router::{Router, RouterBuilder};
pub use run::run;
pub use tree::Tree;

/// Everything that programs name, to be imported at once.
pub mod prelude {
    pub use crate::{
        Blob, Call, CallError, Caller, Chroot, ConnectError, ConnectErrorKind, Connecting, Container,
        Context, ContextExt, ContextId, Function, Functions, Hop, HostKeys, Image, Local, Lost, Machine,
        Message, Method, Notice, Nspawn, Observer, Outcome, Payload, PayloadSet, Pending, Plan, Policy,
        Progress, Prompter, Query, QueryKind, Receiver, RecvError, Router, Secret, Select, SendError, Sender,
        Shutdown, Srun, Ssh, Step, Sudo, Tree, Wrapped,
    };
}
