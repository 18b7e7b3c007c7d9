//! What has happened to every call and every stream: the memory of the checks that look at more than one moment.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_core::machine::{DropKind, Ended, Note, Outcome, Progress, Unsent};
use offshoot_wire::{ContextId, DeadCode, Handle, ReplyHead};

use super::job;

/// A call of a script or of a handler: an index of the history.
pub type CallNo = u32;
/// A stream: an index of the history.
pub type StreamNo = u32;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Violation {
    /// The invariant, as threats.md numbers them.
    pub invariant: &'static str,
    /// What is wrong.
    pub text: String,
}

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallEnd {
    /// With its value.
    Value,
    /// With an error of the function.
    Failed,
    /// With a dead reply: its code, who made it, how far the call got.
    Dead(DeadCode, ContextId, Progress),
    /// Somebody on the way was lost: the top of that.
    Lost(ContextId, Progress),
    /// Its deadline passed.
    TimedOut(Progress),
    /// The caller's broker ended.
    Stopped,
    /// It asked for a child, for which there was no id.
    NoId,
    /// It was never taken: refused at the source.
    Refused(Option<DeadCode>),
    /// The caller gave it up.
    Cancelled(Progress),
    /// The caller is gone.
    CallerGone,
}

impl CallEnd {
    /// What such an end is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Failed => "failed",
            Self::Dead(..) => "dead",
            Self::Lost(..) => "lost",
            Self::TimedOut(_) => "timed out",
            Self::Stopped => "stopped",
            Self::NoId => "no id",
            Self::Refused(_) => "refused",
            Self::Cancelled(_) => "cancelled",
            Self::CallerGone => "caller gone",
        }
    }

    /// How far the call got, where the end says so.
    #[must_use]
    pub const fn progress(&self) -> Option<Progress> {
        match self {
            Self::Dead(_, _, progress)
            | Self::Lost(_, progress)
            | Self::TimedOut(progress)
            | Self::Cancelled(progress) => Some(*progress),
            Self::Refused(_) => Some(Progress::NotSent),
            Self::Value | Self::Failed | Self::Stopped | Self::NoId | Self::CallerGone => None,
        }
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallRecord {
    /// Who called.
    pub src: ContextId,
    /// Whom.
    pub dst: ContextId,
    /// The function.
    pub function: &'static str,
    /// The handle that waits for the answer, while one does.
    pub handle: Option<Handle>,
    /// How often a handler began to run it.
    pub runs: u8,
    /// How it ended.
    pub end: Option<CallEnd>,
    /// Whether nobody waits for an answer from the start.
    pub one_way: bool,
    /// It is a GRANT: no handler runs.
    pub is_grant: bool,
    /// It was not taken at first, and others may have been before it was.
    pub has_waited: bool,
    /// It asked for a child, and where that was to be made no id was left.
    pub found_no_id: bool,
    /// The chain that it is of.
    chain: Option<u32>,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamRecord {
    /// Who has, had or was given an end of it.
    parties: BTreeSet<ContextId>,
    /// Items that the machine of the sender took.
    pub sent: u8,
    /// Items that the receiver got.
    pub received: u8,
    /// How the sender let go: `true` cleanly.
    pub sender_closed: Option<bool>,
    /// The receiver let go by itself.
    pub receiver_closed: bool,
    /// What the sender learnt of the other side.
    pub sender_ended: Option<Ended>,
    /// What the receiver learnt of the other side.
    pub receiver_ended: Option<Ended>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// The calls.
    pub calls: Vec<CallRecord>,
    /// The streams.
    pub streams: Vec<StreamRecord>,
    /// The call of each source that ran last in each mailbox of each destination: rule 10.
    last_run: BTreeMap<(ContextId, ContextId, Handle), CallNo>,
    /// The calls of each chain of a source in a destination, in the order in which they were begun.
    chains: BTreeMap<(ContextId, ContextId, u32), Vec<CallNo>>,
    /// Every id that a context was made with, and by whom; the root by itself.
    pub made_by: BTreeMap<ContextId, ContextId>,
    /// How many children found no id, by who was to make them.
    pub without_id: BTreeMap<ContextId, u64>,
    /// Functions granted: in which context, to whom, which.
    pub grants: BTreeSet<(ContextId, ContextId, String)>,
    /// What was dropped and told, by the context that dropped it.
    pub notes: BTreeSet<(ContextId, DropKind)>,
    /// Why links were cut, without the numbers in it, and how often.
    pub cuts: BTreeMap<String, u64>,
    /// Contexts that a script made hostile: what they say proves nothing.
    pub hostile: BTreeSet<ContextId>,
    /// Where a hostile context has granted something to whom: he need not be there, and then nobody tells that he is gone.
    strays: BTreeSet<(ContextId, ContextId)>,
    /// The first thing found wrong.
    pub violation: Option<Violation>,
}

impl History {
    /// Remembers the first violation.
    pub fn wrong(&mut self, invariant: &'static str, text: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, text: text.into() });
        }
    }

    /// Those on the way between two contexts, both of them included; nothing if one of them was never made.
    #[must_use]
    pub fn way(&self, a: ContextId, b: ContextId) -> Option<Vec<ContextId>> {
        let (mut a, mut b) = (self.line(a)?, self.line(b)?);
        let mut meeting = None;
        while a.last().is_some() && a.last() == b.last() {
            (meeting, _) = (a.pop(), b.pop());
        }
        a.extend(meeting.into_iter().chain(b.into_iter().rev()));
        Some(a)
    }

    /// A context and all above it; nothing if it was never made.
    fn line(&self, id: ContextId) -> Option<Vec<ContextId>> {
        let above = |id: &ContextId| self.made_by.get(id).copied().filter(|above| above != id);
        self.made_by.contains_key(&id).then(|| std::iter::successors(Some(id), above).collect())
    }

    /// Whether somebody hostile is one of the two, or above one of them: who is on the way between them is, and trust goes
    /// down the tree, so that an ancestor may end, rebind and refuse what is below it. All else must be as it is in a tree
    /// of honest contexts.
    #[must_use]
    pub fn is_touched(&self, a: ContextId, b: ContextId) -> bool {
        let is_hostile = |line: Vec<ContextId>| line.iter().any(|id| self.hostile.contains(id));
        !self.hostile.is_empty() && [a, b].into_iter().any(|id| self.line(id).is_none_or(is_hostile))
    }

    /// Whether somebody hostile has had to do with a stream, or is on the way between those who have.
    fn is_stream_touched(&self, stream: StreamNo) -> bool {
        let parties = &self.streams[stream as usize].parties;
        parties.first().is_none_or(|first| parties.iter().any(|other| self.is_touched(*first, *other)))
    }

    /// A context has dropped something and tells it: I2, what came from an honest one by honest links is not forged.
    pub fn note(&mut self, at: ContextId, note: &Note) {
        const FORGED: [DropKind; 9] = [
            DropKind::Source,
            DropKind::Authority,
            DropKind::Credit,
            DropKind::Control,
            DropKind::Route,
            DropKind::Grant,
            DropKind::Role,
            DropKind::Dead,
            DropKind::Malformed,
        ];
        let Note { kind, src, link, .. } = *note;
        self.notes.insert((at, kind));
        if FORGED.contains(&kind) && !self.is_touched(at, src) && !self.is_touched(at, link.peer) {
            self.wrong(
                "I2",
                format!("{at} has dropped something of {src}, and nobody on the way is hostile: {kind}"),
            );
        }
    }

    /// A machine cuts a link.
    pub fn cut(&mut self, why: &str) {
        let in_general = why.chars().filter(|c| !c.is_ascii_digit()).collect();
        *self.cuts.entry(in_general).or_default() += 1;
    }

    /// A call is about to be sent.
    pub fn call(
        &mut self,
        src: ContextId,
        dst: ContextId,
        function: &'static str,
        one_way: bool,
        is_grant: bool,
    ) -> CallNo {
        self.calls.push(CallRecord {
            src,
            dst,
            function,
            handle: None,
            runs: 0,
            end: None,
            one_way,
            is_grant,
            has_waited: false,
            found_no_id: false,
            chain: None,
        });
        self.calls.len() as CallNo - 1
    }

    /// That call is the next of a chain.
    pub fn chained(&mut self, call: CallNo, chain: u32) {
        let record = &mut self.calls[call as usize];
        record.chain = Some(chain);
        self.chains.entry((record.src, record.dst, chain)).or_default().push(call);
    }

    /// The machine did not take it.
    pub fn refused(&mut self, call: CallNo, unsent: &Unsent) {
        let code = match unsent {
            Unsent::Dead(dead) => Some(dead.code),
            Unsent::Full(_) | Unsent::Stopped => None,
        };
        self.end(call, CallEnd::Refused(code));
    }

    /// A call has ended for its caller: I1, once.
    pub fn end(&mut self, call: CallNo, end: CallEnd) {
        let Some(record) = self.calls.get_mut(call as usize) else {
            return self.wrong("I1", format!("an answer to call {call}, which nobody made"));
        };
        if let Some(first) = &record.end {
            let text = format!("call {call} ended as {first:?} and again as {end:?}");
            return self.wrong("I1", text);
        }
        record.handle = None;
        let is_true = match end {
            CallEnd::NoId => record.found_no_id,
            CallEnd::Value | CallEnd::Failed => !record.found_no_id,
            _ => true,
        };
        record.end = Some(end);
        let (src, dst) = (record.src, record.dst);
        if !is_true && !self.is_touched(src, dst) {
            let record = &self.calls[call as usize];
            let found = if record.found_no_id { "found no id" } else { "was not in want of an id" };
            let text = format!("call {call} {found}, and ended as {:?}", record.end);
            self.wrong("I25", text);
        }
        self.i01_progress_is_true(call);
        self.i27_chains_hold(call);
    }

    /// A call has ended as its machine says.
    pub fn outcome(&mut self, call: CallNo, outcome: &Outcome) {
        let is_touched =
            self.calls.get(call as usize).is_some_and(|call| self.is_touched(call.src, call.dst));
        let end = match outcome {
            Outcome::Reply(_) if is_touched => CallEnd::Value,
            Outcome::Reply(body) => match job::reply(body) {
                Ok((ReplyHead::Value(_), Some(value))) => {
                    if value.call != call || !job::is_pad(&value.pad) {
                        self.wrong(
                            "I16",
                            format!("the answer to call {call} is that of another, or damaged"),
                        );
                    }
                    CallEnd::Value
                }
                Ok((ReplyHead::Failed(_, text), _)) if text == job::NO_ID => CallEnd::NoId,
                Ok((ReplyHead::Failed(..), _)) => CallEnd::Failed,
                Ok(_) => return self.wrong("I1", format!("call {call} was answered by STARTED")),
                // The empty answers of GRANT and PING.
                Err(_) => CallEnd::Value,
            },
            Outcome::Dead { dead, by, progress } => CallEnd::Dead(dead.code, *by, *progress),
            Outcome::Lost { id, progress, .. } => CallEnd::Lost(*id, *progress),
            Outcome::TimedOut { progress } => CallEnd::TimedOut(*progress),
            Outcome::Stopped => CallEnd::Stopped,
        };
        self.end(call, end);
    }

    /// A handler begins to run a call.
    pub fn runs(&mut self, call: CallNo, src: ContextId, at: ContextId, mailbox: Handle) {
        let Some(record) = self.calls.get_mut(call as usize) else {
            return self.wrong("I2", format!("context {at} runs call {call}, which nobody made"));
        };
        record.runs = record.runs.saturating_add(1);
        let (true_src, dst, runs) = (record.src, record.dst, record.runs);
        if true_src != src {
            self.wrong("I2", format!("call {call} of context {true_src} arrived as one of context {src}"));
        }
        if dst != at {
            self.wrong("I3", format!("call {call} to context {dst} runs in context {at}"));
        }
        if runs > 1 {
            self.wrong("I1", format!("call {call} runs twice"));
        }
        let has_waited = self.calls[call as usize].has_waited;
        let last = if has_waited { None } else { self.last_run.insert((src, at, mailbox), call) };
        if let Some(last) = last.filter(|last| *last > call) {
            self.wrong("I4", format!("call {call} of context {src} runs behind call {last} of it"));
        }
        self.i01_progress_is_true(call);
        self.i27_chains_hold(call);
    }

    /// There is no id for a child of `at`, which a call may have asked for.
    pub fn no_id(&mut self, at: ContextId, call: Option<CallNo>) {
        *self.without_id.entry(at).or_default() += 1;
        if let Some(record) = call.and_then(|call| self.calls.get_mut(call as usize)) {
            record.found_no_id = true;
        }
    }

    /// A call that "surely did not run" has not.
    fn i01_progress_is_true(&mut self, call: CallNo) {
        let record = &self.calls[call as usize];
        let never = matches!(
            record.end.as_ref().and_then(CallEnd::progress),
            Some(Progress::NotSent | Progress::Undelivered)
        );
        // What a hostile callee says of itself, or one on the way of those behind it, proves nothing.
        if never && record.runs > 0 && !self.is_touched(record.src, record.dst) {
            let text = format!("call {call} ended as {:?}, but has run", record.end);
            self.wrong("I1", text);
        }
    }

    /// Behind a call that has failed none of its chain runs.
    fn i27_chains_hold(&mut self, call: CallNo) {
        let CallRecord { src, dst, chain, .. } = self.calls[call as usize];
        let Some(chain) = chain.filter(|_| !self.is_touched(src, dst)) else { return };
        let calls = self.chains.get(&(src, dst, chain)).into_iter().flatten();
        let mut calls = calls.map(|no| (*no, &self.calls[*no as usize]));
        let Some((first, broken)) = calls.by_ref().find(|(_, call)| self.has_broken_its_chain(call)) else {
            return;
        };
        if let Some((ran, _)) = calls.find(|(_, call)| call.runs > 0 && !call.has_waited) {
            let text = format!(
                "call {ran} has run behind call {first} of its chain, which ended as {:?}",
                broken.end
            );
            self.wrong("I27", text);
        }
    }

    /// Whether a call surely has failed for those behind it in its chain.
    fn has_broken_its_chain(&self, call: &CallRecord) -> bool {
        match &call.end {
            Some(CallEnd::Failed) => true,
            Some(CallEnd::Dead(code, by, _)) => {
                // Where the head of a call never came, or the function has run, nobody knows.
                let is_known =
                    !matches!(code, DeadCode::Unanswered | DeadCode::TooLarge | DeadCode::Malformed);
                *by == call.dst && is_known
            }
            // What a hop refuses has not come there, be it what stands for such a call.
            Some(CallEnd::Cancelled(Progress::NotSent) | CallEnd::TimedOut(Progress::NotSent)) => {
                let refuses = |at: &ContextId| {
                    [DropKind::Congested, DropKind::NoRoute]
                        .iter()
                        .any(|kind| self.notes.contains(&(*at, *kind)))
                };
                let way = self.way(call.src, call.dst).unwrap_or_default();
                !way.iter().any(|at| *at != call.dst && refuses(at))
            }
            _ => false,
        }
    }

    /// A stream is made.
    pub fn stream(&mut self) -> StreamNo {
        self.streams.push(StreamRecord::default());
        self.streams.len() as StreamNo - 1
    }

    /// One context gives an end of a stream to another.
    pub fn hands_over(&mut self, stream: StreamNo, from: ContextId, to: ContextId) {
        self.streams[stream as usize].parties.extend([from, to]);
    }

    /// The receiver got an item: I4, in order and none missing.
    pub fn item(&mut self, stream: StreamNo, body: &[u8]) {
        let record = &mut self.streams[stream as usize];
        let (expected, sent) = (record.received, record.sent);
        record.received = expected.saturating_add(1);
        if self.is_stream_touched(stream) {
            // It may be one of theirs.
            return;
        }
        let Ok(item) = job::item(body) else {
            return self.wrong("I16", format!("an item of stream {stream} is damaged"));
        };
        if item.stream != stream {
            self.wrong("I3", format!("an item of stream {} came to stream {stream}", item.stream));
        } else if item.number != expected || item.number >= sent {
            let number = item.number;
            self.wrong("I4", format!("item {number} of stream {stream} came where {expected} was due"));
        } else if !job::is_pad(&item.pad) {
            self.wrong("I16", format!("item {expected} of stream {stream} is damaged"));
        }
    }

    /// The receiver is told how a stream has ended: I12, I24, cleanly only if the sender said so and he has got all of it.
    pub fn receiver_learns(&mut self, stream: StreamNo, how: Ended) {
        let record = &mut self.streams[stream as usize];
        let (received, sent, closed) = (record.received, record.sent, record.sender_closed);
        let is_clean = how == Ended::Closed;
        record.receiver_ended = Some(how);
        // What hostile contexts say of their ends proves nothing.
        if !is_clean || self.is_stream_touched(stream) {
            return;
        }
        if closed != Some(true) {
            self.wrong(
                "I12",
                format!("the receiver of stream {stream} is told of a clean end that nobody made"),
            );
        }
        if received != sent {
            self.wrong("I12", format!("stream {stream} ended cleanly after {received} of {sent} items"));
        }
    }

    /// A function was granted in `at` by somebody who says what he likes.
    pub fn granted(&mut self, at: ContextId, to: ContextId, function: String) {
        self.grants.insert((at, to, function));
        self.strays.insert((at, to));
    }

    /// Whether `at` may have been granted something for `to` that nobody ends.
    #[must_use]
    pub fn is_stray(&self, at: ContextId, to: ContextId) -> bool {
        self.strays.contains(&(at, to))
    }

    /// A context is gone: its own calls have nobody to end for.
    pub fn context_gone(&mut self, id: ContextId) {
        for record in self.calls.iter_mut().filter(|record| record.src == id && record.end.is_none()) {
            record.end = Some(CallEnd::CallerGone);
        }
    }
}
