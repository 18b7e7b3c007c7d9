//! The parent side of offshoot: contexts that grow contexts.
#![forbid(unsafe_code)]

mod ids;
mod monitor;
pub mod table;
mod text;
