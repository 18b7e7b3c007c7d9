//! Whole trees by seed; `cargo xtask sim` runs more of them, and larger ones.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod reasons;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use offshoot_core::machine::DropKind;
use offshoot_tests::{
    sim::{Fault, Plan, Seen, plots, run, scale},
    world::{REFUSALS, Sabotage},
};
use offshoot_wire::{DeadCode, Handle, codec};

use reasons::{CUTS, Cut};

/// How many seeds are run.
const SEEDS: u64 = 200;
/// Of how many contexts each.
const CONTEXTS: u32 = 200;

/// Every code of a dead message: as many as there are to be decoded.
fn codes() -> impl Iterator<Item = DeadCode> {
    (0..=u8::MAX).map_while(|number| codec::decode(&[number], 16).ok())
}

/// Runs many seeds side by side, each of them twice.
///
/// # Panics
/// With what each of those tells that breaks something.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<Seen> {
    let next = AtomicU64::new(seeds.start);
    let results: Vec<_> = thread::scope(|scope| {
        let work = || {
            let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
                .take_while(|seed| *seed < seeds.end);
            seeds.map(|seed| run(&Plan::new(CONTEXTS, seed))).collect()
        };
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| -> Vec<_> { worker.join().unwrap() }).collect()
    });
    let told: Vec<String> = results.iter().filter_map(|it| Some(it.as_ref().err()?.to_string())).collect();
    assert!(told.is_empty(), "{} seeds fail\n{}", told.len(), told.join("\n"));
    results.into_iter().flatten().collect()
}

#[test]
fn seeds_hold_all_invariants_and_see_every_fault_and_every_refusal() {
    let seen = run_all(1..SEEDS + 1);
    let mut faults = BTreeMap::new();
    for (name, times) in seen.iter().flat_map(|seen| &seen.counts.faults) {
        *faults.entry(*name).or_insert(0) += times;
    }
    faults.insert(Fault::Range.name(), seen.iter().map(|seen| seen.found_no_id).sum());
    for fault in Fault::ALL {
        assert!(faults.get(fault.name()).is_some_and(|times| *times > SEEDS), "{fault} is rare: {faults:?}");
    }
    let drops: BTreeSet<DropKind> = seen.iter().flat_map(|seen| seen.drops.iter().copied()).collect();
    for kind in DropKind::ALL {
        assert!(drops.contains(kind), "no seed has seen {kind:?}, only {drops:?}");
    }
    let ended: BTreeSet<DeadCode> = seen.iter().flat_map(|seen| seen.codes.iter().copied()).collect();
    for code in REFUSALS {
        assert!(ended.contains(&code), "no call of any seed has ended by {code:?}, only by {ended:?}");
    }
    let said: BTreeSet<DeadCode> = seen.iter().flat_map(|seen| seen.counts.by_code.keys().copied()).collect();
    for code in codes() {
        assert!(
            said.contains(&code) || ended.contains(&code),
            "nobody was refused by {code:?}, only {said:?}"
        );
    }
    let cuts: BTreeSet<&str> = seen.iter().flat_map(|seen| seen.cuts.keys()).map(String::as_str).collect();
    for Cut { text, elsewhere } in CUTS {
        let is_met = cuts.iter().any(|why| why.contains(text));
        assert!(is_met == elsewhere.is_none(), "`{text}` is not what reasons.rs says: {cuts:?}");
    }
    let unknown: Vec<_> = cuts.iter().filter(|why| !CUTS.iter().any(|cut| why.contains(cut.text))).collect();
    assert!(unknown.is_empty(), "links are cut for what reasons.rs does not know: {unknown:?}");
    assert!(seen.iter().any(|seen| seen.counts.bad_streams > 0), "nobody has met a stream that is not ours");
}

#[test]
fn ten_thousand_contexts_hold_all_invariants() {
    // One of those that have hostile contexts.
    let plan = Plan::new(10_000, 1);
    let seen = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(seen.contexts > 1000, "{seen:?}");
    // Ids do not run out where there are so many contexts.
    for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::Range) {
        assert!(
            seen.counts.faults.get(fault.name()).is_some_and(|times| *times > 50),
            "{fault} is rare: {seen:?}"
        );
    }
    assert!(seen.ends.get("value").is_some_and(|calls| *calls > 1000), "{seen:?}");
}

/// The cost of a call depends on how far it goes, that of a loss on who has heard of it: not on how many there are.
#[test]
fn a_call_and_a_loss_cost_no_more_in_a_larger_tree() {
    let [small, large] = [1000, 10_000].map(|contexts| scale::measure(contexts).expect("it holds"));
    let levels = large.depth as f64;
    // There and back, and some credit now and then.
    assert!(large.frames_a_call <= 4.5 * levels, "{large:?}");
    let each = |row: &scale::Row| row.told as f64 / row.lost as f64;
    assert!(each(&large) <= each(&small).max(1.0) * 2.0, "{small:?} {large:?}");
    assert!(large.announced <= u64::from(large.contexts) * large.depth as u64, "{large:?}");
}

/// What no link does, done on purpose, is seen, told with few deeds, and seen again by these alone.
#[test]
fn what_no_link_does_is_seen_and_replayed() {
    for (sabotage, invariants) in [
        (Sabotage::Double(Handle::CALL_FUNCTION), &["I1", "I2"][..]),
        (Sabotage::LoseAnswers, &["I19", "I21", "I13"]),
        (Sabotage::Lose(Handle::DEL_ROUTE), &["I19", "I20", "I21"]),
        (Sabotage::Lose(Handle::CREDIT), &["I19", "I13", "I21", "I22", "I23"]),
    ] {
        let plan = |seed| Plan {
            sabotage: Some(sabotage),
            faults: vec![Fault::Cut, Fault::Crash],
            ..Plan::new(30, seed)
        };
        let seen = (1..=20).find_map(|seed| run(&plan(seed)).err().map(|failure| (plan(seed), failure)));
        let (plan, failure) = seen.unwrap_or_else(|| panic!("nobody has noticed {sabotage:?}"));
        let found = failure.violation.invariant;
        assert!(invariants.contains(&found), "{sabotage:?}: {failure}");
        let deeds = failure.plan.deeds().len();
        assert!(deeds * 10 < plan.deeds().len(), "{sabotage:?} takes {deeds} deeds: {failure}");
        assert!(!failure.story.is_empty(), "{sabotage:?}: {failure}");
        let again = run(&failure.plan).expect_err("it does not happen again");
        assert_eq!((again.violation, again.story), (failure.violation, failure.story));
    }
}

#[test]
fn the_plots_that_are_kept_are_those_of_the_table() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("scale.md")).expect("the page is there");
    for (file, svg) in plots::of(&page) {
        let kept = fs::read_to_string(docs.join("plots").join(file)).unwrap_or_default();
        assert!(kept == svg, "{file} shows another table: draw it by `cargo xtask sim --plot`");
        assert!(svg.matches("<polyline").count() > 1, "{file} shows nothing: {svg}");
    }
}
