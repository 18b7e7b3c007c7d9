//! The small world: every order of deliveries, on trees of up to six contexts; larger ones by seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod calls;
mod cancels;
mod growth;
mod hostile;
mod interleavings;
mod limits;
mod losses;
mod refusals;
mod routing;
mod seeds;
mod shutdowns;
mod streams;
mod twins;
