//! Harness of the tests with real processes: what a test may use, and what it must not leave behind.

pub mod above;
pub mod behind;
mod call;
pub mod flows;
pub mod ground;
pub mod leaks;
pub mod life;
pub mod logs;
mod process;
pub mod puppet;
pub mod raw;
pub mod table;
mod trial;
mod wait;

pub use call::call_body;
pub use leaks::{Watch, reap_orphans};
pub use process::{
    Signal, all_gone, descendants, descendants_of, is_gone, kill, rss_kib, signalled, threads_of, ticks_of,
};
pub use trial::trial;
pub use wait::{PATIENCE, eventually};
