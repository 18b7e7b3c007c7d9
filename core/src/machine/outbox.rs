//! What waits to leave by one link, in the order in which it may leave (rule 10).
//!
//! Control frames first, then flows round robin, a new flow first. A flow is all that goes from one source to one
//! handle of one destination, and keeps its order. Bodies of our own are queued whole and cut when they leave, under
//! the credit of their window; frames of others pass whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use offshoot_wire::{ContextId, FRAME_COST, Frame, Handle, MAX_CHUNK, Part, Window};

use super::{LinkKey, credit::Credits};

/// What keeps its order: frames of one source to one handle of one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FlowKey {
    pub(super) src: ContextId,
    pub(super) dst: ContextId,
    pub(super) handle: Handle,
}

impl FlowKey {
    /// The flow of a frame: CANCEL and the end of a chain travel in the flow of the calls that they are about.
    pub(super) fn of(frame: &Frame) -> Self {
        let handle = match frame.handle {
            Handle::CANCEL | Handle::CHAIN_END => Handle::CALL_FUNCTION,
            handle => handle,
        };
        Self { src: frame.src, dst: frame.dst, handle }
    }
}

/// A frame that waits, and what is to be remembered when it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queued {
    pub(super) frame: Frame,
    /// The bytes of the body that have left as fragments.
    pub(super) sent: usize,
    /// The window whose credit it needs; `None` for frames of others and what is outside credit.
    pub(super) window: Option<Window>,
    /// The child link by which it came, if it did.
    pub(super) from: Option<LinkKey>,
}

impl Queued {
    /// A frame of another context, or one outside credit.
    pub(super) const fn free(frame: Frame, from: Option<LinkKey>) -> Self {
        Self { frame, sent: 0, window: None, from }
    }

    /// A frame of our own under credit.
    pub(super) const fn charged(frame: Frame, window: Window) -> Self {
        Self { frame, sent: 0, window: Some(window), from: None }
    }

    /// The memory it holds.
    pub(super) fn weight(&self) -> u64 {
        (self.frame.body.capacity() + FRAME_COST) as u64
    }
}

/// A control frame that waits, perhaps for data in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Control {
    frame: Frame,
    /// How many frames of which flows must have left before.
    behind: BTreeMap<FlowKey, usize>,
}

/// What left by a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulled {
    pub(super) frame: Frame,
    /// The child link that brought it, and the memory that is free again; only when all of the body has left.
    pub(super) done: Option<(Option<LinkKey>, u64)>,
}

/// The queues of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    control: VecDeque<Control>,
    control_bytes: usize,
    flows: BTreeMap<FlowKey, VecDeque<Queued>>,
    /// Flows that may send, in turn. A flow is here, or under `starved`.
    turn: VecDeque<FlowKey>,
    /// Flows whose first frame waits for credit.
    starved: BTreeMap<(ContextId, Window), VecDeque<FlowKey>>,
    bytes: u64,
    by_destination: BTreeMap<ContextId, u64>,
}

impl Outbox {
    /// Bytes of data that wait.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of control frames that wait.
    pub(super) const fn control_bytes(&self) -> usize {
        self.control_bytes
    }

    /// Whether something could leave now.
    pub(super) fn is_ready(&self) -> bool {
        !self.turn.is_empty() || self.control.iter().any(|c| c.behind.is_empty())
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.flows.is_empty()
    }

    /// Whether `dst` holds the most bytes here.
    pub(super) fn is_heaviest(&self, dst: ContextId) -> bool {
        let held = self.by_destination.get(&dst).copied().unwrap_or(0);
        self.by_destination.values().all(|other| *other <= held)
    }

    /// Queues a frame at the end of its flow.
    pub(super) fn push(&mut self, queued: Queued) {
        self.weigh(&queued);
        let key = FlowKey::of(&queued.frame);
        let flow = self.flows.entry(key).or_default();
        if flow.is_empty() {
            self.turn.push_front(key);
        }
        flow.push_back(queued);
    }

    /// Queues a frame that need not wait for what its flow still holds: it takes no credit.
    pub(super) fn push_first(&mut self, queued: Queued) {
        self.weigh(&queued);
        let key = FlowKey::of(&queued.frame);
        for control in &mut self.control {
            // What waits for all of the flow waits for this too.
            if let Some(count) = control.behind.get_mut(&key) {
                *count += 1;
            }
        }
        let flow = self.flows.entry(key).or_default();
        flow.push_front(queued);
        if flow.len() == 1 {
            self.turn.push_front(key);
        } else {
            self.unstarve(key);
        }
    }

    fn weigh(&mut self, queued: &Queued) {
        let weight = queued.weight();
        self.bytes += weight;
        *self.by_destination.entry(queued.frame.dst).or_default() += weight;
    }

    fn unweigh(&mut self, queued: &Queued) {
        let weight = queued.weight();
        self.bytes = self.bytes.saturating_sub(weight);
        if let Some(held) = self.by_destination.get_mut(&queued.frame.dst) {
            *held = held.saturating_sub(weight);
            if *held == 0 {
                self.by_destination.remove(&queued.frame.dst);
            }
        }
    }

    /// Queues a control frame. It leaves in front of all data but what is queued now in flows that `behind` picks.
    pub(super) fn push_control(&mut self, frame: Frame, behind: impl Fn(&FlowKey) -> bool) {
        let behind: BTreeMap<_, _> =
            self.flows.iter().filter(|(key, _)| behind(key)).map(|(key, flow)| (*key, flow.len())).collect();
        self.control_bytes += frame.cost();
        self.control.push_back(Control { frame, behind });
    }

    /// The control frame that waits and fits `same`, to be merged with a new one.
    pub(super) fn control_mut(&mut self, same: impl Fn(&Frame) -> bool) -> Option<&mut Frame> {
        self.control.iter_mut().map(|c| &mut c.frame).find(|frame| same(frame))
    }

    /// Takes what leaves next; cuts a chunk off a long body of our own, and spends its credit.
    pub(super) fn pull(&mut self, credits: &mut Credits) -> Option<Pulled> {
        if let Some(at) = self.control.iter().position(|c| c.behind.is_empty()) {
            let frame = self.control.remove(at)?.frame;
            self.control_bytes = self.control_bytes.saturating_sub(frame.cost());
            return Some(Pulled { frame, done: None });
        }
        while let Some(key) = self.turn.pop_front() {
            match self.cut(key, credits) {
                Some(pulled) => return Some(pulled),
                None => self.starve(key),
            }
        }
        None
    }

    /// The next frame of a flow that has its turn; `None` if its credit does not suffice.
    fn cut(&mut self, key: FlowKey, credits: &mut Credits) -> Option<Pulled> {
        let flow = self.flows.get_mut(&key)?;
        let head = flow.front_mut()?;
        let left = match head.window {
            Some(window) => credits.left(head.frame.dst, window),
            None => usize::MAX,
        };
        let rest = head.frame.body.len().saturating_sub(head.sent);
        let whole =
            head.window.is_none() || (head.sent == 0 && rest <= MAX_CHUNK && head.frame.cost() <= left);
        let chunk = if whole { rest } else { rest.min(MAX_CHUNK).min(left.checked_sub(FRAME_COST)?) };
        if chunk < rest.min(credits.smallest_chunk()) {
            return None;
        }
        if let Some(window) = head.window {
            credits.spend(head.frame.dst, window, chunk + FRAME_COST);
        }
        if chunk < rest || head.sent > 0 {
            let frame = piece(head, chunk);
            if chunk < rest {
                self.turn.push_back(key);
                return Some(Pulled { frame, done: None });
            }
            let queued = self.take_front(key)?;
            return Some(Pulled { frame, done: Some((queued.from, queued.weight())) });
        }
        let queued = self.take_front(key)?;
        let weight = queued.weight();
        Some(Pulled { frame: queued.frame, done: Some((queued.from, weight)) })
    }

    /// Removes the first frame of a flow that is out of turn, and gives the flow its next turn.
    fn take_front(&mut self, key: FlowKey) -> Option<Queued> {
        let flow = self.flows.get_mut(&key)?;
        let queued = flow.pop_front()?;
        if flow.is_empty() {
            self.flows.remove(&key);
        } else {
            self.turn.push_back(key);
        }
        self.unweigh(&queued);
        self.left(key);
        Some(queued)
    }

    /// A frame of this flow has left, or will never leave: who waits behind it comes nearer.
    fn left(&mut self, key: FlowKey) {
        for control in &mut self.control {
            if let Some(count) = control.behind.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    control.behind.remove(&key);
                }
            }
        }
    }

    fn starve(&mut self, key: FlowKey) {
        let Some(head) = self.flows.get(&key).and_then(VecDeque::front) else { return };
        if let Some(window) = head.window {
            self.starved.entry((key.dst, window)).or_default().push_back(key);
        }
    }

    /// The flow may have something else in front now: let it have its turn.
    fn unstarve(&mut self, key: FlowKey) {
        let mut found = false;
        self.starved.retain(|_, keys| {
            found |= keys.contains(&key);
            keys.retain(|k| *k != key);
            !keys.is_empty()
        });
        if found && self.flows.contains_key(&key) {
            self.turn.push_front(key);
        }
    }

    /// Credit has come: the flows that waited for it have their turn again. Tells whether there were any.
    pub(super) fn feed(&mut self, dst: ContextId, window: Window) -> bool {
        let Some(keys) = self.starved.remove(&(dst, window)) else { return false };
        self.turn.extend(keys);
        true
    }

    /// Takes out of the flows that `flows` names all frames that `pick` wants, wherever they stand.
    pub(super) fn take_out(
        &mut self,
        flows: impl Fn(&FlowKey) -> bool,
        pick: impl Fn(&Queued) -> bool,
    ) -> Vec<Queued> {
        let keys: Vec<FlowKey> = self.flows.keys().filter(|key| flows(key)).copied().collect();
        keys.into_iter().flat_map(|key| self.take_out_of(key, &pick)).collect()
    }

    /// Takes out the flows that `flows` names among those that wait for credit.
    pub(super) fn take_starved(&mut self, flows: impl Fn(&FlowKey) -> bool) -> Vec<Queued> {
        let keys: BTreeSet<FlowKey> =
            self.starved.values().flatten().filter(|key| flows(key)).copied().collect();
        self.take_out(|key| keys.contains(key), |_| true)
    }

    /// Takes out of one flow all frames that `pick` wants.
    pub(super) fn take_out_of(&mut self, key: FlowKey, pick: impl Fn(&Queued) -> bool) -> Vec<Queued> {
        let Some(flow) = self.flows.get_mut(&key) else { return Vec::new() };
        let (mut out, mut keep) = (Vec::new(), VecDeque::new());
        for queued in flow.drain(..) {
            if pick(&queued) { out.push(queued) } else { keep.push_back(queued) }
        }
        *flow = keep;
        if out.is_empty() {
            return out;
        }
        if flow.is_empty() {
            self.flows.remove(&key);
            self.turn.retain(|k| *k != key);
        }
        self.unstarve(key);
        for queued in &out {
            self.unweigh(queued);
            self.left(key);
        }
        out
    }

    /// Frames that wait.
    pub(super) fn waiting(&self) -> usize {
        self.control.len() + self.flows.values().map(VecDeque::len).sum::<usize>()
    }

    /// Dead messages among them: for invariants.
    pub(super) fn dead(&self) -> usize {
        self.flows.values().flatten().filter(|queued| queued.frame.is_dead()).count()
    }

    /// The flows of one source to one destination whose first frame waits for credit.
    pub(super) fn is_starved(&self, key: &FlowKey) -> bool {
        self.starved.values().any(|keys| keys.contains(key))
    }
}

/// The next fragment of a body.
fn piece(head: &mut Queued, chunk: usize) -> Frame {
    let end = head.sent + chunk;
    let frame = Frame {
        part: Some(Part {
            total: u32::try_from(head.frame.body.len()).unwrap_or(u32::MAX),
            offset: u32::try_from(head.sent).unwrap_or(u32::MAX),
        }),
        body: head.frame.body.slice(head.sent, end),
        ..head.frame.clone()
    };
    head.sent = end;
    frame
}
