//! Frames, identifiers and bodies of the offshoot protocol, without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod be;
mod body;
pub mod codec;
mod control;
mod decode;
mod excerpt;
mod frame;
mod handle;
mod header;
mod id;

pub use body::Body;
pub use control::*;
pub use decode::{BadStream, Decoded, Decoder};
pub use excerpt::Excerpt;
pub use frame::{FRAME_COST, Frame, HEADER_LEN, MAX_CHUNK, MAX_CONTROL, PART_LEN, Part};
pub use handle::{Handle, ReplyTo};
pub use header::{FRAGMENT_MAGIC, Head, Header, MAGIC};
pub use id::{ContextId, IdRange};
