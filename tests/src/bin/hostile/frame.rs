//! Frames as they stand on the wire: protocol 2.1 and 3.1.

use std::io::{self, Read};

/// The only handles that are spoken of here by their names (protocol 2.2).
pub(crate) const CALL: u32 = 101;
pub(crate) const FORWARD_LOG: u32 = 102;
pub(crate) const ADD_ROUTE: u32 = 103;
pub(crate) const DEL_ROUTE: u32 = 104;
pub(crate) const ALLOCATE_ID: u32 = 105;
pub(crate) const SHUTDOWN: u32 = 106;
pub(crate) const SETUP: u32 = 200;
pub(crate) const HELLO: u32 = 201;
pub(crate) const PING: u32 = 202;
pub(crate) const PONG: u32 = 203;
pub(crate) const CREDIT: u32 = 204;
pub(crate) const CANCEL: u32 = 205;
pub(crate) const CREATE_CHILD: u32 = 208;
/// The lowest handle that a context gives out.
pub(crate) const ALLOCATED: u32 = 1000;
/// Instead of a handle to answer to: this is a dead message.
pub(crate) const DEAD: u32 = 999;

/// The bytes before the body.
pub(crate) const HEADER: usize = 26;
/// What begins a frame.
const MAGIC: [u8; 2] = [0x4d, 0x49];
/// What begins a piece of a body.
const FRAGMENT: [u8; 2] = [0x4f, 0x46];

/// One frame, true or not.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) dst: u32,
    pub(crate) src: u32,
    pub(crate) auth: u32,
    pub(crate) handle: u32,
    pub(crate) reply_to: u32,
    /// Of a piece: the length of the whole body, and where in it this one stands.
    pub(crate) part: Option<(u32, u32)>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn src(self, src: u32) -> Self {
        Self { src, ..self }
    }

    /// Somebody else speaks, on his own authority.
    pub(crate) fn by(self, who: u32) -> Self {
        Self { src: who, auth: who, ..self }
    }

    pub(crate) fn auth(self, auth: u32) -> Self {
        Self { auth, ..self }
    }

    pub(crate) fn reply_to(self, reply_to: u32) -> Self {
        Self { reply_to, ..self }
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// A piece: the body is what stands at `offset` of `total` bytes.
    pub(crate) fn part(self, total: u32, offset: u32) -> Self {
        Self { part: Some((total, offset)), ..self }
    }

    /// The header with another length than that of the body.
    pub(crate) fn header(&self, length: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..2].copy_from_slice(if self.part.is_some() { &FRAGMENT } else { &MAGIC });
        let words = [self.dst, self.src, self.auth, self.handle, self.reply_to, length];
        for (place, word) in bytes[2..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The frame as it is written.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let part = self.part.map(|(total, offset)| [total.to_be_bytes(), offset.to_be_bytes()].concat());
        let part = part.unwrap_or_default();
        let length = u32::try_from(part.len() + self.body.len()).expect("a short body");
        [&self.header(length)[..], &part, &self.body].concat()
    }

    /// What it costs in credit (protocol 8.1).
    pub(crate) fn cost(&self) -> u64 {
        self.body.len() as u64 + 128
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn read(from: &mut impl Read) -> Option<Self> {
        let mut header = [0; HEADER];
        ended(from.read_exact(&mut header))?;
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let mut body = vec![0; word(22) as usize];
        ended(from.read_exact(&mut body))?;
        let part = match [header[0], header[1]] {
            MAGIC => None,
            FRAGMENT => {
                let word = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
                Some((word(0), word(4)))
            }
            magic => panic!("no frame begins with {magic:?}"),
        };
        let body = if part.is_some() { body.split_off(8) } else { body };
        Some(Self {
            dst: word(2),
            src: word(6),
            auth: word(10),
            handle: word(14),
            reply_to: word(18),
            part,
            body,
        })
    }
}

fn ended(read: io::Result<()>) -> Option<()> {
    read.ok()
}
