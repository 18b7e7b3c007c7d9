//! What programs do by themselves, and timers.

use offshoot_core::machine::CallKey;
use offshoot_wire::{ContextId, Handle};

use super::{Forest, Happening, Moment};
use crate::world::Context;

/// What a program can do next.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Work,
    Finish(CallKey),
    Take(Handle),
    Exit,
}

/// What is due from then on does not happen.
const NEVER: Moment = u32::MAX as Moment * 1000;

impl Forest {
    pub(super) fn plan_program(&mut self, id: ContextId) {
        let slow = self.settings.slow_workers;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if !cell.is_stirred && !cell.is_paused && !Self::choices(&cell.context, slow).is_empty() {
            cell.is_stirred = true;
            let after = [10, 200, 5000][cell.dice.below(3) as usize];
            let jitter = cell.dice.below(after);
            self.plan(after + jitter, Happening::Program(id));
        }
    }

    /// A program does one of the things that it can do.
    pub(super) fn program(&mut self, id: ContextId) {
        let slow = self.settings.slow_workers;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        cell.is_stirred = false;
        if cell.is_paused {
            return;
        }
        let choices = Self::choices(&cell.context, slow);
        let Some(choice) = cell.dice.one_of(&choices) else { return };
        match choice {
            Choice::Work => self.with(id, |context, io| context.work(io)),
            Choice::Finish(key) => self.with(id, |context, io| context.finish(key, io)),
            Choice::Take(handle) => self.with(id, |context, io| context.read(handle, io)),
            Choice::Exit => {
                let written = self.neighbours(id).all(|peer| self.has_written(id, peer));
                if written {
                    self.tell(|_| format!("{id} ends"));
                    self.exit(id);
                } else {
                    self.plan_program(id);
                }
            }
        }
    }

    fn neighbours(&self, id: ContextId) -> impl Iterator<Item = ContextId> + '_ {
        self.cells.get(&id).into_iter().flat_map(|cell| cell.neighbours.iter().copied())
    }

    /// Whether all that the machine of a context let go is inside the pipe.
    fn has_written(&self, id: ContextId, peer: ContextId) -> bool {
        let Some((child, way)) = self.pipe_between(id, peer) else { return true };
        self.links.get(&child).is_none_or(|link| !link.pipe(way).is_behind())
    }

    fn choices(context: &Context, slow_workers: bool) -> Vec<Choice> {
        let mut choices = Vec::new();
        if slow_workers && context.can_work() {
            choices.push(Choice::Work);
        }
        choices.extend(context.held().map(Choice::Finish));
        choices.extend(context.ends.keys().filter(|end| context.can_read(**end)).copied().map(Choice::Take));
        if context.can_exit() {
            choices.push(Choice::Exit);
        }
        choices
    }

    pub(super) fn plan_due(&mut self, id: ContextId) {
        let Some(cell) = self.cells.get_mut(&id).filter(|cell| !cell.is_paused) else { return };
        let due = cell.context.router.next_due().map(|tick| tick.0.saturating_mul(1000));
        if let Some(due) = due.filter(|due| *due < cell.due && *due < NEVER) {
            cell.due = due;
            self.plan_at(due, Happening::Due(id));
        }
    }

    /// A timer: what waits to be read is read before any is judged (T14).
    pub(super) fn due(&mut self, id: ContextId) {
        let now = self.now;
        let Some(cell) = self.cells.get_mut(&id) else { return };
        if cell.due > now || cell.is_paused {
            return;
        }
        cell.due = Moment::MAX;
        for peer in cell.neighbours.clone() {
            if let Some((child, way)) = self.pipe_between(peer, id) {
                self.read_some(child, way, usize::MAX);
            }
        }
        self.with(id, |context, io| context.due(io));
    }
}
