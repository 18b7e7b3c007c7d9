//! The incoming direction: bytes taken off a link without blocking, and the frames they make.

use offshoot_wire::{Body, Decoded, Decoder, FRAME_COST, Frame, Header};
use rustix::io::{self, Errno};

use super::{
    LinkEnd, LinkFailure, Source,
    overheard::{Hearing, Overheard},
    prelude::Prelude,
};
use crate::{
    ever::Ever,
    fault::Fault,
    machine::{Event, LinkKey},
};

static PRELUDES: Ever = Ever::new();

/// Reads one direction of a link.
#[derive(Debug)]
pub(crate) struct Reader {
    decoder: Decoder,
    /// What comes before frames may; gone once the link is up.
    prelude: Option<Prelude>,
    /// The stderr of the transport of a child that is up.
    overheard: Option<Overheard>,
    /// What a turn of reading brought. The machine must have it before this lock is released, so that what two threads
    /// read one after the other stays in order.
    pub(crate) input: Vec<Event>,
}

/// What one turn of reading brought, beside the frames.
#[derive(Debug, Default)]
pub(crate) struct TakenIn {
    /// How many bytes came.
    pub(crate) bytes: usize,
    /// Nothing more will come, and why.
    pub(crate) end: Option<LinkEnd>,
    /// There is more, or will be at once: the turn was over before the stream was empty, or within a frame.
    pub(crate) has_more: bool,
}

/// What one read brought.
struct Filled {
    bytes: usize,
    /// It filled the space that it was given.
    all: bool,
}

impl Reader {
    pub(crate) const fn new(decoder: Decoder) -> Self {
        Self { decoder, prelude: None, overheard: None, input: Vec::new() }
    }

    /// Of a child that has yet to answer with the marker.
    pub(super) fn connecting(prelude: Prelude) -> Self {
        PRELUDES.begin();
        Self { prelude: Some(prelude), ..Self::new(Decoder::new()) }
    }

    /// Reads until nothing is there, the stream ends, or what has come weighs `quantum`: its bytes, and for each frame
    /// [`FRAME_COST`] more. The events go to `input`.
    pub(crate) fn take_in(&mut self, from: &Source, link: LinkKey, quantum: usize) -> TakenIn {
        let (mut turn, mut is_dry) = (TakenIn::default(), false);
        // What SETUP came with has been read already.
        if let Err(bad) = self.take_frames(link) {
            turn.end = Some(LinkEnd::cut(bad));
        }
        while !is_dry && self.weight(&turn) < quantum && turn.end.is_none() {
            match self.read(from) {
                Ok(Filled { bytes: 0, .. }) => turn.end = Some(self.end_of_stream()),
                Ok(Filled { bytes, all }) => {
                    turn.bytes = turn.bytes.saturating_add(bytes);
                    turn.end = self.take_frames(link).err().map(LinkEnd::cut);
                    // There was no more; what has come since the poller will tell.
                    is_dry = !all;
                }
                Err(Errno::WOULDBLOCK) => is_dry = true,
                Err(error) => turn.end = Some(LinkEnd::closed(format!("the link broke: {}", Fault(error)))),
            }
        }
        turn.has_more = turn.end.is_none() && (!is_dry || self.decoder.is_mid_frame());
        turn
    }

    const fn weight(&self, turn: &TakenIn) -> usize {
        turn.bytes.saturating_add(self.input.len().saturating_mul(FRAME_COST))
    }

    /// Reads what is there on the stderr of a child, and asks for the next event of it. Once the child is up its lines go
    /// to `out`.
    pub(crate) fn read_stderr(&mut self, slot: usize, out: &mut Hearing<'_>) {
        if let Some(prelude) = &mut self.prelude {
            prelude.read_stderr(slot);
        } else if self.overheard.as_mut().is_some_and(|overheard| !overheard.turn(slot, out)) {
            self.overheard = None;
        }
    }

    /// The same for the last time.
    pub(crate) fn finish_stderr(&mut self, out: &mut Hearing<'_>) {
        if let Some(overheard) = self.overheard.take() {
            overheard.finish(out);
        }
    }

    /// The link is up: of how it came to be nothing is needed any more but the stderr of a transport.
    pub(crate) fn is_up(&mut self) {
        self.overheard = self.prelude.take().and_then(Prelude::into_overheard);
    }

    /// The link has ended; `None` if it had been up.
    pub(crate) fn fail(&mut self, end: &LinkEnd) -> Option<LinkFailure> {
        self.prelude.take().map(|prelude| prelude.fail(end.clone()))
    }

    fn read(&mut self, from: &Source) -> io::Result<Filled> {
        match &mut self.prelude {
            Some(prelude) if PRELUDES.began() && !prelude.marker_seen() => {
                prelude.read(from, &mut self.decoder).map(|bytes| Filled { bytes, all: true })
            }
            _ => {
                let space = self.decoder.space();
                let size = space.len();
                let read = from.read(space);
                // Also where nothing came: the space is not the decoder's to keep.
                self.decoder.filled(*read.as_ref().unwrap_or(&0));
                read.map(|bytes| Filled { bytes, all: bytes == size })
            }
        }
    }

    fn take_frames(&mut self, link: LinkKey) -> Result<(), String> {
        if PRELUDES.began() && self.prelude.as_ref().is_some_and(Prelude::is_echo) {
            return Err("what is sent to it comes back".to_owned());
        }
        loop {
            match self.decoder.next_frame() {
                Ok(Some(Decoded::Frame(frame))) => self.input.push(Event::Frame { link, frame }),
                Ok(Some(Decoded::Oversize(header))) => {
                    self.input.push(Event::Oversize { link, frame: without_body(header) });
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
