//! A frame that comes to a context, and what must hold once its machine has dealt with it: I2, I5, I12, I14.

use offshoot_core::machine::{LinkKey, Owner, Standing};
use offshoot_wire::{ContextId, Frame};

use super::{context::Context, history::History, router::Router};

/// What was so before the machine saw the frame.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    src: ContextId,
    dst: ContextId,
    is_dead: bool,
    /// It only passes here, and the machine takes it.
    is_passing: bool,
    /// Its source may speak by the link by which it came.
    is_true: bool,
    /// Its source or its authority may not, and the machine reads it.
    is_forged: bool,
    before: Held,
}

/// What a machine holds, and what it has counted.
#[derive(Clone, Copy, Debug)]
struct Held {
    waiting: usize,
    dead: usize,
    dropped: u64,
}

impl Held {
    fn of(router: &Router) -> Self {
        let sizes = router.sizes();
        let dropped = router.counters().iter().map(|(_, _, times)| times).sum();
        Self { waiting: sizes.waiting, dead: sizes.dead_waiting, dropped }
    }
}

impl Arrival {
    /// A frame that has come by a link of a context.
    #[must_use]
    pub fn of(context: &Context, link: LinkKey, frame: &Frame) -> Self {
        let router = &context.router;
        let is_up = context.ancestors().first() == Some(&link.peer);
        let passes = frame.dst != router.me() && !frame.is_control();
        let is_read = router.link_from(link.peer) == Some(link);
        let speaks = |id| match router.owner(id) {
            Owner::Child(owner) => owner == link && router.standing(id) != Standing::Unknown,
            Owner::Up => is_up,
            Owner::Nobody => is_up && router.standing(id) == Standing::Gone,
            Owner::Me => false,
        };
        let (is_true, has_authority) = (speaks(frame.src), router.is_stamped(link) || speaks(frame.auth));
        Self {
            src: frame.src,
            dst: frame.dst,
            is_dead: frame.is_dead(),
            is_passing: passes && is_read,
            is_true,
            is_forged: is_read && !(is_true && has_authority),
            before: Held::of(router),
        }
    }

    /// The machine has dealt with it. It `hands_on` if what it says of one end of a stream is passed to the other.
    pub fn check(self, router: &Router, hands_on: bool, history: &mut History) {
        let (me, now) = (router.me(), Held::of(router));
        let made = now.dead.saturating_sub(self.before.dead);
        let passed_on = usize::from(self.is_dead && self.dst != me || hands_on);
        if self.is_dead && made > passed_on {
            history.wrong("I5", format!("context {me} answers a dead message with another"));
        }
        let Self { src, dst, .. } = self;
        if self.is_forged && now.dropped == self.before.dropped {
            history
                .wrong("I2", format!("context {me} takes what {src} cannot have sent to {dst} by that link"));
        }
        let is_counted = now.waiting > self.before.waiting || now.dropped > self.before.dropped;
        if self.is_passing && !is_counted {
            history
                .wrong("I12", format!("a frame from {src} to {dst} is lost without a word in context {me}"));
        }
        if !self.is_true && made > 0 {
            history.wrong("I14", format!("context {me} answers {src}, who cannot have sent this"));
        }
    }
}
