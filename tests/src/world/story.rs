//! A story that ends badly, told again with less and less in it until nothing more can be left out.

use super::{
    explore::Failure,
    history::Violation,
    invariants,
    script::Op,
    trace,
    whole::{Step, World},
};

/// A story of so few events is looked at after each of them.
const SHORT: usize = 300;
/// How many of the steps that follow by themselves are told.
const LAST: usize = 40;
/// After so many steps a world should be at rest.
const MOST: usize = 100_000;

/// Something that happened, so that it can happen again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step of the world.
    Step(Step),
    /// Something of a script.
    Op(Op),
}

impl Event {
    /// Lets it happen.
    pub fn happen(&self, world: &mut World) {
        match self {
            Self::Step(step) => world.apply(*step),
            Self::Op(op) => world.now_do(op),
        }
    }

    /// What it does to the tree, if it does.
    #[must_use]
    pub const fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Op(Op::Cut(..)) => Some("cut"),
            Self::Op(Op::Crash(_)) => Some("crash"),
            Self::Op(Op::Pause(_)) => Some("pause"),
            Self::Op(Op::Resume(_)) => Some("resume"),
            Self::Op(Op::Shutdown(..)) => Some("shutdown"),
            Self::Op(Op::Create(..)) => Some("create"),
            Self::Op(_) | Self::Step(_) => None,
        }
    }

    fn can_happen(&self, world: &World) -> bool {
        match self {
            Self::Step(step) => world.can(*step),
            Self::Op(op) => world.is_possible(op),
        }
    }

    fn in_words(&self, world: &World) -> String {
        match self {
            Self::Step(step) => trace::describe(world, *step),
            Self::Op(op) => format!("{op:?}"),
        }
    }
}

/// What lets everybody go on.
#[must_use]
pub fn resume_all(world: &World) -> Vec<Op> {
    world.live_labels().filter(|label| world.is_paused(*label)).map(Op::Resume).collect()
}

/// What must hold where nothing is left to do.
///
/// # Errors
/// The first that does not.
pub fn rest(world: &World) -> Result<(), Violation> {
    invariants::every_step(world)?;
    invariants::at_rest(world)?;
    invariants::i23_everybody_is_reachable(world)
}

/// The shortest story found, in so many steps altogether, that breaks the same invariant as `events` do from `start` on.
///
/// What only hastens the rest is left out first, then what a script does: with that goes all that came of it.
#[must_use]
pub fn shortest(start: &World, events: Vec<Event>, violation: Violation, steps: usize) -> Failure {
    let mut told = Told { start, events, violation, left: steps };
    told.leave_out(|_| true);
    told.leave_out(|event| matches!(event, Event::Op(_)));
    told.leave_out(|event| matches!(event, Event::Step(_)));
    told.leave_out(|_| true);
    let Told { events, violation, .. } = told;
    let (mut trace, mut by_itself) = (Vec::new(), Vec::new());
    tell(start, &events, |world, event, planned| {
        let lines = if planned { &mut trace } else { &mut by_itself };
        lines.push(event.in_words(world));
    });
    if !by_itself.is_empty() {
        trace.push(format!("(and by itself, in {} steps, of which these are the last)", by_itself.len()));
        trace.extend(by_itself.split_off(by_itself.len().saturating_sub(LAST)));
    }
    Failure { violation, trace }
}

/// A story that is being shortened.
struct Told<'a> {
    start: &'a World,
    events: Vec<Event>,
    violation: Violation,
    left: usize,
}

impl Told<'_> {
    /// Leaves out what can be of the events that `which` names: many at once first, then fewer.
    fn leave_out(&mut self, which: impl Fn(&Event) -> bool) {
        let mut size = self.events.len().div_ceil(2);
        while size > 0 && self.left > 0 {
            let before = self.events.len();
            let mut at = 0;
            while self.left > 0 {
                let places = self.events.iter().enumerate().filter(|(_, event)| which(event));
                let out: Vec<usize> = places.map(|(place, _)| place).skip(at).take(size).collect();
                if out.is_empty() {
                    break;
                }
                if !self.holds_without(&out) {
                    at += size;
                }
            }
            // Once more with single events as long as that helps.
            size = if size == 1 && self.events.len() < before { 1 } else { size / 2 };
        }
    }

    fn holds_without(&mut self, out: &[usize]) -> bool {
        let kept = self.events.iter().enumerate().filter(|(place, _)| out.binary_search(place).is_err());
        let without: Vec<Event> = kept.map(|(_, event)| event.clone()).collect();
        let mut steps = 0;
        let told = tell(self.start, &without, |_, _, _| steps += 1);
        self.left = self.left.saturating_sub(steps);
        match told {
            Some((violation, happened)) if violation.invariant == self.violation.invariant => {
                (self.violation, self.events) = (violation, happened);
                true
            }
            _ => false,
        }
    }
}

/// Lets those of these events happen that can, and then all else in one order: what breaks, and which of the events had
/// happened until then. `listen` hears each before it happens, and whether it was one of these.
fn tell(
    start: &World,
    events: &[Event],
    mut listen: impl FnMut(&World, &Event, bool),
) -> Option<(Violation, Vec<Event>)> {
    let mut world = start.clone();
    let mut happened = Vec::new();
    for event in events {
        if !event.can_happen(&world) {
            continue;
        }
        listen(&world, event, true);
        event.happen(&mut world);
        happened.push(event.clone());
        let found =
            if events.len() < SHORT { invariants::every_step(&world).err() } else { world.violation() };
        if let Some(violation) = found {
            return Some((violation, happened));
        }
    }
    for op in resume_all(&world) {
        listen(&world, &Event::Op(op.clone()), false);
        world.now_do(&op);
    }
    for _ in 0..MOST {
        let steps = world.steps();
        let patient = steps.iter().find(|step| !matches!(step, Step::Due(_)));
        let Some(step) = patient.or_else(|| steps.first()).copied() else { break };
        listen(&world, &Event::Step(step), false);
        world.apply(step);
        if let Some(violation) = world.violation() {
            return Some((violation, happened));
        }
    }
    rest(&world).err().map(|violation| (violation, happened))
}
