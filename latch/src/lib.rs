//! A first-in first-out queue that threads sleep on, each through a descriptor of its own.
//!
//! A [`Latch`] is what everything that waits in offshoot waits on: a reply, a stream's next item, a queue of calls.
//! The core crate puts to it under its own lock and wakes after it ([`Latch::put_deferred`]), and waits for a latch and
//! a socket at once ([`Latch::get_with`]); nothing else of offshoot is needed to use it.
//!
//! ```
//! use std::{thread, time::Duration};
//! use offshoot_latch::{GetError, Latch};
//!
//! let latch = Latch::new();
//! thread::scope(|scope| {
//!     scope.spawn(|| {
//!         latch.put("first").expect("open");
//!         latch.put("second").expect("open");
//!         latch.close();
//!     });
//!     assert_eq!(latch.get(), Ok("first"));
//!     assert_eq!(latch.get_timeout(Duration::from_secs(5)), Ok("second"));
//!     assert_eq!(latch.get(), Err(GetError::Closed));
//! });
//! ```
//!
//! # What holds
//!
//! - Items leave in the order they came; waiters are served in the order they came; nobody overtakes a waiter.
//! - An item goes straight into the first waiter's slot under the lock, and the wake follows outside it. What decides
//!   is the slot, never what a system call returned: a time-out that meets a put takes the item.
//! - A thread opens one descriptor (an eventfd, elsewhere a pipe) when it first sleeps, and closes it when it ends:
//!   they grow with the threads that sleep, not with the latches. Where the process has none left the thread parks.
//! - No foreign code runs under the latch's lock: no waker, no drop, no hook.
//! - A [`Select`] waits on several latches and takes one item from all of them; [`Latch::get_async`] waits without a
//!   thread, in the same line.
//!
//! # What it does not do
//!
//! It has no bound (credit is the business of who puts), it never spins (a get that sleeps costs about three system
//! calls), and it does not survive a `fork` that goes on without `exec`.
//!
//! # How it is checked
//!
//! Beside the tests, loom runs the queue, the select and the bell of a sleeper in every order, over a model of the clock
//! and of the descriptor; each model finds a mistake that is built in on purpose. In a target folder of its own:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p offshoot-latch --release --test model
//! ```

#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("offshoot runs on Linux and other Unix systems, not on this one: use WSL on Windows");

#[cfg(not(loom))]
mod bed;
mod error;
mod flaw;
mod get;
mod latch;
#[cfg(loom)]
pub mod model;
mod queue;
mod select;
mod sleeper;
mod sync;
mod wake;

pub use error::{Closed, GetError};
pub use get::Get;
pub use latch::Latch;
pub use select::Select;
pub use sleeper::Sleeper;
pub use wake::Wake;
