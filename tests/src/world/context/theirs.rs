//! Calls to a context, and what its handlers do.

use std::collections::VecDeque;

use offshoot_core::machine::{Actions, CallKey, Incoming, Tick};
use offshoot_wire::{Direction, End, Failed, Handle};

use super::{Context, EndUser, Io, Task, Work};
use crate::world::{
    history::StreamNo,
    invariants,
    job::{self, Args, Job, Value},
    script::Call,
};

impl Context {
    /// Whether a worker could take a call.
    #[must_use]
    pub fn can_work(&self) -> bool {
        self.has_calls && self.workers.iter().any(|busy| !busy)
    }

    /// A free worker takes the next call and begins to run it.
    pub fn work(&mut self, io: &mut Io<'_>) {
        let mut out = Actions::new();
        if let Some(worker) = self.workers.iter().position(|busy| !busy) {
            let call = self.router.take_call(io.now, worker, &mut out);
            // What that call's machine wants done is done before a handler can speak to it again.
            self.act(std::mem::take(&mut out), io);
            match call {
                Some(call) => self.run(worker, call, &mut out, io),
                None => self.has_calls = false,
            }
        }
        self.act(out, io);
    }

    fn run(&mut self, worker: usize, call: Incoming, out: &mut Actions, io: &mut Io<'_>) {
        invariants::i15_a_handler_runs_only_where_its_policy_allows_it(self, &call, io.history);
        if io.history.is_touched(self.me(), call.src) {
            // What it asks for proves nothing, and need not make sense.
            self.router.fail(io.now, call.key, Failed::Error, job::FAILED.to_owned(), out);
            return self.router.release_worker(worker);
        }
        self.workers[worker] = true;
        let Ok(args) = job::args(&call.body, call.args_at) else {
            io.history.wrong("I16", format!("the arguments of a call to context {} are damaged", self.me()));
            return;
        };
        if !job::is_pad(&args.pad) {
            io.history.wrong("I16", format!("the arguments of call {} are damaged", args.call));
        }
        io.history.runs(args.call, call.src, self.me(), Handle::CALL_FUNCTION);
        let task = Task { call: args.call, src: call.src, worker: Some(worker), held: None };
        self.tasks.insert(call.key, task);
        self.do_job(call, args, out, io);
    }

    fn do_job(&mut self, call: Incoming, args: Args, out: &mut Actions, io: &mut Io<'_>) {
        let key = call.key;
        match args.job {
            Job::Answer(bytes) => self.answer(key, bytes, None, out, io),
            Job::Hold(bytes) => {
                if let Some(task) = self.tasks.get_mut(&key) {
                    task.held = Some(bytes);
                }
            }
            Job::Fail => self.fail(key, job::FAILED, out, io),
            Job::Nest(dst, job) => {
                let nested = nested(call.deadline, io.now);
                self.send_call(&nested, dst, *job, Some(key), call.above, None, out, io);
            }
            Job::Source(plan) => {
                let stream = io.history.stream();
                io.history.hands_over(stream, self.me(), call.src);
                let handle = self.router.export(call.src, Direction::Sends);
                let work = Work::Send { plan, next: 0 };
                self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
                let end = End { home: self.me(), handle, direction: Direction::Receives };
                self.answer(key, 0, Some((end, stream)), out, io);
            }
            Job::Sink(taste) => {
                for end in call.ends {
                    self.take_end(call.src, end, args.stream, Some(taste), None, out, io);
                }
                self.answer(key, 0, None, out, io);
            }
            Job::Feed(plan) => {
                for end in call.ends {
                    self.take_end(call.src, end, args.stream, None, Some(plan), out, io);
                }
                self.answer(key, 0, None, out, io);
            }
            Job::HandOn(dst, job) => {
                let given = call.ends.first().and_then(|end| {
                    let handle = self.router.import(call.src, *end).ok()?;
                    match self.router.hand_on(handle, dst, out) {
                        Ok(end) => Some((end, args.stream?)),
                        Err(_) => {
                            self.router.stream_close(handle, None, out);
                            None
                        }
                    }
                });
                if given.is_none() {
                    return self.answer(key, 0, None, out, io);
                }
                let nested = nested(call.deadline, io.now);
                self.send_call(&nested, dst, *job, Some(key), call.above, given, out, io);
            }
        }
    }

    fn free(&mut self, task: &Task) {
        if let Some(worker) = task.worker {
            self.workers[worker] = false;
            self.router.release_worker(worker);
        }
    }

    pub(super) fn fail(&mut self, key: CallKey, why: &str, out: &mut Actions, io: &Io<'_>) {
        let Some(task) = self.tasks.remove(&key) else { return };
        self.free(&task);
        self.router.fail(io.now, key, Failed::Error, why.to_owned(), out);
    }

    pub(super) fn answer(
        &mut self,
        key: CallKey,
        bytes: u32,
        end: Option<(End, StreamNo)>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) {
        let Some(task) = self.tasks.remove(&key) else { return };
        self.free(&task);
        let ends: Vec<End> = end.iter().map(|(end, _)| *end).collect();
        let value = Value { call: task.call, stream: end.map(|(_, stream)| stream), pad: job::pad(bytes) };
        self.router.answer(io.now, key, job::reply_body(ends.clone(), &value), &ends, out);
    }

    /// A handler that held its answer gives it.
    pub fn finish(&mut self, key: CallKey, io: &mut Io<'_>) {
        let mut out = Actions::new();
        if let Some(bytes) = self.tasks.get(&key).and_then(|task| task.held) {
            self.answer(key, bytes, None, &mut out, io);
        }
        self.act(out, io);
    }
}

/// A call from a handler: it has the rest of the time that the handler has.
fn nested(deadline: Option<Tick>, now: Tick) -> Call {
    let left = deadline.map(|at| u32::try_from(at.since(now)).unwrap_or(u32::MAX));
    Call { within_ms: left, ..Call::default() }
}
