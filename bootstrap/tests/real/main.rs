//! Real processes: started, talked to, refused, ended; nothing may stay after any test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod asks;
mod harness;
mod link;
mod reap;
mod refuse;
mod start;
mod ways;
