//! Frames, identifiers and bodies of the offshoot protocol, without I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod assemble;
mod be;
mod blob;
mod body;
pub mod codec;
mod control;
mod decode;
mod excerpt;
mod frame;
mod handle;
mod handshake;
mod header;
mod id;
mod name;

pub use assemble::{Assembler, Broken};
pub use blob::Blob;
pub use body::Body;
pub use control::*;
pub use decode::{BadStream, Decoded, Decoder};
pub use excerpt::Excerpt;
pub use frame::{FRAME_COST, Frame, HEADER_LEN, MAX_CHUNK, MAX_CONTROL, PART_LEN, Part};
pub use handle::{Handle, ReplyTo};
pub use handshake::{
    BadOpening, MARKER_LEN, MAX_LAST_WORDS, MarkerScan, Nonce, OPENING_LEN, marker, opening,
};
pub use header::{FRAGMENT_MAGIC, Head, Header, MAGIC};
pub use id::{ContextId, IdRange};
pub use name::{MAX_NAME, clean_name};
