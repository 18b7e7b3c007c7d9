//! What went wrong in the machine once: each a small tree that is moved by hand.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod bed;
mod calls;
mod costs;
mod credit;
mod life;
mod losses;
mod order;
mod streams;
