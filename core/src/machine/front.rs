//! Control frames that wait to leave by one link: in front of all data but what each must not overtake (rule 10).

use std::collections::VecDeque;

use offshoot_wire::{Frame, Handle};

use super::{FlowKey, map::Map, queue::take_at};
use crate::ever::Ever;

/// Whether any waits for data: a leaf has none to say that must.
static BEHIND: Ever = Ever::new();

/// A control frame that waits, perhaps for data in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Control {
    frame: Frame,
    /// How many frames of which flows must have left before.
    behind: Map<FlowKey, usize>,
}

/// The control frames of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Front {
    queue: VecDeque<Control>,
    bytes: usize,
    /// What of it tells of contexts made and lost: it has a room of its own, since many may come or go at once.
    news_bytes: usize,
}

impl Front {
    /// Bytes that wait, news of contexts left out.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of news of contexts that wait.
    pub(super) const fn news_bytes(&self) -> usize {
        self.news_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues a frame that may overtake all data.
    pub(super) fn push(&mut self, frame: Frame) {
        self.line_up(frame, Map::new());
    }

    /// Queues a frame behind so many frames of those flows.
    pub(super) fn push_behind(&mut self, frame: Frame, behind: Map<FlowKey, usize>) {
        BEHIND.begin();
        self.line_up(frame, behind);
    }

    fn line_up(&mut self, frame: Frame, behind: Map<FlowKey, usize>) {
        *self.room_of(&frame) += frame.cost();
        self.queue.push_back(Control { frame, behind });
    }

    /// The frame that waits and fits `same`.
    pub(super) fn find_mut(&mut self, same: impl Fn(&Frame) -> bool) -> Option<&mut Frame> {
        self.queue.iter_mut().map(|control| &mut control.frame).find(|frame| same(frame))
    }

    /// The frame that came last, if it still waits.
    pub(super) fn last(&self) -> Option<&Frame> {
        self.queue.back().map(|control| &control.frame)
    }

    /// Whether one could leave now.
    pub(super) fn is_ready(&self) -> bool {
        self.free().is_some()
    }

    /// Takes the one that leaves next.
    pub(super) fn pull(&mut self) -> Option<Frame> {
        let at = self.free()?;
        let frame = take_at(&mut self.queue, at)?.frame;
        if self.queue.is_empty() {
            // A link that is idle, as nearly all are in a large tree, keeps no memory for what is rare.
            self.queue = VecDeque::new();
        }
        let room = self.room_of(&frame);
        *room = room.saturating_sub(frame.cost());
        Some(frame)
    }

    /// The place of the one that leaves next. News of a loss leave behind earlier ones too: a later loss can take with it
    /// what these are about.
    fn free(&self) -> Option<usize> {
        if !BEHIND.began() {
            return (!self.queue.is_empty()).then_some(0);
        }
        let mut is_held_up = false;
        self.queue.iter().position(|control| {
            let is_loss = control.frame.handle == Handle::DEL_ROUTE;
            let is_free = control.behind.is_empty() && !(is_loss && is_held_up);
            is_held_up |= is_loss && !is_free;
            is_free
        })
    }

    fn room_of(&mut self, frame: &Frame) -> &mut usize {
        if is_news(frame) { &mut self.news_bytes } else { &mut self.bytes }
    }

    /// A frame has come to the front of a flow: what waits for all of that waits for this too.
    pub(super) fn wait_for_one_more(&mut self, key: FlowKey) {
        self.count(key, |count| count + 1);
    }

    /// So many frames at the front of a flow have left, or never will: who waits behind them comes nearer.
    pub(super) fn come_nearer(&mut self, key: FlowKey, frames: usize) {
        self.count(key, |count| count.saturating_sub(frames));
    }

    /// Frames at these places of a flow were taken out: who waits for one of them waits for one less.
    pub(super) fn step_over(&mut self, key: FlowKey, places: &[usize]) {
        self.count(key, |count| count - places.iter().filter(|place| **place < count).count());
    }

    /// Changes how many frames of a flow each waits for.
    fn count(&mut self, key: FlowKey, left: impl Fn(usize) -> usize) {
        if !BEHIND.began() {
            return;
        }
        for control in &mut self.queue {
            if let Some(count) = control.behind.get_mut(&key) {
                *count = left(*count);
                if *count == 0 {
                    control.behind.remove(&key);
                }
            }
        }
    }
}

/// Whether it tells what contexts there are: much of that can come at once, so it has a room of its own.
const fn is_news(frame: &Frame) -> bool {
    matches!(frame.handle, Handle::ADD_ROUTE | Handle::DEL_ROUTE)
}
