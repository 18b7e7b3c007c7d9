//! One direction of a link: bytes that take their time, arrive in slices, and do not all fit in.

use std::collections::VecDeque;

use offshoot_wire::{BadStream, Decoded, Decoder};

use super::agenda::Moment;

/// How a pipe ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It has not.
    #[default]
    Open,
    /// Nothing is written any more; what is inside arrives.
    Closing,
}

/// One direction of a link.
#[derive(Debug, Default)]
pub struct Pipe {
    /// What is on the way, with the moment at which it arrives.
    travelling: VecDeque<(Moment, Vec<u8>)>,
    /// What has arrived and was not read.
    arrived: VecDeque<u8>,
    /// How much of both there is.
    inside: usize,
    /// What the writer has begun to write and did not fit in.
    unwritten: VecDeque<u8>,
    /// What the reader has made of it so far.
    decoder: Option<Box<Decoder>>,
    /// Nothing is read for the time being.
    pub is_clogged: bool,
    /// The writer has more than fits in.
    pub is_full: bool,
    /// Whether it has ended.
    pub end: End,
    /// A look at what has arrived is planned.
    pub is_awaited: bool,
}

impl Pipe {
    /// Appends the bytes of a frame to what its writer has to write.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unwritten.extend(bytes);
    }

    /// Whether the writer can begin another frame.
    #[must_use]
    pub fn has_room(&self, capacity: usize) -> bool {
        self.inside + self.unwritten.len() < capacity
    }

    /// Whether the writer's last frame is not inside yet, all of it.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Lets in what fits, to arrive `delay` after `now`, and behind what was written before; gives that moment.
    pub fn write(&mut self, now: Moment, delay: Moment, capacity: usize) -> Option<Moment> {
        let len = self.unwritten.len().min(capacity.saturating_sub(self.inside));
        self.is_full = len < self.unwritten.len();
        if len == 0 {
            return None;
        }
        let at = self.travelling.back().map_or(0, |(last, _)| *last).max(now + delay);
        self.travelling.push_back((at, self.unwritten.drain(..len).collect()));
        self.inside += len;
        Some(at)
    }

    /// Gives the reader up to `most` bytes of what has arrived by now; how many that were.
    pub fn read(&mut self, now: Moment, most: usize) -> usize {
        while self.travelling.front().is_some_and(|(at, _)| *at <= now) {
            self.arrived.extend(self.travelling.pop_front().into_iter().flat_map(|(_, bytes)| bytes));
        }
        let len = most.min(self.arrived.len());
        if len > 0 {
            let bytes: Vec<u8> = self.arrived.drain(..len).collect();
            self.decoder.get_or_insert_default().push(&bytes);
            self.inside -= len;
        }
        len
    }

    /// The next frame that the reader has all of.
    ///
    /// # Errors
    /// What is no frame.
    pub fn next_frame(&mut self) -> Result<Option<Decoded>, BadStream> {
        let next = self.decoder.as_mut().map_or(Ok(None), |decoder| decoder.next_frame());
        // A million idle links keep no buffers.
        if self.inside == 0 && self.decoder.as_ref().is_some_and(|decoder| !decoder.is_mid_frame()) {
            self.decoder = None;
        }
        next
    }

    /// The moment at which the reader finds something that it has not found yet.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Moment> {
        if self.arrived.is_empty() { self.travelling.front().map(|(at, _)| *at) } else { Some(0) }
    }

    /// Whether the reader has come to the end.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.end != End::Open && self.inside == 0 && !self.is_behind()
    }

    /// It breaks: of what is inside, so many bytes still arrive.
    pub fn cut(&mut self, mut left: usize) {
        self.end = End::Closing;
        self.unwritten.clear();
        left = left.saturating_sub(self.arrived.len());
        for (_, bytes) in &mut self.travelling {
            bytes.truncate(left);
            left -= bytes.len();
        }
        self.travelling.retain(|(_, bytes)| !bytes.is_empty());
        self.inside =
            self.arrived.len() + self.travelling.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }

    /// Nothing of it is read any more.
    pub fn discard(&mut self) {
        self.cut(0);
        self.arrived.clear();
        self.inside = 0;
        self.decoder = None;
    }

    /// Bytes inside.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.inside
    }

    /// Whether nothing is inside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.inside == 0
    }
}
