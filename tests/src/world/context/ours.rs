//! Calls of a context, and its messages without an answer.

use std::collections::VecDeque;

use offshoot_core::machine::{Actions, CallKey, Outcome, Outgoing, Progress, Unsent};
use offshoot_wire::{CallId, ContextId, Direction, End, Handle, ReplyHead};

use super::{Context, EndUser, Io, Wait, Work};
use crate::world::{
    history::{CallEnd, CallNo, StreamNo},
    job::{self, Args, Job},
    script::Call,
};

impl Context {
    /// Sends a call of a script.
    pub fn start(&mut self, call: &Call, dst: ContextId, job: Job, io: &mut Io<'_>) -> CallNo {
        let mut out = Actions::new();
        let no = self.send_call(call, dst, job, None, Vec::new(), None, &mut out, io);
        self.act(out, io);
        no
    }

    #[expect(clippy::too_many_arguments, reason = "a script's call and a handler's differ in all of these")]
    pub(super) fn send_call(
        &mut self,
        call: &Call,
        dst: ContextId,
        job: Job,
        nested_in: Option<CallKey>,
        above: Vec<CallId>,
        given: Option<(End, StreamNo)>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) -> CallNo {
        let no = io.history.call(self.me(), dst, call.function, call.one_way, call.grant.is_some());
        if let Some(chain) = call.chain.filter(|_| call.mailbox == Handle::CALL_FUNCTION) {
            io.history.chained(no, chain);
        }
        // A job that takes an end is given one of a stream that is made here.
        let mut made = None;
        let given = given.or_else(|| {
            let ours = match job_of_end(&job)? {
                Direction::Receives => Direction::Sends,
                Direction::Sends => Direction::Receives,
            };
            let stream = io.history.stream();
            let handle = self.router.export(dst, ours);
            let work = match ours {
                Direction::Sends => Work::Send { plan: call.plan, next: 0 },
                Direction::Receives => Work::Receive { taste: call.taste, taken: 0 },
            };
            self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
            made = Some(handle);
            let direction = if ours == Direction::Sends { Direction::Receives } else { Direction::Sends };
            Some((End { home: self.me(), handle, direction }, stream))
        });
        if let Some((_, stream)) = given {
            io.history.hands_over(stream, self.me(), dst);
        }
        let ends: Vec<End> = given.iter().map(|(end, _)| *end).collect();
        let hands_on = ends.iter().any(|end| end.home != self.me());
        let args =
            Args { call: no, job, stream: given.map(|(_, stream)| stream), pad: job::pad(call.arg_bytes) };
        let left = call.within_ms;
        let body = match call.grant {
            Some(to) => job::grant_body(call.function, to),
            None => job::call_body(call.function, left, above, call.chain, ends.clone(), &args),
        };
        if call.one_way {
            match self.router.send_one_way(io.now, dst, call.mailbox, body, out) {
                Ok(()) => {}
                Err(Unsent::Full(body)) => {
                    io.history.calls[no as usize].has_waited = true;
                    self.blocked.push_back((dst, body));
                }
                Err(unsent) => io.history.refused(no, &unsent),
            }
            return no;
        }
        let deadline = left.map(|left| io.now.after(u64::from(left)));
        let outgoing = Outgoing { dst, handle: call.mailbox, body, deadline, ends };
        match self.router.call(io.now, outgoing, out) {
            Ok(handle) => {
                io.history.calls[no as usize].handle = Some(handle);
                let wait = Wait { call: no, nested_in, taste: call.taste };
                if hands_on {
                    self.handed_on.insert(handle);
                } else {
                    self.handed_on.remove(&handle);
                }
                if self.waits.insert(handle, wait).is_some() {
                    io.history.wrong("I1", format!("handle {handle} was given out while its call is open"));
                }
            }
            Err(unsent) => {
                io.history.refused(no, &unsent);
                if let Some(handle) = made {
                    self.router.unexport(handle);
                    self.ends.remove(&handle);
                }
                if let Some(key) = nested_in {
                    self.answer(key, 0, None, out, io);
                }
            }
        }
        no
    }

    pub(super) fn send_blocked(&mut self, out: &mut Actions, io: &mut Io<'_>) {
        for (dst, body) in std::mem::take(&mut self.blocked) {
            let sent = self.router.send_one_way(io.now, dst, Handle::CALL_FUNCTION, body, out);
            if let Err(Unsent::Full(body)) = sent {
                self.blocked.push_back((dst, body));
            }
        }
    }

    pub(super) fn answered(&mut self, handle: Handle, outcome: &Outcome, out: &mut Actions, io: &mut Io<'_>) {
        let Some(wait) = self.waits.remove(&handle) else {
            return io.history.wrong("I1", format!("context {}: an answer for handle {handle}", self.me()));
        };
        io.history.outcome(wait.call, outcome);
        if let Outcome::Reply(body) = outcome
            && let Ok((ReplyHead::Value(ends), Some(value))) = job::reply(body)
        {
            let from = io.history.calls[wait.call as usize].dst;
            let ends = if io.history.is_touched(from, self.me()) { Vec::new() } else { ends };
            for end in ends {
                self.take_end(from, end, value.stream, Some(wait.taste), None, out, io);
            }
        }
        if let Some(key) = wait.nested_in {
            self.answer(key, 0, None, out, io);
        }
    }

    /// Gives a call up.
    pub fn cancel(&mut self, handle: Handle, io: &mut Io<'_>) {
        let Some(wait) = self.waits.remove(&handle) else { return };
        let mut out = Actions::new();
        let progress = self.router.cancel(io.now, handle, &mut out);
        io.history.end(wait.call, CallEnd::Cancelled(progress));
        if let Some(key) = wait.nested_in {
            self.answer(key, 0, None, &mut out, io);
        }
        self.act(out, io);
    }

    /// How far a call of ours has got.
    #[must_use]
    pub fn progress(&self, handle: Handle) -> Progress {
        self.router.progress(handle)
    }

    /// Asks to be told when a context goes.
    pub fn watch(&mut self, of: ContextId) {
        let handle = self.router.watch(of);
        self.watches.insert(handle, of);
    }
}

/// What a job takes the end of a stream for.
fn job_of_end(job: &Job) -> Option<Direction> {
    match job {
        Job::Sink(_) => Some(Direction::Receives),
        Job::Feed(_) => Some(Direction::Sends),
        Job::HandOn(_, job) => job_of_end(job),
        Job::Answer(_) | Job::Hold(_) | Job::Fail | Job::Nest(..) | Job::Source(_) => None,
    }
}
