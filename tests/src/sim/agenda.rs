//! What is going to happen, in the order of a virtual clock.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A moment of the virtual clock, in microseconds.
pub type Moment = u64;

/// Things that will happen, the next one first; of two at one moment, the one that was planned first.
#[derive(Debug)]
pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0 }
    }
}

impl<T> Agenda<T> {
    /// Something will happen.
    pub fn plan(&mut self, at: Moment, what: T) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at, no: self.planned, what }));
    }

    /// The next thing.
    pub fn take_next(&mut self) -> Option<(Moment, T)> {
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.what))
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }
}

#[derive(Debug)]
struct Planned<T> {
    at: Moment,
    no: u64,
    what: T,
}

impl<T> Planned<T> {
    const fn order(&self) -> (Moment, u64) {
        (self.at, self.no)
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}
