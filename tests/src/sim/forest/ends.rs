//! How contexts and links end.

use std::collections::BTreeSet;

use offshoot_wire::ContextId;

use super::{End, Forest, Way};

impl Forest {
    /// A context ends at once.
    pub fn kill(&mut self, id: ContextId) {
        let Some(neighbours) = self.forget(id) else {
            // It has not read its SETUP: it ends with its link.
            if self.unborn.contains_key(&id) {
                self.cut(id, id);
            }
            return;
        };
        for peer in neighbours {
            if let Some((child, way)) = self.pipe_between(id, peer)
                && let Some(link) = self.links.get_mut(&child)
            {
                link.cut_way(way);
                self.close_pipe(peer, id);
                self.await_pipe(peer, id);
            }
        }
    }

    /// A context ends in order: what it has written arrives.
    pub(super) fn exit(&mut self, id: ContextId) {
        for peer in self.forget(id).into_iter().flatten() {
            if let Some((child, way)) = self.pipe_between(id, peer)
                && let Some(link) = self.links.get_mut(&child)
            {
                link.pipe_mut(way).end = End::Closing;
                self.close_pipe(peer, id);
                self.await_pipe(peer, id);
            }
        }
    }

    fn forget(&mut self, id: ContextId) -> Option<BTreeSet<ContextId>> {
        let cell = self.cells.remove(&id)?;
        self.said.remove(&id);
        self.history.context_gone(id);
        Some(cell.neighbours)
    }

    /// Nothing of what a context writes to a neighbour arrives any more.
    pub(super) fn close_pipe(&mut self, from: ContextId, to: ContextId) {
        if let Some((child, way)) = self.pipe_between(from, to)
            && let Some(link) = self.links.get_mut(&child)
        {
            link.pipe_mut(way).cut(0);
        }
    }

    /// The link between two contexts breaks: `b` may be the child itself.
    pub fn cut(&mut self, a: ContextId, b: ContextId) {
        let child = if self.links.get(&b).is_some_and(|link| link.parent == a) { b } else { a };
        let Some(link) = self.links.get_mut(&child) else { return };
        link.cut();
        self.unborn.remove(&child);
        for way in Way::BOTH {
            self.await_end(child, way, 0);
        }
    }
}
