//! The route monitor: what is announced, refused and withdrawn, and who is told (rules 5 and 6).

use std::collections::BTreeSet;

use offshoot_core::machine::{DropKind, LinkKey, Owner, RouteFrame, Routes, Standing, Step};
use offshoot_core::wire::{AddRoute, ContextId, DelRoute, IdRange, Role, clean_name};

use crate::{create::REFUSED, table::Table, text::clean_reason};

/// How many ids one DEL_ROUTE lists: at 5 bytes each they fit 4 KiB together with a name and a reason.
const IDS_A_FRAME: usize = 500;

/// Why an announcement is refused.
struct Refusal {
    kind: DropKind,
    /// Said to the context that made the child; nothing where the id may be somebody else's live one, since
    /// to withdraw it there would take it from those who talk to it.
    told: Option<&'static str>,
}

impl Refusal {
    const fn silent(kind: DropKind) -> Self {
        Self { kind, told: None }
    }

    const fn told(kind: DropKind, why: &'static str) -> Self {
        Self { kind, told: Some(why) }
    }
}

/// A loss on its way to whom it concerns.
struct Loss<'a> {
    ids: &'a [ContextId],
    top: ContextId,
    name: &'a str,
    reason: &'a str,
}

impl Loss<'_> {
    fn frame(&self, ids: Vec<ContextId>) -> DelRoute {
        DelRoute { ids, top: self.top, name: self.name.to_owned(), reason: self.reason.to_owned() }
    }
}

impl Table {
    /// Rule 5: a child link announces a context.
    pub(crate) fn announce(&mut self, link: LinkKey, add: &AddRoute, steps: &mut Vec<Step>) {
        let name = clean_name(&add.name);
        match self.judge(link, add) {
            Ok(()) => {
                let passed_on = AddRoute { id: add.id, parent: add.parent, name: name.clone() };
                self.enter(link, add.id, add.parent, name);
                self.up(RouteFrame::Add(passed_on), steps);
            }
            Err(refusal) => {
                steps.push(Step::Drop(link, refusal.kind));
                if let Some(reason) = refusal.told {
                    let refused = Loss { ids: &[], top: add.id, name: &name, reason };
                    steps.push(Step::Down(link, RouteFrame::Del(refused.frame(vec![add.id]))));
                }
            }
        }
    }

    fn judge(&self, link: LinkKey, add: &AddRoute) -> Result<(), Refusal> {
        let id = add.id;
        let Some(neighbour) = self.links.get(&link) else { return Err(Refusal::silent(DropKind::Route)) };
        if neighbour.role != Some(Role::Parent) {
            return Err(Refusal::silent(DropKind::Role));
        }
        let foreign = IdRange::new(id.range().number()).is_none();
        if foreign || id == self.me || id == ContextId::ROOT || self.standing(id) == Standing::Live {
            return Err(Refusal::silent(DropKind::Route));
        }
        match self.owner(id) {
            Owner::Child(owner) if owner == link => {}
            Owner::Up => return Err(Refusal::silent(DropKind::Grant)),
            Owner::Me | Owner::Child(_) | Owner::Nobody => {
                return Err(Refusal::told(
                    DropKind::Grant,
                    "its id was not granted to the context that made it",
                ));
            }
        }
        if self.standing(id) == Standing::Gone {
            return Err(Refusal::told(
                DropKind::Grant,
                "its id was used before, and ids are never used again",
            ));
        }
        if self.link_of(add.parent) != Some(link) {
            return Err(Refusal::told(DropKind::Route, "the context that made it is not there"));
        }
        if neighbour.alive >= self.limits.contexts {
            return Err(Refusal::told(DropKind::Quota, "too many contexts live behind one link"));
        }
        Ok(())
    }

    /// Rule 6: a child link says that a context behind it is gone.
    pub(crate) fn withdraw(&mut self, link: LinkKey, del: &DelRoute, steps: &mut Vec<Step>) {
        if self.link_of(del.top) != Some(link) || del.top == link.peer {
            return steps.push(Step::Drop(link, DropKind::Route));
        }
        self.lose(del.top, &clean_reason(&del.reason), true, steps);
    }

    /// Rule 6: a child link has ended, and with it all that was announced by it.
    pub(crate) fn end(&mut self, link: LinkKey, reason: &str, steps: &mut Vec<Step>) {
        let Some(neighbour) = self.links.get(&link) else { return };
        self.lose(link.peer, &clean_reason(reason), !neighbour.refused, steps);
        self.links.remove(&link);
        self.hearers.forget(link.peer);
        self.ids.link_down(link);
    }

    /// Rule 6: this context has lost its parent. Those below are told to end, and until then work for nobody above.
    pub(crate) fn orphaned(&mut self, top: ContextId, reason: &str, steps: &mut Vec<Step>) {
        // Where a link has heard of too many to remember: those that are known to have been above.
        let some = self.hearers.is_any_full().then_some([ContextId::ROOT, top]);
        let heard = self.hearers.contexts().chain(some.into_iter().flatten());
        let above: BTreeSet<_> = heard.filter(|id| self.owner(*id) == Owner::Up).collect();
        let ids: Vec<_> = above.into_iter().collect();
        self.tell_links(&Loss { ids: &ids, top, name: "", reason: &clean_reason(reason) }, None, steps);
    }

    /// Rules 5 and 6: the parent says that contexts elsewhere are gone, or refuses some that were announced to it.
    pub(crate) fn told(&mut self, del: &DelRoute, steps: &mut Vec<Step>) {
        let reason = clean_reason(&del.reason);
        let elsewhere: Vec<_> = del.ids.iter().copied().filter(|id| self.owner(*id) == Owner::Up).collect();
        if !elsewhere.is_empty() {
            let name = clean_name(&del.name);
            let loss = Loss { ids: &elsewhere, top: del.top, name: &name, reason: &reason };
            steps.push(Step::Lost(loss.frame(elsewhere.clone())));
            self.tell_links(&loss, None, steps);
        }
        for id in &del.ids {
            // What is not alive here was told before, or its link was lost in the meantime.
            if let Some(link) = self.link_of(*id) {
                self.refused(link, *id, &reason, steps);
            }
        }
    }

    /// The parent has refused `id`, which was announced by `link`: the context that made it ends it.
    fn refused(&mut self, link: LinkKey, id: ContextId, reason: &str, steps: &mut Vec<Step>) {
        if id == link.peer {
            if let Some(neighbour) = self.links.get_mut(&link) {
                neighbour.refused = true;
            }
            return steps.push(Step::Cut(link, format!("{REFUSED}{reason}")));
        }
        let name = self.lose(id, reason, false, steps);
        let refused = Loss { ids: &[], top: id, name: &name, reason };
        steps.push(Step::Down(link, RouteFrame::Del(refused.frame(vec![id]))));
    }

    /// Takes out the live context `top` with all below it, and tells whom it concerns; gives its name.
    fn lose(&mut self, top: ContextId, reason: &str, tell_parent: bool, steps: &mut Vec<Step>) -> String {
        let link = self.link_of(top);
        let (ids, name) = self.remove(top);
        let loss = Loss { ids: &ids, top, name: &name, reason };
        if tell_parent {
            self.up(RouteFrame::Del(loss.frame(vec![top])), steps);
        }
        steps.push(Step::Lost(loss.frame(ids.clone())));
        self.tell_links(&loss, link, steps);
        name
    }

    /// Tells each link but `source` of those lost that frames to or from have passed there.
    fn tell_links(&mut self, loss: &Loss<'_>, source: Option<LinkKey>, steps: &mut Vec<Step>) {
        for peer in self.hearers.of(loss.ids, source.map(|link| link.peer)) {
            let heard = self.hearers.take(peer, loss.ids);
            let Some(link) = self.link_of(peer) else { continue };
            for ids in heard.chunks(IDS_A_FRAME) {
                steps.push(Step::Down(link, RouteFrame::Del(loss.frame(ids.to_vec()))));
            }
        }
    }
}
