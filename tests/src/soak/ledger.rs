//! What was asked for in one round of a soak and what came of it, kept in the history that checks the simulator too.

use std::sync::{Mutex, MutexGuard, PoisonError};

use offshoot_core::{CallError, ContextId, Progress, RecvError};
use offshoot_wire::Handle;

use super::jobs::{Done, RUN};
use crate::world::{
    CallEnd, CallNo, History, StreamNo, Violation,
    job::{self, Item},
};

/// The history of one round, for all threads that make it.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) round: u32,
    history: Mutex<History>,
}

impl Ledger {
    pub(super) fn new(round: u32) -> Self {
        Self { round, history: Mutex::default() }
    }

    /// A call of the root to `at`, begun by `send`. They are begun in the order of their numbers.
    pub(super) fn call<T>(
        &self,
        at: ContextId,
        one_way: bool,
        send: impl FnOnce(CallNo) -> T,
    ) -> (CallNo, T) {
        let mut history = self.lock();
        let call = history.call(ContextId::ROOT, at, RUN.name(), one_way, false);
        (call, send(call))
    }

    /// The same, and a call that `at` shall make to `whom` while it runs that one.
    pub(super) fn onward<T>(
        &self,
        at: ContextId,
        whom: ContextId,
        send: impl FnOnce(CallNo, CallNo) -> T,
    ) -> (CallNo, CallNo, T) {
        let mut history = self.lock();
        let outer = history.call(ContextId::ROOT, at, RUN.name(), false, false);
        let inner = history.call(at, whom, RUN.name(), false, false);
        (outer, inner, send(outer, inner))
    }

    /// A call has ended.
    pub(super) fn ended(&self, call: CallNo, pad: u32, ended: &Result<Done, CallError>) {
        let end = match ended {
            Ok((number, _, bytes)) => {
                if *number != call || *bytes != job::pad(pad) {
                    let text = format!("the answer to call {call} is that of another, or damaged");
                    self.lock().wrong("I16", text);
                }
                CallEnd::Value
            }
            Err(error) => end_of(error),
        };
        self.lock().end(call, end);
    }

    /// The call that another made while it ran has ended as that one says; `None`: nobody is left to say.
    pub(super) fn onward_ended(&self, call: CallNo, has_value: Option<bool>) {
        let end = match has_value {
            Some(true) => CallEnd::Value,
            Some(false) => CallEnd::Failed,
            None => CallEnd::CallerGone,
        };
        self.lock().end(call, end);
    }

    /// What a context says that it has run, in that order.
    pub(super) fn ran(&self, at: ContextId, notes: &[(u32, u32, u32)]) {
        let mut history = self.lock();
        for (_, call, src) in notes.iter().filter(|(round, ..)| *round == self.round) {
            history.runs(*call, ContextId::new(*src), at, Handle::CALL_FUNCTION);
        }
    }

    /// A stream on which so many items are to come.
    pub(super) fn stream(&self, items: u8) -> StreamNo {
        let mut history = self.lock();
        let stream = history.stream();
        history.streams[stream as usize].sent = items;
        stream
    }

    /// An item has come.
    pub(super) fn item(&self, stream: StreamNo, item: &Item) {
        self.lock().item(stream, &job::item_body(item));
    }

    /// A stream has ended for its receiver.
    pub(super) fn stream_ended(&self, stream: StreamNo, error: Option<&RecvError>) {
        let mut history = self.lock();
        let (sent, received) = {
            let record = &history.streams[stream as usize];
            (record.sent, record.received)
        };
        match error {
            None if received != sent => {
                history
                    .wrong("I4", format!("stream {stream} ended in order with {received} of {sent} items"));
            }
            Some(RecvError::Decode { message, .. }) => {
                history.wrong("I16", format!("an item of stream {stream} cannot be read: {message}"));
            }
            _ => {}
        }
    }

    /// Something that the history does not know is wrong.
    pub(super) fn wrong(&self, invariant: &'static str, text: impl Into<String>) {
        self.lock().wrong(invariant, text);
    }

    /// Whether anything was wrong so far.
    pub(super) fn is_broken(&self) -> bool {
        self.lock().violation.is_some()
    }

    /// The round is over: each call has ended (I19). Every call with its end, and the first thing that was wrong.
    pub(super) fn close(self) -> (History, Option<Violation>) {
        let mut history = self.history.into_inner().unwrap_or_else(PoisonError::into_inner);
        let open = history.calls.iter().position(|call| call.end.is_none() && !call.one_way);
        if let Some(call) = open {
            let text = format!("call {call} has not ended: {:?}", history.calls[call]);
            history.wrong("I19", text);
        }
        let violation = history.violation.take();
        (history, violation)
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_of(error: &CallError) -> CallEnd {
    match error {
        CallError::Lost { id, progress, .. } => CallEnd::Lost(*id, *progress),
        CallError::TimedOut { progress, .. } => CallEnd::TimedOut(*progress),
        CallError::Cancelled { progress, .. } => CallEnd::Cancelled(*progress),
        CallError::Stopped { .. } => CallEnd::Stopped,
        other if matches!(other.progress(), Progress::NotSent | Progress::Undelivered) => {
            CallEnd::Refused(None)
        }
        _ => CallEnd::Failed,
    }
}
