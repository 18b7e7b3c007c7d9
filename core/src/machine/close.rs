//! The end of a context: children first, no more calls, and what is held goes out.

use offshoot_wire::{ContextId, Handle, ReplyTo, Shutdown, codec};

use super::{
    Action, Actions, Ended, LinkEnd, LinkKey, Machine, NoWay, Outcome, Progress, Queued, Routes, Tick, Timer,
    Unsent, handles::Entry, queued::FlowKey,
};

/// The part that a context keeps for itself of the time that it was given to end: it outlives its children, and ends
/// those that do not end themselves.
const MARGIN: u32 = 4;

impl<R: Routes> Machine<R> {
    /// Tells a context to end. What waits for credit there is taken out and ends as not sent (rule 10).
    ///
    /// # Errors
    /// [`Unsent`] if it cannot be reached.
    pub fn shutdown_context(
        &mut self,
        now: Tick,
        dst: ContextId,
        left_ms: u32,
        out: &mut Actions,
    ) -> Result<(), Unsent> {
        self.timers.advance(now);
        self.tell_to_end(dst, left_ms, out)
    }

    fn tell_to_end(&mut self, dst: ContextId, left_ms: u32, out: &mut Actions) -> Result<(), Unsent> {
        if dst == self.config.me {
            self.begin_to_end(left_ms, out);
            return Ok(());
        }
        let Some(link) = self.way_to(dst) else {
            return match self.refusal(dst) {
                Some(NoWay { code, text }) => Err(Unsent::Dead(offshoot_wire::Dead { code, text })),
                None => Err(Unsent::Stopped),
            };
        };
        let me = self.config.me;
        let ours = |key: &FlowKey| key.src == me && key.dst == dst;
        for queued in self.take_out(link, &mut |outbox| outbox.take_starved(&ours), out) {
            self.end_unsent(queued, out);
        }
        if let Ok(body) = codec::encode(&Shutdown { left_ms }) {
            let frame = self.own_frame(dst, Handle::SHUTDOWN, ReplyTo::Nobody, body.into());
            self.queue_shutdown(link, frame, left_ms, out);
        }
        Ok(())
    }

    /// A call of ours that will not leave any more.
    fn end_unsent(&mut self, queued: Queued, out: &mut Actions) {
        let Some(handle) = queued.frame.reply_to.handle() else { return };
        if let Some(call) = self.handles.call(handle)
            && call.progress == Progress::NotSent
        {
            let dst = call.respondent;
            let reason = "it was told to end before the call could be sent".to_owned();
            let outcome = Outcome::Lost { id: dst, name: String::new(), reason, progress: Progress::NotSent };
            self.end_call(handle, outcome, out);
        }
    }

    /// A direct child is told to end: it is made to once its time and a grace have passed. The shortest order counts.
    pub(super) fn expect_end(&mut self, link: LinkKey, left_ms: u32) {
        if !R::HAS_CHILDREN {
            return;
        }
        let grace = u64::from(left_ms).saturating_add(u64::from(self.config.limits.grace_ms));
        let at = self.timers.now().after(grace);
        let Some(LinkEnd::Down { ending, .. }) = self.link_mut(link).map(|l| &mut l.end) else { return };
        match ending.replace(at) {
            Some(before) if before <= at => *ending = Some(before),
            Some(before) => {
                self.timers.clear(before, Timer::Ending(link));
                self.timers.set(at, Timer::Ending(link));
            }
            None => self.timers.set(at, Timer::Ending(link)),
        }
    }

    /// This context begins to end, with so much time: its children are told first, at once. Of several orders the
    /// shortest counts.
    pub fn shutdown(&mut self, now: Tick, left_ms: u32, out: &mut Actions) {
        self.timers.advance(now);
        self.begin_to_end(left_ms, out);
    }

    pub(super) fn begin_to_end(&mut self, left_ms: u32, out: &mut Actions) {
        let end_by = self.timers.now().after(left_ms.into());
        if end_by >= self.end_by {
            return;
        }
        (self.closing, self.end_by) = (true, end_by);
        let theirs = left_ms - left_ms / MARGIN;
        let links = if R::HAS_CHILDREN { self.link_keys() } else { Vec::new() };
        for link in links {
            if self.up != Some(link) {
                // A child that cannot be told is being cut off already.
                self.tell_to_end(link.peer, theirs, out).ok();
            }
        }
        out.push(Action::Shutdown(left_ms));
    }

    /// Whether this context is ending.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether nothing waits to be written and no child is left.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.links.iter().all(|(_, link)| link.is_up() && link.outbox.is_empty())
    }

    /// The broker ends: every call and stream ends now, and handlers that run see that nobody waits for them.
    pub fn stop(&mut self, out: &mut Actions) {
        (self.closing, self.end_by) = (true, Tick::default());
        for caller in self.desk.callers().iter() {
            self.lose_caller(caller, out);
        }
        for handle in self.handles.all() {
            match self.handles.get(handle) {
                Some(Entry::Call(_)) => self.end_call(handle, Outcome::Stopped, out),
                Some(Entry::Stream(_)) => self.finish_stream(handle, Ended::Stopped, out),
                Some(Entry::Watch(_)) => {
                    self.handles.remove(handle);
                    out.push(Action::Watched { handle, reason: "this context is ending".into() });
                }
                None => {}
            }
        }
        for dst in std::mem::take(&mut self.waiting_room).iter() {
            out.push(Action::Room(dst));
        }
        out.push(Action::Ids);
    }
}
