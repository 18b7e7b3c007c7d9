//! Takes a stream in whatever slices it comes, and hands out its frames.

use alloc::vec::Vec;
use core::mem;

use crate::{Body, Excerpt, Frame, HEADER_LEN, Header, PART_LEN, Part, Recent, spare};

/// What is read into where links hardly speak.
const IDLE_BUFFER: usize = 2 * 1024;
/// By how much it grows each time that a read brings as much as that.
const GROWTH: usize = 8;
/// What is read into where one speaks without a pause: one read takes many frames, and no more of them than others can wait
/// for.
const BUSY_BUFFER: usize = 16 * 1024;
/// Of a body at least this much must be missing for it to be read straight into its own memory;
/// a shorter rest comes through the buffer, together with what follows it.
const DIRECT_READ: usize = 4 * 1024;

/// What a [`Decoder`] hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// The header of a frame that is longer than one may be. Its body is skipped as it comes, and never kept.
    Oversize(Header),
}

/// Why nothing that follows in a stream can be trusted: the link must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadStream {
    /// Bytes where a frame should begin and none does.
    #[error("no frame begins with `{0}`: the other side is not offshoot, or something wrote into its stream")]
    Magic(Excerpt),
    /// A `reply_to` that is neither nobody, a handle nor the mark of a dead message.
    #[error("a frame with reply_to {0}, which means nothing: the other side breaks the protocol")]
    ReplyTo(u32),
    /// A fragment too short to tell its place.
    #[error("a fragment of {0} bytes, too short to tell its place: the other side breaks the protocol")]
    Fragment(u32),
}

/// Takes a stream in whatever slices it comes, and hands out its frames.
///
/// Read into [`space`](Self::space) and tell [`filled`](Self::filled), or [`push`](Self::push); then call
/// [`next_frame`](Self::next_frame) until there is none. Nothing is reserved for a body before its announced length
/// has been checked. An idle decoder keeps no buffer: what is read into belongs to the thread, 16 KiB at most. After long
/// bodies it keeps the memory of up to four that were taken out and dropped, for the next ones, until some short frames
/// have come.
///
/// ```
/// use offshoot_wire::{Body, ContextId, Decoded, Decoder, Frame, Handle, ReplyTo};
///
/// let frame = Frame {
///     dst: ContextId::ROOT,
///     src: ContextId::new(1),
///     auth: ContextId::new(1),
///     handle: Handle::PONG,
///     reply_to: ReplyTo::Nobody,
///     part: None,
///     body: Body::from(&b"\xf6"[..]),
/// };
/// let mut stream = Vec::new();
/// frame.encode_into(&mut stream);
///
/// let mut decoder = Decoder::new();
/// decoder.push(&stream[..20]);
/// assert_eq!(decoder.next_frame()?, None);
/// decoder.push(&stream[20..]);
/// assert_eq!(decoder.next_frame()?, Some(Decoded::Frame(frame)));
/// # Ok::<(), offshoot_wire::BadStream>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// What was read and not yet used lies from `start` to `end`; the thread's while something is being read, else as
    /// long as the front of a header that may lie there.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read brought as much as the small buffer takes: more may be there.
    is_busy: bool,
    /// Bodies that were read straight into their own memory.
    recent: Recent,
}

#[derive(Clone, Debug, Default)]
enum State {
    /// A header comes next.
    #[default]
    Header,
    /// So many bytes of a body come next, and are of no interest.
    Skip(usize),
    /// The rest of a body comes next.
    Body(Unfinished),
    /// Nothing comes any more.
    Bad(BadStream),
}

/// A frame whose body has come in part.
#[derive(Clone, Debug)]
struct Unfinished {
    header: Header,
    part: Option<Part>,
    bytes: Vec<u8>,
    filled: usize,
}

impl Unfinished {
    fn space(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    const fn missing(&self) -> usize {
        self.bytes.len().saturating_sub(self.filled)
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to what has come.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let len = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(len);
            if let Some(slot) = space.get_mut(..len) {
                slot.copy_from_slice(now);
            }
            self.filled(len);
            bytes = later;
        }
    }

    /// Where the next bytes of the stream are to be read to; never empty.
    ///
    /// It grows when frames are not taken out before it is asked for again.
    pub fn space(&mut self) -> &mut [u8] {
        let reads_direct = self.reads_direct();
        if !reads_direct {
            self.make_room();
        }
        match &mut self.state {
            State::Body(unfinished) if reads_direct => unfinished.space(),
            _ => {
                // Of a long body only the beginning is to come through the buffer.
                let most = if self.recent.expects_long() { IDLE_BUFFER } else { BUSY_BUFFER };
                let end = self.buffer.len().min(self.end.saturating_add(most));
                self.buffer.get_mut(self.end..end).unwrap_or_default()
            }
        }
    }

    /// Tells that `len` bytes were read to the front of [`space`](Self::space); 0 where a read found nothing.
    pub fn filled(&mut self, len: usize) {
        let reads_direct = self.reads_direct();
        match &mut self.state {
            State::Body(unfinished) if reads_direct => {
                unfinished.filled = unfinished.filled.saturating_add(len).min(unfinished.bytes.len());
                self.is_busy = false;
            }
            _ => {
                self.end = self.end.saturating_add(len).min(self.buffer.len());
                self.is_busy = len >= IDLE_BUFFER;
                if self.start == self.end {
                    self.release();
                }
            }
        }
    }

    /// The next frame that is complete, or that is known to be too long.
    ///
    /// # Errors
    /// [`BadStream`] once the stream cannot be trusted any more, and then for ever.
    pub fn next_frame(&mut self) -> Result<Option<Decoded>, BadStream> {
        if !self.is_mid_frame() {
            self.release();
            return Ok(None);
        }
        let next = self.advance();
        if let Err(bad) = &next {
            self.state = State::Bad(bad.clone());
            self.buffer = Vec::new();
            (self.start, self.end) = (0, 0);
        }
        if matches!(next, Ok(None)) {
            self.release();
        }
        next
    }

    /// Whether [`next_frame`](Self::next_frame) has something to hand out, be it an error.
    #[must_use]
    pub fn has_complete_frame(&self) -> bool {
        let waiting = self.waiting();
        let from_header = match &self.state {
            State::Header => waiting,
            State::Skip(left) => waiting.get(*left..).unwrap_or_default(),
            State::Body(unfinished) => return waiting.len() >= unfinished.missing(),
            State::Bad(_) => return true,
        };
        match Header::read(from_header) {
            Ok(None) => false,
            Ok(Some(header)) => {
                header.is_oversize() || from_header.len().saturating_sub(HEADER_LEN) >= header.body_len()
            }
            Err(_) => true,
        }
    }

    /// Whether the stream would be cut within a frame if it ended after what has been taken out.
    #[must_use]
    pub const fn is_mid_frame(&self) -> bool {
        !matches!(self.state, State::Header) || self.start != self.end
    }

    fn advance(&mut self) -> Result<Option<Decoded>, BadStream> {
        loop {
            // The state is large, and mostly the first: it is looked at where it is.
            match &self.state {
                State::Header => match self.begin()? {
                    None if !matches!(self.state, State::Header) => {}
                    decoded => return Ok(decoded),
                },
                State::Skip(left) => {
                    let (left, here) = (*left, self.waiting().len());
                    self.consume(left.min(here));
                    if here < left {
                        self.state = State::Skip(left.saturating_sub(here));
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Body(_) => return Ok(self.go_on()),
                State::Bad(bad) => return Err(bad.clone()),
            }
        }
    }

    /// Reads a header, and takes the frame out if all of it is there.
    fn begin(&mut self) -> Result<Option<Decoded>, BadStream> {
        let Some(header) = Header::read(self.waiting())? else {
            return Ok(None);
        };
        if header.is_oversize() {
            self.consume(HEADER_LEN);
            self.state = State::Skip(header.body_len());
            return Ok(Some(Decoded::Oversize(header)));
        }
        let front_len = if header.is_fragment { HEADER_LEN.saturating_add(PART_LEN) } else { HEADER_LEN };
        let Some(front) = self.waiting().get(..front_len) else {
            return Ok(None);
        };
        let part = front.get(HEADER_LEN..).and_then(Part::read);
        self.consume(front_len);
        let len = header.body_len().saturating_sub(front_len.saturating_sub(HEADER_LEN));
        if let Some(body) = self.waiting().get(..len) {
            let body = Body::from(body);
            self.consume(len);
            self.recent.keep(&body);
            return Ok(Some(Decoded::Frame(frame(header, part, body))));
        }
        let mut bytes = self.recent.reuse(len).unwrap_or_default();
        bytes.resize(len, 0);
        self.state = State::Body(Unfinished { header, part, bytes, filled: 0 });
        Ok(None)
    }

    /// Moves what has come of a body to it.
    fn go_on(&mut self) -> Option<Decoded> {
        let State::Body(mut unfinished) = mem::take(&mut self.state) else { return None };
        let len = unfinished.missing().min(self.waiting().len());
        if let (Some(now), Some(slot)) = (self.waiting().get(..len), unfinished.space().get_mut(..len)) {
            slot.copy_from_slice(now);
        }
        unfinished.filled = unfinished.filled.saturating_add(len);
        self.consume(len);
        if unfinished.missing() > 0 {
            self.state = State::Body(unfinished);
            return None;
        }
        let body = Body::from(unfinished.bytes);
        self.recent.keep(&body);
        Some(Decoded::Frame(frame(unfinished.header, unfinished.part, body)))
    }

    fn reads_direct(&self) -> bool {
        self.start == self.end
            && matches!(&self.state, State::Body(unfinished) if unfinished.missing() >= DIRECT_READ)
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    /// Gives back the memory that was read into; of what was read nothing is left but the front of a header.
    fn release(&mut self) {
        if self.buffer.len() < IDLE_BUFFER {
            return;
        }
        let rest = self.waiting().to_vec();
        (self.start, self.end) = (0, rest.len());
        let used = mem::replace(&mut self.buffer, rest);
        if used.len() <= BUSY_BUFFER {
            spare::give(used);
        }
    }

    /// Sees to it that the buffer has room behind `end`.
    fn make_room(&mut self) {
        if self.end < self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
        } else {
            let old = mem::replace(&mut self.buffer, spare::take());
            let rest = old.get(self.start..self.end).unwrap_or_default();
            let is_busy = self.is_busy && !self.recent.expects_long();
            let grown = if is_busy { self.buffer.len().saturating_mul(GROWTH) } else { 0 };
            let wanted = grown.min(BUSY_BUFFER).max(rest.len().saturating_mul(2).saturating_add(IDLE_BUFFER));
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
            if let Some(front) = self.buffer.get_mut(..rest.len()) {
                front.copy_from_slice(rest);
            }
        }
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
    }
}

fn frame(header: Header, part: Option<Part>, body: Body) -> Frame {
    let Header { dst, src, auth, handle, reply_to, is_fragment: _, len: _ } = header;
    Frame { dst, src, auth, handle, reply_to, part, body }
}
