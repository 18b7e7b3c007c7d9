//! Larger trees, by seed: random trees, calls, streams and faults, in a random order of steps.
//!
//! `SEEDS=5000 cargo test -p offshoot-tests --test world many_seeds` runs so many; `FIRST` is the first of them, `CONTEXTS`
//! and `STEPS` say how large each is (small ones find most, and tell it shortly). What fails is told with its seed and the
//! shortest story that was found, the shortest of all first. `SEED=7 CONTEXTS=30 STEPS=1500` with the test `one_seed` runs
//! one again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use offshoot_core::machine::DropKind;
use offshoot_tests::world::{Failure, REFUSALS, Seen, seeded};
use offshoot_wire::DeadCode;

/// How many steps of chaos a seed has.
const STEPS: u64 = 1500;
/// How many seeds are run.
const SEEDS: u64 = 150;
/// How many failures are told.
const TOLD: usize = 5;

/// What one seed is: how many contexts, which numbers, how many steps.
#[derive(Clone, Copy, Debug)]
struct Size {
    seed: u64,
    contexts: u32,
    steps: u64,
}

impl Size {
    fn of(seed: u64) -> Self {
        let contexts = number("CONTEXTS", 7 + seed % 41) as u32;
        Self { seed, contexts, steps: number("STEPS", STEPS) }
    }

    fn run(self) -> Result<Seen, Failure> {
        seeded(self.contexts, self.seed, self.steps as usize)
    }

    fn tell(self, failure: &Failure) -> String {
        let Self { seed, contexts, steps } = self;
        format!(
            "SEED={seed} CONTEXTS={contexts} STEPS={steps} cargo test -p offshoot-tests --test world one_seed\n{failure}"
        )
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn one_seed() {
    let size = Size::of(number("SEED", 1));
    match size.run() {
        Ok(seen) => assert!(seen.values > 0, "{seen:?}"),
        Err(failure) => panic!("{}", size.tell(&failure)),
    }
}

#[test]
fn a_seed_gives_the_same_again() {
    for seed in 1000..1004 {
        let size = Size { seed, contexts: 20, steps: STEPS };
        assert_eq!(size.run().ok(), size.run().ok());
    }
}

/// Runs many seeds side by side.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<(Size, Result<Seen, Failure>)> {
    let next = AtomicU64::new(seeds.start);
    thread::scope(|scope| {
        let work = || {
            let sizes = std::iter::repeat_with(|| Size::of(next.fetch_add(1, Ordering::Relaxed)));
            sizes.take_while(|size| size.seed < seeds.end).map(|size| (size, size.run())).collect()
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| -> Vec<_> { worker.join().unwrap() }).collect()
    })
}

#[test]
fn many_seeds_hold_what_the_machines_promise_and_see_every_kind_of_refusal() {
    let first = number("FIRST", 0);
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    for (size, result) in run_all(first..first + number("SEEDS", SEEDS)) {
        match result {
            Ok(one) => seen.push(one),
            Err(failure) => failed.push((size, failure)),
        }
    }
    failed.sort_by_key(|(_, failure)| failure.trace.len());
    // One of each kind, the shortest of all first.
    let mut kinds = BTreeSet::new();
    let (one_of_each, others): (Vec<_>, Vec<_>) =
        failed.iter().partition(|(_, failure)| kinds.insert(failure.violation.invariant));
    let mut told = format!("{} seeds failed\n", failed.len());
    for (size, failure) in one_of_each.iter().chain(&others).take(TOLD) {
        writeln!(told, "{}", size.tell(failure)).unwrap();
    }
    assert!(failed.is_empty(), "{told}");
    let drops: BTreeSet<DropKind> = seen.iter().flat_map(|seen| seen.drops.iter().copied()).collect();
    let codes: BTreeSet<DeadCode> = seen.iter().flat_map(|seen| seen.codes.iter().copied()).collect();
    let mut faults = BTreeMap::new();
    for (name, times) in seen.iter().flat_map(|seen| &seen.faults) {
        *faults.entry(*name).or_insert(0) += times;
    }
    for kind in [
        DropKind::NoRoute,
        DropKind::Late,
        DropKind::Policy,
        DropKind::OneWay,
        DropKind::Congested,
        DropKind::ShuttingDown,
        DropKind::Fragment,
    ] {
        assert!(drops.contains(&kind), "no seed has seen {kind:?}, only {drops:?}");
    }
    for code in REFUSALS {
        assert!(codes.contains(&code), "no call of any seed has ended by {code:?}, only by {codes:?}");
    }
    for fault in ["cut", "crash", "pause", "resume", "shutdown", "create"] {
        assert!(faults.get(fault).is_some_and(|times| *times > seen.len()), "{fault} is rare: {faults:?}");
    }
    assert!(seen.iter().map(|seen| seen.losses).sum::<usize>() > seen.len());
}
