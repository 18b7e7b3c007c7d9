//! The outgoing direction: frames taken from the machine, written many in a call, never left half written.

use std::io::IoSlice;

use offshoot_wire::{Body, Frame};
use rustix::io;

use super::Source;

/// Frames that one call writes at most; two slices each, far below what any kernel takes in a call.
const MAX_FRAMES: usize = 32;
/// Bytes that are taken from the machine for one call, in bytes: what is taken can no more be overtaken.
const MAX_BATCH: usize = 64 * 1024;
/// A body up to this length is copied behind its head, which costs less than a slice of its own, in bytes.
const SHORT: usize = 1024;
/// Memory for heads and short bodies that a link keeps while it is idle, in bytes.
const KEPT: usize = 256;

/// What the system takes at once of a link that carries short frames beside long ones, in bytes.
const MIXED_BUFFER: usize = 32 * 1024;

/// Frames for which it keeps the memory.
const KEPT_FRAMES: usize = 4;

/// Frames on their way out.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// What goes in front of all frames, then heads and short bodies.
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// Long bodies, or the long pieces of them, each with the place in `bytes` where it goes.
    long: Vec<(usize, Body)>,
    /// Bytes of all this together.
    len: usize,
    /// How many of them have been written.
    sent: usize,
    /// What the system would take at once, in bytes, where it is made to take less.
    usual_buffer: Option<usize>,
}

impl Writer {
    /// A writer whose first bytes are no frame.
    pub(crate) fn opening(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), len: bytes.len(), ..Self::default() }
    }

    /// Whether another frame may be added to the batch.
    pub(crate) fn has_room(&self) -> bool {
        self.len < MAX_BATCH && self.frames.len() < MAX_FRAMES
    }

    /// Whether all has been written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether what is here must be written before more is added: it is enough, or a part of it has gone.
    pub(crate) fn is_begun(&self) -> bool {
        self.sent > 0 || !self.has_room()
    }

    /// Whether there is a long body in it.
    pub(crate) const fn is_long(&self) -> bool {
        !self.long.is_empty()
    }

    /// The frames of this batch.
    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(frame.head().as_ref());
        if frame.body.len() <= SHORT {
            self.bytes.extend_from_slice(&frame.body);
        } else {
            let (before, long, behind) = frame.body.pieces();
            self.bytes.extend_from_slice(before);
            self.len = self.len.saturating_add(long.len());
            self.long.push((self.bytes.len(), long));
            self.bytes.extend_from_slice(behind);
        }
        self.len = self.len.saturating_add(self.bytes.len().saturating_sub(before));
        self.frames.push(frame);
    }

    /// Makes the system take little at once, or as much as usual: what it has taken can no more be overtaken.
    pub(crate) fn keep_short(&mut self, to: &Source, is_short: bool) {
        match (is_short, self.usual_buffer) {
            (true, None) => self.usual_buffer = to.set_buffer(MIXED_BUFFER),
            (false, Some(usual)) => {
                to.set_buffer(usual);
                self.usual_buffer = None;
            }
            _ => {}
        }
    }

    /// Writes what fits now; tells how many bytes.
    pub(crate) fn write(&mut self, to: &Source) -> io::Result<usize> {
        let written = if self.is_long() {
            self.write_pieces(to)?
        } else {
            to.write(&[IoSlice::new(self.bytes.get(self.sent..).unwrap_or_default())])?
        };
        self.sent = self.sent.saturating_add(written);
        if self.sent >= self.len {
            self.clear();
        }
        Ok(written)
    }

    fn write_pieces(&self, to: &Source) -> io::Result<usize> {
        let mut pieces = Pieces { slices: [IoSlice::new(&[]); 1 + 2 * MAX_FRAMES], used: 0, skip: self.sent };
        let mut from = 0;
        for (at, long) in &self.long {
            pieces.push(self.bytes.get(from..*at).unwrap_or_default());
            pieces.push(long);
            from = *at;
        }
        pieces.push(self.bytes.get(from..).unwrap_or_default());
        to.write(pieces.slices.get(..pieces.used).unwrap_or_default())
    }

    /// Forgets what has not been written.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.frames.clear();
        self.frames.shrink_to(KEPT_FRAMES);
        self.long.clear();
        (self.len, self.sent) = (0, 0);
    }
}

/// What is to be written, in order.
struct Pieces<'a> {
    slices: [IoSlice<'a>; 1 + 2 * MAX_FRAMES],
    used: usize,
    /// What has been written is left out, so many bytes of it from here on, and the piece in which it ends cut.
    skip: usize,
}

impl<'a> Pieces<'a> {
    #[inline(never)]
    fn push(&mut self, piece: &'a [u8]) {
        match piece.get(self.skip..) {
            Some(rest) if !rest.is_empty() => {
                if let Some(slice) = self.slices.get_mut(self.used) {
                    *slice = IoSlice::new(rest);
                    self.used += 1;
                }
                self.skip = 0;
            }
            _ => self.skip -= piece.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, iter, os::unix::net::UnixStream, sync::Arc};

    use offshoot_wire::{ContextId, Decoded, Decoder, Handle, ReplyTo};
    use rustix::io::Errno;

    use super::*;
    use crate::link::Poller;

    fn frame(len: usize) -> Frame {
        let me = ContextId::ROOT;
        // The longest lies in pieces.
        let body = match len.checked_sub(2) {
            Some(rest @ 16_000..) => Body::from(vec![len as u8; rest]).behind(vec![len as u8; 2]),
            _ => Body::from(vec![len as u8; len]),
        };
        Frame {
            dst: me,
            src: me,
            auth: me,
            handle: Handle::CALL_FUNCTION,
            reply_to: ReplyTo::Nobody,
            part: None,
            body,
        }
    }

    #[test]
    fn frames_come_whole_and_in_order_however_little_fits_at_a_time() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1).unwrap();
        let to = Source::new(ours.into(), &Arc::new(Poller::new().unwrap())).unwrap();
        let lengths = [0, 1, 4000, 368, SHORT, 20_000, SHORT + 1, 3999, 17];
        let mut writer = Writer::opening(b"hi ");
        lengths.iter().for_each(|len| writer.push(frame(*len)));
        let mut came = Vec::new();
        let mut piece = [0; 512];
        let mut stops = 0;
        while !writer.is_empty() {
            match writer.write(&to) {
                Ok(_) => {}
                Err(Errno::WOULDBLOCK) => {
                    stops += 1;
                    let read = (&theirs).read(&mut piece).unwrap();
                    came.extend_from_slice(&piece[..read]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(to);
        (&theirs).read_to_end(&mut came).unwrap();
        let mut decoder = Decoder::new();
        decoder.push(came.strip_prefix(b"hi ").unwrap());
        let frames: Vec<Decoded> = iter::from_fn(|| decoder.next_frame().unwrap()).collect();
        assert_eq!(frames, lengths.map(|len| Decoded::Frame(frame(len))));
        assert!(stops > 0, "all of it fitted at once");
    }
}
