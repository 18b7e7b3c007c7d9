//! Where attacks are played: a [`Ground`] with a few functions for everybody, and those who attack.

use std::{
    cell::RefCell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::{Blob, ConnectError, DropKind, RouterBuilder, prelude::*};
use offshoot_tests::real::{
    flows::LENGTH,
    ground::{self, GROWTH, Ground, Programs},
    logs,
    table::{NAME, SECRET, WORK},
};
use tempfile::TempDir;

use crate::attacker::Attacker;

const PROGRAMS: Programs =
    Programs { leaf: env!("CARGO_BIN_EXE_leaf"), bystander: env!("CARGO_BIN_EXE_bystander") };

/// A root that serves a few functions to everybody, its honest child `eight`, and those who attack.
#[must_use = "it says at its end whether others had to suffer"]
pub(crate) struct Stage {
    ground: Ground,
    /// All others, in the order in which they came.
    others: RefCell<Vec<Context>>,
    folder: TempDir,
}

/// How many calls of [`WORK`] are being run by the root, and the most that were at once.
static RUN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// A call of [`WORK`] that is being run.
struct Slot;

impl Slot {
    fn taken<T>(run: impl FnOnce() -> T) -> T {
        let _slot = Self;
        MOST.fetch_max(RUN.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        run()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        RUN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The most calls of [`WORK`] that the root has run at once.
pub(crate) fn most_at_once() -> usize {
    MOST.load(Ordering::SeqCst)
}

/// Sends a number into the end of a stream that it is given.
const POUR: Function<Sender<u64>, ()> = Function::new("pour");

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// With other settings of the root.
    pub(crate) fn with(settings: impl FnOnce(RouterBuilder) -> RouterBuilder) -> Self {
        let functions = Functions::new()
            .serve_to(Policy::Anyone, LENGTH, |_, blob: Blob| blob.len() as u64)
            .serve_to(Policy::Anyone, NAME, |call: &Call, ()| call.here().name().to_owned())
            .serve_to(Policy::Anyone, WORK, |call: &Call, ms| Slot::taken(|| work(call, ms)))
            .serve_to(Policy::Anyone, POUR, |_, sender: Sender<u64>| sender.send(1))
            .serve(SECRET, |call: &Call, ()| call.here().name().to_owned());
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Ground::new(settings(Router::builder().functions(functions)), PROGRAMS);
        Self { ground, others: RefCell::default(), folder }
    }

    pub(crate) const fn router(&self) -> &Router {
        self.ground.router()
    }

    pub(crate) const fn eight(&self) -> &Context {
        self.ground.eight()
    }

    pub(crate) const fn log(&self) -> &logs::Mark {
        self.ground.log()
    }

    /// A child of the root that attacks, called `seven`.
    pub(crate) fn seven(&self, part: &str) -> Attacker {
        self.attacker(&self.router().here(), part, "seven")
    }

    /// A child of any context that attacks.
    pub(crate) fn attacker(&self, parent: &Context, part: &str, name: &str) -> Attacker {
        self.allow(GROWTH);
        let attacker = Attacker::enter(self.folder.path(), parent, part, name);
        self.others.borrow_mut().push(attacker.context().clone());
        attacker
    }

    /// A child of the root that does not come up.
    pub(crate) fn refused(&self, part: &str) -> ConnectError {
        self.allow(GROWTH);
        Attacker::refused(self.folder.path(), &self.router().here(), part, part)
    }

    /// An honest hop of the root.
    pub(crate) fn hop(&self, name: &str) -> Context {
        self.beside(self.router().connect(Local::new(Payload::this_program()).name(name)))
    }

    /// An honest leaf of any context.
    pub(crate) fn leaf(&self, parent: &Context, name: &str) -> Context {
        self.beside(parent.connect(leaf(name)))
    }

    fn beside(&self, connected: Result<Context, ConnectError>) -> Context {
        let context = connected.expect("an honest context comes up");
        self.others.borrow_mut().push(context.clone());
        context
    }

    /// The root may grow by so many MiB more: the row says why.
    pub(crate) fn allow(&self, more: u64) {
        self.ground.allow(more);
    }

    /// Does something while `eight` is watched; it calls before and after, too.
    pub(crate) fn under_attack<T>(&self, attack: impl FnOnce() -> T) -> T {
        self.ground.under_attack(attack)
    }

    /// How many bodies are in the making at the root.
    pub(crate) fn parts(&self) -> usize {
        self.router().sizes().0.parts
    }

    /// How often frames by the link of a child of the root were dropped for this reason.
    pub(crate) fn dropped(&self, by: &Context, kind: DropKind) -> u64 {
        let dropped = self.router().dropped();
        dropped.iter().find(|(id, k, _)| (*id, *k) == (by.id(), kind)).map_or(0, |(_, _, count)| *count)
    }

    /// Waits until the log says that the link to a child of the root was cut, and why.
    #[track_caller]
    pub(crate) fn until_cut(&self, attacker: &Attacker, why: &str) {
        let link = format!("the link to context {}, {}, was cut: ", attacker.id(), attacker.context());
        self.log().until(&["WARN offshoot: ", &link, why]);
    }

    /// Ends the tree, and says whether anybody had to suffer; what was logged.
    #[track_caller]
    pub(crate) fn end(self) -> Vec<String> {
        self.ground.end(self.others.borrow().iter().rev())
    }
}

/// So many milliseconds of work, whether or not anybody still waits for it.
fn work(_: &Call, ms: u64) {
    let end = Instant::now() + Duration::from_millis(ms);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

fn leaf(name: &str) -> Local {
    Local::new(Payload::file(PROGRAMS.leaf).expect("the leaf has been built")).name(name)
}

/// What junk costs the root: of which kind, and how many milliseconds of processor time a MB.
static JUNK: Mutex<Vec<(&str, f64)>> = Mutex::new(Vec::new());

/// Remembers what junk has cost.
pub(crate) fn note_junk(kind: &'static str, cost: f64) {
    JUNK.lock().unwrap_or_else(PoisonError::into_inner).push((kind, cost));
}

/// Tells what was measured, which `cargo xtask test` shows in its summary; whether others were well under all attacks
/// together.
#[expect(clippy::print_stdout, reason = "for people and for that command")]
pub(crate) fn sum_up() -> bool {
    let junk = JUNK.lock().unwrap_or_else(PoisonError::into_inner);
    let costs = junk.iter().map(|(kind, cost)| format!("{kind} costs the root {cost:.2} ms a MB"));
    let verdict = ground::verdict();
    let (Ok(said) | Err(said)) = &verdict;
    println!("NOTE: {}", [said.clone()].into_iter().chain(costs).collect::<Vec<_>>().join("; "));
    verdict.is_ok()
}
