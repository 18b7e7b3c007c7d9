//! Puts a program where a process can be had, starts it, and hands back its stdin and stdout as one stream.
//!
//! This is the part of offshoot that knows places and processes, and nothing of contexts, routes or calls:
//! `offshoot-parent` makes children by it. By itself it is enough for a program that wants to start another
//! somewhere and talk to it: on this machine by [`Local`], on a host by [`Ssh`], as another user by [`Sudo`], in a
//! container by [`Container`] or [`Image`], with another root by [`Chroot`] or [`Nspawn`], as a step of a Slurm job by
//! [`Srun`], or at the end of any other command by [`Wrapped`].
//!
//! A program of yours on a host, where nothing has to be but a shell:
//!
//! ```no_run
//! use std::io::{Read as _, Write as _};
//!
//! use offshoot_bootstrap::{Launch, Method as _, Payload, Ssh};
//!
//! let server = Payload::file("target/x86_64-unknown-linux-musl/release/server")?;
//! let plan = Ssh::new("web1").payload(server).args(["--stdio"]).plan();
//! let mut there = Launch::new(&plan).run()?;                   // what fails has a `code()`, and says what to do
//!
//! there.link.write_all(b"hello\n")?;
//! there.link.close_stdin()?;                                   // no more comes: what reads to the end would wait for it
//! let mut answer = there.said;                                 // what came with the last answer of the shell
//! there.link.read_to_end(&mut answer)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is sent must be static, which no Rust program is by default: build it with `--target x86_64-unknown-linux-musl`,
//! which `rustup target add` gets, or with `RUSTFLAGS='-C target-feature=+crt-static'` and
//! `--target x86_64-unknown-linux-gnu`. A [`Recipe`] in a `build.rs` builds it for several machines. What runs where, and
//! what each error means, is in docs/methods.md, more of programs in docs/programs.md; both are the [`guide`] here too.
//!
//! A process here, and its end:
//!
//! ```
//! use std::{io::{Read as _, Write as _}, sync::mpsc, time::Duration};
//!
//! use offshoot_bootstrap::{Local, Method as _, Payload, Reaper, spawn};
//!
//! let cat = Local::new(Payload::file("/bin/cat")?);
//! let mut spawned = spawn(&cat.plan())?;
//!
//! spawned.link.write_all(b"hello")?;
//! spawned.link.close_stdin()?;
//! let mut answer = String::new();
//! spawned.link.read_to_string(&mut answer)?;
//! assert_eq!(answer, "hello");
//!
//! let reaper = Reaper::new()?;                                 // one for all children, kept: dropping it kills them
//! let (ended, end) = mpsc::channel();
//! reaper.end(spawned.process, Duration::from_secs(5), move |exit| drop(ended.send(exit)));
//! assert_eq!(end.recv()?.to_string(), "exit status 0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - A [`Method`] is compiled to a [`Plan`], which is data and can be sent to be carried out elsewhere; [`launch`] carries
//!   it out, and [`spawn`] the part of it that starts a process here.
//! - A [`Payload`] is a file, this very program, or a program in memory, which is run from a sealed image or a file that
//!   goes at once.
//! - The child gets a socket as descriptors 0 and 1, or a pipe each where its method changes who it is ([`Stdio`]), a pipe
//!   as 2, a process group of its own, and nothing else of ours; what is written to it and read from it here is one
//!   [`Link`]. What leads to another place is in a session of its own too, but for sudo without a password.
//! - A [`Process`] is never left running by accident: dropping it kills it; a [`Reaper`] ends many at once, gently at
//!   first.
//! - Whatever fails, the [`ConnectError`] names the place, the method, the phase, the reason and what to do, is safe to
//!   print and can be sent on, and no process and no file is left; a [`tied`](Launch::tied) one may have five seconds more.
//!
//! It does not supervise or restart, and does not read or write the streams: what they carry is the caller's
//! affair. Linux is tested; other Unix systems take the substitutes of `src/sys.rs`, where all unsafe code is.

#[cfg(not(unix))]
compile_error!("offshoot runs on Linux and other Unix systems, not on this one: use WSL on Windows");

mod askpass;
mod build;
mod chroot;
mod client;
mod container;
mod error;
mod exit;
mod explain;
mod fate;
mod guard;
pub mod guide;
mod image;
#[doc(hidden)]
pub mod internal;
mod kind;
mod launch;
mod link;
mod loan;
mod local;
mod locale;
mod machine;
mod method;
mod nspawn;
mod options;
mod outgoing;
mod outline;
mod payload;
mod phrases;
mod place;
mod process;
mod prompt;
mod prompter;
mod questions;
mod quote;
mod raw;
mod reap;
mod set;
mod spawn;
mod srun;
mod ssh;
mod stage0;
mod step;
mod stop;
mod sudo;
mod sys;
mod talk;
mod terminal;
mod text;
mod transport;
mod veil;
mod wrapped;

pub use build::{BuildError, Profile, Recipe, UnknownProfile};
pub use chroot::Chroot;
pub use container::Container;
pub use error::{ConnectError, Phase};
pub use exit::{Escalation, Exit, ExitReport};
pub use image::Image;
pub use kind::ConnectErrorKind;
pub use launch::{Launch, Started, launch};
pub use link::{Link, LinkOutput, LinkWriter, Stdio};
pub use local::Local;
pub use machine::{Machine, UnknownMachine};
pub use method::{DEFAULT_TIMEOUT, Method, Plan};
pub use nspawn::Nspawn;
pub use offshoot_wire::{Role, Secret};
pub use payload::{Payload, PayloadError};
pub use process::Process;
pub use prompter::{Notice, Prompter, Query, QueryKind};
pub use questions::{Account, Login, Told};
pub use reap::Reaper;
pub use set::{Entry, PayloadSet};
pub use spawn::{CHILD_ARG, Spawned, spawn};
pub use srun::Srun;
pub use ssh::{HostKeys, Ssh};
pub use step::{Observer, Step};
pub use sudo::Sudo;
pub use text::Text;
pub use transport::{Dialect, Question, Takes, Transport};
pub use wrapped::Wrapped;
