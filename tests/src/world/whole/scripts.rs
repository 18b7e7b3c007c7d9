//! What scripts say to a world.

use std::sync::Arc;

use offshoot_wire::{ContextId, Handle};

use super::World;
use crate::world::{
    history::CallNo,
    script::{Call, End, Expectation, Op, OpNo, Pending},
};

impl World {
    /// Sends a call now.
    pub fn start(&mut self, call: Call) -> CallNo {
        let no = self.history.calls.len() as CallNo;
        self.op(&Op::Start(call));
        no
    }

    /// Sends a call between contexts that the script may have no names for.
    pub fn start_by_id(&mut self, src: ContextId, dst: ContextId, call: &Call) {
        let job = call.job.clone();
        self.with(src, |context, io| {
            context.start(call, dst, job, io);
        });
    }

    /// Sends a small call now.
    pub fn call(&mut self, src: u32, dst: u32) -> CallNo {
        self.start(Call::new(src, dst))
    }

    /// Lets a script speak of an id, whether there is such a context or not.
    pub fn name(&mut self, label: u32, id: u32) {
        self.names.insert(label, ContextId::new(id));
    }

    /// The call by which `by` grants `to` the function in `at`.
    pub fn grant(&mut self, by: u32, at: u32, to: u32, function: &'static str) -> Call {
        let (at_id, to) = (self.id(at), self.id(to));
        self.history.grants.insert((at_id, to, function.to_owned()));
        Call { grant: Some(to), function, mailbox: Handle::GRANT, ..Call::new(by, at) }
    }

    /// Does something now.
    pub fn now_do(&mut self, op: &Op) {
        self.op(op);
    }

    /// Something happens at any step, once.
    pub fn will(&mut self, op: Op) -> OpNo {
        self.plan(Pending { op, optional: false, after: None })
    }

    /// Something happens at any step, or not at all.
    pub fn may(&mut self, op: Op) -> OpNo {
        self.plan(Pending { op, optional: true, after: None })
    }

    /// Something happens at any step behind another.
    pub fn then(&mut self, after: OpNo, op: Op) -> OpNo {
        self.plan(Pending { op, optional: false, after: Some(after) })
    }

    fn plan(&mut self, pending: Pending) -> OpNo {
        let script = Arc::make_mut(&mut self.script);
        script.push(pending);
        script.len() - 1
    }

    /// At rest a call has ended in one of these ways.
    pub fn expect(&mut self, call: CallNo, among: &[End]) {
        let among = among.to_vec();
        Arc::make_mut(&mut self.expectations).push(Expectation { call, among });
    }

    /// At rest this holds.
    pub fn at_rest(&mut self, check: impl Fn(&Self) -> Result<(), String> + Send + Sync + 'static) {
        Arc::make_mut(&mut self.checks).push(Arc::new(check));
    }

    /// At every moment this holds.
    pub fn always(&mut self, check: impl Fn(&Self) -> Result<(), String> + Send + Sync + 'static) {
        Arc::make_mut(&mut self.always).push(Arc::new(check));
    }

    /// At some moment this holds.
    pub fn meets(&mut self, claim: &str, holds: impl Fn(&Self) -> bool + Send + Sync + 'static) {
        Arc::make_mut(&mut self.meetings).push((claim.to_owned(), Arc::new(holds)));
    }

    /// In some world at rest this holds.
    pub fn sometimes(&mut self, claim: &str, holds: impl Fn(&Self) -> bool + Send + Sync + 'static) {
        Arc::make_mut(&mut self.witnesses).push((claim.to_owned(), Arc::new(holds)));
    }

    /// In some world at rest that call has ended so.
    pub fn sometimes_ends(&mut self, call: CallNo, end: End) {
        self.sometimes(&format!("call {call} ends as {end:?}"), move |world| {
            world.history.calls[call as usize].end.as_ref().is_some_and(|is| end.is(is))
        });
    }
}
