//! What can happen next in a world, and how it does.

use std::sync::Arc;

use offshoot_wire::{ContextId, Frame};

use super::{NEVER, Step, Wire, World};
use crate::world::{
    birth::Birth,
    context::Context,
    sabotage::Sabotage,
    script::{Op, OpNo},
};

impl World {
    /// All that can happen next.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for ((from, to), wire) in &self.wires {
            if !wire.frames.is_empty() && self.can_read(*to, *from) {
                steps.push(Step::Deliver(*from, *to));
            }
        }
        for (id, cell) in self.cells.iter().filter(|(id, _)| !self.paused.contains(id)) {
            self.steps_of(*id, &cell.context, &mut steps);
        }
        for (at, pending) in self.script.iter().enumerate() {
            let ready = pending.after.is_none_or(|before| self.is_done(before));
            if ready && !self.is_done(at) && self.is_possible(&pending.op) {
                steps.push(Step::Op(at));
            }
        }
        steps
    }

    fn steps_of(&self, id: ContextId, context: &Context, steps: &mut Vec<Step>) {
        let is_noticed = self.settings.sabotage != Some(Sabotage::Unnoticed);
        for peer in context.links.keys().filter(|_| is_noticed) {
            let ended = |wire: &Wire| wire.cut || (wire.closed && wire.frames.is_empty());
            if self.wires.get(&(*peer, id)).is_none_or(ended) {
                steps.push(Step::Down(id, *peer));
            }
        }
        if context.can_work() {
            steps.push(Step::Work(id));
        }
        for (key, task) in &context.tasks {
            if task.held.is_some() {
                steps.push(Step::Finish(id, *key));
            }
        }
        for handle in context.ends.keys().filter(|handle| context.can_read(**handle)) {
            steps.push(Step::Read(id, *handle));
        }
        if context.can_exit() {
            steps.push(Step::Exit(id));
        }
        let due = context.router.next_due().filter(|at| *at < NEVER);
        if self.settings.timers && due.is_some() {
            steps.push(Step::Due(id));
        }
    }

    fn can_read(&self, at: ContextId, from: ContextId) -> bool {
        let context = self.cells.get(&at).map(|cell| &cell.context);
        !self.paused.contains(&at)
            && (self.unborn.contains_key(&at)
                || context.is_some_and(|c| c.links.contains_key(&from) && !c.unread.contains(&from)))
    }

    fn is_done(&self, op: OpNo) -> bool {
        self.done & (1 << op) != 0
    }

    /// Whether a step can happen now.
    #[must_use]
    pub fn can(&self, step: Step) -> bool {
        let mut steps = Vec::new();
        match step {
            Step::Deliver(from, to) => {
                return self.can_read(to, from)
                    && self.wires.get(&(from, to)).is_some_and(|wire| !wire.frames.is_empty());
            }
            Step::Down(id, _)
            | Step::Work(id)
            | Step::Finish(id, _)
            | Step::Read(id, _)
            | Step::Due(id)
            | Step::Exit(id) => {
                if let Some(context) = self.context(id).filter(|_| !self.paused.contains(&id)) {
                    self.steps_of(id, context, &mut steps);
                }
            }
            Step::Op(op) => return !self.is_done(op) && self.is_possible(&self.script[op].op),
        }
        steps.contains(&step)
    }

    /// Whether something of a script can happen now.
    #[must_use]
    pub fn is_possible(&self, op: &Op) -> bool {
        let alive = |label: &u32| self.is_alive(*label);
        match op {
            Op::Start(call) => alive(&call.src) && self.names.contains_key(&call.dst),
            Op::Cancel(call) => self.history.calls.get(*call as usize).is_some(),
            Op::Cut(a, b) => match (self.names.get(a), self.names.get(b)) {
                (Some(a), Some(b)) => self.wires.get(&(*a, *b)).is_some_and(|wire| !wire.cut),
                _ => false,
            },
            Op::Crash(a) | Op::Pause(a) | Op::Resume(a) | Op::Create(a, ..) | Op::Inject(a, _) => alive(a),
            Op::Shutdown(a, b) | Op::EndChain(a, b, _) | Op::Watch(a, b) => {
                alive(a) && self.names.contains_key(b)
            }
        }
    }

    /// Whether nothing is left but what may as well not happen.
    #[must_use]
    pub fn is_at_rest(&self, steps: &[Step]) -> bool {
        steps.iter().all(|step| matches!(step, Step::Op(op) if self.script[*op].optional))
    }

    /// Takes a step.
    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Deliver(from, to) => self.deliver(from, to),
            Step::Down(at, peer) => {
                self.wires.remove(&(peer, at));
                if let Some(wire) = self.wires.get_mut(&(at, peer)) {
                    wire.cut = true;
                }
                self.with(at, |context, io| context.link_down(peer, io));
            }
            Step::Work(id) => self.with(id, |context, io| context.work(io)),
            Step::Finish(id, key) => self.with(id, |context, io| context.finish(key, io)),
            Step::Read(id, handle) => self.with(id, |context, io| context.read(handle, io)),
            Step::Due(id) => self.due(id),
            Step::Exit(id) => self.exit(id),
            Step::Op(at) => {
                self.done |= 1 << at;
                let script = Arc::clone(&self.script);
                self.op(&script[at].op);
            }
        }
    }

    pub(super) fn op(&mut self, op: &Op) {
        match op {
            Op::Start(call) => {
                let (src, dst) = (self.id(call.src), self.id(call.dst));
                let job = call.job.clone();
                self.with(src, |context, io| {
                    context.start(call, dst, job, io);
                });
            }
            Op::Cancel(call) => {
                let record = &self.history.calls[*call as usize];
                if let (src, Some(handle)) = (record.src, record.handle) {
                    self.with(src, |context, io| context.cancel(handle, io));
                }
            }
            Op::Cut(a, b) => self.cut(self.id(*a), self.id(*b)),
            Op::Crash(a) => self.end(self.id(*a)),
            Op::Pause(a) => {
                self.paused.insert(self.id(*a));
            }
            Op::Resume(a) => {
                let id = self.id(*a);
                self.paused.remove(&id);
                self.with(id, |_, _| {});
            }
            Op::Shutdown(by, of) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, io| context.shut_down(of, io));
            }
            Op::Create(parent, label, is_parent) => {
                let (label, is_parent) = (*label, *is_parent);
                let birth =
                    Birth { id: ContextId::ROOT, label, is_parent, is_stamped: false, for_call: None };
                self.with(self.id(*parent), |context, io| context.create(birth, io));
            }
            Op::Inject(by, frame) => self.inject(self.id(*by), frame),
            Op::EndChain(by, of, chain) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, io| context.end_chain(of, *chain, io));
            }
            Op::Watch(by, of) => {
                let of = self.id(*of);
                self.with(self.id(*by), |context, _| context.watch(of));
            }
        }
    }

    /// A hostile context writes this to a child of its.
    pub fn inject_down(&mut self, by: u32, child: u32, frame: Frame) {
        let (by, child) = (self.id(by), self.id(child));
        self.history.hostile.insert(by);
        if let Some(wire) = self.wires.get_mut(&(by, child)) {
            wire.frames.push_back(frame);
        }
    }

    fn inject(&mut self, by: ContextId, frame: &Frame) {
        self.history.hostile.insert(by);
        let parent = self.cells.get(&by).and_then(|cell| cell.context.ancestors().first().copied());
        if let Some(wire) = parent.and_then(|parent| self.wires.get_mut(&(by, parent))) {
            wire.frames.push_back(frame.clone());
        }
    }
}
