//! What waits to leave by one link, in the order in which it may leave (rule 10).
//!
//! Control frames first (`front.rs`), then flows round robin, a new flow first. A flow is all that goes from one source to one
//! handle of one destination, and keeps its order. Bodies of our own are queued whole and cut when they leave, under
//! the credit of their window; frames of others pass whole.

mod taken;

use std::collections::VecDeque;

use offshoot_wire::{ContextId, FRAME_COST, Frame, Handle, Window};

use super::{
    FlowKey, LinkKey, Queued,
    company::Company,
    credit::Credits,
    front::Front,
    load::Load,
    map::{Map, Set},
    queue::retain,
    queued::Toward,
};

/// What a flow takes beside its frames, in bytes: the queue itself, and its places in the maps and in turn. A frame
/// without a body that has a flow of its own takes mostly that.
const FLOW: u64 = 512;

/// So many flows of those that wait for the same credit look whether it suffices when some comes.
const FED_AT_ONCE: usize = 64;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flow {
    queue: VecDeque<Queued>,
    /// What its frames cost in credit altogether, in bytes.
    cost: usize,
    /// The window whose credit its first frame waits for; then it has no turn.
    starved: Option<Window>,
}

impl Flow {
    /// With room for one frame: most have no more at a time, and there may be very many.
    fn new() -> Self {
        Self { queue: VecDeque::with_capacity(1), cost: 0, starved: None }
    }
}

/// The queues of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    control: Front,
    /// The only data frame, short enough to leave whole, as long as no other comes: it goes through none of the maps.
    alone: Option<Queued>,
    flows: Map<FlowKey, Flow>,
    /// The same by where they go, and those to where functions are granted: a loss concerns few of very many.
    toward: Set<Toward>,
    grants: Set<FlowKey>,
    /// How many of them have nothing any more, and go when they have their turn or are the most.
    empty: usize,
    /// Flows that have not sent anything yet, in the order in which they came. They have every second turn, so that a
    /// small call passes a bulk stream, and a crowd of new flows does not stop an old one.
    fresh: VecDeque<FlowKey>,
    /// Flows that have sent, in turn. A flow with frames is in one of these two, or under `starved`.
    turn: VecDeque<FlowKey>,
    /// The last turn went to a fresh flow.
    was_fresh: bool,
    /// Flows whose first frame waits for credit.
    starved: Map<(ContextId, Window), VecDeque<FlowKey>>,
    /// What the flows and their frames take.
    load: Load,
    /// Bytes of answers of our own among them, to others than ancestors.
    answers: u64,
    company: Company,
}

impl Outbox {
    /// Bytes of data that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.load.bytes() + self.alone.as_ref().map_or(0, Queued::weight)
    }

    /// Bytes of answers of our own that wait, to others than ancestors.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// Whether answers wait for credit that a context gives.
    pub(super) fn owes_credit(&self, context: ContextId) -> bool {
        self.starved.get(&(context, Window::Replies)).is_some()
    }

    /// Bytes of control frames that wait, news of contexts left out.
    pub(super) const fn control_bytes(&self) -> usize {
        self.control.bytes()
    }

    /// Bytes of news of contexts that wait.
    pub(super) const fn news_bytes(&self) -> usize {
        self.control.news_bytes()
    }

    /// Whether short frames leave beside long ones.
    pub(super) const fn is_mixed(&self) -> bool {
        self.company.is_mixed()
    }

    /// Whether something could leave now.
    pub(super) fn is_ready(&self) -> bool {
        let in_turn = self.turn.len() + self.fresh.len();
        self.alone.is_some() || in_turn > self.empty || self.has_control()
    }

    /// Whether a control frame could leave now.
    pub(super) fn has_control(&self) -> bool {
        self.control.is_ready()
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.alone.is_none() && self.flows.len() == self.empty
    }

    /// Whether `dst` holds the most bytes here.
    pub(super) fn is_heaviest(&self, dst: ContextId) -> bool {
        match &self.alone {
            Some(alone) => alone.frame.dst == dst,
            None => self.load.is_heaviest(dst),
        }
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
        self.load.add(queued.frame.dst, queued.weight());
        self.answers += answer_weight(&queued);
        let flow = self.open(FlowKey::of(&queued.frame));
        flow.cost += queued.frame.cost();
        flow.queue.push_back(queued);
    }

    /// The flow of this name, for one more frame. One that is new has its turn soon, one that is empty has one still.
    fn open(&mut self, key: FlowKey) -> &mut Flow {
        match self.flows.get(&key) {
            Some(flow) => self.empty -= usize::from(flow.queue.is_empty()),
            None => {
                self.fresh.push_back(key);
                self.toward.insert(Toward(key));
                self.load.add(key.dst, FLOW);
                if key.handle == Handle::GRANT {
                    self.grants.insert(key);
                }
            }
        }
        self.flows.or_insert_with(key, Flow::new)
    }

    /// A flow goes that has nothing any more and no turn.
    fn close(&mut self, key: FlowKey) {
        if self.flows.remove(&key).is_some() {
            self.load.remove(key.dst, FLOW);
        }
        self.toward.remove(&Toward(key));
        self.grants.remove(&key);
    }

    /// A flow was emptied out of turn. It goes when it has its turn: only when such flows are the most are they looked
    /// for, since whoever has very many emptied does so one by one.
    fn emptied(&mut self) {
        self.empty += 1;
        if self.empty <= self.flows.len() / 2 {
            return;
        }
        let flows = &self.flows;
        let is_full = |key: &FlowKey| flows.get(key).is_some_and(|flow| !flow.queue.is_empty());
        retain(&mut self.fresh, &is_full);
        retain(&mut self.turn, &is_full);
        for key in self.flows.keys() {
            if self.flows.get(&key).is_none_or(|flow| flow.queue.is_empty()) {
                self.close(key);
            }
        }
        self.empty = 0;
    }

    /// Queues a frame that need not wait for what its flow still holds: it takes no credit.
    pub(super) fn push_first(&mut self, queued: Queued) {
        self.seat();
        self.load.add(queued.frame.dst, queued.weight());
        let key = FlowKey::of(&queued.frame);
        self.control.wait_for_one_more(key);
        let flow = self.open(key);
        flow.cost += queued.frame.cost();
        flow.queue.push_front(queued);
        self.unstarve(key);
    }

    /// What waits in a flow, by its cost in credit.
    pub(super) fn cost_of(&self, key: &FlowKey) -> usize {
        match &self.alone {
            Some(alone) if FlowKey::of(&alone.frame) == *key => alone.frame.cost(),
            _ => self.flows.get(key).map_or(0, |flow| flow.cost),
        }
    }

    /// Queues a control frame, which leaves in front of all data.
    pub(super) fn push_control(&mut self, frame: Frame) {
        self.control.push(frame);
    }

    /// Queues a control frame that leaves behind what is queued now in the flows of `sources` that `behind` picks.
    pub(super) fn push_control_behind(
        &mut self,
        frame: Frame,
        sources: &Set<ContextId>,
        behind: &dyn Fn(&FlowKey) -> bool,
    ) {
        self.seat();
        let mut waits = Map::new();
        for key in self.flows_of(sources) {
            let flow = self.flows.get(&key).filter(|flow| flow.starved.is_none() && !flow.queue.is_empty());
            if let Some(flow) = flow.filter(|_| behind(&key)) {
                waits.insert(key, flow.queue.len());
            }
        }
        self.control.push_behind(frame, waits);
    }

    /// The flows of these sources; what it costs is what fewer are of, flows or sources.
    fn flows_of(&self, sources: &Set<ContextId>) -> Vec<FlowKey> {
        if self.flows.len() <= sources.len() {
            return self.flows.keys().filter(|key| sources.contains(&key.src)).collect();
        }
        let mut keys = Vec::new();
        for src in sources.iter() {
            let [first, last] = FlowKey::all(src);
            keys.extend(self.flows.keys_between(first, last));
        }
        keys
    }

    /// The control frame that waits and fits `same`, to be merged with a new one.
    pub(super) fn control_mut(&mut self, same: impl Fn(&Frame) -> bool) -> Option<&mut Frame> {
        self.control.find_mut(same)
    }

    /// Whether the control frame that came last still waits, and is so.
    pub(super) fn is_last_control(&self, is_so: impl Fn(&Frame) -> bool) -> bool {
        self.control.last().is_some_and(is_so)
    }

    /// Takes what leaves next; cuts a chunk off a long body of our own, and spends its credit.
    pub(super) fn pull(&mut self, credits: &mut Credits) -> Option<Pulled> {
        loop {
            if let Some(frame) = self.control.pull() {
                return Some(Pulled { frame, done: None, window: None });
            }
            let pulled = match self.pull_alone(credits) {
                None => {
                    let key = self.next_turn()?;
                    let cut = self.cut(key, credits);
                    match &cut {
                        None => self.starve(key),
                        Some(Pulled { frame, window: Some(window), .. }) => {
                            self.feed_some(frame.dst, *window, 1);
                        }
                        Some(_) => {}
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
        loop {
            let is_fresh = !self.fresh.is_empty() && (self.turn.is_empty() || !self.was_fresh);
            let key = if is_fresh { self.fresh.pop_front() } else { self.turn.pop_front() }?;
            if self.empty == 0 || self.flows.get(&key).is_some_and(|flow| !flow.queue.is_empty()) {
                self.was_fresh = is_fresh;
                return Some(key);
            }
            self.close(key);
            self.empty -= 1;
        }
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
        // The first should hold the head: who refuses the rest learns by it what else there is to refuse.
        let least = if head.sent == 0 { 4 * credits.smallest_chunk() } else { credits.smallest_chunk() };
        if chunk < rest.min(least).min(longest_piece) {
            return None;
        }
        let window = head.window;
        if let Some(window) = window {
            credits.spend(head.frame.dst, window, head.spender(), chunk + FRAME_COST);
        }
        if chunk < rest || head.sent > 0 {
            let frame = head.piece(chunk);
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
            self.close(key);
        } else {
            self.turn.push_back(key);
        }
        self.unload(&queued);
        self.control.come_nearer(key, 1);
        Some(queued)
    }

    /// A frame waits in its flow no more.
    fn unload(&mut self, queued: &Queued) {
        self.load.remove(queued.frame.dst, queued.weight());
        self.answers -= answer_weight(queued);
    }

    /// A flow has no turn before credit comes. Nothing waits behind it so long: SHUTDOWN alone waits for flows of our
    /// own, and what is without credit when it leaves is not sent any more (rule 10).
    fn starve(&mut self, key: FlowKey) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let Some(window) = flow.queue.front().and_then(|head| head.window) else { return };
        flow.starved = Some(window);
        self.starved.or_default((key.dst, window)).push_back(key);
        self.control.come_nearer(key, usize::MAX);
    }

    /// The flow may have something else in front now: let it have its turn.
    fn unstarve(&mut self, key: FlowKey) {
        let Some(window) = self.flows.get_mut(&key).and_then(|flow| flow.starved.take()) else { return };
        self.forget_starved(key, window);
        self.turn.push_front(key);
    }

    fn forget_starved(&mut self, key: FlowKey, window: Window) {
        if let Some(keys) = self.starved.get_mut(&(key.dst, window)) {
            retain(keys, &|other| *other != key);
            if keys.is_empty() {
                self.starved.remove(&(key.dst, window));
            }
        }
    }

    /// Credit has come: flows that waited for it have their turn again. Tells whether there were any. Where there are very
    /// many, some have it now, and one more for each that uses it: who is owed many answers and gives little credit would
    /// have us go through all of them each time. One that finds too little waits behind the others.
    pub(super) fn feed(&mut self, dst: ContextId, window: Window) -> bool {
        self.feed_some(dst, window, FED_AT_ONCE)
    }

    fn feed_some(&mut self, dst: ContextId, window: Window, most: usize) -> bool {
        let Some(keys) = self.starved.get_mut(&(dst, window)) else { return false };
        for _ in 0..most {
            let Some(key) = keys.pop_front() else { break };
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.starved = None;
                self.turn.push_back(key);
            }
        }
        if keys.is_empty() {
            self.starved.remove(&(dst, window));
        }
        true
    }

    /// Frames that wait.
    pub(super) fn waiting(&self) -> usize {
        self.control.len() + self.data().count()
    }

    /// Dead messages among them: for invariants.
    pub(super) fn dead(&self) -> usize {
        self.data().filter(|queued| queued.frame.is_dead()).count()
    }

    /// Whether what is counted is what waits: for invariants.
    pub(super) fn has_counted(&self) -> bool {
        let queued = || self.flows.values().flat_map(|flow| &flow.queue);
        let cost = |flow: &Flow| flow.queue.iter().map(|queued| queued.frame.cost()).sum::<usize>();
        let weight = queued().map(Queued::weight).sum::<u64>() + FLOW * self.flows.len() as u64;
        self.flows.values().all(|flow| flow.cost == cost(flow))
            && self.load.bytes() == weight
            && self.answers == queued().map(answer_weight).sum()
    }

    fn data(&self) -> impl Iterator<Item = &Queued> {
        self.flows.values().flat_map(|flow| &flow.queue).chain(&self.alone)
    }
}

/// What a frame takes here if it is an answer that counts: most of them have a flow to themselves.
fn answer_weight(queued: &Queued) -> u64 {
    if queued.is_counted { queued.weight() + FLOW } else { 0 }
}
