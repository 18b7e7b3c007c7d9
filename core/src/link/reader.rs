//! The incoming direction: bytes taken off a link without blocking, and the frames they make.

use std::io;

use offshoot_wire::{Body, Decoded, Decoder, Frame, Header, Nonce};

use super::{LinkEnd, LinkFailure, Source, prelude::Prelude};
use crate::machine::{Event, LinkKey};

/// Reads one direction of a link.
#[derive(Debug)]
pub(crate) struct Reader {
    decoder: Decoder,
    /// What comes before frames may; gone once the link is up.
    prelude: Option<Prelude>,
}

/// What one turn of reading brought, beside the frames.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// How many bytes came.
    pub(crate) bytes: usize,
    /// Nothing more will come, and why.
    pub(crate) end: Option<LinkEnd>,
}

impl Reader {
    pub(crate) const fn new(decoder: Decoder) -> Self {
        Self { decoder, prelude: None }
    }

    /// Of a child that has yet to answer with the marker.
    pub(crate) fn connecting(nonce: &Nonce, stderr: Option<Source>) -> Self {
        Self { decoder: Decoder::new(), prelude: Some(Prelude::new(nonce, stderr)) }
    }

    /// Reads until nothing is there, the stream ends, or `quantum` bytes have come; the events go to `out`.
    pub(crate) fn turn(
        &mut self,
        from: &Source,
        link: LinkKey,
        quantum: usize,
        out: &mut Vec<Event>,
    ) -> Turn {
        let mut turn = Turn::default();
        // What SETUP came with has been read already.
        if let Err(bad) = self.take_frames(link, out) {
            turn.end = Some(LinkEnd::cut(bad));
        }
        while turn.bytes < quantum && turn.end.is_none() {
            match self.read(from) {
                Ok(0) => turn.end = Some(self.end_of_stream()),
                Ok(read) => {
                    turn.bytes = turn.bytes.saturating_add(read);
                    turn.end = self.take_frames(link, out).err().map(LinkEnd::cut);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => turn.end = Some(LinkEnd::closed(format!("the link broke: {error}"))),
            }
        }
        turn
    }

    /// What came before frames, of a link that is not up yet.
    pub(crate) const fn prelude(&mut self) -> Option<&mut Prelude> {
        self.prelude.as_mut()
    }

    /// The link is up: nothing of how it came to be is needed any more.
    pub(crate) fn is_up(&mut self) -> Option<Prelude> {
        self.prelude.take()
    }

    /// The link has ended; `None` if it had been up.
    pub(crate) fn fail(&mut self, end: &LinkEnd) -> Option<LinkFailure> {
        self.prelude.take().map(|prelude| prelude.fail(end.clone()))
    }

    fn read(&mut self, from: &Source) -> io::Result<usize> {
        match &mut self.prelude {
            Some(prelude) if !prelude.marker_seen() => prelude.read(from, &mut self.decoder),
            _ => {
                let read = from.read(self.decoder.space())?;
                self.decoder.filled(read);
                Ok(read)
            }
        }
    }

    fn take_frames(&mut self, link: LinkKey, out: &mut Vec<Event>) -> Result<(), String> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(Decoded::Frame(frame))) => out.push(Event::Frame { link, frame }),
                Ok(Some(Decoded::Oversize(header))) => {
                    out.push(Event::Oversize { link, frame: without_body(header) });
                }
                Ok(None) => return Ok(()),
                Err(bad) => return Err(bad.to_string()),
            }
        }
    }

    fn end_of_stream(&self) -> LinkEnd {
        let how = if self.decoder.is_mid_frame() {
            "the link was closed within a frame"
        } else {
            "the link was closed"
        };
        LinkEnd::closed(how)
    }
}

fn without_body(header: Header) -> Frame {
    let Header { dst, src, auth, handle, reply_to, .. } = header;
    Frame { dst, src, auth, handle, reply_to, part: None, body: Body::default() }
}
