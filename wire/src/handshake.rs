//! What is said before the first frame: the parent's opening and the child's marker, which prove that both are there.

use alloc::vec::Vec;
use core::fmt;

use crate::Excerpt;

const OPENING_WORD: &[u8; 9] = b"offshoot ";
const MARKER_WORD: &[u8; 12] = b"offshoot-up ";
const NONCE_LEN: usize = 16;
const HEX_LEN: usize = 2 * NONCE_LEN;

/// The length of [`opening`] in bytes.
pub const OPENING_LEN: usize = OPENING_WORD.len() + HEX_LEN + 1;
/// The length of [`marker`] in bytes.
pub const MARKER_LEN: usize = MARKER_WORD.len() + HEX_LEN + 1;
/// How much of what a child says before its marker is kept, in bytes.
pub const MAX_LAST_WORDS: usize = 64 * 1024;

/// Sixteen random bytes that a parent makes for each child, so that an old marker is not taken for its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; NONCE_LEN]);

/// What came instead of an opening.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this program is a child of offshoot and is started by it, not by hand: its input began with `{0}`")]
pub struct BadOpening(Excerpt);

impl Nonce {
    /// A nonce of these bytes, which nobody must be able to guess.
    #[must_use]
    pub const fn new(bytes: [u8; NONCE_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads the nonce of an [`opening`].
    ///
    /// # Errors
    /// [`BadOpening`] when it is not one.
    pub fn parse_opening(line: &[u8; OPENING_LEN]) -> Result<Self, BadOpening> {
        line.strip_prefix(OPENING_WORD)
            .and_then(|rest| rest.strip_suffix(b"\n"))
            .and_then(parse_hex)
            .map(Self)
            .ok_or_else(|| BadOpening(Excerpt::of(line)))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// What a parent writes first: a line of constant length, so that the child reads exactly this and no more.
///
/// ```
/// use offshoot_wire::{Nonce, opening};
/// assert_eq!(opening(&Nonce::new([0xa5; 16])), *b"offshoot a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n");
/// ```
#[must_use]
pub fn opening(nonce: &Nonce) -> [u8; OPENING_LEN] {
    line(OPENING_WORD, nonce.0)
}

/// What the child writes first, its frames right behind it. Computed from the nonce, so that an echo is no marker.
///
/// ```
/// use offshoot_wire::{Nonce, marker};
/// assert_eq!(marker(&Nonce::new([0xa5; 16])), *b"offshoot-up 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n");
/// ```
#[must_use]
pub fn marker(nonce: &Nonce) -> [u8; MARKER_LEN] {
    line(MARKER_WORD, nonce.0.map(|byte| !byte))
}

fn line<const LEN: usize>(word: &[u8], bytes: [u8; NONCE_LEN]) -> [u8; LEN] {
    let mut line = [b'\n'; LEN];
    if let Some((front, hex)) = line.split_at_mut_checked(word.len()) {
        front.copy_from_slice(word);
        for (digits, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            digits.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
        }
    }
    line
}

const fn hex_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0'.saturating_add(value),
        _ => b'a'.saturating_add(value).saturating_sub(10),
    }
}

fn parse_hex(digits: &[u8]) -> Option<[u8; NONCE_LEN]> {
    let mut bytes = [0; NONCE_LEN];
    for (index, digit) in digits.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit.saturating_sub(b'0'),
            b'a'..=b'f' => digit.saturating_sub(b'a').saturating_add(10),
            _ => return None,
        };
        let byte = bytes.get_mut(index / 2)?;
        *byte = (*byte << 4) | value;
    }
    (digits.len() == HEX_LEN).then_some(bytes)
}

/// Looks for the marker of a child in the first bytes that come from it, whatever stands before it.
///
/// ```
/// use offshoot_wire::{MarkerScan, Nonce, marker};
///
/// let nonce = Nonce::new([7; 16]);
/// let mut scan = MarkerScan::new(&nonce);
/// assert_eq!(scan.push(b"Welcome to web1\n"), None);
/// let piece = [&marker(&nonce)[..], b"frames"].concat();
/// let end = scan.push(&piece).unwrap();
/// assert_eq!(&piece[end..], b"frames");
/// assert_eq!(scan.last_words(), b"Welcome to web1\n");
/// ```
#[derive(Clone, Debug)]
pub struct MarkerScan {
    marker: [u8; MARKER_LEN],
    opening: [u8; OPENING_LEN],
    seen: Vec<u8>,
    is_found: bool,
    is_echo: bool,
}

impl MarkerScan {
    /// Looks for the marker that answers the opening with this nonce.
    #[must_use]
    pub fn new(nonce: &Nonce) -> Self {
        Self {
            marker: marker(nonce),
            opening: opening(nonce),
            seen: Vec::new(),
            is_found: false,
            is_echo: false,
        }
    }

    /// Takes the next bytes, and tells where among them the marker ends once it does: the rest are frames.
    /// Nothing is to be pushed after that. Behind an [echo](Self::is_echo) there is none.
    pub fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.is_found || self.is_echo {
            return None;
        }
        let old_len = self.seen.len();
        let search_from = old_len.saturating_sub(MARKER_LEN.saturating_sub(1));
        self.seen.extend_from_slice(bytes);
        let marker_at = self.find(&self.marker, search_from);
        let is_noise = |start: &usize| marker_at.is_none_or(|marker| *start < marker);
        // What comes behind it was ours too.
        if let Some(start) = self.find(&self.opening, search_from).filter(is_noise) {
            self.is_echo = true;
            self.seen.truncate(start);
            return None;
        }
        let Some(start) = marker_at else {
            self.cut();
            return None;
        };
        self.is_found = true;
        self.seen.truncate(start);
        Some(start.saturating_add(MARKER_LEN).saturating_sub(old_len))
    }

    /// Whether the opening itself came back, as from a program that copies its input: nobody speaks frames there. It is no
    /// part of the last words.
    #[must_use]
    pub const fn is_echo(&self) -> bool {
        self.is_echo
    }

    /// Where such words begin in what has come, if that is not before `from`.
    fn find(&self, words: &[u8], from: usize) -> Option<usize> {
        let position = self.seen.get(from..)?.windows(words.len()).position(|window| window == words)?;
        Some(from.saturating_add(position))
    }

    /// The last [`MAX_LAST_WORDS`] bytes before the marker, or of all that came where there was none.
    #[must_use]
    pub fn last_words(&self) -> &[u8] {
        self.seen.get(self.surplus()..).unwrap_or_default()
    }

    fn surplus(&self) -> usize {
        self.seen.len().saturating_sub(MAX_LAST_WORDS)
    }

    /// Drops what is not kept, in steps so large that each byte is moved once on average.
    fn cut(&mut self) {
        if self.surplus() >= MAX_LAST_WORDS {
            self.seen.drain(..self.surplus());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;

    const NONCE: Nonce = Nonce([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x7f, 0x80, 0xf0, 0xfe, 0xff]);

    // protocol 1.1
    #[test]
    fn an_opening_is_read_back() {
        assert_eq!(Nonce::parse_opening(&opening(&NONCE)), Ok(NONCE));
    }

    #[test]
    fn what_is_no_opening_is_refused_with_what_came() {
        for at in [0, 8, 9, 20, OPENING_LEN - 1] {
            for byte in [b'G', b'\x1b'] {
                let mut line = opening(&NONCE);
                line[at] = byte;
                let refused = Nonce::parse_opening(&line).unwrap_err().to_string();
                assert!(refused.is_ascii() && !refused.contains('\x1b'), "{refused}");
            }
        }
    }

    // protocol 1.2
    #[test]
    fn the_marker_is_found_wherever_it_is_split() {
        let noise = b"offshoot-up \n\xffoffshoot-up 00";
        let stream = [&noise[..], &marker(&NONCE), b"MI..."].concat();
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let mut scan = MarkerScan::new(&NONCE);
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                let rest = pieces.iter().enumerate().find_map(|(index, piece)| {
                    let end = scan.push(piece)?;
                    Some([&piece[end..], &pieces[index + 1..].concat()].concat())
                });
                assert_eq!(rest.as_deref(), Some(&b"MI..."[..]), "split at {first} and {second}");
                assert_eq!(scan.last_words(), noise);
            }
        }
    }

    // protocol 1.2; attack 53
    #[test]
    fn neither_an_echo_nor_the_marker_of_another_is_one() {
        let mut scan = MarkerScan::new(&NONCE);
        assert_eq!(scan.push(&marker(&Nonce::new([9; 16]))), None);
        assert!(scan.clone().push(&marker(&NONCE)).is_some());
        assert!(scan.push(&opening(&NONCE)).is_none() && scan.is_echo());
        assert_eq!(scan.push(&marker(&NONCE)), None);
    }

    // protocol 1.2
    #[test]
    fn what_sends_the_opening_back_is_known_and_its_last_words_are_its_own() {
        let stream = [&b"cat: hm\n"[..], &opening(&NONCE), b"MI\0\0"].concat();
        for cut in 0..stream.len() {
            let mut scan = MarkerScan::new(&NONCE);
            let (first, second) = stream.split_at(cut);
            assert_eq!((scan.push(first), scan.push(second), scan.is_echo()), (None, None, true));
            assert_eq!(scan.last_words(), b"cat: hm\n", "cut at {cut}");
        }
        let mut scan = MarkerScan::new(&NONCE);
        assert!(scan.push(&opening(&Nonce::new([9; 16]))).is_none() && !scan.is_echo());
        // Behind the marker are frames, whatever they hold.
        assert!(scan.push(&[&marker(&NONCE)[..], &opening(&NONCE)].concat()).is_some() && !scan.is_echo());
    }

    // protocol 1.2; attack 55
    #[test]
    fn of_endless_noise_the_last_64_kib_are_kept() {
        let mut scan = MarkerScan::new(&NONCE);
        for round in 0..100_u8 {
            assert_eq!(scan.push(&vec![round; 10_000]), None);
            assert!(scan.seen.capacity() < 4 * MAX_LAST_WORDS);
        }
        assert_eq!(scan.last_words().len(), MAX_LAST_WORDS);
        assert_eq!(scan.last_words().first(), Some(&93));
        assert_eq!(scan.push(&[&b"tail"[..], &marker(&NONCE)].concat()), Some(4 + MARKER_LEN));
        assert!(scan.last_words().len() == MAX_LAST_WORDS && scan.last_words().ends_with(b"ctail"));
    }
}
