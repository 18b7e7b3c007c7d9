//! A child that is being made, here or by another context.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use offshoot_bootstrap::{ConnectError, ConnectErrorKind, Payload, Phase, Plan, Told};
use offshoot_core::{
    CallError, Context, Pending, Progress,
    internal::{self, Shared, later},
    wire::{ContextId, Handle, Role},
};

use crate::{
    create::{Answer, Ask, Created},
    larder::{Parcel, Waiter},
    nursery::Nursery,
    table::Table,
    then::then,
    word::Word,
};

/// What the context that makes a child has beyond the time-out of the connect, to say what went wrong.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// A child that is being made. Wait for it, await it, or put it into a [`Select`](offshoot_core::Select).
///
/// Dropping it gives the connect up: if the child comes up all the same, it is ended.
///
/// ```no_run
/// # fn f(router: &offshoot_parent::Router) -> Result<(), offshoot_parent::ConnectError> {
/// use offshoot_parent::prelude::*;
///
/// let both = ["a", "b"].map(|name| router.connect_async(Local::new(Payload::this_program()).name(name)));
/// for connecting in both {
///     println!("{} is up", connecting.wait()?);
/// }
/// # Ok(()) }
/// ```
#[must_use = "dropping it gives the connect up; wait for it"]
pub struct Connecting {
    wish: Wish,
    state: State,
    /// What has become of each of the passwords of a child that has come up.
    passwords: Vec<Told>,
}

/// What is wanted, and of whom.
#[derive(Clone)]
struct Wish {
    maker: Context,
    plan: Plan,
    ticket: u64,
}

enum State {
    Asked(Box<Pending<Answer>>),
    Failed(ConnectError),
    Over,
}

impl Connecting {
    /// Asks `maker` for a child.
    pub(crate) fn new(maker: &Context, mut plan: Plan) -> Self {
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        // What is sent on is a file of ours. A process of the maker itself goes by the path of its program, and so is one of his
        // files.
        let sends = plan.transport.is_some() && !is_here(maker);
        let loaded = if sends { plan.payload.load() } else { Ok(plan.payload.clone()) };
        let failed = loaded.map(|payload| plan.payload = payload).err();
        let wish = Wish { maker: maker.clone(), plan, ticket: TICKETS.fetch_add(1, Ordering::Relaxed) };
        let asked = match failed {
            Some(kind) => Err(wish.error(Phase::Spawn, kind)),
            None => wish.ask(),
        };
        let state = asked.map_or_else(State::Failed, |pending| State::Asked(Box::new(pending)));
        Self { wish, state, passwords: Vec::new() }
    }

    /// Waits until the child is up or the connect has failed, at the latest when its own time-out has passed.
    ///
    /// # Errors
    /// [`ConnectError`] says where, by which method, in which phase and why.
    pub fn wait(mut self) -> Result<Context, ConnectError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked(pending) => self.wish.judge(pending.wait()),
            State::Failed(error) => Err(error),
            State::Over => Err(self.wish.error(Phase::Allocate, ConnectErrorKind::Cancelled)),
        }
    }

    /// As [`wait`](Self::wait), for at most `timeout`; then it is given up.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Context, ConnectError> {
        self.wait_deadline(later(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at the latest; then it is given up.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_deadline(self, deadline: Instant) -> Result<Context, ConnectError> {
        match &self.state {
            State::Asked(pending) if !pending.ready_deadline(deadline) => {
                let limit = self.wish.plan.timeout;
                Err(self.wish.error(Phase::Spawn, ConnectErrorKind::NoAnswer { limit }))
            }
            State::Asked(_) | State::Failed(_) | State::Over => self.wait(),
        }
    }

    /// Whether it has ended, so that [`wait`](Self::wait) returns at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.state {
            State::Asked(pending) => pending.is_ready(),
            State::Failed(_) | State::Over => true,
        }
    }

    /// What has become of each of its passwords, once it has come up by a poll.
    pub(crate) fn passwords(&self) -> &[Told] {
        &self.passwords
    }
}

impl Wish {
    fn judge(&self, answer: Result<Answer, CallError>) -> Result<Context, ConnectError> {
        match answer {
            Ok(Ok(created)) => self.accept(&created),
            // Where and how are this side's words; of the rest nobody else can know.
            Ok(Err(error)) => {
                let words = error.last_words().as_bytes();
                let error = self.error(error.phase(), error.kind().clone()).with_passwords(error.passwords());
                Err(error.with_last_words(words))
            }
            Err(error) => Err(self.not_answered(&error)),
        }
    }

    /// What another context says that it made is believed only if it can be.
    fn accept(&self, created: &Created) -> Result<Context, ConnectError> {
        let Some(shared) = internal::shared_of::<Table>(&self.maker) else { return Err(self.no_parent()) };
        let is_elsewhere = self.maker.id() != shared.me();
        let claim = |nursery: &Nursery| nursery.claim(&shared, self.maker.id(), created);
        if is_elsewhere && !shared.hooks_as::<Nursery>().is_some_and(claim) {
            let child = internal::context(&self.maker, created.id);
            let kind = if child.is_alive() {
                let error = "its answer names a context that it did not make".into();
                ConnectErrorKind::Asking { context: self.maker.name().into(), error }
            } else {
                let reason = "it ended as soon as it was up".into();
                ConnectErrorKind::Lost { context: child.name().into(), reason }
            };
            return Err(self.error(Phase::Up, kind).with_passwords(created.passwords.clone()));
        }
        Ok(internal::context(&self.maker, created.id))
    }

    fn not_answered(&self, error: &CallError) -> ConnectError {
        let context = self.maker.name().into();
        let phase = match error.progress() {
            Progress::NotSent | Progress::Undelivered => Phase::Allocate,
            Progress::Unknown | Progress::Started => Phase::Spawn,
        };
        let kind = match error {
            CallError::Lost { context, reason, .. } => {
                ConnectErrorKind::Lost { context: context.as_str().into(), reason: reason.as_str().into() }
            }
            CallError::TimedOut { .. } => ConnectErrorKind::NoAnswer { limit: self.plan.timeout },
            CallError::Refused { message, .. } => {
                ConnectErrorKind::Refused { reason: message.as_str().into() }
            }
            CallError::Cancelled { .. } => ConnectErrorKind::Cancelled,
            CallError::Stopped { .. } => ConnectErrorKind::ShuttingDown,
            _ => ConnectErrorKind::Asking { context, error: error.to_string().into() },
        };
        // A password may have gone out there, and been refused.
        let told = if error.may_have_run() { Told::Unclear } else { Told::Untold };
        let passwords: Vec<_> = self.plan.secrets().map(|_| told).collect();
        self.error(phase, kind).with_passwords(passwords)
    }

    fn no_parent(&self) -> ConnectError {
        self.error(Phase::Allocate, ConnectErrorKind::Leaf { context: self.maker.name().into() })
    }

    fn error(&self, phase: Phase, kind: ConnectErrorKind) -> ConnectError {
        self.of_maker(ConnectError::new(&self.plan, phase, kind))
    }

    /// Of many that were asked for the same nobody could tell which it was.
    fn of_maker(&self, error: ConnectError) -> ConnectError {
        if is_here(&self.maker) { error } else { error.asked_of(self.maker.name()) }
    }

    fn ask(&self) -> Result<Pending<Answer>, ConnectError> {
        let Self { maker, plan, ticket } = self;
        plan.check().map_err(|error| self.of_maker(error))?;
        let shared = internal::shared_of::<Table>(maker);
        let role =
            shared.as_ref().and_then(|shared| Some(shared.hooks_as::<Nursery>()?.about(maker.id())?.role));
        let Some(shared) = shared.filter(|_| role != Some(Role::Leaf)) else { return Err(self.no_parent()) };
        let caller = maker.with_timeout(plan.timeout.saturating_add(ANSWER_MARGIN));
        let mut wanted = Box::new(plan.clone());
        let sent = sent_apart(&shared, maker.id(), plan);
        if let Some((stand_in, _)) = &sent {
            wanted.payload = stand_in.clone();
        }
        let ask = Ask::Child { plan: wanted, ticket: *ticket };
        let pending = internal::ask(&caller, Handle::CREATE_CHILD, "connect", &ask);
        // Behind the plan, unless that was refused at once: the word that it does not come finds who waits for it there.
        let sent = sent.filter(|_| !pending.is_ready());
        if let (Some((_, on)), Some(nursery)) = (sent, shared.hooks_as::<Nursery>()) {
            let until = self.until();
            let waiter = Waiter::Connect { maker: maker.id(), ticket: *ticket, until };
            nursery.provide(Parcel::new(plan.payload.clone(), on, waiter, Some(until)));
        }
        Ok(pending)
    }

    /// Tells the maker, on the same way. Its answer comes all the same, and may be a child.
    fn give_up(&self) {
        let ask = Ask::GiveUp { ticket: self.ticket };
        Word { maker: self.maker.clone(), ask, until: self.until() }.say();
    }

    /// Until when its maker may be at it, if it begins now.
    fn until(&self) -> Instant {
        later(self.plan.timeout.saturating_add(ANSWER_MARGIN))
    }
}

/// A child that comes up while nobody looks is nobody's, however its maker's word for it crosses ours.
impl Drop for Connecting {
    fn drop(&mut self) {
        let State::Asked(pending) = std::mem::replace(&mut self.state, State::Over) else { return };
        let wish = self.wish.clone();
        if !pending.is_ready() {
            wish.give_up();
        }
        then(*pending, move |answer| {
            if let Ok(child) = wish.judge(answer) {
                drop(child.shutdown());
            }
        });
    }
}

/// Whether that is the context of this program.
pub(crate) fn is_here(maker: &Context) -> bool {
    internal::shared_of::<Table>(maker).is_some_and(|shared| shared.me() == maker.id())
}

/// More than what a message holds beside a program, in bytes.
const AROUND: usize = 64 * 1024;

/// What stands in a plan for another context in place of a program in memory or a set, and where that is sent, once for all plans;
/// `None` of what goes there in the plan.
fn sent_apart(shared: &Shared<Table>, maker: ContextId, plan: &Plan) -> Option<(Payload, Vec<ContextId>)> {
    let on = shared.routes(|table| table.path(maker));
    // What no message can carry goes in the plan, which is refused for it here and now.
    let is_sent = !on.is_empty() && plan.payload.size().saturating_add(AROUND) < shared.body_limit();
    plan.payload.stand_in().filter(|_| is_sent).map(|stand_in| (stand_in, on))
}

impl Future for Connecting {
    type Output = Result<Context, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Asked(pending) => match Pin::new(&mut **pending).poll(task) {
                Poll::Ready(answer) => {
                    if let Ok(Ok(created)) = &answer {
                        self.passwords.clone_from(&created.passwords);
                    }
                    self.state = State::Over;
                    Poll::Ready(self.wish.judge(answer))
                }
                Poll::Pending => Poll::Pending,
            },
            State::Failed(error) => {
                let error = error.clone();
                self.state = State::Over;
                Poll::Ready(Err(error))
            }
            // Whoever polls a future after its end gets nothing any more.
            State::Over => Poll::Pending,
        }
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("maker", &self.wish.maker)
            .field("place", &self.wish.plan.place)
            .field("ready", &self.is_ready())
            .finish()
    }
}
