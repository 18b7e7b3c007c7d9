//! What the machine's actions mean outside: queued under the lock, done after it.

use std::{cell::Cell, collections::VecDeque, sync::Arc, time::Duration};

use offshoot_wire::{Body, ContextId, Hello, codec};

use super::{
    Hooks, Shared, State,
    links::{SENDER_QUANTUM, Verdict},
    sinks::Sink,
};
use crate::{
    close::Why,
    forward::{BUDGET, Record},
    here::Here,
    link::Link,
    machine::{Action, CallKey, LinkKey, Note, Outcome, Progress, Routes},
    node::Node as _,
    sync::lock,
    wake::Wake,
};

/// What is to be done once the lock is free, in this order.
#[derive(Default)]
pub(crate) struct Effects {
    /// None until something is noted.
    queue: Option<Box<Queue>>,
    /// What is to be written may rest for a moment: more is about to come.
    pub(super) may_rest: bool,
    /// Whoever does this can wait for room in a link: he keeps its writer token.
    pub(super) stays: bool,
    /// The link that has none.
    pub(super) stalled: Option<Arc<Link>>,
}

#[derive(Default)]
struct Queue(VecDeque<Effect>);

thread_local! {
    /// A queue that this thread has emptied, for the next.
    static SPARE: Cell<Option<Box<Queue>>> = const { Cell::new(None) };
}

impl Drop for Effects {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take_if(|queue| queue.0.is_empty() && queue.0.capacity() <= KEPT) {
            // A thread that is ending keeps nothing.
            let _: Result<(), _> = SPARE.try_with(|spare| spare.set(Some(queue)));
        }
    }
}

/// Effects for which a thread keeps the memory.
const KEPT: usize = 16;

enum Effect {
    /// Write; the writer token is ours.
    Flush(Arc<Link>),
    Wake(Wake),
    /// May own values of the user.
    Drop(Sink),
    Cut(Arc<Link>, String),
    /// Read it, or do not, as the machine has it then.
    Pause(Arc<Link>),
    Up(Arc<Link>, Hello),
    Escalate(Arc<Link>),
    Service(CallKey),
    Ids,
    Room(ContextId),
    /// What somebody logs, as it came; by which link, if by one.
    Record {
        src: String,
        body: Body,
        from: Option<LinkKey>,
    },
    Tell(Record),
    Lost {
        ids: Vec<ContextId>,
        name: String,
        reason: String,
    },
    Shutdown(Duration),
    Orphaned,
}

impl Effects {
    fn push(&mut self, effect: Effect) {
        let spare = || SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        self.queue.get_or_insert_with(spare).0.push_back(effect);
    }

    fn pop(&mut self) -> Option<Effect> {
        self.queue.as_mut()?.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.0.is_empty())
    }

    fn wake(&mut self, wake: Option<Wake>) {
        if let Some(wake) = wake {
            self.push(Effect::Wake(wake));
        }
    }
}

impl<R: Here> Shared<R> {
    /// Empties the machine's queue: delivers, and notes what is to be done later. `from` is the link by which came
    /// what caused all this.
    pub(super) fn settle(&self, state: &mut State<R>, from: Option<LinkKey>, effects: &mut Effects) {
        while let Some(action) = state.out.pop() {
            match action {
                // A leaf has no links but the one, and takes no records.
                Action::Up(..)
                | Action::Pause(_)
                | Action::Resume(_)
                | Action::Escalate(_)
                | Action::Record { .. }
                | Action::Service(_)
                | Action::Lost { .. }
                | Action::Ids
                    if !R::HAS_CHILDREN => {}
                Action::Answer { .. }
                | Action::Watched { .. }
                | Action::Item { .. }
                | Action::Ended { .. } => {
                    deliver(state, action, effects);
                }
                Action::StreamRoom(handle) => {
                    effects.wake(state.sinks.stream(handle).and_then(|sink| sink.room()));
                }
                Action::Write(_)
                | Action::Cut(..)
                | Action::Up(..)
                | Action::Pause(_)
                | Action::Resume(_)
                | Action::Escalate(_) => about_link(state, action, effects),
                Action::Record { src, name, body } => {
                    let name = name.unwrap_or_else(|| self.name_in(state, src));
                    self.admit_record(state, from, name, body, effects);
                }
                Action::Note(note) => effects.push(Effect::Tell(told(&note))),
                Action::Room(dst) => effects.push(Effect::Room(dst)),
                Action::CallReady => effects.wake(state.crew.call_ready().map(Wake::from)),
                // A handler that runs asks when it likes.
                Action::Cancelled(key) => effects.wake(state.on_cancel.remove(key).map(Wake::Run)),
                Action::Service(key) => effects.push(Effect::Service(key)),
                Action::Lost { ids, name, reason } => effects.push(Effect::Lost { ids, name, reason }),
                Action::Ids => effects.push(Effect::Ids),
                Action::Shutdown(left) => {
                    effects.push(Effect::Shutdown(Duration::from_millis(left.into())));
                    state.crew.dismiss().into_iter().for_each(|it| effects.push(Effect::Wake(it.into())));
                }
                Action::ParentLost(_) => effects.push(Effect::Orphaned),
            }
        }
        self.set_alarm(state);
    }

    /// Does what was queued, and what comes of doing it.
    pub(crate) fn act(&self, mut effects: Effects) {
        self.carry_out(&mut effects);
    }

    /// As [`act`](Self::act); what it leaves is a link that is [stalled](Effects::stalled).
    pub(super) fn carry_out(&self, effects: &mut Effects) {
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Pause(_)
                | Effect::Up(..)
                | Effect::Escalate(_)
                | Effect::Service(_)
                | Effect::Ids
                | Effect::Lost { .. }
                | Effect::Record { .. }
                    if !R::HAS_CHILDREN => {}
                Effect::Flush(link) => self.flush(&link, SENDER_QUANTUM, effects),
                Effect::Wake(wake) => self.wake(wake),
                Effect::Drop(sink) => drop(sink),
                Effect::Cut(link, reason) => self.cut(&link, reason),
                Effect::Pause(link) => self.pause(&link),
                Effect::Up(link, hello) => {
                    lock(&link.reader).is_up();
                    if let Some(watcher) = &link.watcher {
                        watcher.up(&hello);
                    }
                }
                Effect::Escalate(link) => {
                    if let Some(watcher) = &link.watcher {
                        watcher.escalate();
                    }
                }
                Effect::Service(key) => {
                    if let Some(hooks) = self.hooks()
                        && let Some(this) = self.this.upgrade()
                    {
                        hooks.service(&this, key);
                    }
                }
                Effect::Ids => self.hooks().into_iter().for_each(Hooks::ids),
                Effect::Lost { ids, name, reason } => {
                    self.hooks().into_iter().for_each(|hooks| hooks.lost(&ids, &name, &reason));
                }
                Effect::Room(dst) => {
                    self.changed.notify_all();
                    if dst == ContextId::ROOT {
                        self.sink.room();
                    }
                }
                Effect::Record { src, body, from } => self.take_record(src, &body, from),
                Effect::Tell(record) => self.tell(record),
                Effect::Shutdown(left) => self.ending(left),
                Effect::Orphaned => self.orphaned(),
            }
        }
    }

    /// This context has begun to end, or must sooner than it was told before.
    fn ending(&self, left: Duration) {
        if let Some(life) = &self.life {
            life.begin(Why::Told, left);
        }
        self.changed.notify_all();
        self.wake_broker();
        if let Some(hooks) = self.hooks()
            && let Some(this) = self.this.upgrade()
        {
            hooks.ending(&this, left);
        }
    }

    /// The parent is lost, and so this context ends.
    fn orphaned(&self) {
        let Some(life) = &self.life else { return };
        let left = life.orphan_grace();
        life.begin(Why::Orphaned, left);
        self.begin_shutdown(left);
        self.wake_broker();
    }

    /// Records of a link are taken up to a rate; what is over it is counted and told.
    fn admit_record(
        &self,
        state: &mut State<R>,
        from: Option<LinkKey>,
        src: String,
        body: Body,
        effects: &mut Effects,
    ) {
        let verdict = from.map_or(Verdict::Taken, |link| self.count_record(state, link));
        if let Verdict::TakenAfter(skipped) = verdict {
            effects.push(Effect::Tell(too_many(skipped, &src)));
        }
        if !matches!(verdict, Verdict::Skipped) {
            effects.push(Effect::Record { src, body, from });
        }
    }

    fn count_record(&self, state: &mut State<R>, link: LinkKey) -> Verdict {
        let limit = state.machine.config().limits.records;
        state.links.count_record(link, limit, self.now())
    }

    /// Reads what comes on the stderr of a child. What is said there once it is up counts among the records of its link.
    pub(crate) fn overhear(&self, link: &Link) {
        lock(&link.reader).read_stderr(link.key.slot, &mut |name, line| self.take_line(link.key, name, line));
    }

    /// The same for the last time: the link has ended.
    pub(crate) fn overhear_last(&self, link: &Link) {
        lock(&link.reader).finish_stderr(&mut |name, line| self.take_line(link.key, name, line));
    }

    fn take_line(&self, link: LinkKey, name: &str, line: Record) {
        let verdict = self.count_record(&mut lock(&self.state), link);
        if let Verdict::TakenAfter(skipped) = verdict {
            self.sink.record(too_many(skipped, name));
        }
        if !matches!(verdict, Verdict::Skipped) {
            self.sink.record(Record { text: format!("{name}: {}", line.text), ..line });
        }
    }

    /// Without the lock: a record can be long, and any child sends many.
    fn take_record(&self, src: String, body: &Body, from: Option<LinkKey>) {
        match (codec::decode(body, BUDGET), from) {
            (Ok(record), _) => self.sink.foreign(src, record),
            (Err(_), Some(link)) => {
                self.with(|state, _| state.machine.count_unreadable(link, &mut state.out));
            }
            (Err(_), None) => {}
        }
    }
}

/// Hands something to the sink behind a handle.
fn deliver<R>(state: &mut State<R>, action: Action, effects: &mut Effects) {
    match action {
        Action::Answer { handle, outcome } => {
            if let Some(sink) = state.sinks.remove(handle) {
                if let Sink::Call(call) = &sink {
                    effects.wake(call.end(outcome));
                }
                effects.push(Effect::Drop(sink));
            }
        }
        Action::Watched { handle, reason } => {
            if let Some(sink) = state.sinks.remove(handle) {
                if let Sink::Watch(id, name, watch) = &sink {
                    let (id, name) = (*id, name.clone());
                    effects.wake(watch.end(Outcome::Lost { id, name, reason, progress: Progress::Unknown }));
                }
                effects.push(Effect::Drop(sink));
            }
        }
        Action::Item { handle, body, cost } => {
            effects.wake(state.sinks.stream(handle).and_then(|sink| sink.item(body, cost)));
        }
        Action::Ended { handle, how } => {
            // It stays the sink's until he lets go.
            effects.wake(state.sinks.stream(handle).and_then(|sink| sink.ended(how)));
        }
        _ => {}
    }
}

/// Notes what a link needs. A link that is no more needs nothing.
fn about_link<R: Routes>(state: &mut State<R>, action: Action, effects: &mut Effects) {
    let effect = match action {
        Action::Write(key) => state.links.take_token(key).map(Effect::Flush),
        Action::Up(..) | Action::Pause(_) | Action::Resume(_) | Action::Escalate(_) if !R::HAS_CHILDREN => {
            None
        }
        Action::Cut(key, reason) => state.links.get(key).cloned().map(|link| Effect::Cut(link, reason)),
        Action::Up(key, hello) => state.links.get(key).cloned().map(|link| Effect::Up(link, hello)),
        Action::Pause(key) | Action::Resume(key) => state.links.get(key).cloned().map(Effect::Pause),
        Action::Escalate(key) => state.links.get(key).cloned().map(Effect::Escalate),
        _ => None,
    };
    if let Some(effect) = effect {
        effects.push(effect);
    }
}

fn too_many(skipped: u32, from: &str) -> Record {
    Record::new(
        log::Level::Warn,
        "offshoot",
        format_args!("{skipped} records from {from} or from below it were dropped: too many in a second"),
    )
}

fn told(note: &Note) -> Record {
    let Note { link, kind, src, dst, handle } = note;
    Record::new(
        log::Level::Warn,
        "offshoot",
        format_args!(
            "the link to context {}: a frame from {src} to handle {handle} of {dst} was dropped: {kind}; \
             more of this kind are only counted",
            link.peer
        ),
    )
}
