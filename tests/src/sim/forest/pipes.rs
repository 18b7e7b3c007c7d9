//! What contexts write to each other, and read.

use std::{collections::VecDeque, hash::Hash};

use offshoot_core::machine::Actions;
use offshoot_wire::{Body, ContextId, Decoded, Frame, Handle, Header};

use super::{End, Forest, Happening, Moment, Way, io};
use crate::world::{Sabotage, context::Effect};

impl Forest {
    /// The pipe by which one context writes to another: its link and its way.
    pub(super) fn pipe_between(&self, from: ContextId, to: ContextId) -> Option<(ContextId, Way)> {
        match self.links.get(&to) {
            Some(link) if link.parent == from => Some((to, Way::Down)),
            _ => self.links.get(&from).filter(|link| link.parent == to).map(|_| (from, Way::Up)),
        }
    }

    /// A context looks soon at what a neighbour has written.
    pub(super) fn await_pipe(&mut self, reader: ContextId, writer: ContextId) {
        if let Some((child, way)) = self.pipe_between(writer, reader) {
            self.await_end(child, way, 0);
        }
    }

    pub(super) fn await_end(&mut self, child: ContextId, way: Way, at: Moment) {
        let Some(pipe) = self.links.get_mut(&child).map(|link| link.pipe_mut(way)) else { return };
        if !std::mem::replace(&mut pipe.is_awaited, true) {
            self.plan_at(at, Happening::Read(child, way));
        }
    }

    /// Clogs ways of a link, or lets them flow again.
    pub fn set_clogged(&mut self, child: ContextId, ways: &[Way], is_clogged: bool) {
        for way in ways {
            if let Some(link) = self.links.get_mut(&child) {
                link.pipe_mut(*way).is_clogged = is_clogged;
            }
        }
        self.stir_link(child);
    }

    /// A link becomes slow.
    pub fn slow_down(&mut self, child: ContextId) {
        if let Some(link) = self.links.get_mut(&child) {
            link.slow_down();
        }
    }

    pub(super) fn stir_link(&mut self, child: ContextId) {
        for way in Way::BOTH {
            self.await_end(child, way, 0);
            if let Some(link) = self.links.get(&child) {
                let (reader, writer) = link.reader_and_writer(way);
                self.carry_out(writer, vec![Effect::Write(reader)]);
            }
        }
    }

    /// A context writes to its parent what no machine would.
    pub fn inject(&mut self, by: ContextId, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&by).filter(|link| link.pipe(Way::Up).end == End::Open) {
            let parent = link.parent;
            link.pipe_mut(Way::Up).push(bytes);
            self.carry_out(by, vec![Effect::Write(parent)]);
        }
    }

    /// A context writes to a neighbour what there is room for.
    pub(super) fn flush(&mut self, id: ContextId, peer: ContextId, effects: &mut VecDeque<Effect>) {
        let now = self.tick();
        let Some((child, way)) = self.pipe_between(id, peer) else { return };
        let Some(cell) = self.cells.get_mut(&id).filter(|cell| !cell.is_paused) else { return };
        let Some(link) = self.links.get_mut(&child).filter(|link| link.pipe(way).end == End::Open) else {
            return;
        };
        let key = cell.context.links.get(&peer).copied();
        let capacity = link.pace.capacity;
        let mut made = Vec::new();
        let mut io = io(now, &mut self.history, &mut made);
        while let Some(key) = key.filter(|_| link.pipe(way).has_room(capacity)) {
            let mut out = Actions::new();
            let has_control = cell.context.router.has_control(key);
            let frame = cell.context.router.pull(key, &mut out);
            cell.context.act(out, &mut io);
            let Some(frame) = frame else { break };
            if has_control && !frame.is_control() {
                io.history.wrong("I11", format!("in {id} data leave to {peer} before a control frame"));
            }
            self.counts.frame(&frame);
            let mut bytes = Vec::with_capacity(64 + frame.body.len());
            match self.settings.sabotage {
                None => frame.encode_into(&mut bytes),
                Some(sabotage) => encode_worse(sabotage, frame, peer, &mut bytes),
            }
            link.pipe_mut(way).push(&bytes);
            if io.history.hostile.contains(&id) {
                self.said.insert(id, bytes);
            }
        }
        let delay = link.delay();
        let written = link.pipe_mut(way).write(self.now, delay, capacity);
        if !link.pipe(way).has_room(capacity) {
            link.pipe_mut(way).is_full = true;
        }
        effects.extend(made);
        if let Some(at) = written {
            self.await_end(child, way, at);
        }
    }

    /// The end of a pipe is read: some of what has arrived, and every frame that this completes.
    pub(super) fn read(&mut self, child: ContextId, way: Way) {
        let Some(link) = self.links.get_mut(&child) else { return };
        link.pipe_mut(way).is_awaited = false;
        let (reader, writer) = link.reader_and_writer(way);
        let most = link.slice();
        self.read_some(child, way, most);
        let Some(link) = self.links.get_mut(&child) else { return };
        if link.pipe(way).is_clogged || !self.can_read(reader, writer) {
            return;
        }
        let Some(link) = self.links.get_mut(&child) else { return };
        let pause = 1 + link.dice.below(20);
        if let Some(at) = link.pipe(way).next_arrival() {
            self.await_end(child, way, at.max(self.now + pause));
        } else if link.pipe(way).is_at_end() {
            self.link_down(child, way);
        }
    }

    pub(super) fn can_read(&self, reader: ContextId, writer: ContextId) -> bool {
        match self.cells.get(&reader) {
            Some(cell) => !cell.is_paused && !cell.context.unread.contains(&writer),
            None => true,
        }
    }

    pub(super) fn read_some(&mut self, child: ContextId, way: Way, most: usize) {
        let Some(link) = self.links.get_mut(&child).filter(|link| !link.pipe(way).is_clogged) else { return };
        let (reader, writer) = link.reader_and_writer(way);
        if !self.can_read(reader, writer) {
            return;
        }
        let Some(link) = self.links.get_mut(&child) else { return };
        let pipe = link.pipe_mut(way);
        let was_full = pipe.is_full;
        let read = pipe.read(self.now, most);
        if read > 0 {
            (child, way, read).hash(&mut self.digest);
            let now = self.tick();
            if let Some(cell) = self.cells.get_mut(&reader) {
                let mut effects = Vec::new();
                cell.context.heard(writer, &io(now, &mut self.history, &mut effects));
            }
        }
        while self.can_read(reader, writer)
            && let Some(link) = self.links.get_mut(&child)
        {
            match link.pipe_mut(way).next_frame() {
                Ok(Some(Decoded::Frame(frame))) => self.arrives(reader, writer, frame),
                Ok(Some(Decoded::Oversize(header))) => {
                    let frame = without_body(header);
                    self.with(reader, |context, io| context.oversize(writer, frame, io));
                }
                Ok(None) => break,
                Err(bad) => {
                    link.pipe_mut(way).discard();
                    self.tell(|_| format!("{reader} reads from {writer}: {bad}"));
                    self.counts.bad_streams += 1;
                    return self.cut(reader, writer);
                }
            }
        }
        if was_full && read > 0 {
            self.carry_out(writer, vec![Effect::Write(reader)]);
            self.plan_program(writer);
        }
    }

    fn arrives(&mut self, at: ContextId, from: ContextId, frame: Frame) {
        // Nobody wants to read of links that are alive.
        if !matches!(frame.handle, Handle::PING | Handle::PONG) {
            self.tell(|_| {
                let Frame { dst, src, auth, handle, reply_to, body, .. } = &frame;
                let bytes = body.len();
                format!("{from} -> {at}: {handle} of {src} (by {auth}) to {dst}, {reply_to:?}, {bytes} bytes")
            });
        }
        if self.unborn.contains_key(&at) {
            if frame.handle == Handle::SETUP {
                self.give_birth(at, &frame);
            }
        } else {
            self.with(at, |context, io| context.frame(from, frame, io));
        }
    }

    /// The reader of a pipe has come to its end.
    fn link_down(&mut self, child: ContextId, way: Way) {
        let Some(link) = self.links.get(&child) else { return };
        let (reader, writer) = link.reader_and_writer(way);
        if self.cells.contains_key(&reader) {
            self.tell(|_| format!("{reader} loses its link to {writer}"));
            self.with(reader, |context, io| context.link_down(writer, io));
            self.close_pipe(reader, writer);
            if let Some(cell) = self.cells.get_mut(&reader) {
                cell.neighbours.remove(&writer);
            }
            self.await_pipe(writer, reader);
        }
        self.unborn.remove(&reader);
        let holds = |id: ContextId, peer: ContextId| {
            self.cells.get(&id).is_some_and(|cell| cell.neighbours.contains(&peer))
        };
        if !holds(reader, writer) && !holds(writer, reader) {
            self.links.remove(&child);
        }
    }
}

/// What an honest link would never carry.
fn encode_worse(sabotage: Sabotage, frame: Frame, reader: ContextId, bytes: &mut Vec<u8>) {
    let mut frames = VecDeque::new();
    sabotage.write(frame, reader, &mut frames);
    for frame in frames {
        frame.encode_into(bytes);
    }
}

fn without_body(header: Header) -> Frame {
    let Header { dst, src, auth, handle, reply_to, .. } = header;
    Frame { dst, src, auth, handle, reply_to, part: None, body: Body::default() }
}
