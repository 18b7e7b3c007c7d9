//! What is taken out again before it has left: all where the link is gone, what is for the lost, what was given up.

use std::{collections::VecDeque, mem};

use offshoot_wire::{Body, ContextId, Frame, Handle, ReplyTo, Window};

use super::{
    super::{FlowKey, Queued, map::Set, queued::Toward},
    Outbox,
};

/// Behind all other windows of a context.
const LAST_WINDOW: Window = Window::Stream(Handle::new(u32::MAX));

impl Outbox {
    /// All data that wait, flow by flow: the link is gone.
    pub(in super::super) fn into_data(mut self) -> Vec<Queued> {
        self.seat();
        let mut data = Vec::new();
        for key in self.flows.keys() {
            data.extend(self.flows.remove(&key).map(|flow| flow.queue).unwrap_or_default());
        }
        data
    }

    /// Takes out all that is for one of the `lost`: it costs what there is of that, whatever else waits. None is left waiting for
    /// credit, where each would be looked for among the others.
    pub(in super::super) fn take_out_to(&mut self, lost: &Set<ContextId>) -> Vec<Queued> {
        self.seat();
        let mut keys = Vec::new();
        for dst in lost.iter() {
            let [first, last] = Toward::all(dst);
            keys.extend(self.toward.keys_between(first, last).map(|flow| flow.0));
            for (_, window) in self.starved.keys_between((dst, Window::Calls), (dst, LAST_WINDOW)) {
                self.feed_some(dst, window, usize::MAX);
            }
        }
        self.take_flows(&keys)
    }

    /// Takes out of the GRANTs that wait those that `pick` wants.
    pub(in super::super) fn take_grants(&mut self, pick: &dyn Fn(&Queued) -> bool) -> Vec<Queued> {
        self.seat();
        let mut out = Vec::new();
        for key in self.grants.iter() {
            out.append(&mut self.take_out_of(key, pick));
        }
        out
    }

    /// Whether a GRANT waits; what is alone was looked at a moment ago.
    pub(in super::super) fn has_grants(&self) -> bool {
        self.grants.first().is_some()
    }

    /// Takes out the flows that `flows` names among those that wait for credit. Those beside them look for it once more.
    pub(in super::super) fn take_starved(&mut self, flows: &dyn Fn(&FlowKey) -> bool) -> Vec<Queued> {
        let mut keys = Vec::new();
        for (dst, window) in self.starved.keys() {
            let Some(starved) = self.starved.get(&(dst, window)) else { continue };
            let before = keys.len();
            keys.extend(starved.iter().filter(|key| flows(key)));
            if keys.len() > before {
                self.feed_some(dst, window, usize::MAX);
            }
        }
        self.take_flows(&keys)
    }

    /// Takes out all that is in these flows.
    fn take_flows(&mut self, keys: &[FlowKey]) -> Vec<Queued> {
        let mut out = Vec::new();
        for key in keys {
            let Some(flow) = self.flows.get_mut(key).filter(|flow| !flow.queue.is_empty()) else { continue };
            flow.cost = 0;
            let queue = mem::take(&mut flow.queue);
            self.control.come_nearer(*key, queue.len());
            self.unstarve(*key);
            self.emptied();
            queue.iter().for_each(|queued| self.unload(queued));
            out.extend(queue);
        }
        out
    }

    /// Takes out of one flow all frames that `pick` wants.
    pub(in super::super) fn take_out_of(
        &mut self,
        key: FlowKey,
        pick: &dyn Fn(&Queued) -> bool,
    ) -> Vec<Queued> {
        self.seat();
        let Some(flow) = self.flows.get_mut(&key) else { return Vec::new() };
        let (mut places, mut out, mut keep) = (Vec::new(), Vec::new(), VecDeque::new());
        for (place, queued) in mem::take(&mut flow.queue).into_iter().enumerate() {
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
        let is_empty = flow.queue.is_empty();
        self.control.step_over(key, &places);
        self.unstarve(key);
        if is_empty {
            self.emptied();
        }
        out.iter().for_each(|queued| self.unload(queued));
        out
    }

    /// Takes out what has not left of what waits for `reply_to`. Where nothing has, and `mark` makes something of it, that
    /// takes its place, and nobody waits for it; not behind another one that is the same. It is told whether it would be the
    /// last of its flow.
    pub(in super::super) fn replace_unsent(
        &mut self,
        key: FlowKey,
        reply_to: ReplyTo,
        mark: &dyn Fn(&Body, bool) -> Option<Body>,
    ) -> Vec<Queued> {
        self.seat();
        let marked = self.flows.get_mut(&key).and_then(|flow| {
            let last = flow.queue.len().checked_sub(1)?;
            let is_it = |queued: &Queued| queued.frame.reply_to == reply_to && queued.sent == 0;
            let place = flow.queue.iter().position(is_it)?;
            let body = mark(&flow.queue.get(place)?.frame.body, place == last)?;
            // By its length first: a long body would be put together to be compared.
            let is_same = |queued: &Queued| {
                let Frame { reply_to, body: other, .. } = &queued.frame;
                *reply_to == ReplyTo::Nobody && other.len() == body.len() && *other == body
            };
            if flow.queue.iter().take(place).any(is_same) {
                return None;
            }
            let queued = flow.queue.get_mut(place)?;
            let old = queued.clone();
            (queued.frame.reply_to, queued.frame.body) = (ReplyTo::Nobody, body);
            flow.cost = flow.cost - old.frame.cost() + queued.frame.cost();
            Some((old, queued.weight()))
        });
        let Some((old, weight)) = marked else {
            return self.take_out_of(key, &|queued| queued.frame.reply_to == reply_to);
        };
        self.load.add(key.dst, weight);
        self.unload(&old);
        self.unstarve(key);
        vec![old]
    }

    /// Takes out what has not left of the body that waits for `reply_to`, if a part of it has: then it is the first of
    /// its flow, behind nothing but what takes no credit.
    pub(in super::super) fn take_rest(&mut self, key: FlowKey, reply_to: ReplyTo) -> Vec<Queued> {
        let first =
            self.flows.get(&key).and_then(|flow| flow.queue.iter().find(|queued| queued.window.is_some()));
        if first.is_none_or(|queued| queued.sent == 0 || queued.frame.reply_to != reply_to) {
            return Vec::new();
        }
        self.take_out_of(key, &|queued| queued.sent > 0)
    }
}
