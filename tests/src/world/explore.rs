//! Every order of steps: breadth first over hashed states, so that the first failure has the shortest story.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
};

use super::{
    history::Violation,
    invariants, trace,
    whole::{Settings, Step, World},
};

/// How many states a scenario may have before it is a mistake of the scenario.
const MAX_STATES: usize = 400_000;
/// In how many worlds at rest everybody is called once more: the others differ little.
const MAX_PROBES: usize = 40;

/// What an exploration has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// States.
    pub states: usize,
    /// Of these, at rest.
    pub at_rest: usize,
    /// Steps of the longest shortest way to one.
    pub depth: usize,
}

/// What went wrong, and the steps that lead there.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What does not hold.
    pub violation: Violation,
    /// The steps in words.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.violation.invariant, self.violation.text)?;
        for (at, line) in self.trace.iter().enumerate() {
            writeln!(f, "{:4}: {line}", at + 1)?;
        }
        Ok(())
    }
}

/// A state on the way: the one before it, and the step between them.
#[derive(Clone, Copy)]
struct Visit {
    before: u32,
    step: Option<Step>,
    depth: u32,
}

/// Explores every order of steps from a world on.
///
/// # Errors
/// The first [`Failure`], with the shortest story.
pub fn explore(start: &World) -> Result<Report, Failure> {
    let mut search = Search::new(start);
    search.run().map_err(|(violation, at, step)| Failure { violation, trace: search.story(at, step) })
}

type Found = (Violation, u32, Option<Step>);

struct Search<'a> {
    start: &'a World,
    visits: Vec<Visit>,
    seen: HashSet<u64>,
    open: VecDeque<(u32, World)>,
    /// Which claims of the script were seen to hold.
    witnessed: Vec<bool>,
    met: Vec<bool>,
    report: Report,
}

impl<'a> Search<'a> {
    fn new(start: &'a World) -> Self {
        Self {
            start,
            visits: vec![Visit { before: 0, step: None, depth: 0 }],
            seen: HashSet::from([start.fingerprint()]),
            open: VecDeque::from([(0, start.clone())]),
            witnessed: vec![false; start.witnesses.len()],
            met: vec![false; start.meetings.len()],
            report: Report::default(),
        }
    }

    fn run(&mut self) -> Result<Report, Found> {
        invariants::every_step(self.start).map_err(|violation| (violation, 0, None))?;
        while let Some((at, world)) = self.open.pop_front() {
            let steps = world.steps();
            if world.is_at_rest(&steps) {
                self.rest(&world).map_err(|violation| (violation, at, None))?;
            }
            for step in steps {
                self.take(at, &world, step)?;
            }
        }
        self.report.states = self.visits.len();
        let seen = self.witnessed.iter().chain(&self.met);
        for (seen, (claim, _)) in seen.zip(self.start.witnesses.iter().chain(self.start.meetings.iter())) {
            if !seen {
                let text = format!("in no order of steps: {claim}");
                return Err((Violation { invariant: "script", text }, 0, None));
            }
        }
        Ok(self.report)
    }

    fn take(&mut self, at: u32, world: &World, step: Step) -> Result<(), Found> {
        let mut next = world.clone();
        next.apply(step);
        if let Some(violation) = next.violation() {
            return Err((violation, at, Some(step)));
        }
        if !self.seen.insert(next.fingerprint()) {
            return Ok(());
        }
        let holds = invariants::every_step(&next).and_then(|()| invariants::script_at_every_step(&next));
        holds.map_err(|violation| (violation, at, Some(step)))?;
        for (met, (_, holds)) in self.met.iter_mut().zip(next.meetings.iter()) {
            *met = *met || holds(&next);
        }
        let depth = self.visits[at as usize].depth + 1;
        self.report.depth = self.report.depth.max(depth as usize);
        self.visits.push(Visit { before: at, step: Some(step), depth });
        if self.visits.len() > MAX_STATES {
            let text = format!("the scenario has more than {MAX_STATES} states: make it smaller");
            return Err((Violation { invariant: "bound", text }, at, Some(step)));
        }
        self.open.push_back((self.visits.len() as u32 - 1, next));
        Ok(())
    }

    fn rest(&mut self, world: &World) -> Result<(), Violation> {
        self.report.at_rest += 1;
        invariants::at_rest(world)?;
        invariants::script(world)?;
        for (seen, (_, holds)) in self.witnessed.iter_mut().zip(self.start.witnesses.iter()) {
            *seen |= holds(world);
        }
        if self.report.at_rest <= MAX_PROBES {
            invariants::i23_everybody_is_reachable(world)?;
        }
        Ok(())
    }

    /// The steps to a state in words, and one more.
    fn story(&self, at: u32, last: Option<Step>) -> Vec<String> {
        let mut steps: Vec<Step> = last.into_iter().collect();
        let mut at = at;
        while let Some(step) = self.visits[at as usize].step {
            steps.push(step);
            at = self.visits[at as usize].before;
        }
        let mut world = self.start.clone();
        let mut story = Vec::new();
        for step in steps.into_iter().rev() {
            story.push(trace::describe(&world, step));
            world.apply(step);
        }
        story
    }
}

/// A scenario: how its worlds are made.
#[derive(Clone, Debug)]
pub struct Scenario {
    tree: String,
    settings: Settings,
    depths: Vec<usize>,
}

impl Scenario {
    /// A scenario on a tree, written as `"0>1 1>2"`.
    #[must_use]
    pub fn on(tree: &str) -> Self {
        Self { tree: tree.to_owned(), settings: Settings::default(), depths: vec![1, usize::MAX] }
    }

    /// With other settings.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// With so many frames under way at most, and no other number of them.
    #[must_use]
    pub fn in_flight(mut self, frames: usize) -> Self {
        self.depths = vec![frames];
        self
    }

    /// Timers fire.
    #[must_use]
    pub fn with_timers(self) -> Self {
        self.with(|settings| settings.timers = true)
    }

    /// Explores what `script` sets up.
    ///
    /// # Errors
    /// The first [`Failure`].
    pub fn explore(&self, script: impl Fn(&mut World)) -> Result<Report, Failure> {
        let mut total = Report::default();
        for in_flight in &self.depths {
            let mut world =
                World::grown(&self.tree, Settings { in_flight: *in_flight, ..self.settings.clone() });
            script(&mut world);
            let report = explore(&world)?;
            total.states += report.states;
            total.at_rest += report.at_rest;
            total.depth = total.depth.max(report.depth);
        }
        Ok(total)
    }

    /// Explores what `script` sets up, and prints what it saw.
    ///
    /// # Panics
    /// With the story of the first failure.
    #[expect(clippy::print_stdout, reason = "shown with `--show-output`: how large a scenario is")]
    pub fn check(&self, script: impl Fn(&mut World)) -> Report {
        match self.explore(script) {
            Ok(report) => {
                let Report { states, at_rest, depth } = report;
                println!("{states} states, {at_rest} at rest, {depth} steps");
                report
            }
            Err(failure) => panic!("on {}\n{failure}", self.tree),
        }
    }
}

/// Explores every delivery order of what `script` does on a tree.
///
/// # Panics
/// With the story of the first failure.
pub fn check(tree: &str, script: impl Fn(&mut World)) -> Report {
    Scenario::on(tree).check(script)
}
