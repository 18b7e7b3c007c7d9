//! The outgoing direction: frames taken from the machine, written many in a call, never left half written.

use std::{
    io::{self, IoSlice},
    ops::Range,
};

use offshoot_wire::Frame;

use super::Source;

/// Frames that one call writes at most; two slices each, far below what any kernel takes in a call.
const MAX_FRAMES: usize = 32;
/// Bytes that are taken from the machine for one call, in bytes: what is taken can no more be overtaken.
const MAX_BATCH: usize = 64 * 1024;

/// Frames on their way out.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// What goes in front of all frames.
    opening: Vec<u8>,
    heads: Vec<u8>,
    /// Each with the place of its head.
    frames: Vec<(Range<usize>, Frame)>,
    /// Bytes of all this together.
    len: usize,
    /// How many of them have been written.
    sent: usize,
}

impl Writer {
    /// A writer whose first bytes are no frame.
    pub(crate) fn opening(bytes: &[u8]) -> Self {
        Self { opening: bytes.to_vec(), len: bytes.len(), ..Self::default() }
    }

    /// Whether another frame may be added to the batch.
    pub(crate) fn has_room(&self) -> bool {
        self.len < MAX_BATCH && self.frames.len() < MAX_FRAMES
    }

    /// Whether all has been written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frames of this batch.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter().map(|(_, frame)| frame)
    }

    pub(crate) fn push(&mut self, frame: Frame) {
        let head = frame.head();
        let start = self.heads.len();
        self.heads.extend_from_slice(head.as_ref());
        let end = self.heads.len();
        self.len = self.len.saturating_add(end.saturating_sub(start)).saturating_add(frame.body.len());
        self.frames.push((start..end, frame));
    }

    /// Writes what fits now; tells how many bytes.
    pub(crate) fn write(&mut self, to: &Source) -> io::Result<usize> {
        let mut parts = [IoSlice::new(&[]); 1 + 2 * MAX_FRAMES];
        let mut used = 0;
        let mut skip = self.sent;
        for piece in self.pieces() {
            // What has been written is left out, the piece in which it ends cut.
            match piece.get(skip..) {
                Some(rest) if !rest.is_empty() => {
                    if let Some(part) = parts.get_mut(used) {
                        *part = IoSlice::new(rest);
                        used += 1;
                    }
                    skip = 0;
                }
                _ => skip -= piece.len(),
            }
        }
        let written = to.write(parts.get(..used).unwrap_or_default())?;
        self.sent = self.sent.saturating_add(written);
        if self.sent >= self.len {
            self.clear();
        }
        Ok(written)
    }

    /// Forgets what has not been written.
    pub(crate) fn clear(&mut self) {
        self.opening.clear();
        self.heads.clear();
        self.frames.clear();
        (self.len, self.sent) = (0, 0);
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.frames.iter();
        std::iter::once(&*self.opening).chain(
            frames.flat_map(|(head, frame)| [self.heads.get(head.clone()).unwrap_or_default(), &*frame.body]),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixStream, sync::Arc};

    use offshoot_wire::{Body, ContextId, Decoded, Decoder, Handle, ReplyTo};

    use super::*;
    use crate::link::Poller;

    fn frame(len: usize) -> Frame {
        let me = ContextId::ROOT;
        let body = Body::from(vec![len as u8; len]);
        Frame {
            dst: me,
            src: me,
            auth: me,
            handle: Handle::PONG,
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
        let lengths = [0, 1, 4000, 368, 3999, 17];
        let mut writer = Writer::opening(b"hi ");
        lengths.iter().for_each(|len| writer.push(frame(*len)));
        let mut came = Vec::new();
        let mut piece = [0; 512];
        let mut stops = 0;
        while !writer.is_empty() {
            match writer.write(&to) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
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
        let frames: Vec<Decoded> = std::iter::from_fn(|| decoder.next_frame().unwrap()).collect();
        assert_eq!(frames, lengths.map(|len| Decoded::Frame(frame(len))));
        assert!(stops > 0, "all of it fitted at once");
    }
}
