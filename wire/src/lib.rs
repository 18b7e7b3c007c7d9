//! Frames, identifiers and bodies of the offshoot protocol, without I/O. `no_std` with `alloc`, no unsafe code.
//!
//! offshoot grows a tree of processes that call each other's functions. This crate is what they say: it turns bytes
//! into frames and values and back, and decides nothing. It opens, spawns, locks and waits for nothing, so it serves a
//! leaf, a hop, a simulator and a fuzzer alike; `offshoot-core` and `offshoot-bootstrap` put it on real descriptors.
//!
//! - [`opening`], [`marker`], [`MarkerScan`]: what is said before the first frame.
//! - [`Decoder`]: takes a stream in any slices and hands out [`Frame`]s; [`Frame::encode_into`] is the way back.
//! - [`Assembler`]: puts the fragments of a long body together.
//! - [`codec`]: the one form of every value, over serde. [`Blob`] is for bytes.
//! - [`Setup`], [`AddRoute`], [`CallHead`] and others: the bodies that the protocol itself knows.
//!
//! `docs/protocol.md` in the repository says every byte, in numbered clauses.
//!
//! ```
//! use offshoot_wire::{CallHead, ContextId, Decoded, Decoder, Frame, Handle, ReplyTo, codec};
//!
//! // The root calls `add(2, 3)` in context 1: the body is a head, and behind it the argument.
//! let head = CallHead { function: "add".into(), left_ms: None, above: vec![], chain: None, ends: vec![] };
//! let mut body = codec::encode(&head)?;
//! codec::encode_into(&(2, 3), &mut body)?;
//! let call = Frame {
//!     dst: ContextId::new(1),
//!     src: ContextId::ROOT,
//!     auth: ContextId::ROOT,
//!     handle: Handle::CALL_FUNCTION,
//!     reply_to: ReplyTo::Handle(Handle::new(1000)),
//!     part: None,
//!     body: body.into(),
//! };
//! let mut stream = Vec::new();
//! call.encode_into(&mut stream);
//!
//! // Context 1 reads it.
//! let mut decoder = Decoder::new();
//! decoder.push(&stream);
//! let Some(Decoded::Frame(call)) = decoder.next_frame()? else { panic!("the frame is complete") };
//! let (head, at) = codec::decode_prefix::<CallHead>(&call.body, 4096)?;
//! let (a, b): (i64, i64) = codec::decode(&call.body[at..], 4096)?;
//! assert_eq!((&*head.function, a + b), ("add", 5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What bytes from outside can do
//!
//! They can be an error, never a panic. Lengths are checked before anything is reserved: a [`Decoder`] holds one body
//! of at most [`MAX_CHUNK`] bytes, an [`Assembler`] at most twice what has come, and a decoded value stays within the
//! budget that its reader gives. Errors are small and without foreign text, but for an escaped [`Excerpt`].
//!
//! # What it does not do
//!
//! Routing, credit, order and policy are `offshoot-core`'s. There is no reflection: a value can be read by who knows
//! its type (for looking at a stream, any CBOR reader shows its shape).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

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
mod plain;
mod recent;
#[cfg(feature = "std")]
mod rope;
mod secret;
#[cfg(feature = "std")]
mod shared;
mod spare;

pub use assemble::{Assembler, Broken};
pub use blob::Blob;
pub use body::Body;
pub use control::*;
pub use decode::{BadStream, Decoded, Decoder};
pub use excerpt::Excerpt;
pub use frame::{FRAME_COST, Frame, HEADER_LEN, MAX_CHUNK, MAX_CONTROL, MAX_WHOLE, PART_LEN, Part};
pub use handle::{Handle, ReplyTo};
pub use handshake::{
    BadOpening, MARKER_LEN, MAX_LAST_WORDS, MarkerScan, Nonce, OPENING_LEN, marker, opening,
};
pub use header::{FRAGMENT_MAGIC, Head, Header, MAGIC};
pub use id::{ContextId, IdRange};
pub use name::{MAX_NAME, clean_name};
pub use plain::is_plain;
pub use recent::Recent;
pub use secret::Secret;
