//! latch
