//! One call of ours from when it is sent until it has ended in a value or an error.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use offshoot_wire::{Body, Dead, DeadCode, Failed, Handle, ReplyHead, codec};

use crate::{
    CallError, Context,
    answer::cut,
    caller::Chain,
    channel::{carry, freight::Brought},
    dispatch,
    error::Builds,
    lease::{self, Lease, wait_reading},
    machine::{Outcome, Outgoing, Progress, Unsent},
    node::{CallSink, Called, Held, Node as _, Then},
    sync::lock,
    wake::{Listener, Ticket, Waiters, Wake},
};

/// Where the end of a call arrives.
#[derive(Default)]
pub(crate) struct Slot {
    state: Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    ended: bool,
    outcome: Option<Outcome>,
    waiters: Waiters,
}

impl Slot {
    /// Whether the end is there; else `listener` is told when it comes.
    pub(crate) fn poll_ended(&self, ticket: &mut Ticket, listener: &Listener) -> bool {
        let mut state = lock(&self.state);
        if state.ended {
            return true;
        }
        let replaced = state.waiters.register(ticket, listener);
        drop(state);
        drop(replaced);
        false
    }

    /// Tells `listener` of the end: now if it has come.
    pub(crate) fn tell(&self, listener: Listener) {
        if self.poll_ended(&mut None, &listener) {
            Wake::from(listener).fire();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }

    pub(crate) fn leave(&self, ticket: Ticket) {
        let left = lock(&self.state).waiters.leave(ticket);
        drop(left);
    }

    pub(crate) fn take(&self) -> Option<Outcome> {
        lock(&self.state).outcome.take()
    }
}

impl CallSink for Slot {
    fn end(&self, outcome: Outcome) -> Option<Wake> {
        let mut state = lock(&self.state);
        if state.ended {
            return None;
        }
        state.ended = true;
        state.outcome = Some(outcome);
        state.waiters.wake_all()
    }
}

/// The value of a reply, not read yet, and the ends that it brings.
pub(crate) struct Answer {
    pub(crate) value: Body,
    pub(crate) brought: Brought,
}

/// A call of ours, whatever the type of its result is. Dropping it cancels the call.
pub(crate) struct Open {
    to: Context,
    function: &'static str,
    since: Option<Instant>,
    deadline: Option<Instant>,
    chain: Option<Arc<Chain>>,
    state: State,
    ticket: Ticket,
    /// The turn of the link by which the answer comes, until it is waited for.
    lease: Option<Lease>,
}

enum State {
    Sent { slot: Arc<Slot>, handle: Handle },
    Refused(CallError),
    Over,
}

/// What a call is beside its arguments.
pub(crate) struct About<'a> {
    pub(crate) to: &'a Context,
    pub(crate) function: &'static str,
    /// When it was made; of one without a deadline, once it was sent, when that was.
    pub(crate) since: Option<Instant>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) chain: Option<&'a Arc<Chain>>,
}

impl Open {
    /// A call that ended before it began.
    pub(crate) fn refused(about: &About<'_>, error: CallError) -> Self {
        Self::new(about, State::Refused(about.noted(error)))
    }

    /// Sends a call to a mailbox of its destination.
    pub(crate) fn send(about: &About<'_>, mailbox: Handle, sealed: carry::Sealed, then: Then) -> Self {
        let node = about.to.node();
        let slot = Arc::new(Slot::default());
        let outgoing = Outgoing {
            dst: about.to.id(),
            handle: mailbox,
            body: sealed.body,
            deadline: about.deadline.map(|at| node.tick(at)),
            ends: sealed.ends,
        };
        match node.call(outgoing, Arc::clone(&slot) as _, then) {
            Ok(Called { handle, loan, sent_at }) => {
                sealed.handed.sent();
                let mut open = Self::new(about, State::Sent { slot, handle });
                open.since = about.since.or(Some(sent_at));
                open.lease = loan.map(|loan| Lease::new(node, loan));
                open
            }
            Err(unsent) => Self::refused(about, about.unsent(unsent)),
        }
    }

    fn new(about: &About<'_>, state: State) -> Self {
        Self {
            to: about.to.clone(),
            function: about.function,
            since: about.since,
            deadline: about.deadline,
            chain: about.chain.map(Arc::clone),
            state,
            ticket: None,
            lease: None,
        }
    }

    fn about(&self) -> About<'_> {
        About {
            to: &self.to,
            function: self.function,
            since: self.since,
            deadline: self.deadline,
            chain: self.chain.as_ref(),
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.to
    }

    /// The value of an answer did not decode.
    pub(crate) fn unreadable(&self, message: String) -> CallError {
        self.about().noted(self.about().unreadable(message))
    }

    pub(crate) fn slot(&self) -> Option<Arc<Slot>> {
        match &self.state {
            State::Sent { slot, .. } => Some(Arc::clone(slot)),
            State::Refused(_) | State::Over => None,
        }
    }

    /// How the call ended, if it has.
    pub(crate) fn look(&mut self) -> Option<Result<Answer, CallError>> {
        let ended = match &self.state {
            State::Sent { slot, .. } => slot.take().map(|outcome| self.judge(outcome))?,
            // Whoever polls a future after its end gets nothing any more.
            State::Over => return None,
            State::Refused(_) => match std::mem::replace(&mut self.state, State::Over) {
                State::Refused(error) => return Some(Err(error)),
                State::Sent { .. } | State::Over => return None,
            },
        };
        self.state = State::Over;
        Some(ended.map_err(|error| self.about().noted(error)))
    }

    /// As [`look`](Self::look), and leaves `listener` to be told of the end.
    pub(crate) fn poll(&mut self, listener: &Listener) -> Option<Result<Answer, CallError>> {
        if let State::Sent { slot, .. } = &self.state
            && !slot.poll_ended(&mut self.ticket, listener)
        {
            return None;
        }
        self.look()
    }

    /// Waits for the end; a call that has not ended by `deadline` is cancelled.
    pub(crate) fn wait(&mut self, deadline: Option<Instant>) -> Result<Answer, CallError> {
        let (lease, to) = (self.lease.take(), self.to.clone());
        let take = || lease::of(to.node(), to.id());
        if let Some(ended) = wait_reading(lease, take, deadline, |listener| self.poll(listener)) {
            return ended;
        }
        let State::Sent { slot, handle } = &self.state else {
            return Err(CallError::Stopped { progress: Progress::Unknown });
        };
        let progress = self.to.node().cancel(Held::by(&**slot, *handle));
        // It may have ended while we gave it up.
        if let Some(ended) = self.look() {
            return ended;
        }
        self.state = State::Over;
        let about = About { deadline, ..self.about() };
        Err(about.noted(about.timed_out(progress)))
    }

    /// Whether it has ended, by `deadline` or now; it goes on either way.
    pub(crate) fn ready(&self, deadline: Option<Instant>) -> bool {
        let State::Sent { slot, .. } = &self.state else { return true };
        let mut ticket = None;
        let take = || lease::of(self.to.node(), self.to.id());
        let poll = |listener: &Listener| slot.poll_ended(&mut ticket, listener).then_some(());
        let ended = wait_reading(None, take, deadline, poll);
        if ended.is_none() {
            slot.leave(ticket);
        }
        ended.is_some()
    }

    pub(crate) fn is_ready(&self) -> bool {
        match &self.state {
            State::Sent { slot, .. } => slot.has_ended(),
            State::Refused(_) | State::Over => true,
        }
    }

    /// What an outcome of the machine means to the caller.
    fn judge(&self, outcome: Outcome) -> Result<Answer, CallError> {
        match outcome {
            Outcome::Reply(body) => self.read(&body),
            Outcome::Dead { dead, progress, .. } => Err(self.about().dead(dead, progress)),
            Outcome::Lost { id, name, reason, progress } => {
                Err(CallError::Lost { context: name, id, reason, progress })
            }
            Outcome::TimedOut { progress } => Err(self.about().timed_out(progress)),
            Outcome::Stopped => Err(CallError::Stopped { progress: Progress::Unknown }),
        }
    }

    fn read(&self, body: &Body) -> Result<Answer, CallError> {
        let unreadable = |message| self.about().unreadable(message);
        let node = self.to.node();
        match codec::decode_prefix(body, node.body_limit()).map_err(|error| unreadable(error.to_string()))? {
            (ReplyHead::Value(ends), value_at) => {
                let brought = Brought::by(node, self.to.id(), ends);
                Ok(Answer { value: body.slice(value_at, body.len()), brought })
            }
            (ReplyHead::Failed(how, message), _) => Err(self.about().failed(how, message)),
            (ReplyHead::Started, _) => Err(unreadable("the answer is none".to_owned())),
        }
    }
}

impl About<'_> {
    fn name(&self) -> String {
        self.to.name().to_owned()
    }

    /// A chain remembers its first error.
    pub(crate) fn noted(&self, error: CallError) -> CallError {
        if let Some(chain) = self.chain {
            chain.failed(&error);
        }
        error
    }

    /// What keeps a call from being sent.
    pub(crate) fn unsent(&self, unsent: Unsent) -> CallError {
        match unsent {
            Unsent::Dead(dead) => self.dead(dead, Progress::NotSent),
            Unsent::Full(_) => self.timed_out(Progress::NotSent),
            Unsent::Stopped => CallError::Stopped { progress: Progress::NotSent },
        }
    }

    /// The text of a failure without the build id behind it, and both builds.
    fn builds<'a>(&self, text: &'a str) -> (&'a str, Builds) {
        let node = self.to.node();
        let said = text
            .rsplit_once(dispatch::BUILD)
            .and_then(|(text, id)| Some((text, u64::from_str_radix(id, 16).ok()?)));
        let ours = node.build_of(node.me()).unwrap_or_default();
        let (text, theirs) =
            said.map_or_else(|| (text, node.build_of(self.to.id())), |(text, id)| (text, Some(id)));
        (text, Builds { ours, theirs })
    }

    fn unreadable(&self, message: String) -> CallError {
        let (_, builds) = self.builds("");
        let message = format!("{message} ({builds})");
        CallError::DecodeResult { function: self.function, context: self.name(), message }
    }

    fn misread(&self, text: &str) -> CallError {
        let (message, builds) = self.builds(text);
        let message = format!("{message} ({builds})");
        CallError::DecodeArguments { function: self.function, context: self.name(), message }
    }

    fn timed_out(&self, progress: Progress) -> CallError {
        let after = self.deadline.zip(self.since);
        let after = after.map(|(at, since)| at.saturating_duration_since(since)).unwrap_or_default();
        // What lies between two looks at the clock is not worth telling.
        let after = u64::try_from(after.as_millis()).map_or(after, Duration::from_millis);
        CallError::TimedOut { context: self.name(), after, progress }
    }

    fn dead(&self, dead: Dead, progress: Progress) -> CallError {
        let (function, context, message) = (self.function, self.name(), dead.text);
        match dead.code {
            DeadCode::NoRoute
            | DeadCode::NoHandle
            | DeadCode::Gone
            | DeadCode::ShuttingDown
            | DeadCode::Unanswered => {
                CallError::Lost { context, id: self.to.id(), reason: message, progress }
            }
            DeadCode::Policy | DeadCode::OneWay => CallError::Refused { function, context, message },
            DeadCode::TooLarge => CallError::TooLarge { function, context, message, progress },
            DeadCode::Congested | DeadCode::Busy => CallError::Busy { function, context, message },
            DeadCode::Cancelled => CallError::Cancelled { function, context, progress },
            DeadCode::WouldWait => CallError::WouldWait { function, context },
            DeadCode::TooLate => self.timed_out(progress),
            DeadCode::Malformed => self.misread(&message),
        }
    }

    /// It failed over there.
    fn failed(&self, how: Failed, message: String) -> CallError {
        // An honest side has cut it.
        let (function, context, message) = (self.function, self.name(), cut(&message));
        match how {
            Failed::Error => CallError::Failed { function, context, message },
            Failed::Panic => CallError::Panicked { function, context, message },
            Failed::NoSuchFunction => {
                let (_, builds) = self.builds(&message);
                CallError::NoSuchFunction { function, context, builds: builds.to_string() }
            }
            Failed::Arguments => self.misread(&message),
            Failed::Result => CallError::EncodeResult { function, context, message },
            Failed::Chain => self.after_failure(message),
        }
    }

    /// The other side knows that the chain has failed; perhaps this side knows it better.
    fn after_failure(&self, message: String) -> CallError {
        let first = self.chain.and_then(|chain| chain.first_error());
        // Which call it was, only its callee knows.
        let told = || CallError::Failed { function: "an earlier call", context: self.name(), message };
        CallError::Chain(Box::new(first.unwrap_or_else(told)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let State::Sent { slot, handle } = &self.state else { return };
        if let Some(chain) = &self.chain {
            chain.lost_sight();
        }
        if !slot.has_ended() {
            let progress = self.to.node().cancel(Held::by(&**slot, *handle));
            if let Some(chain) = self.chain.as_ref().filter(|_| progress == Progress::NotSent) {
                let (function, context) = (self.function, self.to.name().to_owned());
                chain.failed(&CallError::Cancelled { function, context, progress });
            }
        }
        // An answer that nobody reads may bring ends of channels: those are refused.
        drop(self.look());
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("function", &self.function)
            .field("context", &self.to)
            .field("ready", &self.is_ready())
            .finish()
    }
}
