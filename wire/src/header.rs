//! The 26 bytes in front of every body, and the 8 more in front of a fragment's piece.

use alloc::vec::Vec;

use crate::frame::is_control;
use crate::{
    BadStream, ContextId, Excerpt, Frame, HEADER_LEN, Handle, MAX_CONTROL, MAX_WHOLE, PART_LEN, Part,
    ReplyTo, be,
};

/// What a whole message begins with.
pub const MAGIC: u16 = 0x4d49;
/// What a fragment of one begins with.
pub const FRAGMENT_MAGIC: u16 = 0x4f46;

/// The header of a frame as it was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The context it goes to.
    pub dst: ContextId,
    /// The context that speaks.
    pub src: ContextId,
    /// The context on whose authority it speaks.
    pub auth: ContextId,
    /// The mailbox in `dst`.
    pub handle: Handle,
    /// Where an answer goes.
    pub reply_to: ReplyTo,
    /// Whether a piece of a body follows, its [`Part`] in front, rather than a whole one.
    pub is_fragment: bool,
    /// How many bytes follow; in a fragment with those of its [`Part`].
    pub len: u32,
}

impl Header {
    /// Whether the frame is too long to be taken: its bytes are then skipped, and the stream goes on.
    #[must_use]
    pub fn is_oversize(&self) -> bool {
        let limit = if is_control(self.handle, self.reply_to) { MAX_CONTROL } else { MAX_WHOLE };
        self.body_len() > limit
    }

    /// [`Header::len`] as a size in memory.
    pub(crate) fn body_len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Reads the header at the front of `bytes`; `None` while more of it must come.
    ///
    /// # Errors
    /// [`BadStream`] as soon as the bytes cannot be one.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, BadStream> {
        let Some(magic) = bytes.first_chunk::<2>() else {
            return Ok(None);
        };
        let is_fragment = match be::get(magic) as u16 {
            MAGIC => false,
            FRAGMENT_MAGIC => true,
            _ => return Err(BadStream::Magic(Excerpt::of(bytes))),
        };
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let word = |at: usize| be::get_word(bytes.get(at..).unwrap_or_default());
        let Some(reply_to) = ReplyTo::from_number(word(18)) else {
            return Err(BadStream::ReplyTo(word(18)));
        };
        let header = Self {
            dst: ContextId::new(word(2)),
            src: ContextId::new(word(6)),
            auth: ContextId::new(word(10)),
            handle: Handle::new(word(14)),
            reply_to,
            is_fragment,
            len: word(22),
        };
        if is_fragment && header.body_len() < PART_LEN {
            return Err(BadStream::Fragment(header.len));
        }
        Ok(Some(header))
    }
}

impl Part {
    /// Reads the place of a piece at the front of a fragment's body; `None` where the bytes are too few.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (total, rest) = bytes.split_first_chunk::<4>()?;
        let offset = rest.first_chunk::<4>()?;
        Some(Self { total: be::get_word(total), offset: be::get_word(offset) })
    }
}

/// What is written in front of a body: the header, and in a fragment its [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEADER_LEN + PART_LEN],
    len: usize,
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Frame {
    /// The bytes to write in front of the body, which must be no longer than [`MAX_WHOLE`].
    #[must_use]
    pub fn head(&self) -> Head {
        let (magic, part_len) = match self.part {
            None => (MAGIC, 0),
            Some(_) => (FRAGMENT_MAGIC, PART_LEN),
        };
        let part = self.part.unwrap_or(Part { total: 0, offset: 0 });
        let words = [
            self.dst.number(),
            self.src.number(),
            self.auth.number(),
            self.handle.number(),
            self.reply_to.number(),
            u32::try_from(self.body.len().saturating_add(part_len)).unwrap_or(u32::MAX),
            part.total,
            part.offset,
        ];
        let mut bytes = [0; HEADER_LEN + PART_LEN];
        let (front, rest) = bytes.split_at_mut(2);
        front.copy_from_slice(&be::half(magic));
        for (slot, word) in rest.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&be::word(word));
        }
        Head { bytes, len: HEADER_LEN.saturating_add(part_len) }
    }

    /// Appends the frame as it goes over the wire: its head, then its body.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head().as_ref());
        out.extend_from_slice(&self.body);
    }
}
