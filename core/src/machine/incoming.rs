//! Calls to us on their way in: queued in arrival order, refused where they may not or cannot run (rules 11 and 14).

use offshoot_wire::{
    Body, CallHead, ContextId, DeadCode, End, Failed, Frame, Handle, ReplyTo, Window, codec,
};

use super::{
    Action, Actions, CallKey, DropKind, Incoming, LinkKey, Machine, Routes, Tick, Timer, desk::Call,
    link::Link, parts::CONTROL_BUDGET,
};

/// The longest list of waiting calls that a call carries; beyond it only deadlines end what waits in a circle.
const MAX_ABOVE: usize = 64;

impl<R: Routes> Machine<R> {
    /// How many calls can run side by side.
    pub fn set_workers(&mut self, n: usize) {
        self.desk.workers.resize(n, None);
    }

    /// A frame to a mailbox that is called: a function, or what the context itself offers.
    pub(super) fn deliver_call(&mut self, from: Option<LinkKey>, mut frame: Frame, out: &mut Actions) {
        let first = frame.part.is_none_or(|part| part.offset == 0);
        if first
            && let Some((kind, code, text)) =
                self.unwelcome(&frame).or_else(|| self.one_too_many(from, &frame))
        {
            // It begins anew: what had come of another body is none of it.
            self.parts.forget(frame.src, frame.handle);
            let head = head_of(frame.handle, &frame.body);
            self.turn_back(frame.src, frame.reply_to.handle(), head, &text, out);
            return self.refuse_arrived(from, &frame, kind, code, text, out);
        }
        let is_ancestors = self.is_ancestor(frame.src);
        let Some(cost) = self.receive(from, &mut frame, Window::Calls, is_ancestors, out) else { return };
        if matches!(frame.handle, Handle::CALL_FUNCTION | Handle::CREATE_CHILD) {
            return self.take_in(from, frame, cost, out);
        }
        self.pay_back(&frame, cost, out);
        match frame.handle {
            Handle::FORWARD_LOG if R::HAS_CHILDREN => {
                let name = self.routes.name(frame.src).map(str::to_owned);
                out.push(Action::Record { src: frame.src, name, body: frame.body });
            }
            Handle::PING => self.reply_value(&frame, out),
            _ => self.on_grant(from, &frame, out),
        }
    }

    /// What becomes of a call that is not even taken in, as far as its head has come: its chain has failed, and what it
    /// hands over is refused.
    pub(super) fn turn_back(
        &mut self,
        src: ContextId,
        waits: Option<Handle>,
        head: Option<CallHead>,
        text: &str,
        out: &mut Actions,
    ) {
        let Some(head) = head else { return };
        self.fail_chain(src, head.chain, text);
        self.refuse_undelivered(src, waits, &head.ends, out);
    }

    /// Why a call is not even taken in.
    fn unwelcome(&self, frame: &Frame) -> Option<(DropKind, DeadCode, String)> {
        let me = self.config.me;
        let policy = |what: &str| {
            let text = format!("only an ancestor of context {me} may {what}");
            Some((DropKind::Policy, DeadCode::Policy, text))
        };
        match frame.handle {
            Handle::CREATE_CHILD if !self.may_rule(frame) => policy("make children of it"),
            Handle::GRANT if !self.may_rule(frame) => policy("grant its functions"),
            Handle::CREATE_CHILD if self.config.role == offshoot_wire::Role::Leaf => {
                let text =
                    format!("context {me} is a leaf and can have no children; use a parent payload for it");
                Some((DropKind::NoHandle, DeadCode::NoHandle, text))
            }
            Handle::FORWARD_LOG if !self.config.ancestors.is_empty() => {
                Some((DropKind::NoHandle, DeadCode::NoHandle, "only the root takes log records".into()))
            }
            Handle::CALL_FUNCTION | Handle::CREATE_CHILD if self.closing => Some(self.too_late()),
            _ => None,
        }
    }

    /// Why no more is begun by a link, or taken from somebody behind it: they can be very many, each with credit of its own.
    /// Ancestors keep to bounds of their own.
    fn one_too_many(&self, from: Option<LinkKey>, frame: &Frame) -> Option<(DropKind, DeadCode, String)> {
        let key = from.filter(|_| !self.is_ancestor(frame.src))?;
        let link = self.link(key)?;
        let limits = &self.config.limits;
        let is_crowded = |total| self.parts.is_crowded(key, (frame.src, frame.handle), limits, total);
        if frame.part.is_some_and(|part| is_crowded(part.total)) {
            let text = "too many bodies are in the making".to_owned();
            return Some((DropKind::Congested, DeadCode::Congested, text));
        }
        if frame.handle == Handle::FORWARD_LOG {
            // It is taken at once, and nobody waits for an answer.
            return None;
        }
        let src = frame.src;
        // From the bound on who has some of it gets no more, from twice of it on nobody.
        let is_full = |held: u64, most: u64, has_some: &dyn Fn() -> bool| {
            held >= most && (held / 2 >= most || has_some())
        };
        let has_calls = || self.desk.has_calls_of(src);
        let code = if is_full(link.calls, limits.calls_in_flight.into(), &has_calls) {
            DeadCode::Busy
        } else if is_full(link.lined_up, limits.calls_waiting, &has_calls)
            || (frame.reply_to != ReplyTo::Nobody
                && is_full(link.outbox.answers(), limits.downlink, &|| link.outbox.owes_credit(src)))
        {
            DeadCode::Congested
        } else {
            return None;
        };
        Some((DropKind::Congested, code, "too many calls and answers wait there by the same link".into()))
    }

    /// Why a call that is whole is not kept.
    fn unfit(&self, handle: Handle, head: &CallHead) -> Option<(DropKind, DeadCode, String)> {
        if handle != Handle::CALL_FUNCTION {
            return None;
        }
        if self.closing {
            // Its first piece came in time; now the last worker may have looked its last.
            return Some(self.too_late());
        }
        self.desk.waits_for_itself(&head.above, self.config.me).then(|| {
            let text = format!(
                "the call would wait for itself: every worker of context {} is held, one by a call that waits for it",
                self.config.me
            );
            (DropKind::WouldWait, DeadCode::WouldWait, text)
        })
    }

    fn too_late(&self) -> (DropKind, DeadCode, String) {
        (DropKind::ShuttingDown, DeadCode::ShuttingDown, format!("context {} is ending", self.config.me))
    }

    /// Gives back what a whole frame held; its last piece cost so much.
    fn pay_back(&mut self, frame: &Frame, cost: u32, out: &mut Actions) {
        let back = self.credits.taken(frame.src, Window::Calls, frame.body.len(), cost);
        self.give_credit(frame.src, Window::Calls, back, out);
    }

    /// Takes a call in: it waits for a worker, or goes to the shell if this context offers it itself.
    fn take_in(&mut self, from: Option<LinkKey>, frame: Frame, cost: u32, out: &mut Actions) {
        let Ok((head, args_at)) = codec::decode_prefix::<CallHead>(&frame.body, CONTROL_BUDGET) else {
            self.pay_back(&frame, cost, out);
            let text = "the head of the call could not be read".to_owned();
            return self.refuse(from, &frame, DropKind::Malformed, DeadCode::Malformed, text, out);
        };
        if let Some((kind, code, text)) = self.unfit(frame.handle, &head) {
            self.pay_back(&frame, cost, out);
            self.turn_back(frame.src, frame.reply_to.handle(), Some(head), &text, out);
            return self.refuse(from, &frame, kind, code, text, out);
        }
        let now = self.timers.now();
        let has_asker = frame.reply_to.handle().is_some();
        let service = R::HAS_CHILDREN && frame.handle == Handle::CREATE_CHILD;
        if service {
            self.pay_back(&frame, cost, out);
        }
        let deadline = head.left_ms.map(|left| now.after(u64::from(left)));
        let call = Call {
            serial: 0,
            src: frame.src,
            auth: frame.auth,
            from: from.filter(|_| !self.is_ancestor(frame.src)),
            reply_to: frame.reply_to.handle(),
            head,
            body: frame.body,
            args_at,
            cost,
            deadline,
            taken: service,
            overdue: false,
            cancelled: false,
        };
        // It counts for the link of its caller until it is answered, and its body until a worker has it.
        if let Some(link) = call.from.and_then(|from| self.link_mut(from)) {
            link.calls += 1;
            link.lined_up += if service { 0 } else { call.weight() };
        }
        let key = self.desk.insert(call);
        if has_asker {
            self.timers.line_up(now.after(u64::from(self.config.limits.started_ms)), key);
        }
        if let Some(at) = deadline {
            self.timers.set(at, Timer::CallerGone(key));
        }
        if service {
            out.push(Action::Service(key));
        } else {
            self.desk.line_up(key);
            out.push(Action::CallReady);
        }
    }

    /// The next call for a free worker; what may not run any more is answered here.
    pub fn take_call(&mut self, now: Tick, worker: usize, out: &mut Actions) -> Option<Incoming> {
        self.timers.advance(now);
        while let Some(key) = self.desk.take() {
            self.pay_for_call(key, out);
            if let Some((kind, code, text)) = self.not_to_run(key) {
                self.turn_away(key, kind, code, text, out);
                continue;
            }
            if let Some(text) = self.failed_chain(key) {
                self.refuse_ends_of(key, out);
                if let Some(call) = self.finish(key) {
                    self.reply_failed(&call, Failed::Chain, text, out);
                }
                continue;
            }
            if let Some(place) = self.desk.workers.get_mut(worker) {
                *place = Some(key);
            }
            if self.desk.get(key).is_some_and(|call| call.overdue) {
                self.tell_started(key, out);
            }
            return self.incoming(key);
        }
        None
    }

    /// Whether calls wait for a worker.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        self.desk.has_waiting()
    }

    /// A call to what the context itself offers, for [`Action::Service`].
    #[must_use]
    pub fn service_call(&mut self, key: CallKey) -> Option<Incoming> {
        self.incoming(key)
    }

    /// Whether a worker holds a call.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.desk.workers.iter().any(Option::is_some)
    }

    /// The handler of a worker has returned; its call may be answered later.
    pub fn release_worker(&mut self, worker: usize) {
        if let Some(place) = self.desk.workers.get_mut(worker) {
            *place = None;
        }
    }

    /// A call waits for a worker no more.
    pub(super) fn pay_for_call(&mut self, key: CallKey, out: &mut Actions) {
        let Some(call) = self.desk.get(key) else { return };
        let (src, bytes, cost) = (call.src, call.body.len(), call.cost);
        let counted = call.from.map(|from| (from, call.weight()));
        if let Some((from, weight)) = counted
            && let Some(link) = self.link_mut(from)
        {
            link.lined_up -= weight;
        }
        let back = self.credits.taken(src, Window::Calls, bytes, cost);
        self.give_credit(src, Window::Calls, back, out);
    }

    /// Why a call that has waited is not run.
    fn not_to_run(&self, key: CallKey) -> Option<(DropKind, DeadCode, String)> {
        let call = self.desk.get(key)?;
        if call.cancelled {
            return Some((DropKind::Late, DeadCode::Cancelled, "it was cancelled before it ran".into()));
        }
        if call.deadline.is_some_and(|at| at <= self.timers.now()) {
            let text = match call.head.left_ms {
                Some(0) if call.reply_to.is_none() => "it was given up before it was sent",
                _ => "its deadline passed before it could run",
            };
            return Some((DropKind::Late, DeadCode::TooLate, text.into()));
        }
        let owes = |link: &Link| {
            link.outbox.answers() >= self.config.limits.downlink && link.outbox.owes_credit(call.src)
        };
        if call.reply_to.is_some() && call.from.and_then(|from| self.link(from)).is_some_and(owes) {
            let text = "too many answers wait for the credit of its caller".into();
            return Some((DropKind::Congested, DeadCode::Congested, text));
        }
        let name = &call.head.function;
        let function = self.function(name)?;
        if self.may_call(call.src, call.auth, function) {
            return None;
        }
        let text = format!(
            "context {} may not call {name} in context {}; an ancestor can grant it",
            call.src, self.config.me
        );
        Some((DropKind::Policy, DeadCode::Policy, text))
    }

    /// Answers a call that is not run with a dead reply.
    pub(super) fn turn_away(
        &mut self,
        key: CallKey,
        kind: DropKind,
        code: DeadCode,
        text: String,
        out: &mut Actions,
    ) {
        let Some((src, chain)) = self.desk.get(key).map(|call| (call.src, call.head.chain)) else { return };
        self.fail_chain(src, chain, &text);
        let Some(call) = self.finish(key) else { return };
        self.refuse_undelivered(call.src, call.reply_to, &call.head.ends, out);
        if call.reply_to.is_none() && kind == DropKind::Late {
            return;
        }
        let link = self.way_to(call.src);
        let me = self.config.me;
        let frame = Frame {
            dst: me,
            src: call.src,
            auth: call.auth,
            handle: Handle::CALL_FUNCTION,
            reply_to: call.reply_to.map_or(ReplyTo::Nobody, ReplyTo::Handle),
            part: None,
            body: Body::default(),
        };
        self.refuse(link, &frame, kind, code, text, out);
    }

    /// Refuses the ends of a call that gets a dead reply: with that the caller closes its own himself, and may use their
    /// handles again before news from here could reach them.
    fn refuse_undelivered(&mut self, src: ContextId, waits: Option<Handle>, ends: &[End], out: &mut Actions) {
        let others =
            ends.iter().filter(|end| waits.is_none() || end.home != src).copied().collect::<Vec<_>>();
        self.refuse_ends(src, &others, out);
    }

    /// Closes the ends that the arguments of a call bring, which nobody will read.
    fn refuse_ends_of(&mut self, key: CallKey, out: &mut Actions) {
        let Some(call) = self.desk.get_mut(key) else { return };
        let (src, ends) = (call.src, std::mem::take(&mut call.head.ends));
        self.refuse_ends(src, &ends, out);
    }

    /// The index of a function in the table of the shell.
    pub(super) fn function(&self, name: &str) -> Option<usize> {
        self.config.functions.iter().position(|(known, _)| known == name)
    }

    fn incoming(&mut self, key: CallKey) -> Option<Incoming> {
        let own = self.desk.waits_as(key, self.config.me);
        let function = self.desk.get(key).and_then(|call| self.function(&call.head.function));
        let call = self.desk.get_mut(key)?;
        // Of use to who runs it alone.
        let mut above = std::mem::take(&mut call.head.above);
        above.extend(own);
        if above.len() > MAX_ABOVE {
            above.drain(..above.len() - MAX_ABOVE);
        }
        Some(Incoming {
            key,
            src: call.src,
            auth: call.auth,
            function,
            name: call.head.function.clone().into_owned(),
            // Whoever runs it holds it no longer than he must, though the answer may come much later.
            body: std::mem::take(&mut call.body),
            args_at: call.args_at,
            ends: call.head.ends.clone(),
            deadline: call.deadline,
            above,
            wants_reply: call.reply_to.is_some(),
        })
    }
}

/// The head of a call of a function, if what has come of its body holds it.
pub(super) fn head_of(called: Handle, begun: &[u8]) -> Option<CallHead> {
    let is_function = called == Handle::CALL_FUNCTION;
    codec::decode_prefix(begun, CONTROL_BUDGET).ok().filter(|_| is_function).map(|(head, _)| head)
}
