//! What a child says before it speaks in frames: noise, the marker, and whatever comes on its stderr.

use offshoot_wire::{Decoder, MAX_LAST_WORDS, MarkerScan, Nonce};
use rustix::io::{self, Errno};

use super::{Ask, Channel, Heard, LinkEnd, LinkFailure, Source, overheard::Overheard};

/// Bytes read of it in one call.
const PIECE: usize = 4 * 1024;

/// The state of a link between its start and HELLO.
#[derive(Debug)]
pub(crate) struct Prelude {
    scan: MarkerScan,
    marker_seen: bool,
    stderr: Option<Source>,
    stderr_words: Tail,
    overheard_as: Option<String>,
}

impl Prelude {
    pub(super) fn new(
        nonce: &Nonce,
        stderr: Option<Source>,
        overheard_as: Option<String>,
        heard: Heard,
    ) -> Self {
        let mut scan = MarkerScan::new(nonce);
        // It was said before anybody could know the nonce: the marker is not in it.
        let _ = scan.push(&heard.link);
        Self { scan, marker_seen: false, stderr, stderr_words: Tail(heard.stderr), overheard_as }
    }

    pub(super) const fn marker_seen(&self) -> bool {
        self.marker_seen
    }

    /// Whether what is sent there comes back.
    pub(super) const fn is_echo(&self) -> bool {
        self.scan.is_echo()
    }

    /// Reads from the link up to the marker; what follows it is the decoder's.
    pub(super) fn read(&mut self, from: &Source, decoder: &mut Decoder) -> io::Result<usize> {
        let mut piece = [0; PIECE];
        let read = from.read(&mut piece)?;
        let words = piece.get(..read).unwrap_or_default();
        if let Some(end) = self.scan.push(words) {
            self.marker_seen = true;
            decoder.push(words.get(end..).unwrap_or_default());
        }
        Ok(read)
    }

    /// Reads what is there on stderr, and asks for the next event of it.
    pub(crate) fn read_stderr(&mut self, slot: usize) {
        self.drain_stderr();
        // Without the poller its words are still read when the link fails.
        let armed = self.stderr.as_ref().map(|stderr| stderr.arm(Ask::readable(Channel::Stderr.key(slot))));
        if matches!(armed, Some(Err(_))) {
            self.stderr = None;
        }
    }

    /// What is left of it once the link is up.
    pub(super) fn into_overheard(self) -> Option<Overheard> {
        Some(Overheard::new(self.stderr?, self.overheard_as?))
    }

    pub(super) fn fail(mut self, end: LinkEnd) -> LinkFailure {
        self.drain_stderr();
        LinkFailure {
            reason: end.reason,
            is_closed: end.is_closed,
            marker_seen: self.marker_seen,
            last_words: self.scan.last_words().to_vec(),
            stderr: self.stderr_words.into_bytes(),
        }
    }

    /// Bounded: a child that fills its stderr faster than it is read does not hold the broker.
    fn drain_stderr(&mut self) {
        let mut piece = [0; PIECE];
        for _ in 0..MAX_LAST_WORDS / PIECE {
            let Some(stderr) = &self.stderr else { return };
            match stderr.read(&mut piece) {
                Ok(0) => self.stderr = None,
                Ok(read) => self.stderr_words.push(piece.get(..read).unwrap_or_default()),
                Err(Errno::WOULDBLOCK) => return,
                Err(_) => self.stderr = None,
            }
        }
    }
}

/// The last [`MAX_LAST_WORDS`] bytes of a stream.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        // Cut in large steps, so that each byte is moved a constant number of times.
        if self.0.len() > 2 * MAX_LAST_WORDS {
            self.cut();
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.0
    }

    fn cut(&mut self) {
        let surplus = self.0.len().saturating_sub(MAX_LAST_WORDS);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_the_link_was_made_is_part_of_its_last_words() {
        let heard = Heard { link: b"out\n".to_vec(), stderr: b"err\n".to_vec() };
        let prelude = Prelude::new(&Nonce::new([7; 16]), None, None, heard);
        let failure = prelude.fail(LinkEnd::closed("the link was closed"));
        assert_eq!((&*failure.last_words, &*failure.stderr), (&b"out\n"[..], &b"err\n"[..]));
    }
}
