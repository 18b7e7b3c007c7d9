//! What waits to leave by one link, in the order in which it may leave (rule 10).
//!
//! Control frames first, then flows round robin, a new flow first. A flow is all that goes from one source to one
//! handle of one destination, and keeps its order. Bodies of our own are queued whole and cut when they leave, under
//! the credit of their window; frames of others pass whole.

use std::collections::VecDeque;

use offshoot_wire::{ContextId, FRAME_COST, Frame, Handle, Part, ReplyTo, Window};

use super::{
    FlowKey, LinkKey, Queued,
    company::Company,
    credit::Credits,
    map::{Map, Set},
};

/// A control frame that waits, perhaps for data in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Control {
    frame: Frame,
    /// How many frames of which flows must have left before.
    behind: Map<FlowKey, usize>,
}

/// What left by a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulled {
    pub(super) frame: Frame,
    /// The child link that brought it, and the memory that is free again; only when all of the body has left.
    pub(super) done: Option<(Option<LinkKey>, u64)>,
    /// The window that paid for it, if it is our own and takes credit.
    pub(super) window: Option<Window>,
}

impl Pulled {
    /// All of it left at once.
    fn whole(queued: Queued) -> Self {
        Self { done: Some((queued.from, queued.weight())), window: queued.window, frame: queued.frame }
    }
}

/// A flow with frames queued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Flow {
    queue: VecDeque<Queued>,
    /// What its frames cost in credit altogether, in bytes.
    cost: usize,
    /// The window whose credit its first frame waits for; then it has no turn.
    starved: Option<Window>,
}

/// The queues of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    control: VecDeque<Control>,
    control_bytes: usize,
    /// What of it tells of contexts made and lost: it has a room of its own, since many may come or go at once.
    news_bytes: usize,
    /// The only data frame, short enough to leave whole, as long as no other comes: it goes through none of the maps.
    alone: Option<Queued>,
    flows: Map<FlowKey, Flow>,
    /// Flows that have not sent anything yet, in the order in which they came. They have every second turn, so that a
    /// small call passes a bulk stream, and a crowd of new flows does not stop an old one.
    fresh: VecDeque<FlowKey>,
    /// Flows that have sent, in turn. A flow with frames is in one of these two, or under `starved`.
    turn: VecDeque<FlowKey>,
    /// The last turn went to a fresh flow.
    was_fresh: bool,
    /// Flows whose first frame waits for credit.
    starved: Map<(ContextId, Window), VecDeque<FlowKey>>,
    bytes: u64,
    by_destination: Map<ContextId, u64>,
    company: Company,
}

impl Outbox {
    /// Bytes of data that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.alone.as_ref().map_or(0, Queued::weight)
    }

    /// Bytes of control frames that wait, news of contexts left out.
    pub(super) const fn control_bytes(&self) -> usize {
        self.control_bytes
    }

    /// Bytes of news of contexts that wait.
    pub(super) const fn news_bytes(&self) -> usize {
        self.news_bytes
    }

    fn room_of(&mut self, frame: &Frame) -> &mut usize {
        if is_news(frame) { &mut self.news_bytes } else { &mut self.control_bytes }
    }

    /// Whether short frames leave beside long ones.
    pub(super) const fn is_mixed(&self) -> bool {
        self.company.is_mixed()
    }

    /// Whether something could leave now.
    pub(super) fn is_ready(&self) -> bool {
        self.alone.is_some() || !self.turn.is_empty() || !self.fresh.is_empty() || self.has_control()
    }

    /// Whether a control frame could leave now.
    pub(super) fn has_control(&self) -> bool {
        self.free_control().is_some()
    }

    /// The place of the control frame that leaves next. News of a loss leave behind earlier ones too: a later loss can
    /// take with it what these are about.
    fn free_control(&self) -> Option<usize> {
        let mut is_held_up = false;
        self.control.iter().position(|control| {
            let is_loss = control.frame.handle == Handle::DEL_ROUTE;
            let is_free = control.behind.is_empty() && !(is_loss && is_held_up);
            is_held_up |= is_loss && !is_free;
            is_free
        })
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.alone.is_none() && self.flows.is_empty()
    }

    /// Whether `dst` holds the most bytes here.
    pub(super) fn is_heaviest(&self, dst: ContextId) -> bool {
        if let Some(alone) = &self.alone {
            return alone.frame.dst == dst;
        }
        let held = self.by_destination.get(&dst).copied().unwrap_or(0);
        // A link may have very many behind it, and each frame for a crowded one asks this.
        !self.by_destination.any(|other| *other > held)
    }

    /// Queues a frame at the end of its flow.
    pub(super) fn push(&mut self, queued: Queued) {
        let (longest, _) = self.company.longest();
        if self.alone.is_none() && self.flows.is_empty() && queued.frame.body.len() <= longest {
            self.alone = Some(queued);
        } else {
            self.seat();
            self.enqueue(queued);
        }
    }

    /// What was alone has company, or is looked for: it takes its place in its flow.
    fn seat(&mut self) {
        if let Some(alone) = self.alone.take() {
            self.enqueue(alone);
        }
    }

    fn enqueue(&mut self, queued: Queued) {
        self.weigh(&queued);
        let key = FlowKey::of(&queued.frame);
        let flow = self.flows.or_default(key);
        if flow.queue.is_empty() {
            self.fresh.push_back(key);
        }
        flow.cost += queued.frame.cost();
        flow.queue.push_back(queued);
    }

    /// Queues a frame that need not wait for what its flow still holds: it takes no credit.
    pub(super) fn push_first(&mut self, queued: Queued) {
        self.seat();
        self.weigh(&queued);
        let key = FlowKey::of(&queued.frame);
        for control in &mut self.control {
            // What waits for all of the flow waits for this too.
            if let Some(count) = control.behind.get_mut(&key) {
                *count += 1;
            }
        }
        let flow = self.flows.or_default(key);
        flow.cost += queued.frame.cost();
        flow.queue.push_front(queued);
        if flow.queue.len() == 1 {
            self.fresh.push_back(key);
        } else {
            self.unstarve(key);
        }
    }

    /// What waits in a flow, by its cost in credit.
    pub(super) fn cost_of(&self, key: &FlowKey) -> usize {
        match &self.alone {
            Some(alone) if FlowKey::of(&alone.frame) == *key => alone.frame.cost(),
            _ => self.flows.get(key).map_or(0, |flow| flow.cost),
        }
    }

    fn weigh(&mut self, queued: &Queued) {
        let weight = queued.weight();
        self.bytes += weight;
        *self.by_destination.or_default(queued.frame.dst) += weight;
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

    /// Queues a control frame, which leaves in front of all data.
    pub(super) fn push_control(&mut self, frame: Frame) {
        self.push_behind(frame, Map::new());
    }

    /// Queues a control frame that leaves behind what is queued now in the flows of `sources` that `behind` picks.
    pub(super) fn push_control_behind(
        &mut self,
        frame: Frame,
        sources: &Set<ContextId>,
        behind: &dyn Fn(&FlowKey) -> bool,
    ) {
        self.seat();
        let keys = self.flows_of(sources).into_iter().filter(|key| behind(key));
        let flows = keys.filter_map(|key| Some((key, self.flows.get(&key)?)));
        let behind = flows
            .filter(|(_, flow)| flow.starved.is_none())
            .map(|(key, flow)| (key, flow.queue.len()))
            .collect();
        self.push_behind(frame, behind);
    }

    /// The flows of these sources; what it costs is what fewer are of, flows or sources.
    fn flows_of(&self, sources: &Set<ContextId>) -> Vec<FlowKey> {
        if self.flows.len() <= sources.len() {
            return self.flows.keys().filter(|key| sources.contains(&key.src)).collect();
        }
        let of = |src: ContextId| {
            let first = FlowKey { src, dst: ContextId::ROOT, handle: Handle::new(0) };
            self.flows.iter_from(first).map(|(key, _)| key).take_while(move |key| key.src == src)
        };
        sources.iter().flat_map(of).collect()
    }

    fn push_behind(&mut self, frame: Frame, behind: Map<FlowKey, usize>) {
        *self.room_of(&frame) += frame.cost();
        self.control.push_back(Control { frame, behind });
    }

    /// The control frame that waits and fits `same`, to be merged with a new one.
    pub(super) fn control_mut(&mut self, same: impl Fn(&Frame) -> bool) -> Option<&mut Frame> {
        self.control.iter_mut().map(|c| &mut c.frame).find(|frame| same(frame))
    }

    /// Takes what leaves next; cuts a chunk off a long body of our own, and spends its credit.
    pub(super) fn pull(&mut self, credits: &mut Credits) -> Option<Pulled> {
        loop {
            if let Some(at) = self.free_control() {
                let frame = take_at(&mut self.control, at)?.frame;
                if self.control.is_empty() {
                    // A link that is idle, as nearly all are in a large tree, keeps no memory for what is rare.
                    self.control = VecDeque::new();
                }
                let room = self.room_of(&frame);
                *room = room.saturating_sub(frame.cost());
                return Some(Pulled { frame, done: None, window: None });
            }
            let pulled = match self.pull_alone(credits) {
                None => {
                    let key = self.next_turn()?;
                    let cut = self.cut(key, credits);
                    if cut.is_none() {
                        self.starve(key);
                    }
                    cut
                }
                alone => alone,
            };
            if let Some(pulled) = pulled {
                self.company.note(&pulled.frame);
                return Some(pulled);
            }
        }
    }

    /// Takes what is alone; where its credit does not suffice it takes its place in its flow.
    fn pull_alone(&mut self, credits: &mut Credits) -> Option<Pulled> {
        let Queued { frame, window, .. } = self.alone.as_ref()?;
        let (dst, cost, spender) = (frame.dst, frame.cost(), self.alone.as_ref()?.spender());
        if let Some(window) = *window {
            if credits.left(dst, window, spender) < cost {
                self.seat();
                return None;
            }
            credits.spend(dst, window, spender, cost);
        }
        self.alone.take().map(Pulled::whole)
    }

    /// The flow whose turn it is.
    fn next_turn(&mut self) -> Option<FlowKey> {
        let is_fresh = !self.fresh.is_empty() && (self.turn.is_empty() || !self.was_fresh);
        self.was_fresh = is_fresh;
        if is_fresh { self.fresh.pop_front() } else { self.turn.pop_front() }
    }

    /// The next frame of a flow that has its turn; `None` if its credit does not suffice.
    fn cut(&mut self, key: FlowKey, credits: &mut Credits) -> Option<Pulled> {
        let flow = self.flows.get_mut(&key)?;
        let head = flow.queue.front_mut()?;
        let left = match head.window {
            Some(window) => credits.left(head.frame.dst, window, head.spender()),
            None => usize::MAX,
        };
        let rest = head.frame.body.len().saturating_sub(head.sent);
        let (longest_whole, longest_piece) = self.company.longest();
        let cost = head.frame.cost();
        let fits_whole = head.sent == 0 && rest <= longest_whole;
        let whole = head.window.is_none() || (fits_whole && cost <= left);
        if let Some(window) = head.window
            && fits_whole
            && !whole
            && credits.will_have(head.frame.dst, window, head.spender(), cost)
        {
            // In pieces it would be put together by a copy.
            return None;
        }
        let chunk = if whole { rest } else { rest.min(longest_piece).min(left.checked_sub(FRAME_COST)?) };
        if chunk < rest.min(credits.smallest_chunk()) {
            return None;
        }
        let window = head.window;
        if let Some(window) = window {
            credits.spend(head.frame.dst, window, head.spender(), chunk + FRAME_COST);
        }
        if chunk < rest || head.sent > 0 {
            let frame = piece(head, chunk);
            if chunk < rest {
                self.turn.push_back(key);
                return Some(Pulled { frame, done: None, window });
            }
            let queued = self.take_front(key)?;
            return Some(Pulled { frame, done: Some((queued.from, queued.weight())), window });
        }
        self.take_front(key).map(Pulled::whole)
    }

    /// Removes the first frame of a flow that is out of turn, and gives the flow its next turn.
    fn take_front(&mut self, key: FlowKey) -> Option<Queued> {
        let flow = self.flows.get_mut(&key)?;
        let queued = flow.queue.pop_front()?;
        flow.cost = flow.cost.saturating_sub(queued.frame.cost());
        if flow.queue.is_empty() {
            self.flows.remove(&key);
        } else {
            self.turn.push_back(key);
        }
        self.unweigh(&queued);
        self.come_nearer(key, 1);
        Some(queued)
    }

    /// So many frames at the front of this flow have left, or never will: who waits behind them comes nearer.
    fn come_nearer(&mut self, key: FlowKey, frames: usize) {
        for control in &mut self.control {
            if let Some(count) = control.behind.get_mut(&key) {
                *count = count.saturating_sub(frames);
                if *count == 0 {
                    control.behind.remove(&key);
                }
            }
        }
    }

    /// A flow has no turn before credit comes. Nothing waits behind it so long: SHUTDOWN alone waits for flows of our
    /// own, and what is without credit when it leaves is not sent any more (rule 10).
    fn starve(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let Some(window) = flow.queue.front().and_then(|head| head.window) else { return };
        flow.starved = Some(window);
        self.starved.or_default((key.dst, window)).push_back(key);
        self.come_nearer(key, usize::MAX);
    }

    /// The flow may have something else in front now: let it have its turn.
    fn unstarve(&mut self, key: FlowKey) {
        let Some(window) = self.flows.get_mut(&key).and_then(|flow| flow.starved.take()) else { return };
        self.forget_starved(key, window);
        self.turn.push_front(key);
    }

    fn forget_starved(&mut self, key: FlowKey, window: Window) {
        if let Some(keys) = self.starved.get_mut(&(key.dst, window)) {
            keys.retain(|k| *k != key);
            if keys.is_empty() {
                self.starved.remove(&(key.dst, window));
            }
        }
    }

    /// Credit has come: the flows that waited for it have their turn again. Tells whether there were any.
    pub(super) fn feed(&mut self, dst: ContextId, window: Window) -> bool {
        let Some(keys) = self.starved.remove(&(dst, window)) else { return false };
        for key in keys {
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.starved = None;
                self.turn.push_back(key);
            }
        }
        true
    }

    /// Takes out of the flows that `flows` names all frames that `pick` wants, wherever they stand.
    pub(super) fn take_out(
        &mut self,
        flows: &dyn Fn(&FlowKey) -> bool,
        pick: &dyn Fn(&Queued) -> bool,
    ) -> Vec<Queued> {
        self.seat();
        let keys: Vec<FlowKey> = self.flows.keys().filter(|key| flows(key)).collect();
        self.take_out_of_all(&keys, pick)
    }

    /// Whether something waits in one of the flows that `flows` names.
    pub(super) fn holds(&self, flows: &dyn Fn(&FlowKey) -> bool) -> bool {
        let alone = self.alone.iter().map(|queued| FlowKey::of(&queued.frame));
        alone.chain(self.flows.keys()).any(|key| flows(&key))
    }

    /// Takes out the flows that `flows` names among those that wait for credit.
    pub(super) fn take_starved(&mut self, flows: &dyn Fn(&FlowKey) -> bool) -> Vec<Queued> {
        let keys: Vec<FlowKey> = self.starved.values().flatten().filter(|key| flows(key)).copied().collect();
        self.take_out_of_all(&keys, &|_| true)
    }

    fn take_out_of_all(&mut self, keys: &[FlowKey], pick: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        let mut out = Vec::new();
        for key in keys {
            out.append(&mut self.take_out_of(*key, pick));
        }
        out
    }

    /// Takes out of one flow all frames that `pick` wants.
    pub(super) fn take_out_of(&mut self, key: FlowKey, pick: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        self.seat();
        let Some(flow) = self.flows.get_mut(&key) else { return Vec::new() };
        let (mut places, mut out, mut keep) = (Vec::new(), Vec::new(), VecDeque::new());
        for (place, queued) in flow.queue.drain(..).enumerate() {
            if pick(&queued) {
                places.push(place);
                out.push(queued);
            } else {
                keep.push_back(queued);
            }
        }
        flow.queue = keep;
        if out.is_empty() {
            return out;
        }
        flow.cost = flow.queue.iter().map(|queued| queued.frame.cost()).sum();
        self.step_over(key, &places);
        self.unstarve(key);
        if self.flows.get(&key).is_some_and(|flow| flow.queue.is_empty()) {
            self.flows.remove(&key);
            self.fresh.retain(|k| *k != key);
            self.turn.retain(|k| *k != key);
        }
        for queued in &out {
            self.unweigh(queued);
        }
        out
    }

    /// Takes out what has not left of the body that waits for `reply_to`, if a part of it has: then it is the first of
    /// its flow, behind nothing but what takes no credit.
    pub(super) fn take_rest(&mut self, key: FlowKey, reply_to: ReplyTo) -> Vec<Queued> {
        let first =
            self.flows.get(&key).and_then(|flow| flow.queue.iter().find(|queued| queued.window.is_some()));
        if first.is_none_or(|queued| queued.sent == 0 || queued.frame.reply_to != reply_to) {
            return Vec::new();
        }
        self.take_out_of(key, &|queued| queued.sent > 0)
    }

    /// Frames at these places of a flow were taken out: who waited for one of them waits for one less.
    fn step_over(&mut self, key: FlowKey, places: &[usize]) {
        for control in &mut self.control {
            if let Some(count) = control.behind.get_mut(&key) {
                *count -= places.iter().filter(|place| **place < *count).count();
                if *count == 0 {
                    control.behind.remove(&key);
                }
            }
        }
    }

    /// Frames that wait.
    pub(super) fn waiting(&self) -> usize {
        self.control.len() + self.data().count()
    }

    /// Dead messages among them: for invariants.
    pub(super) fn dead(&self) -> usize {
        self.data().filter(|queued| queued.frame.is_dead()).count()
    }

    fn data(&self) -> impl Iterator<Item = &Queued> {
        self.flows.values().flat_map(|flow| &flow.queue).chain(&self.alone)
    }
}

/// Whether it tells what contexts there are: much of that can come at once, so it has a room of its own.
const fn is_news(frame: &Frame) -> bool {
    matches!(frame.handle, Handle::ADD_ROUTE | Handle::DEL_ROUTE)
}

/// Takes out what stands at `at`, which is mostly the first: `VecDeque::remove` is ten times the code.
fn take_at<T>(queue: &mut VecDeque<T>, at: usize) -> Option<T> {
    for at in (0..at).rev() {
        queue.swap(at, at.saturating_add(1));
    }
    queue.pop_front()
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
