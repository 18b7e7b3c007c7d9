//! What the program of a context does with the ends of its streams.

use std::collections::VecDeque;

use offshoot_core::machine::{Actions, Ended, StreamUnsent};
use offshoot_wire::{Body, ContextId, Direction, End, Handle};

use super::{Context, EndUser, Io, Work};
use crate::world::{
    history::StreamNo,
    job::{self, Item, Plan, Taste, Then},
};

impl Context {
    #[expect(clippy::too_many_arguments, reason = "who gives what to whom, and what for")]
    pub(super) fn take_end(
        &mut self,
        from: ContextId,
        end: End,
        stream: Option<StreamNo>,
        taste: Option<Taste>,
        plan: Option<Plan>,
        out: &mut Actions,
        io: &mut Io<'_>,
    ) {
        let Ok(handle) = self.router.import(from, end) else {
            if !io.history.is_touched(from, self.me()) {
                io.history.wrong("I3", format!("context {} cannot take {end:?} of {from}", self.me()));
            }
            return;
        };
        let work = match (end.direction, taste, plan) {
            (Direction::Receives, Some(taste), _) => Work::Receive { taste, taken: 0 },
            (Direction::Sends, _, Some(plan)) => Work::Send { plan, next: 0 },
            _ => return self.router.stream_close(handle, None, out),
        };
        let stream = stream.unwrap_or_default();
        let receives = matches!(work, Work::Receive { .. });
        self.ends.insert(handle, EndUser { stream, work, untaken: VecDeque::new(), ended: false });
        if receives {
            self.router.stream_open(handle, out);
        } else {
            self.stirred.insert(handle);
        }
    }

    /// A sender sends what it can.
    pub(super) fn pump(&mut self, handle: Handle, out: &mut Actions, io: &mut Io<'_>) {
        loop {
            let Some(EndUser { stream, work: Work::Send { plan, next }, ended, .. }) =
                self.ends.get_mut(&handle)
            else {
                return;
            };
            if *ended {
                return;
            }
            if *next == plan.items {
                let fail = match plan.then {
                    Then::Close => None,
                    Then::Fail => Some("the sender failed".to_owned()),
                    Then::Keep => return,
                };
                io.history.streams[*stream as usize].sender_closed = Some(fail.is_none());
                self.ends.remove(&handle);
                return self.router.stream_close(handle, fail, out);
            }
            let item = Item { stream: *stream, number: *next, pad: job::pad(plan.bytes) };
            match self.router.stream_send(io.now, handle, job::item_body(&item), out) {
                Ok(()) => {
                    *next += 1;
                    io.history.streams[*stream as usize].sent += 1;
                }
                Err(StreamUnsent::Full(_)) => return,
                Err(StreamUnsent::Closed) => return,
                Err(StreamUnsent::TooLarge) => return io.history.wrong("I9", "an item was too large"),
            }
        }
    }

    pub(super) fn item(&mut self, handle: Handle, body: &Body, cost: u32, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle) else {
            let text = format!("context {}: an item for handle {handle}, which nobody has", self.me());
            return io.history.wrong("I3", text);
        };
        if user.ended {
            io.history.wrong("I4", format!("an item of stream {} came behind its end", user.stream));
        }
        io.history.item(user.stream, body);
        user.untaken.push_back(cost);
        self.stirred.insert(handle);
    }

    /// Whether a slow receiver could take an item.
    #[must_use]
    pub fn can_read(&self, handle: Handle) -> bool {
        self.ends.get(&handle).is_some_and(|user| !user.untaken.is_empty())
    }

    /// A slow receiver takes an item.
    pub fn read(&mut self, handle: Handle, io: &mut Io<'_>) {
        let mut out = Actions::new();
        self.read_one(handle, &mut out, io);
        self.act(out, io);
    }

    pub(super) fn read_one(&mut self, handle: Handle, out: &mut Actions, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle) else { return };
        let Some(cost) = user.untaken.pop_front() else { return };
        self.router.taken(handle, cost, out);
        let Work::Receive { taste, taken } = &mut user.work else { return };
        *taken += 1;
        let enough = taste.enough == Some(*taken);
        if enough {
            io.history.streams[user.stream as usize].receiver_closed = true;
        }
        if enough || (user.ended && user.untaken.is_empty()) {
            self.ends.remove(&handle);
            self.router.stream_close(handle, None, out);
        }
    }

    pub(super) fn stream_ended(&mut self, handle: Handle, how: Ended, io: &mut Io<'_>) {
        let Some(user) = self.ends.get_mut(&handle).filter(|user| !user.ended) else {
            let text = format!("context {}: the end of handle {handle}, which nobody has", self.me());
            return io.history.wrong("I1", text);
        };
        user.ended = true;
        match user.work {
            Work::Send { .. } => io.history.streams[user.stream as usize].sender_ended = Some(how),
            Work::Receive { .. } => io.history.receiver_learns(user.stream, how),
        }
        self.stirred.insert(handle);
    }
}
