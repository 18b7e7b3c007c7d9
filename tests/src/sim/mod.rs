//! Whole trees by seed: the very machines of core and parent, in one thread, under a virtual clock.
//!
//! Where the small world tries every order of a few steps, a [`Forest`] grows to a million contexts. Frames travel as
//! bytes, through pipes that hold so much, take so long and are read in slices of any size. What happens is decided by a
//! seed alone: each deed, each link and each program has dice of its own, so that a run can be told again with fewer
//! deeds in it.

pub mod agenda;
pub mod counts;
pub mod deeds;
pub mod faults;
pub mod forest;
pub mod hostile;
pub mod link;
pub mod pipe;
pub mod plots;
pub mod run;
pub mod scale;
pub mod shrink;

pub use counts::Counts;
pub use faults::Fault;
pub use forest::{Forest, Happening, Undo};
pub use run::{Failure, Plan, Seen, run};
