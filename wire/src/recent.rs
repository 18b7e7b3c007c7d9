//! Long bodies that were handed out lately: the memory of one that nobody holds any more is used again.

use crate::Body;
use alloc::vec::Vec;

/// From this length on fresh memory costs more than to look for some that is free, in bytes.
const LONG: usize = 16 * 1024;
/// Longer ones are not kept alive: as long as a frame gets, and some more, in bytes.
const LONGEST: usize = 256 * 1024;
/// After so many short bodies no more long ones are expected.
const SHORT_BODIES: u8 = 8;
/// How many are remembered: as many as a stream has under way between one end of a context and the other.
const KEPT: usize = 4;

/// The last few long bodies.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    bodies: [Body; KEPT],
    next: usize,
    /// How many short bodies have come since the last long one.
    short: u8,
    /// The last one was long.
    is_streaming: bool,
}

impl Recent {
    /// Remembers a body if it is long and not very long, in place of the one that was remembered first. After some that
    /// are short all are forgotten.
    pub fn keep(&mut self, body: &Body) {
        self.is_streaming = body.len() >= LONG;
        if !self.is_streaming {
            self.short = self.short.saturating_add(1);
            if self.short == SHORT_BODIES {
                self.clear();
            }
            return;
        }
        self.short = 0;
        if body.capacity() > LONGEST {
            return;
        }
        if let Some(place) = self.bodies.get_mut(self.next) {
            *place = body.clone();
        }
        self.next = self.next.wrapping_add(1) % KEPT;
    }

    /// The memory of one that nobody else holds, with at least `len` bytes and whatever is in them.
    pub fn reuse(&mut self, len: usize) -> Option<Vec<u8>> {
        if len < LONG {
            return None;
        }
        let fits = |body: &&mut Body| body.capacity() >= len && body.capacity() / 4 <= len;
        self.bodies.iter_mut().filter(fits).find_map(Body::reclaim)
    }

    /// Whether the last body was a long one: others like it are likely to follow.
    #[must_use]
    pub fn expects_long(&self) -> bool {
        self.is_streaming
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bodies.iter().all(|body| body.is_empty())
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.bodies = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_memory_of_a_body_is_used_again_once_nobody_holds_it() {
        let mut recent = Recent::default();
        let body = Body::from(vec![1; LONG]);
        let address = body.as_ptr();
        recent.keep(&body);
        assert_eq!(recent.reuse(LONG), None);
        drop(body);
        assert_eq!(recent.reuse(LONG + 1), None);
        let again = recent.reuse(LONG).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (address, LONG));
        assert_eq!(recent.reuse(LONG), None);
    }

    #[test]
    fn short_bodies_and_more_than_a_few_are_not_remembered() {
        let mut recent = Recent::default();
        recent.keep(&Body::from(vec![1; LONG - 1]));
        assert!(recent.is_empty());
        (0..10).for_each(|_| recent.keep(&Body::from(vec![1; LONG])));
        assert_eq!((0..10).filter(|_| recent.reuse(LONG).is_some()).count(), KEPT);
        recent.keep(&Body::from(vec![1; LONGEST]));
        assert_eq!(recent.reuse(LONG), None, "much memory for little");
        recent.keep(&Body::from(vec![1; LONGEST + 1]));
        assert_eq!(recent.reuse(LONGEST + 1), None);
        (1..SHORT_BODIES).for_each(|_| recent.keep(&Body::default()));
        assert!(!recent.is_empty());
        recent.keep(&Body::default());
        assert!(recent.is_empty());
    }
}
