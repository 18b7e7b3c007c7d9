//! Harness of the workspace-level tests. `LEDGER.md` beside it says which test proves which promise.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a harness says by a panic what went wrong"
)]

#[cfg(feature = "processes")]
pub mod conformance;
#[cfg(feature = "processes")]
pub mod far;
pub mod fuzz;
#[cfg(feature = "processes")]
pub mod real;
pub mod sim;
#[cfg(feature = "processes")]
pub mod soak;
pub mod world;

/// The code of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}
