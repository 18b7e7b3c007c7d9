//! How a forest grows: every context makes its children once it is there.

use std::collections::VecDeque;

use offshoot_wire::{ContextId, Frame, Setup, codec};

use super::{Forest, Happening, Link};
use crate::world::birth::{self, Birth};

impl Forest {
    /// A context makes its children, and each of these its own once it is there.
    pub(super) fn grow(&mut self, id: ContextId, budget: u32) {
        let children = budget.min(self.fan);
        for child in 0..children {
            let share = (budget - children) / children + u32::from(child < (budget - children) % children);
            let label = self.new_label();
            let coin = self.cells.get_mut(&id).is_some_and(|cell| cell.dice.once_in(4));
            if share > 0 {
                self.budgets.insert(label, share);
            }
            self.create(id, label, share > 0 || coin, false);
        }
    }

    /// A name for a context to be.
    pub const fn new_label(&mut self) -> u32 {
        self.next_label += 1;
        self.next_label
    }

    /// A context makes a child.
    pub fn create(&mut self, parent: ContextId, label: u32, is_parent: bool, is_stamped: bool) {
        let birth = Birth { id: ContextId::ROOT, label, is_parent, is_stamped, for_call: None };
        self.with(parent, |context, io| context.create(birth, io));
    }

    pub(super) fn spawn(&mut self, parent: ContextId, birth: Birth) {
        let child = birth.id;
        if let Some(cell) = self.cells.get_mut(&parent) {
            cell.neighbours.insert(child);
        }
        self.links.insert(child, Link::new(self.settings.seed, parent, child, self.settings.pace));
        self.unborn.insert(child, birth);
        self.made.push(child);
        let mut effects = VecDeque::new();
        self.flush(parent, child, &mut effects);
        self.carry_out(parent, effects.into());
    }

    /// A child has read its SETUP: it is there, and says HELLO.
    pub(super) fn give_birth(&mut self, id: ContextId, frame: &Frame) {
        let Some(birth) = self.unborn.remove(&id) else { return };
        let Ok(setup) = codec::decode::<Setup>(&frame.body, 1 << 16) else {
            return self.history.wrong("I16", "SETUP is damaged");
        };
        let role = birth::role(&birth);
        self.put(&setup, role);
        self.with(id, |context, io| context.say_hello(role, io));
        if let Some(budget) = self.budgets.remove(&birth.label) {
            self.plan(1000, Happening::Grow(id, budget));
        }
    }
}
