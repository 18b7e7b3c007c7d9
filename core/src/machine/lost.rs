//! What a loss ends (rule 6): calls, streams, bodies in the making, grants, windows; nothing about the dead stays.

use offshoot_wire::{ContextId, DelRoute, Handle};

use super::{Action, Actions, Ended, LinkKey, Machine, Outcome, Owner, Progress, Queued, Routes, map::Set};

impl<R: Routes> Machine<R> {
    /// A link has ended.
    pub(super) fn on_link_down(&mut self, link: LinkKey, reason: &str, out: &mut Actions) {
        if self.link(link).is_none() {
            return;
        }
        self.timers.forget_link(link);
        self.granting.remove(&link);
        if R::HAS_CHILDREN {
            self.unsaid.remove(&link);
        }
        let up = self.up == Some(link);
        if up {
            self.up = None;
        }
        // Before the news of the loss, which leaves behind them (rule 10). A leaf has nobody to tell.
        if R::HAS_CHILDREN {
            self.answer_all_unsent(link, reason, out);
        }
        let mut steps = Vec::new();
        if up {
            self.routes.parent_down(link.peer, reason, &mut steps);
        } else {
            self.routes.child_down(link, reason, &mut steps);
        }
        self.carry_out(steps, out);
        self.links.remove(link.slot);
        if up {
            if R::HAS_CHILDREN {
                self.resume_children(out);
            }
            self.lose_everything_above(link.peer, reason, out);
            out.push(Action::ParentLost(reason.to_owned()));
        }
    }

    /// What waited for a link that is gone is answered.
    fn answer_all_unsent(&mut self, link: LinkKey, reason: &str, out: &mut Actions) {
        let unsent = self.link_mut(link).map(|l| std::mem::take(&mut l.outbox).into_data());
        let name =
            self.routes.name(link.peer).map_or_else(|| format!("context {}", link.peer), str::to_owned);
        let why = format!("{name} is gone: {reason}");
        for queued in unsent.into_iter().flatten() {
            self.answer_unsent(&queued, &why, out);
        }
    }

    /// A frame of somebody else will never leave: its source learns it. Our own are ended by the loss itself.
    ///
    /// Streams and who waits for an answer learn it by the news of the loss, which names who is lost.
    fn answer_unsent(&mut self, queued: &Queued, why: &str, out: &mut Actions) {
        if queued.frame.src != self.config.me && !queued.frame.handle.is_allocated() {
            self.answer_dead(&queued.frame, offshoot_wire::DeadCode::Gone, why.to_owned(), out);
        }
    }

    /// Nothing of any child waits for the uplink any more.
    fn resume_children(&mut self, out: &mut Actions) {
        for link in self.link_keys() {
            let waiting = self.link(link).map_or(0, |l| l.booked);
            self.unbook(link, waiting, out);
        }
    }

    /// The contexts of `del` are gone: everything here that waits for one of them ends.
    pub(super) fn lose(&mut self, del: DelRoute, out: &mut Actions) {
        let lost: Set<ContextId> = del.ids.iter().copied().collect();
        for link in self.links_to(&lost).iter() {
            let unsent = self.take_out(link, &mut |outbox| outbox.take_out_to(&lost), out);
            // A leaf holds no frames of others.
            if R::HAS_CHILDREN {
                self.answer_lost(&unsent, &del, out);
            }
        }
        self.lose_all(&lost, &del, out);
        out.push(Action::Lost { ids: del.ids, name: del.name, reason: del.reason });
    }

    /// What others sent to the lost takes no room any more, and who sent it learns that.
    fn answer_lost(&mut self, unsent: &[Queued], del: &DelRoute, out: &mut Actions) {
        for queued in unsent {
            if let Some(from) = queued.from {
                self.unbook(from, queued.weight(), out);
            }
            self.answer_unsent(queued, &lost_text(del), out);
        }
    }

    /// The parent is gone, and with it all that is not below this context.
    fn lose_everything_above(&mut self, parent: ContextId, reason: &str, out: &mut Actions) {
        let del = DelRoute { ids: vec![parent], top: parent, name: String::new(), reason: reason.to_owned() };
        let mut lost: Set<ContextId> = self
            .correspondents()
            .iter()
            .filter(|id| !matches!(self.routes.owner(*id), Owner::Me | Owner::Child(_)))
            .collect();
        lost.insert(parent);
        // What waited to leave for one of them has gone with the link.
        self.lose_all(&lost, &del, out);
    }

    /// Every context that some state here is about.
    pub(super) fn correspondents(&self) -> Set<ContextId> {
        let mut ids = self.desk.callers();
        ids.extend(self.grants.holders());
        ids.extend(self.parts.sources());
        ids.extend(self.credits.correspondents());
        ids.extend(self.handles.peers());
        ids.extend(self.waiting_room.iter());
        ids
    }

    /// The links by which frames to those that are lost would have left.
    fn links_to(&self, lost: &Set<ContextId>) -> Set<LinkKey> {
        let link = |id| match self.routes.owner(id) {
            Owner::Child(link) => Some(link),
            Owner::Up => self.up,
            Owner::Me | Owner::Nobody => None,
        };
        lost.iter().filter_map(link).collect()
    }

    fn lose_all(&mut self, lost: &Set<ContextId>, del: &DelRoute, out: &mut Actions) {
        let gone = |id| lost.contains(&id);
        if R::HAS_CHILDREN {
            self.stop_grants_to(&gone, out);
        }
        self.lose_handles(&self.handles.about(lost.iter()), del, out);
        for id in lost.iter() {
            self.lose_rest(id, out);
        }
    }

    /// Ends what is about the lost: calls to them, then who watches them, then streams with them.
    fn lose_handles(&mut self, handles: &[Handle], del: &DelRoute, out: &mut Actions) {
        for handle in handles {
            if self.handles.call(*handle).is_some() {
                let progress = self.progress(*handle);
                self.end_call(*handle, lost(del, progress), out);
            }
        }
        self.end_watches(handles, &del.reason, out);
        for handle in handles {
            if self.handles.stream(*handle).is_some() {
                self.finish_stream(*handle, Ended::Lost(lost_text(del)), out);
            }
        }
    }

    /// Those among `handles` who watch somebody are told that he is gone.
    pub(super) fn end_watches(&mut self, handles: &[Handle], reason: &str, out: &mut Actions) {
        for handle in handles {
            if self.handles.watched(*handle).is_some() {
                self.handles.remove(*handle);
                out.push(Action::Watched { handle: *handle, reason: reason.to_owned() });
            }
        }
    }

    /// What one of the lost had begun here ends, and what was kept for it is forgotten: it costs what there was of that,
    /// whatever else there is.
    fn lose_rest(&mut self, gone: ContextId, out: &mut Actions) {
        self.parts.forget_all(gone);
        self.lose_caller(gone, out);
        self.grants.forget(gone);
        self.credits.forget(gone);
        if self.waiting_room.remove(&gone) {
            out.push(Action::Room(gone));
        }
    }

    pub(super) fn link_keys(&self) -> Vec<LinkKey> {
        self.links.iter().map(|(slot, link)| LinkKey { slot, peer: link.peer }).collect()
    }
}

fn lost(del: &DelRoute, progress: Progress) -> Outcome {
    Outcome::Lost { id: del.top, name: del.name.clone(), reason: del.reason.clone(), progress }
}

fn lost_text(del: &DelRoute) -> String {
    format!("context {} ({}) is gone: {}", del.top, del.name, del.reason)
}
