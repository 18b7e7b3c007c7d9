//! Streams between two contexts (rules 9 and 12): a home that made the channel, a holder that was given an end.

use std::collections::VecDeque;

use offshoot_wire::{
    Body, ContextId, DeadCode, Direction, End, Frame, Handle, Rebind, ReplyTo, StreamHead, Window, codec,
};

use super::{
    Action, Actions, BadEnd, DropKind, Ended, LinkKey, Machine, NoWay, Owner, Queued, Routes, StreamUnsent,
    Tick,
    handles::{Entry, Handles},
    skim::ends_of_item,
};

/// One end of a stream here. It stays until its user has let go *and* the other side has closed or is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    /// Who has the other end.
    pub(super) peer: Option<ContextId>,
    /// Its handle there; a home learns it by the first frame of the holder.
    pub(super) peer_handle: Option<Handle>,
    /// The channel was made here.
    home: bool,
    /// Its other end has come back and is given to this context once more.
    came_home: bool,
    ours: Direction,
    /// Our OPEN has been sent, or needs none.
    opened: bool,
    /// The user has let go: cleanly, or with a reason.
    let_go: Option<Option<String>>,
    /// Our CLOSE has been queued.
    close_sent: bool,
    /// The user has been told that it ended.
    told: bool,
    /// Nothing comes from the other side any more.
    pub(super) peer_closed: bool,
    /// The lengths of items that wait to be taken.
    untaken: VecDeque<usize>,
    /// Bytes of our items that have not left.
    unsent: u64,
    /// Somebody waits for room.
    wants_room: bool,
}

impl Stream {
    fn new(peer: ContextId, peer_handle: Option<Handle>, home: bool, ours: Direction) -> Self {
        Self {
            peer: Some(peer),
            peer_handle,
            home,
            came_home: false,
            ours,
            opened: home,
            let_go: None,
            close_sent: false,
            told: false,
            peer_closed: false,
            untaken: VecDeque::new(),
            unsent: 0,
            wants_room: false,
        }
    }
}

impl Stream {
    /// It was made here, and whoever was given its other end has shown himself.
    pub(super) const fn was_taken(&self) -> bool {
        self.home && self.peer_handle.is_some()
    }

    /// Whether somebody here takes what comes.
    const fn is_wanted(&self) -> bool {
        !self.told && self.let_go.is_none()
    }
}

impl<R: Routes> Machine<R> {
    /// Makes the home end of a stream whose other end goes to `to`; `ours` is what the end that stays does.
    pub fn export(&mut self, to: ContextId, ours: Direction) -> Handle {
        self.handles.insert_stream(Stream::new(to, None, true, ours))
    }

    /// The message that should have carried the other end was not sent.
    pub fn unexport(&mut self, handle: Handle) {
        if self.handles.stream(handle).is_some() {
            self.handles.remove(handle);
        }
    }

    /// Takes an end that came in a frame of `from`; it is opened by its first use.
    ///
    /// # Errors
    /// [`BadEnd::Foreign`] if the end names no stream of a context that `from` may speak of.
    pub fn import(&mut self, from: ContextId, end: End) -> Result<Handle, BadEnd> {
        if !self.may_give(from, &end) {
            return Err(BadEnd::Foreign);
        }
        Ok(self.handles.insert_stream(Stream::new(end.home, Some(end.handle), false, end.direction)))
    }

    /// Whether `from` may give an end: as its home, or as an ancestor of the home that hands on what it was given. What
    /// is a stream's handle is known at home alone, which refuses a holder that it was not told of.
    fn may_give(&self, from: ContextId, end: &End) -> bool {
        let known = from == end.home || (self.may_pass_on(from, end.home) && !self.holds(end));
        known && end.handle.is_allocated() && (end.home != self.config.me || self.came_back(end))
    }

    /// Whether an end is held here already, and so is nobody's to give. Once we have closed, its handle can be that of the
    /// next stream of its home.
    fn holds(&self, end: &End) -> bool {
        let is_it = |s: &Stream| s.peer_handle == Some(end.handle) && !s.close_sent && !s.peer_closed;
        Handles::has_ends()
            && self.handles.any_about(end.home, |at| self.handles.stream(at).is_some_and(is_it))
    }

    /// An end of a stream made here has come back: its home was told, and nobody has opened it.
    fn came_back(&self, end: &End) -> bool {
        let me = Some(self.config.me);
        self.handles.stream(end.handle).is_some_and(|s| s.home && s.peer == me && s.peer_handle.is_none())
    }

    /// Whether `giver` can be an ancestor of `home` as far as this context can tell. Whose home is an ancestor of ours has
    /// no ancestors but ours.
    fn may_pass_on(&self, giver: ContextId, home: ContextId) -> bool {
        self.is_ancestor(giver)
            || (!self.is_ancestor(home) && self.routes.owner(giver) == self.routes.owner(home))
    }

    /// Gives an unopened end to `to` in a further message; its home is told first.
    ///
    /// # Errors
    /// [`BadEnd`]: it was opened, has ended, or we are no ancestor of its home.
    pub fn hand_on(&mut self, handle: Handle, to: ContextId, out: &mut Actions) -> Result<End, BadEnd> {
        let stream = self.handles.stream(handle).filter(|s| !s.peer_closed).ok_or(BadEnd::Ended)?;
        let (Some(home), Some(home_handle)) = (stream.peer, stream.peer_handle) else {
            return Err(BadEnd::Ended);
        };
        if stream.opened {
            return Err(BadEnd::Opened);
        }
        let below = matches!(self.routes.owner(home), Owner::Child(_));
        let stays = home == self.config.me && to == home;
        if !below && !stays {
            return Err(BadEnd::NotAncestor);
        }
        if !stays && !self.can_meet(home, to) {
            return Err(BadEnd::OneWay);
        }
        let end = End { home, handle: home_handle, direction: stream.ours };
        self.handles.remove(handle);
        if let Some(here) = self.handles.stream_mut(home_handle).filter(|_| stays) {
            here.came_home = true;
        }
        if let Some(link) = self.way_to(home) {
            self.remember_passing(link, to);
            self.send_far_control(
                link,
                home,
                Handle::REBIND,
                &Rebind { handle: home_handle, holder: to },
                out,
            );
        }
        Ok(end)
    }

    /// Rule 8: whether a home below this context has a way to `to`. Where a frame between them could turn at another
    /// context, which may or may not let it pass, it has none.
    fn can_meet(&self, home: ContextId, to: ContextId) -> bool {
        if !self.config.one_way || self.is_ancestor(to) {
            return true;
        }
        match (self.routes.owner(home), self.routes.owner(to)) {
            (Owner::Child(one), Owner::Child(other)) if one == other => one.peer == home || one.peer == to,
            (Owner::Child(one), Owner::Child(other)) => !self.turns_one_way(Some(one), other),
            _ => false,
        }
    }

    /// The first use of an end that was given to us: its home learns who and where we are.
    pub fn stream_open(&mut self, handle: Handle, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle).filter(|s| !s.opened) else { return };
        stream.opened = true;
        self.send_signal(handle, &StreamHead::Open, out);
    }

    /// Sends an item: `body` is its [`StreamHead`] and the value.
    ///
    /// # Errors
    /// [`StreamUnsent::Full`] gives the body back; try again at [`Action::StreamRoom`].
    pub fn stream_send(
        &mut self,
        now: Tick,
        handle: Handle,
        body: Body,
        out: &mut Actions,
    ) -> Result<(), StreamUnsent> {
        self.timers.advance(now);
        if body.len() > self.config.limits.body as usize {
            return Err(StreamUnsent::TooLarge);
        }
        self.stream_open(handle, out);
        let room = u64::from(self.config.limits.window_start);
        let Some(stream) = self.handles.stream_mut(handle) else { return Err(StreamUnsent::Closed) };
        if !stream.is_wanted() {
            return Err(StreamUnsent::Closed);
        }
        let (Some(peer), Some(peer_handle)) = (stream.peer, stream.peer_handle) else {
            stream.wants_room = true;
            return Err(StreamUnsent::Full(body));
        };
        if stream.unsent > 0 && stream.unsent.saturating_add(body.len() as u64) > room {
            stream.wants_room = true;
            return Err(StreamUnsent::Full(body));
        }
        // Between two ends in one context an item counts until it is taken.
        let (is_local, length) = (peer == self.config.me, body.len() as u64);
        let frame = self.stream_frame(peer, peer_handle, handle, body);
        let queued = Queued::charged(frame, Window::Stream(peer_handle));
        if let Some(stream) = self.handles.stream_mut(handle) {
            let held = if is_local { length } else { queued.weight() };
            stream.unsent = stream.unsent.saturating_add(held);
        }
        self.send_own(queued, out).map_err(|NoWay { text, .. }| {
            self.finish_stream(handle, Ended::Lost(text), out);
            StreamUnsent::Closed
        })
    }

    /// The user has let go of an end: its handle means nothing to the user any more.
    pub fn stream_close(&mut self, handle: Handle, fail: Option<String>, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle).filter(|s| s.let_go.is_none()) else { return };
        stream.let_go = Some(fail);
        stream.untaken.clear();
        if stream.peer_closed {
            self.end_stream(handle);
        } else {
            self.unwant_item(handle, out);
            self.send_close(handle, out);
        }
    }

    /// Nobody takes what has come of an item.
    fn unwant_item(&mut self, handle: Handle, out: &mut Actions) {
        if let Some(peer) = self.handles.stream(handle).and_then(|stream| stream.peer) {
            self.unwant(peer, handle, Window::Stream(handle), out);
        }
    }

    /// The user took an item that cost `cost`.
    pub fn taken(&mut self, handle: Handle, cost: u32, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle) else { return };
        let bytes = stream.untaken.pop_front().unwrap_or(0);
        let (Some(peer), false) = (stream.peer, stream.peer_closed) else { return };
        if peer == self.config.me {
            if let Some(sender) = stream.peer_handle {
                self.stream_left(sender, bytes as u64, out);
            }
            return;
        }
        let window = Window::Stream(handle);
        let back = self.credits.taken(peer, window, bytes, cost);
        self.give_credit(peer, window, back, out);
    }

    /// Says that this side has ended, once, as soon as the other side can be named.
    fn send_close(&mut self, handle: Handle, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle) else { return };
        if stream.close_sent || stream.peer_handle.is_none() {
            return;
        }
        stream.close_sent = true;
        stream.opened = true;
        let head = match stream.let_go.clone().flatten() {
            Some(text) => StreamHead::Fail(text),
            None => StreamHead::Close,
        };
        self.send_signal(handle, &head, out);
    }

    fn send_signal(&mut self, handle: Handle, head: &StreamHead, out: &mut Actions) {
        let Some(stream) = self.handles.stream(handle) else { return };
        let (Some(peer), Some(peer_handle)) = (stream.peer, stream.peer_handle) else { return };
        let Ok(body) = codec::encode(head) else { return };
        let frame = self.stream_frame(peer, peer_handle, handle, body.into());
        if let Err(NoWay { text, .. }) = self.send_own(Queued::free(frame, None), out) {
            self.finish_stream(handle, Ended::Lost(text), out);
        }
    }

    const fn stream_frame(&self, peer: ContextId, peer_handle: Handle, ours: Handle, body: Body) -> Frame {
        let me = self.config.me;
        Frame {
            dst: peer,
            src: me,
            auth: me,
            handle: peer_handle,
            reply_to: ReplyTo::Handle(ours),
            part: None,
            body,
        }
    }

    /// The other side has shown itself: what waited for that goes.
    pub(super) fn stream_met(&mut self, handle: Handle, peer_handle: Handle, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle).filter(|s| s.peer_handle.is_none()) else {
            return;
        };
        stream.peer_handle = Some(peer_handle);
        stream.wants_room = false;
        let let_go = stream.let_go.is_some();
        if let_go {
            self.send_close(handle, out);
        } else {
            out.push(Action::StreamRoom(handle));
        }
    }

    /// An item has come.
    pub(super) fn on_item(&mut self, from: Option<LinkKey>, mut frame: Frame, out: &mut Actions) {
        let handle = frame.handle;
        let Some(stream) = self.handles.stream(handle).filter(|s| s.ours == Direction::Receives) else {
            self.drop_frame(from, DropKind::Malformed, &frame, out);
            return self.break_stream(handle, "an item came to the end that sends", out);
        };
        let (window, is_wanted) = (Window::Stream(handle), stream.is_wanted());
        if !is_wanted && frame.part.is_some() {
            return self.skim(from, &frame, window, out);
        }
        let Some(cost) = self.receive(from, &mut frame, window, true, out) else { return };
        let Some(stream) = self.handles.stream_mut(handle) else { return };
        if !is_wanted {
            let ends = ends_of_item(&frame.body).unwrap_or_default();
            return self.refuse_ends(frame.src, &ends, out);
        }
        stream.untaken.push_back(frame.body.len());
        out.push(Action::Item { handle, body: frame.body, cost });
    }

    /// The other side has said that it ended.
    pub(super) fn on_stream_closed(&mut self, handle: Handle, how: Ended, out: &mut Actions) {
        self.purge_items(handle, out);
        self.send_close(handle, out);
        self.finish_stream(handle, how, out);
    }

    /// The one it was given to has not taken the other end. To a sender that is as good as closed; who would receive from
    /// there has got nothing, and that is not all.
    pub(super) fn on_end_refused(&mut self, handle: Handle, why: String, out: &mut Actions) {
        let receives = self.handles.stream(handle).is_some_and(|stream| stream.ours == Direction::Receives);
        self.on_stream_closed(handle, if receives { Ended::Lost(why) } else { Ended::Closed }, out);
    }

    /// Items that nobody will take are not sent.
    fn purge_items(&mut self, handle: Handle, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle) else { return };
        stream.unsent = 0;
        let (Some(peer), Some(peer_handle)) = (stream.peer, stream.peer_handle) else { return };
        let key = super::FlowKey::new(self.config.me, peer, peer_handle);
        let Some(link) = self.way_to(peer) else { return };
        let of_stream = |queued: &Queued| queued.spender() == Some(handle);
        let purged = self.take_out(link, &mut |outbox| outbox.take_out_of(key, &of_stream), out);
        for queued in purged {
            self.keep_ends(&ends_of_item(&queued.frame.body).unwrap_or_default(), out);
        }
    }

    /// A stream that broke a bound, or whose other side refused it: both ends learn it.
    pub(super) fn break_stream(&mut self, handle: Handle, why: &str, out: &mut Actions) {
        self.purge_items(handle, out);
        if let Some(stream) = self.handles.stream_mut(handle)
            && !stream.peer_closed
        {
            if stream.let_go.is_none() && !stream.close_sent {
                stream.close_sent = true;
                self.send_signal(handle, &StreamHead::Fail(why.to_owned()), out);
            }
            self.unwant_item(handle, out);
            // Its handle stays until the other side has answered, so that the answer meets nobody else.
            self.tell_ended(handle, Ended::Lost(why.to_owned()), out);
        }
    }

    /// The user learns, once, that a stream has ended.
    fn tell_ended(&mut self, handle: Handle, how: Ended, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle).filter(|s| !s.told) else { return };
        stream.told = true;
        if stream.let_go.is_none() {
            out.push(Action::Ended { handle, how });
        }
    }

    /// Nothing comes from the other side any more.
    pub(super) fn finish_stream(&mut self, handle: Handle, how: Ended, out: &mut Actions) {
        self.tell_ended(handle, how, out);
        let Some(stream) = self.handles.stream_mut(handle).filter(|s| !s.peer_closed) else { return };
        stream.peer_closed = true;
        let (peer, let_go) = (stream.peer, stream.let_go.is_some());
        if let Some(peer) = peer {
            self.parts.forget(peer, handle);
        }
        if let_go {
            self.end_stream(handle);
        }
    }

    /// Both sides are done: handle and windows are free.
    fn end_stream(&mut self, handle: Handle) {
        let Some(Entry::Stream(stream)) = self.handles.remove(handle) else { return };
        let Some(peer) = stream.peer else { return };
        self.credits.forget_stream(peer, handle, stream.peer_handle);
    }

    /// Bytes of one of our items have left.
    pub(super) fn stream_left(&mut self, handle: Handle, weight: u64, out: &mut Actions) {
        let Some(stream) = self.handles.stream_mut(handle) else { return };
        stream.unsent = stream.unsent.saturating_sub(weight);
        if stream.unsent == 0 && stream.wants_room {
            stream.wants_room = false;
            out.push(Action::StreamRoom(handle));
        }
    }

    /// A home is told who holds the other end of one of its streams.
    pub(super) fn on_rebind(
        &mut self,
        from: Option<LinkKey>,
        frame: &Frame,
        rebind: Rebind,
        out: &mut Actions,
    ) {
        let may = self.is_ancestor(frame.src);
        let nobody = self.refusal(rebind.holder);
        match self.handles.stream(rebind.handle) {
            Some(stream) if may && stream.home && stream.peer_handle.is_none() => {
                self.handles.rebind(rebind.handle, rebind.holder);
                if let Some(NoWay { text, .. }) = nobody {
                    self.finish_stream(rebind.handle, Ended::Lost(text), out);
                }
            }
            // Its holder, or the news of its loss, was faster.
            _ if may => self.drop_frame(from, DropKind::Late, frame, out),
            _ => self.drop_frame(from, DropKind::Control, frame, out),
        }
    }

    /// A message that should have handed over these ends was not sent.
    pub(super) fn keep_ends(&mut self, ends: &[End], out: &mut Actions) {
        self.close_untaken(ends, out);
        self.take_back(ends, out);
    }

    /// Ends of streams made here that were handed over by a message which did not arrive.
    pub(super) fn close_untaken(&mut self, ends: &[End], out: &mut Actions) {
        let me = self.config.me;
        for end in ends.iter().filter(|end| end.home == me) {
            if self.handles.stream(end.handle).is_some_and(|s| s.home && s.peer_handle.is_none()) {
                let why = "the message that carried it was not delivered";
                self.finish_stream(end.handle, Ended::Lost(why.into()), out);
            }
        }
    }

    /// Ends of streams made elsewhere that were handed on by a message which did not arrive: their homes learn it.
    pub(super) fn take_back(&mut self, ends: &[End], out: &mut Actions) {
        if !Handles::has_ends() {
            return;
        }
        let me = self.config.me;
        let came_home = ends.iter().filter(|end| end.home == me);
        let came_home = came_home.filter(|end| self.handles.stream(end.handle).is_some_and(|s| s.came_home));
        self.close_untaken(&came_home.copied().collect::<Vec<_>>(), out);
        for end in ends.iter().filter(|end| end.home != me) {
            let Some(link) = self.way_to(end.home) else { continue };
            let rebind = Rebind { handle: end.handle, holder: me };
            self.send_far_control(link, end.home, Handle::REBIND, &rebind, out);
            let text = "the message that carried this end of the channel was not delivered".to_owned();
            self.send_dead(end.home, me, end.handle, DeadCode::Gone, text, out);
        }
    }

    /// Refuses ends that a message brought and nobody took: their homes learn it. Nothing is remembered about them.
    pub fn refuse_ends(&mut self, from: ContextId, ends: &[End], out: &mut Actions) {
        for end in ends.iter().filter(|end| self.may_give(from, end)).copied().collect::<Vec<_>>() {
            let text = "nobody took this end of the channel".to_owned();
            self.send_dead(end.home, self.config.me, end.handle, DeadCode::Gone, text, out);
        }
    }
}
