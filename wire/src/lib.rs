//! Frames, identifiers and bodies of the offshoot protocol, without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod be;
mod body;
pub mod codec;
mod control;
mod frame;
mod handle;
mod id;

pub use body::Body;
pub use control::*;
pub use frame::{FRAME_COST, Frame, HEADER_LEN, MAX_CHUNK, PART_LEN, Part};
pub use handle::{Handle, ReplyTo};
pub use id::{ContextId, IdRange};
