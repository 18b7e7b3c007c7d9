//! Contexts that act, what they write to each other, and how they come and go.

use std::sync::Arc;

use offshoot_core::machine::{Actions, Tick};
use offshoot_wire::{ContextId, Decoded, Decoder, Frame, Handle, Setup, codec};

use super::{Unborn, Wire, World};
use crate::world::{
    birth::{self, Birth},
    context::{Context, Effect, Io},
    history::{History, Violation},
    sabotage::Sabotage,
};

impl World {
    pub(super) fn deliver(&mut self, from: ContextId, to: ContextId) {
        let Some(frame) = self.wires.get_mut(&(from, to)).and_then(|wire| wire.frames.pop_front()) else {
            return;
        };
        if self.unborn.contains_key(&to) {
            if frame.handle == Handle::SETUP {
                self.give_birth(to, &frame);
            }
        } else {
            self.with(to, |context, io| context.frame(from, frame, io));
        }
        self.with(from, |_, _| {});
    }

    /// A child has read its SETUP: it is there, and says HELLO.
    fn give_birth(&mut self, id: ContextId, frame: &Frame) {
        let Some(Unborn { birth, .. }) = self.unborn.remove(&id) else { return };
        let Ok(setup) = codec::decode::<Setup>(&frame.body, 1 << 16) else {
            return self.history.wrong("I16", "SETUP is damaged");
        };
        let role = birth::role(&birth);
        self.put(&setup, role);
        self.with(id, |context, io| context.say_hello(role, io));
    }

    /// It is so late now, and a context judges its timers.
    pub fn advance(&mut self, label: u32, ms: u64) {
        self.now = self.now.max(Tick(ms));
        self.fire(self.id(label));
    }

    pub(super) fn due(&mut self, id: ContextId) {
        let due = self.context(id).and_then(|context| context.router.next_due());
        self.now = self.now.max(due.unwrap_or(self.now));
        self.fire(id);
    }

    fn fire(&mut self, id: ContextId) {
        self.with(id, Context::due);
    }

    /// Lets a context act, does what it cannot do by itself, and writes what it has to write.
    pub(super) fn with(&mut self, id: ContextId, act: impl FnOnce(&mut Context, &mut Io<'_>)) {
        let Some(mut cell) = self.cells.remove(&id) else { return };
        let mut effects = Vec::new();
        let context = Arc::make_mut(&mut cell.context);
        let mut io = io(self.now, &mut self.history, &mut effects, self.settings.sabotage);
        act(context, &mut io);
        if !self.settings.slow_workers {
            while context.can_work() {
                context.work(&mut io);
            }
        }
        cell.rehash();
        self.cells.insert(id, cell);
        self.carry_out(id, effects);
        if !self.paused.contains(&id) {
            self.write_out(id);
        }
    }

    fn carry_out(&mut self, id: ContextId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Spawn(birth) => self.spawn(id, birth),
                Effect::Cut(peer) => self.cut(id, peer),
                Effect::Kill(child) => self.end(child),
                Effect::Write(peer) => {
                    self.wishes.insert((id, peer));
                }
                // Whoever may read can take a step.
                Effect::Read(_) => {}
            }
        }
    }

    /// Moves what may leave from the outboxes to the wires, as far as these take it, where a machine has asked for it.
    fn write_out(&mut self, id: ContextId) {
        let wishes = |world: &Self| -> Vec<ContextId> {
            let all = (id, ContextId::new(0))..=(id, ContextId::new(u32::MAX));
            world.wishes.range(all).map(|(_, peer)| *peer).collect()
        };
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for peer in wishes(self) {
                match self.write_one(id, peer) {
                    Written::Frame => moved = true,
                    Written::Nothing => {
                        self.wishes.remove(&(id, peer));
                    }
                    Written::Full => {}
                }
            }
        }
    }

    fn write_one(&mut self, id: ContextId, peer: ContextId) -> Written {
        let Some(wire) = self.wires.get(&(id, peer)).filter(|wire| !wire.cut) else {
            return Written::Nothing;
        };
        if wire.frames.len() >= self.settings.in_flight {
            return Written::Full;
        }
        let Some(mut cell) = self.cells.remove(&id) else { return Written::Nothing };
        let Some(link) = cell.context.links.get(&peer).copied() else {
            self.cells.insert(id, cell);
            return Written::Nothing;
        };
        let context = Arc::make_mut(&mut cell.context);
        let mut effects = Vec::new();
        let mut io = io(self.now, &mut self.history, &mut effects, self.settings.sabotage);
        let mut out = Actions::new();
        let has_control = context.router.has_control(link);
        let mut frame = context.router.pull(link, &mut out);
        if self.settings.sabotage == Some(Sabotage::DataFirst) && has_control {
            frame = context.router.pull(link, &mut out).or(frame);
        }
        context.act(out, &mut io);
        cell.rehash();
        self.cells.insert(id, cell);
        self.carry_out(id, effects);
        let Some(frame) = frame else { return Written::Nothing };
        if has_control && !frame.is_control() {
            self.history.wrong("I11", format!("in context {id} data leave to {peer} before a control frame"));
        }
        let frame = over_the_wire(frame, &mut self.history);
        if let Some(wire) = self.wires.get_mut(&(id, peer)) {
            match &self.settings.sabotage {
                Some(sabotage) => sabotage.write(frame, peer, &mut wire.frames),
                None => wire.frames.push_back(frame),
            }
        }
        Written::Frame
    }

    fn spawn(&mut self, parent: ContextId, birth: Birth) {
        let id = birth.id;
        self.names.insert(birth.label, id);
        self.wires.insert((parent, id), Wire::default());
        self.wires.insert((id, parent), Wire::default());
        self.unborn.insert(id, Unborn { birth, parent });
        self.with(parent, |_, _| {});
    }

    pub(super) fn cut(&mut self, a: ContextId, b: ContextId) {
        for way in [(a, b), (b, a)] {
            if let Some(wire) = self.wires.get_mut(&way) {
                wire.cut = true;
            }
        }
        // A context that was never set up ends with its link.
        self.unborn.remove(&a);
        self.unborn.remove(&b);
    }

    /// A context ends in order: what it has written arrives.
    pub(super) fn exit(&mut self, id: ContextId) {
        for ((from, _), wire) in &mut self.wires {
            wire.closed |= *from == id && !wire.cut;
        }
        self.forget(id);
    }

    /// A context ends: what it has written may still arrive, what was written to it does not.
    pub(super) fn end(&mut self, id: ContextId) {
        for ((from, _), wire) in &mut self.wires {
            wire.cut |= *from == id;
        }
        self.forget(id);
    }

    fn forget(&mut self, id: ContextId) {
        self.cells.remove(&id);
        self.unborn.remove(&id);
        self.paused.remove(&id);
        self.wires.retain(|(_, to), _| *to != id);
        self.wishes.retain(|(from, to)| *from != id && *to != id);
        self.history.context_gone(id);
    }

    /// The first thing that is wrong so far.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.history.violation.clone()
    }
}

/// What a context of the small world acts with: nobody waits for a HELLO, and every frame is looked at.
const fn io<'a>(
    now: Tick,
    history: &'a mut History,
    effects: &'a mut Vec<Effect>,
    sabotage: Option<Sabotage>,
) -> Io<'a> {
    Io { now, history, effects, hello_by: Tick(u64::MAX), is_thorough: true, sabotage }
}

/// What came of writing one frame to a wire.
enum Written {
    Frame,
    Nothing,
    /// There is no room: what there is goes once there is.
    Full,
}

/// What the far side decodes of a frame's bytes.
fn over_the_wire(frame: Frame, history: &mut History) -> Frame {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    match decoder.next_frame() {
        Ok(Some(Decoded::Frame(read))) if read == frame => frame,
        other => {
            history.wrong("I16", format!("{frame:?} was read as {other:?}"));
            frame
        }
    }
}
