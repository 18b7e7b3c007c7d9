//! Who may call what (rule 11): a policy a function, and grants by id.

use offshoot_wire::{CallHead, ContextId, Dead, DeadCode, Frame, Handle, codec};

use super::{
    Actions, DropKind, LinkKey, Machine, NoWay, Outcome, Owner, Policy, Progress, Queued, Routes,
    parts::CONTROL_BUDGET,
};

/// What ancestors have allowed beyond the policies: this context may call that function here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Grants {
    /// In order.
    set: Vec<(ContextId, String)>,
}

impl Grants {
    /// Remembers a grant; `false` if there are too many.
    pub(super) fn add(&mut self, to: ContextId, function: String, limit: u32) -> bool {
        let grant = (to, function);
        let Err(at) = self.set.binary_search(&grant) else { return true };
        let has_room = self.set.len() < limit as usize;
        if has_room {
            self.set.insert(at, grant);
        }
        has_room
    }

    /// Who has been granted something.
    pub(super) fn holders(&self) -> impl Iterator<Item = ContextId> + '_ {
        self.set.iter().map(|(to, _)| *to)
    }

    pub(super) fn forget(&mut self, gone: ContextId) {
        let first = self.set.partition_point(|(to, _)| *to < gone);
        let end = self.set.partition_point(|(to, _)| *to <= gone);
        self.set.drain(first..end);
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}

/// What a GRANT says: the function, and who may call it.
pub(super) fn read_grant(body: &[u8]) -> Option<(String, ContextId)> {
    let (_, at) = codec::decode_prefix::<CallHead>(body, CONTROL_BUDGET).ok()?;
    codec::decode(body.get(at..)?, CONTROL_BUDGET).ok()
}

impl<R: Routes> Machine<R> {
    /// Why a GRANT is not passed on, if the context that it names is gone: nobody would tell of its loss any more.
    pub(super) fn granted_in_vain(&self, frame: &Frame) -> Option<String> {
        // A leaf grants nothing: nobody is below it.
        if !R::HAS_CHILDREN || frame.handle != Handle::GRANT {
            return None;
        }
        let (_, granted) = read_grant(&frame.body)?;
        self.refusal(granted).map(|NoWay { text, .. }| format!("nothing can be granted: {text}"))
    }

    /// Why a GRANT is not passed on that comes from a child: it is no ancestor of whom it does not reach by itself. There
    /// it would be refused, and until then every loss would have to be looked for in it.
    pub(super) fn granted_without_right(&self, from: LinkKey, frame: &Frame) -> Option<String> {
        let is_right = frame.handle != Handle::GRANT || self.up == Some(from) || self.is_ancestor(frame.auth);
        (!is_right).then(|| format!("only an ancestor of context {} may grant its functions", frame.dst))
    }

    /// GRANT: an ancestor lets a context call a function here.
    pub(super) fn on_grant(&mut self, from: Option<LinkKey>, frame: &Frame, out: &mut Actions) {
        let Some((function, to)) = read_grant(&frame.body) else {
            let text = "the grant could not be read".to_owned();
            return self.refuse(from, frame, DropKind::Malformed, DeadCode::Malformed, text, out);
        };
        if self.function(&function).is_none() {
            let text = format!("context {} serves no function {function}", self.config.me);
            return self.refuse(from, frame, DropKind::NoHandle, DeadCode::NoHandle, text, out);
        }
        if let Some(text) = self.granted_in_vain(frame) {
            return self.refuse(from, frame, DropKind::Policy, DeadCode::Policy, text, out);
        }
        if self.grants.add(to, function, self.config.limits.grants) {
            self.reply_value(frame, out);
        } else {
            let text = format!("context {} holds as many grants as it may", self.config.me);
            self.refuse(from, frame, DropKind::Congested, DeadCode::Busy, text, out);
        }
    }

    /// A GRANT that waits and names somebody who is gone does not leave: the news of the loss would be there before it.
    pub(super) fn stop_grants_to(&mut self, gone: &dyn Fn(ContextId) -> bool, out: &mut Actions) {
        let names_one = |queued: &Queued| read_grant(&queued.frame.body).is_some_and(|(_, to)| gone(to));
        for link in std::mem::take(&mut self.granting).iter() {
            for queued in self.take_out(link, &mut |outbox| outbox.take_grants(&names_one), out) {
                self.stop_grant(queued, out);
            }
            if self.link(link).is_some_and(|l| l.outbox.has_grants()) {
                self.granting.insert(link);
            }
        }
    }

    /// A GRANT will not leave: whoever waits for its answer learns it.
    fn stop_grant(&mut self, queued: Queued, out: &mut Actions) {
        let text = "nothing can be granted: who was to be granted it is gone".to_owned();
        if let Some(from) = queued.from {
            self.unbook(from, queued.weight(), out);
        }
        match queued.frame.reply_to.handle().filter(|_| queued.frame.src == self.config.me) {
            Some(handle) => {
                let dead = Dead { code: DeadCode::Policy, text };
                let outcome = Outcome::Dead { dead, by: self.config.me, progress: Progress::NotSent };
                self.end_call(handle, outcome, out);
            }
            None => {
                if let Some(back) = self.way_to(queued.frame.src) {
                    self.give_back(back, &queued.frame, out);
                }
                self.answer_dead(&queued.frame, DeadCode::Policy, text, out);
            }
        }
    }

    /// A GRANT that passes is as good as a frame from the context that it names: where it goes, its loss must be told.
    pub(super) fn remember_granted(&mut self, to: LinkKey, frame: &Frame) {
        if R::HAS_CHILDREN
            && frame.handle == Handle::GRANT
            && let Some((_, granted)) = read_grant(&frame.body)
        {
            self.remember_passing(to, granted);
        }
    }

    /// Who grants to somebody who is not below him speaks to him: then the links between tell of his loss, or at once that
    /// he is gone, and so does this context to the one in which it grants.
    pub(super) fn hear_of_granted(&mut self, frame: &Frame, out: &mut Actions) {
        if R::HAS_CHILDREN
            && frame.handle == Handle::GRANT
            && let Some((_, granted)) = read_grant(&frame.body)
            && self.routes.owner(granted) == Owner::Up
        {
            // A word that costs no credit, and means nothing there.
            let chain = self.new_chain();
            self.end_chain(granted, chain, out);
        }
    }

    /// Whether `auth` is this context or one of its ancestors.
    pub(super) fn is_ancestor(&self, auth: ContextId) -> bool {
        self.config.is_ancestor(auth)
    }

    /// Whether the frame that brought a call may run the function.
    pub(super) fn may_call(&self, src: ContextId, auth: ContextId, function: usize) -> bool {
        let Some((name, policy)) = self.config.functions.get(function) else { return true };
        let by_policy = match policy {
            Policy::Parents => self.is_ancestor(auth),
            Policy::Children if !R::HAS_CHILDREN => auth == self.config.me,
            Policy::Children => auth == self.config.me || matches!(self.routes.owner(auth), Owner::Child(_)),
            Policy::Anyone => true,
        };
        // A grant names who calls; a stamped frame carries the authority of the one who stamped it instead.
        by_policy || (src == auth && self.grants.set.binary_search(&(auth, name.clone())).is_ok())
    }

    /// Whether a frame may rule this context: make children of it, grant, end it.
    pub(super) fn may_rule(&self, frame: &Frame) -> bool {
        self.is_ancestor(frame.auth)
    }
}
