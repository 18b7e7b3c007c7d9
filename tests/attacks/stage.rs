//! Where attacks are played, and what must hold in every one of them: the general condition.
//!
//! Beside the attacker lives `eight`, an honest leaf that calls the root all the time. How long its calls take is measured
//! without the attack, under it, and without it again, and the quiet times before and after are taken together: what the
//! machine does beside counts for both alike. The 99th percentile under attack may be three times that of the quiet, and
//! [`FLOOR`] more. On two processors that others use too, whoever wakes may have to wait for one, which no router can
//! help: a thread that does nothing but sleep and wake is late by as much, and the longest that it was late under the
//! attack is allowed for each of the [`WAKES`] of a call.

use std::{
    cell::{Cell, RefCell},
    fs,
    sync::{
        Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::{Blob, ConnectError, DropKind, RouterBuilder, Sizes, prelude::*, table::TableSizes};
use offshoot_tests::real::{
    PATIENCE, eventually,
    flows::{LENGTH, PROBE, TAKE},
    logs, rss_kib,
    table::{NAME, SECRET, WORK},
};
use tempfile::TempDir;

use crate::{attacker::Attacker, told};

/// What the 99th percentile may have beside three times that of the quiet, in microseconds.
const FLOOR: u32 = 20_000;
/// The broker of the root, its worker, and both of `eight`.
const WAKES: u32 = 4;
/// How long a probe or a sleeper sleeps.
const NAP: Duration = Duration::from_micros(500);
/// Calls that are measured at one time, and how often at least under attack.
const PROBES: u32 = 30;
const ROUNDS: usize = 5;
/// What the root may grow by for one hostile link, in MiB.
const GROWTH: u64 = 16;

/// A root that serves a few functions to everybody, its honest child `eight`, and those who attack.
#[must_use = "it says at its end whether others had to suffer"]
pub(crate) struct Stage {
    router: Router,
    eight: Context,
    /// All others, in the order in which they came.
    others: RefCell<Vec<Context>>,
    folder: TempDir,
    mark: logs::Mark,
    /// What the root held, of `eight` alone.
    held: Held,
    /// The memory of the root before, in KiB.
    before: u64,
    /// What it may grow by, in MiB.
    growth: Cell<u64>,
    quiet: RefCell<Vec<u32>>,
    attacked: RefCell<Vec<u32>>,
    /// How late a thread that wakes was at worst under attack, in microseconds.
    late: Cell<u32>,
}

/// What a root holds: of links, calls, windows, routes, ids.
type Held = (Sizes, TableSizes);

/// Sends a number into the end of a stream that it is given.
const POUR: Function<Sender<u64>, ()> = Function::new("pour");

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// With other settings of the root.
    pub(crate) fn with(settings: impl FnOnce(RouterBuilder) -> RouterBuilder) -> Self {
        let functions = Functions::new()
            .serve_to(Policy::Anyone, TAKE, |_, number| number)
            .serve_to(Policy::Anyone, LENGTH, |_, blob: Blob| blob.len() as u64)
            .serve_to(Policy::Anyone, NAME, |call: &Call, ()| call.here().name().to_owned())
            .serve_to(Policy::Anyone, WORK, |call: &Call, ms| work(call, ms))
            .serve_to(Policy::Anyone, POUR, |_, sender: Sender<u64>| sender.send(1))
            .serve(SECRET, |call: &Call, ()| call.here().name().to_owned());
        let router = settings(Router::builder().functions(functions).workers(4)).build().expect("a router");
        let eight = router.connect(leaf("eight")).expect("an honest leaf");
        let folder = tempfile::tempdir().expect("a folder");
        // The first calls of all are slower than any later one.
        eight.call(PROBE, PROBES).expect("calls");
        let held = held(&router);
        // From now on the kernel remembers the most that there was.
        fs::write("/proc/self/clear_refs", "5").expect("the kernel takes a new mark");
        Self {
            router,
            eight,
            others: RefCell::default(),
            folder,
            mark: logs::mark(),
            held,
            before: rss_kib(std::process::id()),
            growth: Cell::new(0),
            quiet: RefCell::default(),
            attacked: RefCell::default(),
            late: Cell::new(0),
        }
    }

    pub(crate) const fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) const fn eight(&self) -> &Context {
        &self.eight
    }

    pub(crate) const fn log(&self) -> &logs::Mark {
        &self.mark
    }

    /// A child of the root that attacks, called `seven`.
    pub(crate) fn seven(&self, part: &str) -> Attacker {
        self.attacker(&self.router.here(), part, "seven")
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
        Attacker::refused(self.folder.path(), &self.router.here(), part, part)
    }

    /// An honest hop of the root.
    pub(crate) fn hop(&self, name: &str) -> Context {
        self.beside(self.router.connect(Local::new(Payload::this_program()).name(name)))
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
        self.growth.set(self.growth.get() + more);
    }

    /// Does something while `eight` is watched; it calls before and after, too.
    pub(crate) fn under_attack<T>(&self, attack: impl FnOnce() -> T) -> T {
        self.rest();
        let (eight, over, begun) = (&self.eight, AtomicBool::new(false), Barrier::new(2));
        let (result, took, late) = thread::scope(|scope| {
            let sleeper = scope.spawn(|| lateness(&over));
            let prober = scope.spawn(|| {
                begun.wait();
                let mut took = Vec::new();
                for round in 0.. {
                    took.extend(probe(eight));
                    if round >= ROUNDS && over.load(Ordering::Acquire) {
                        break;
                    }
                }
                took
            });
            let _over = Over(&over);
            begun.wait();
            let result = attack();
            over.store(true, Ordering::Release);
            (result, prober.join().expect("eight calls on"), sleeper.join().expect("it sleeps and wakes"))
        });
        self.late.set(self.late.get().max(late));
        self.attacked.borrow_mut().extend(took);
        self.rest();
        result
    }

    /// Measures without an attack.
    fn rest(&self) {
        for _ in 0..ROUNDS {
            self.quiet.borrow_mut().extend(probe(&self.eight));
        }
    }

    /// How many bodies are in the making at the root.
    pub(crate) fn parts(&self) -> usize {
        self.router.sizes().0.parts
    }

    /// How often frames by the link of a child of the root were dropped for this reason.
    pub(crate) fn dropped(&self, by: &Context, kind: DropKind) -> u64 {
        let dropped = self.router.dropped();
        dropped.iter().find(|(id, k, _)| (*id, *k) == (by.id(), kind)).map_or(0, |(_, _, count)| *count)
    }

    /// Waits until the log says that the link to a child of the root was cut, and why.
    #[track_caller]
    pub(crate) fn until_cut(&self, attacker: &Attacker, why: &str) {
        let link = format!("the link to context {}, {}, was cut: ", attacker.id(), attacker.context());
        self.mark.until(&["WARN offshoot: ", &link, why]);
    }

    /// Ends the tree, and says whether anybody had to suffer; what was logged.
    #[track_caller]
    pub(crate) fn end(self) -> Vec<String> {
        let Self { router, others, mark, held: base, before, growth, quiet, attacked, late, .. } = self;
        let (quiet, attacked) = (p99(quiet.into_inner()), p99(attacked.into_inner()));
        let peak = peak_kib();
        told::check(&router, &mark);
        for other in others.into_inner().iter().rev() {
            other.shutdown().wait_timeout(PATIENCE).expect("it ends");
        }
        let what = format!("nothing is held of who is gone: {base:?} again");
        eventually(&what, PATIENCE, || (held(&router) == base).then_some(()));
        drop(router);
        note_latency(quiet, attacked);
        let (late, most) = (late.get(), 3 * quiet + FLOOR + WAKES * late.get());
        assert!(
            attacked <= most,
            "others wait {attacked} us under attack, {quiet} in quiet; who wakes {late}"
        );
        // What the log of these tests keeps is theirs.
        let before = before + mark.bytes() / 1024;
        let most = before + (growth.get() << 10);
        assert!(peak <= most, "the root grew from {before} KiB to {peak} KiB");
        let back = before + (GROWTH << 10);
        let what = format!("of {peak} KiB all but {back} KiB has been given back");
        eventually(&what, PATIENCE, || (rss_kib(std::process::id()) <= back).then_some(()));
        mark.lines()
    }
}

/// What is held of others, but for when something is due next.
fn held(router: &Router) -> Held {
    let (sizes, table) = router.sizes();
    (Sizes { timers: 0, ..sizes }, table)
}

/// So many milliseconds of work, whether or not anybody still waits for it.
fn work(_: &Call, ms: u64) {
    let end = Instant::now() + Duration::from_millis(ms);
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Sleeps and wakes until the attack is over, and tells how late it was at worst, in microseconds.
fn lateness(over: &AtomicBool) -> u32 {
    let mut worst = Duration::ZERO;
    while !over.load(Ordering::Acquire) {
        let begun = Instant::now();
        thread::park_timeout(NAP);
        worst = worst.max(begun.elapsed().saturating_sub(NAP));
    }
    u32::try_from(worst.as_micros()).unwrap_or(u32::MAX)
}

/// That an attack is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn leaf(name: &str) -> Local {
    Local::new(Payload::file(env!("CARGO_BIN_EXE_leaf")).expect("the leaf has been built")).name(name)
}

/// Calls of `eight` to the root, in microseconds each. All of them end well.
fn probe(eight: &Context) -> Vec<u32> {
    eight.with_timeout(PATIENCE).call(PROBE, PROBES).expect("eight notices nothing")
}

fn p99(mut took: Vec<u32>) -> u32 {
    took.sort_unstable();
    took[(took.len() * 99).div_ceil(100) - 1]
}

/// The most memory that this process has had since the mark, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

/// What is told at the end of all tests.
static NOTES: Mutex<Notes> = Mutex::new(Notes { worst: (0, 0), junk: Vec::new() });

struct Notes {
    /// The 99th percentile of the quiet, and the worst under attack beside it.
    worst: (u32, u32),
    /// What junk costs the root: of which kind, and how many milliseconds of processor time a MB.
    junk: Vec<(&'static str, f64)>,
}

fn note_latency(quiet: u32, attacked: u32) {
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    if attacked > notes.worst.1 {
        notes.worst = (quiet, attacked);
    }
}

/// Remembers what junk has cost.
pub(crate) fn note_junk(kind: &'static str, cost: f64) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).junk.push((kind, cost));
}

/// Tells what was measured: `cargo xtask test` shows it in its summary.
#[expect(clippy::print_stdout, reason = "for people and for that command")]
pub(crate) fn sum_up() {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let (quiet, attacked) = notes.worst;
    let mut line = format!("p99 of others at worst {attacked} us, {quiet} us in quiet");
    for (kind, cost) in &notes.junk {
        line += &format!("; {kind} costs the root {cost:.2} ms a MB");
    }
    println!("NOTE: {line}");
}
