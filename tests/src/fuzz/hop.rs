//! A hop between a parent and children that may be hostile: the bytes choose what they write, what honest contexts do
//! meanwhile and in which order it all arrives; the invariants of the small world hold at each step and at rest.

use std::{cell::OnceCell, collections::BTreeSet};

use offshoot_core::machine::Owner;
use offshoot_wire::{ContextId, Decoded, Decoder, Frame, Handle};

use super::Peak;
use crate::world::{
    Call, CallNo, Dice, Job, Op, Settings, Step, Violation, World,
    birth::tighten,
    forge,
    invariants::{self, Whole as _},
    job, story,
};

/// The root 0, the hop 1 with a leaf 2 and a hop 3 with the leaf 4, and a leaf 5 beside it.
const TREE: &str = "0>1p 1>2 1>3p 3>4 0>5";
/// The same with what 2 and 3 say stamped.
const STAMPED: &str = "0>1p 1>2s 1>3ps 3>4 0>5";
/// So many choices are made of one input: what is longer says nothing that a shorter one could not.
const CHOICES: usize = 400;
/// What is left after them comes to rest within so many steps.
const STEPS: usize = 20_000;
/// How long whoever asks whether the others live goes on so at rest, in milliseconds.
const QUIET: u64 = 5000;
/// The kinds of trees.
const KINDS: usize = 16;

pub(super) fn run(input: &[u8], _: Peak) {
    let mut dice = Dice::spelt(input);
    let kind = dice.below(KINDS as u64) as usize;
    let mut run = Run { world: base(kind), dice, next_label: 10, chain: 1 << 20 };
    if let Err(violation) = run.chaos().and_then(|()| run.calm()) {
        panic!("{}: {}", violation.invariant, violation.text);
    }
}

/// The tree at rest: it is grown once for each kind.
fn base(kind: usize) -> World {
    thread_local! {
        static BASES: [OnceCell<World>; KINDS] = const { [const { OnceCell::new() }; KINDS] };
    }
    BASES.with(|bases| bases[kind].get_or_init(|| grown(kind)).clone())
}

fn grown(kind: usize) -> World {
    let mut settings = Settings {
        in_flight: 1 + (kind & 1) * 3,
        slow_workers: true,
        timers: true,
        one_way: kind & 2 != 0,
        ..Settings::default()
    };
    tighten(&mut settings.limits);
    let settings = if kind & 8 != 0 { settings.pinging(100, 1) } else { settings };
    World::grown(if kind & 4 != 0 { STAMPED } else { TREE }, settings)
}

struct Run {
    world: World,
    dice: Dice,
    next_label: u32,
    /// The chain of calls that go on; none of this number was ever ended.
    chain: u32,
}

impl Run {
    fn chaos(&mut self) -> Result<(), Violation> {
        for _ in 0..CHOICES {
            if self.dice.is_spent() {
                break;
            }
            self.choose();
            invariants::every_step(&self.world)?;
        }
        Ok(())
    }

    /// Everybody goes on, who is hostile ends, and of the rest nothing may be left.
    fn calm(&mut self) -> Result<(), Violation> {
        for op in story::resume_all(&self.world) {
            self.world.now_do(&op);
        }
        self.rest()?;
        let hostile: BTreeSet<ContextId> = self.world.history.hostile.clone();
        let labels: Vec<u32> = self.world.live_labels().collect();
        for label in labels {
            if hostile.contains(&self.world.id(label)) {
                self.world.now_do(&Op::Crash(label));
            }
        }
        self.rest()?;
        story::rest(&self.world)
    }

    fn rest(&mut self) -> Result<(), Violation> {
        let until = self.world.now().after(QUIET);
        for _ in 0..STEPS {
            let steps = self.world.steps();
            // Time passes once nothing else can happen.
            let now = steps.iter().find(|step| !matches!(step, Step::Due(_)));
            let is_quiet = now.is_none() && self.world.pings() && self.world.now() > until;
            let Some(step) = now.or_else(|| steps.first()).filter(|_| !is_quiet) else { return Ok(()) };
            self.world.apply(*step);
            self.world.violation().map_or(Ok(()), Err)?;
        }
        Err(Violation { invariant: "bound", text: "it does not come to rest".into() })
    }

    fn choose(&mut self) {
        match self.dice.below(16) {
            0..=6 => self.step(),
            7..=10 => self.forge_up(),
            11 | 12 => self.forge_down(),
            13 | 14 => self.start(),
            _ => self.something(),
        }
    }

    fn step(&mut self) {
        let steps = self.world.steps();
        if let Some(step) = self.dice.one_of(&steps) {
            self.world.apply(step);
        }
    }

    /// A child of the hop, or one below, writes what it should not.
    fn forge_up(&mut self) {
        let Some(label) = self.dice.one_of(&[2, 3, 4]).filter(|label| self.world.is_alive(*label)) else {
            return;
        };
        let id = self.world.id(label);
        self.turn(|who, ancestors| who == id || ancestors.contains(&id));
        let frame = forge::frame(&self.world, &mut self.dice, id);
        if let Some(frame) = decoded(&frame) {
            self.world.now_do(&Op::Inject(label, frame));
        }
    }

    /// The parent of the hop does, or that of the leaf beside it: the same context.
    fn forge_down(&mut self) {
        if !self.world.is_alive(0) || !self.world.is_alive(1) {
            return;
        }
        let mut frame = forge::frame(&self.world, &mut self.dice, ContextId::ROOT);
        let hop = self.world.id(1);
        frame.dst = if self.dice.once_in(2) { hop } else { self.world.some(&mut self.dice).unwrap_or(hop) };
        self.say_down(if frame.dst == self.world.id(5) { 5 } else { 1 }, frame);
    }

    fn say_down(&mut self, child: u32, frame: Frame) {
        let hop = self.world.id(child);
        self.turn(|who, ancestors| who != hop && !ancestors.contains(&hop));
        if let Some(frame) = decoded(&frame).filter(|_| self.world.is_alive(child)) {
            // What comes from above may speak for all that is not below, be it there or not.
            let is_above =
                |who| self.world.context(hop).is_some_and(|hop| hop.router.owner(who) == Owner::Up);
            let granted =
                job::granted(&frame.body).filter(|_| frame.handle == Handle::GRANT && is_above(frame.auth));
            if is_above(frame.src) {
                self.world.history.hostile.insert(frame.src);
            }
            if let Some((function, to)) = granted {
                self.world.history.granted(frame.dst, to, function);
            }
            self.world.inject_down(0, child, frame);
        }
    }

    /// Who is so, by himself and his ancestors, is hostile from now on.
    fn turn(&mut self, is_so: impl Fn(ContextId, &[ContextId]) -> bool) {
        let all = self.world.contexts().filter(|(id, context)| is_so(*id, context.ancestors()));
        let ids: Vec<ContextId> = all.map(|(id, _)| id).collect();
        self.world.history.hostile.extend(ids);
    }

    fn live(&mut self) -> u32 {
        let live: Vec<u32> = self.world.live_labels().collect();
        self.dice.one_of(&live).unwrap_or(0)
    }

    /// Whether `b` is below `a`, and lives as far as that knows.
    fn is_above(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.world.context(self.world.id(a)), self.world.id(b));
        a.is_some_and(|a| a.router.tree().iter().any(|entry| entry.id == b))
    }

    fn start(&mut self) {
        let (src, dst, third) = (self.live(), self.live(), self.live());
        let call = match self.dice.below(8) {
            0 => self.grant(src, dst, third),
            1 => Call::new(src, dst).bytes(self.dice.below(3) as u32 * 600).one_way(),
            2 => Call::new(src, dst).job(Job::Fail).chain(self.chain),
            3 => Call::new(src, dst).chain(self.chain),
            _ => Call::any(&mut self.dice, src, dst, self.world.id(third)),
        };
        self.now(&Op::Start(call));
    }

    fn grant(&mut self, by: u32, at: u32, to: u32) -> Call {
        let (there, who) = (self.world.id(at), self.world.id(to));
        self.world.history.granted(there, who, "parents".to_owned());
        self.world.grant(by, at, to, "parents")
    }

    /// Something else that an honest context does, or that befalls it.
    fn something(&mut self) {
        let (a, b) = (self.live(), self.live());
        let op = match self.dice.below(12) {
            0..=3 => Op::Cancel(self.dice.below(self.world.history.calls.len().max(1) as u64) as CallNo),
            // Others must have spoken to whom they watch, and who watches asks first whether there is anybody.
            4 if self.is_above(a, b) => Op::Watch(a, b),
            5 => Op::Pause(a),
            6 => Op::Resume(a),
            7 if self.world.is_alive(a) && self.world.can_have_children(a) => {
                self.next_label += 1;
                Op::Create(a, self.next_label, b % 2 == 0)
            }
            8 if a != 0 => Op::Crash(a),
            9 => Op::Cut(1, a),
            10 if a != 0 => Op::Shutdown(0, a),
            _ => {
                self.chain += 1;
                Op::EndChain(a, b, self.chain - 1)
            }
        };
        self.now(&op);
    }

    fn now(&mut self, op: &Op) {
        if self.world.is_possible(op) {
            self.world.now_do(op);
        }
    }
}

/// The frame as it is read from the wire; nothing if it is one that is skipped there.
fn decoded(frame: &Frame) -> Option<Frame> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    match decoder.next_frame() {
        Ok(Some(Decoded::Frame(frame))) => Some(frame),
        _ => None,
    }
}

/// Random choices, some of them long.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let input = |seed: u64| {
        let mut dice = Dice::new(seed);
        let length = 40 + dice.below(400);
        (0..length).map(|_| dice.below(256) as u8).collect()
    };
    (0..16).map(input).collect()
}
