//! The rounds of a soak: grow, load, harm, mend, end, and look round.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offshoot_parent::Router;

use super::{
    chaos::{Chaos, Deeds},
    jobs::RAN,
    ledger::Ledger,
    load::Load,
    report::{Held, Report},
    stand::Stand,
};
use crate::{
    real::{
        descendants_of, is_gone,
        leaks::{descriptors, files, threads},
        table,
    },
    world::{Dice, Violation},
};

/// Threads that load a round.
const LOADS: u64 = 3;
/// What the root's links are asked for a sign of life after.
const PING: Duration = Duration::from_millis(500);
/// How long a round may take to come to its end, and what it has made to be gone.
const ENDING: Duration = Duration::from_secs(20);
/// When a round is said to hang.
const HANGING: Duration = Duration::from_secs(120);
/// Rounds after which everything that is made once has been made.
const WARM: u32 = 3;
/// What the root or the elder may grow by between the middle of a soak and its end, in KiB.
const GROWTH_KIB: u64 = 4 << 10;
/// Accounts of credit with the elder: calls and replies, both ways.
const WINDOWS: usize = 4;
/// Rounds under which memory tells nothing.
const TELLING: usize = 24;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long.
    pub time: Duration,
    /// What decides all that can be decided.
    pub seed: u64,
    /// Every process that is made is below this one.
    pub above: u32,
}

/// What went wrong, in which round.
#[derive(Debug)]
pub struct Failure {
    round: u32,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} breaks {}", self.round, self.what)
    }
}

/// The root, its hop, and what both held when they were warm.
struct Soak {
    plan: Plan,
    stand: Stand,
    elder: u32,
    report: Report,
    /// Of the root and the elder.
    base: Option<[Held; 2]>,
    /// Files of others, which were there before.
    strange: BTreeSet<PathBuf>,
    memory: Vec<[u64; 2]>,
    begun: Arc<Mutex<Instant>>,
}

/// Grows and loses trees for a time, and tells a line a minute and a table at the end.
///
/// # Errors
/// The first thing that was wrong: a call or stream that the history refuses, something that is left behind, memory
/// that grows.
pub fn run(plan: Plan, out: &mut dyn io::Write) -> Result<(), Failure> {
    let failed = |what: String| Failure { round: 0, what };
    let strange = files();
    let router = Router::builder().functions(table::functions()).ping(PING).build();
    let stand = Stand::new(router.map_err(|error| failed(error.to_string()))?).map_err(failed)?;
    let elder = stand.router.tree().pid(stand.elder.id()).unwrap_or_default();
    let begun = Arc::new(Mutex::new(Instant::now()));
    watch(Arc::clone(&begun)).map_err(|error| failed(error.to_string()))?;
    let report = Report::default();
    let mut soak = Soak { plan, stand, elder, report, base: None, strange, memory: Vec::new(), begun };
    let (start, mut told) = (Instant::now(), Instant::now());
    while start.elapsed() < plan.time {
        let round = soak.report.rounds;
        soak.round(round).map_err(|what| Failure { round, what })?;
        if told.elapsed() >= Duration::from_secs(60) {
            told = Instant::now();
            soak.tell(start.elapsed(), out);
        }
    }
    soak.tell(start.elapsed(), out);
    let sum = soak.report.to_string();
    let ended = soak.grown().map_err(|what| Failure { round: soak.report.rounds, what });
    // Whoever reads this may be gone.
    drop(write!(out, "{sum}"));
    ended
}

/// A round that hangs is ended with all processes, so that it is seen where.
fn watch(begun: Arc<Mutex<Instant>>) -> io::Result<()> {
    let hangs = move || loop {
        thread::park_timeout(Duration::from_secs(5));
        let since = begun.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        assert!(since < HANGING, "a round hangs for {since:?}");
    };
    let body = move || {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(hangs)).is_err() {
            std::process::abort();
        }
    };
    thread::Builder::new().name("watch".to_owned()).spawn(body).map(drop)
}

impl Soak {
    fn round(&mut self, round: u32) -> Result<(), String> {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let ledger = Ledger::new(round);
        let deeds = self.harm(&ledger);
        self.mend(&ledger);
        let (history, violation) = ledger.close();
        self.report.add(&history, &deeds);
        drop(history);
        if let Some(Violation { invariant, text }) = violation {
            return Err(format!("{invariant}: {text}"));
        }
        self.look_round()
    }

    /// Load and faults at once, for some seconds.
    fn harm(&self, ledger: &Ledger) -> Deeds {
        let mut dice = Dice::of(self.plan.seed, ledger.round.into());
        let end = Instant::now() + Duration::from_millis(2_000 + dice.below(4_000));
        let (stop, panics) = (AtomicBool::new(false), AtomicU64::new(0));
        let chaos = Chaos::new(&self.stand, self.plan.above, Dice::of(dice.next(), 0));
        let deeds = thread::scope(|scope| {
            let threads: Vec<_> = (1..=LOADS)
                .map(|thread| {
                    let dice = Dice::of(dice.next(), thread);
                    let load = Load { ledger, stand: &self.stand, stop: &stop, dice };
                    scope.spawn(move || load.run())
                })
                .collect();
            let deeds = chaos.reign(end, || ledger.is_broken());
            stop.store(true, Ordering::Relaxed);
            for thread in threads {
                panics.fetch_add(u64::from(thread.join().is_err()), Ordering::Relaxed);
            }
            deeds
        });
        if panics.into_inner() > 0 {
            ledger.wrong("I19", "a thread of the load panicked");
        }
        deeds
    }

    /// Each that lives says what it has run, and ends.
    fn mend(&self, ledger: &Ledger) {
        let living = self.stand.take_all();
        for context in living.iter().chain([&self.stand.elder]) {
            match context.with_timeout(ENDING).call(RAN, ()) {
                Ok(notes) => ledger.ran(context.id(), &notes),
                Err(error) if error.is_lost() && context.id() != self.stand.elder.id() => {}
                Err(error) => ledger.wrong("I23", error.to_string()),
            }
        }
        let ending: Vec<_> = living.iter().map(|context| context.shutdown()).collect();
        for (context, shutdown) in living.iter().zip(ending) {
            if let Err(error) = shutdown.wait_timeout(ENDING)
                && !error.is_lost()
            {
                ledger.wrong("I26", format!("{} does not end: {error}", context.name()));
            }
        }
    }

    /// Nothing that the round has made is there any more.
    fn look_round(&mut self) -> Result<(), String> {
        let until = Instant::now() + ENDING;
        let mut left = self.left();
        while let Some(what) = left {
            if Instant::now() > until {
                return Err(format!("I21: left {ENDING:?} after its end: {what}"));
            }
            thread::park_timeout(Duration::from_millis(20));
            left = self.left();
        }
        let held = [std::process::id(), self.elder].map(Held::by);
        if self.report.rounds == WARM {
            self.base = Some(held);
        }
        if self.report.rounds > WARM {
            self.memory.push(held.map(|held| held.rss_kib));
        }
        Ok(())
    }

    /// What is still there.
    fn left(&self) -> Option<String> {
        let ours = [std::process::id(), self.elder];
        let processes = descendants_of(self.plan.above);
        let processes: Vec<_> =
            processes.into_iter().filter(|pid| !ours.contains(pid) && !is_gone(*pid)).collect();
        let (sizes, table) = self.stand.router.sizes();
        let files: Vec<_> = files().difference(&self.strange).cloned().collect();
        let grown = self.base.iter().flat_map(|base| ours.map(Held::by).into_iter().zip(*base));
        let grown = grown
            .enumerate()
            .find(|(_, (now, base))| now.descriptors > base.descriptors || now.threads > base.threads);
        if !processes.is_empty() {
            Some(format!("processes {processes:?}"))
        } else if table.links != 1 || table.contexts != 1 {
            Some(format!("in the table of the root: {table:?}"))
        } else if sizes.calls + sizes.parts + sizes.waiting + sizes.chains + sizes.handles + sizes.grants > 0
            || sizes.accounts > WINDOWS
        {
            Some(format!("in the machine of the root: {sizes:?}"))
        } else if !files.is_empty() {
            Some(files.iter().fold("files".to_owned(), |text, file| text + &described(file)))
        } else {
            grown.map(|(at, (now, base))| {
                let who = if at == 0 { "the root" } else { "the elder" };
                format!("{who} has {now}, and had {base}: {:?}, {} threads", descriptors(), threads())
            })
        }
    }

    /// Whether the root or the elder needs more in the last quarter than in the second.
    fn grown(&self) -> Result<(), String> {
        if self.memory.len() < TELLING {
            return Ok(());
        }
        let quarter = self.memory.len() / 4;
        for (at, who) in [(0, "the root"), (1, "the elder")] {
            let most = |rounds: &[[u64; 2]]| rounds.iter().map(|held| held[at]).max().unwrap_or_default();
            let (middle, end) = (most(&self.memory[quarter..2 * quarter]), most(&self.memory[3 * quarter..]));
            if end > middle + GROWTH_KIB {
                return Err(format!("I21: the memory of {who} grows from {middle} to {end} KiB"));
            }
        }
        Ok(())
    }

    fn tell(&self, after: Duration, out: &mut dyn io::Write) {
        let [root, elder] = [std::process::id(), self.elder].map(Held::by);
        // Whoever reads this may be gone.
        drop(writeln!(
            out,
            "{:5.1} min: {} rounds, {} contexts, {} calls; root {root}; elder {elder}",
            after.as_secs_f64() / 60.0,
            self.report.rounds,
            self.report.contexts(),
            self.report.calls(),
        ));
        drop(out.flush());
    }
}

/// A file that is left, and what is in it if it is a folder, with sizes: it tells how far somebody has come.
fn described(file: &Path) -> String {
    let inside = fs::read_dir(file).into_iter().flatten().flatten();
    let inside = inside.map(|entry| {
        let size = entry.metadata().map_or(0, |found| found.len());
        format!(" {} {size}", entry.file_name().to_string_lossy())
    });
    format!(" {} [{} ]", file.display(), inside.collect::<String>())
}
