//! How long the calls of an honest leaf take while something goes on.
//!
//! They are measured in rounds: without the attack, under it, and without it again; and in a tree of its own while it goes on.
//! Of each attack, and of all of them together in [`verdict`](super::verdict), something must hold.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use offshoot_core::Context;

use super::{Programs, bystander::Bystander, verdict};
use crate::real::{PATIENCE, flows::PROBE};

/// What a call may take beside three times what it is compared with, in microseconds.
pub(super) const FLOOR: u32 = 2000;
/// Calls in a round: few, so that a round which begins under attack is under it mostly.
const CALLS: u32 = 15;
/// Rounds in the quiet before and behind an attack, and how many there are at least under it. It may be over sooner: then what
/// it has left behind is measured.
const QUIET: usize = 10;
const LEAST: usize = 40;
/// How often a test is played in which others are late.
const TIMES: usize = 3;

/// What each of [`PROBE`] waits before it, in microseconds.
const PAUSE: u64 = 500;

/// What calls took, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those of `eight` in the quiet.
    pub(super) quiet: Vec<u32>,
    /// Those of `eight` in rounds that began under attack, and in those behind it that make up the least.
    pub(super) attacked: Vec<u32>,
    /// Those in the tree beside meanwhile.
    pub(super) aside: Vec<u32>,
}

impl Calls {
    fn each(&self) -> [&[u32]; 3] {
        [&self.quiet, &self.attacked, &self.aside].map(Vec::as_slice)
    }
}

/// An honest leaf, one of a tree beside, and how long their calls took so far.
#[derive(Debug)]
pub(super) struct Pace {
    eight: Context,
    bystander: RefCell<Bystander>,
    calls: RefCell<Calls>,
}

impl Pace {
    pub(super) fn of(eight: Context, programs: Programs) -> Self {
        let mut bystander = Bystander::new(programs);
        // The first calls of all are slower than any later one.
        probe(&eight);
        bystander.probe(CALLS);
        Self { eight, bystander: RefCell::new(bystander), calls: RefCell::default() }
    }

    pub(super) const fn eight(&self) -> &Context {
        &self.eight
    }

    /// Does something while both call; `eight` calls before and after, too.
    pub(super) fn during<T>(&self, attack: impl FnOnce() -> T) -> T {
        self.rest();
        let mut bystander = self.bystander.borrow_mut();
        let (eight, bystander) = (&self.eight, &mut *bystander);
        let (over, begun) = (&AtomicBool::new(false), &Barrier::new(3));
        let (result, attacked, aside) = thread::scope(|scope| {
            let attacked = scope.spawn(move || rounds(over, begun, || probe(eight)));
            let aside = scope.spawn(move || rounds(over, begun, || bystander.probe(CALLS)));
            let _over = Over(over);
            begun.wait();
            let result = attack();
            over.store(true, Ordering::Release);
            (result, attacked.join().expect("eight calls on"), aside.join().expect("so does the bystander"))
        });
        let mut calls = self.calls.borrow_mut();
        calls.attacked.extend(attacked);
        calls.aside.extend(aside);
        drop(calls);
        self.rest();
        result
    }

    fn rest(&self) {
        (0..QUIET).for_each(|_| self.calls.borrow_mut().quiet.extend(probe(&self.eight)));
    }

    /// Unwinds with [`Late`] if others were.
    pub(super) fn judge(self) {
        let calls = self.calls.into_inner();
        if let Some(late) = late(&calls) {
            panic::resume_unwind(Box::new(Late(late)));
        }
        verdict::add(&calls);
    }
}

/// Whether others were late in one attack, and how much. Of the calls 99 in 100, and nine in ten, take at most three times
/// what as many take in the quiet, or in the tree beside, and [`FLOOR`]. And so it is with what one waits for at three in
/// four moments: a call that is stuck is one of many, however long it was.
fn late(calls: &Calls) -> Option<String> {
    let judged = [
        ("nine in ten calls", all_but(10, calls)),
        ("99 in 100 calls", all_but(1, calls)),
        ("at three in four moments calls", at_moments(25, calls)),
    ];
    let late = judged.into_iter().find(|(_, [quiet, attacked, aside])| is_late(*quiet, *attacked, *aside));
    late.map(|(which, [quiet, attacked, aside])| {
        format!("{which} of others took at most {attacked} us, in the quiet {quiet} us, in a tree beside {aside} us")
    })
}

/// That others were late, and how much.
struct Late(String);

/// Plays a test. One in which others were late is played again, twice at most: what an attack does to them it does each time,
/// and what else the machine did meanwhile it does not.
///
/// # Panics
/// If they were late each time, or the test does.
pub fn play<T>(test: impl Fn() -> T) -> T {
    let mut told = Vec::new();
    while told.len() < TIMES {
        match panic::catch_unwind(AssertUnwindSafe(&test)) {
            Ok(value) => return value,
            Err(panic) => match panic.downcast::<Late>() {
                Ok(late) => told.push(late.0),
                Err(other) => panic::resume_unwind(other),
            },
        }
    }
    panic!("{}", told.join("; "));
}

/// Whether calls take more than three times what they take elsewhere, and [`FLOOR`].
pub(super) fn is_late(quiet: u32, attacked: u32, aside: u32) -> bool {
    attacked > 3 * quiet.max(aside) + FLOOR
}

/// What calls took at most in the quiet, under attack and in the tree beside, so many hundredths of them left out.
pub(super) fn all_but(hundredths: u64, calls: &Calls) -> [u32; 3] {
    calls.each().map(|calls| without(hundredths, calls, |_| 1))
}

/// What was waited for at most at a moment, so many hundredths of the time left out: a call counts for as long as it took,
/// and the pause before it.
fn at_moments(hundredths: u64, calls: &Calls) -> [u32; 3] {
    calls.each().map(|calls| without(hundredths, calls, |took| u64::from(took) + PAUSE))
}

/// The longest call when the longest are left out that weigh so many hundredths of all.
fn without(hundredths: u64, calls: &[u32], weight: impl Fn(u32) -> u64) -> u32 {
    let mut sorted = calls.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let mut left_out = sorted.iter().map(|took| weight(*took)).sum::<u64>() * hundredths / 100;
    let longest = sorted.into_iter().find(|took| match left_out.checked_sub(weight(*took)) {
        Some(left) => {
            left_out = left;
            false
        }
        None => true,
    });
    longest.unwrap_or_default()
}

/// The calls of all rounds that begin before it is over, and at least so many.
fn rounds(over: &AtomicBool, begun: &Barrier, mut round: impl FnMut() -> Vec<u32>) -> Vec<u32> {
    begun.wait();
    let mut calls = Vec::new();
    let mut done = 0;
    while done < LEAST || !over.load(Ordering::Acquire) {
        calls.extend(round());
        done += 1;
    }
    calls
}

/// Calls of `eight` to the root, in microseconds each. All of them end well.
fn probe(eight: &Context) -> Vec<u32> {
    eight.with_timeout(PATIENCE).call(PROBE, CALLS).expect("eight notices nothing")
}

/// That an attack is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many calls as one has in the quiet.
    fn usual(count: usize) -> Vec<u32> {
        vec![90; count]
    }

    fn under(attacked: Vec<u32>, aside: Vec<u32>) -> Calls {
        Calls { quiet: usual(300), attacked, aside }
    }

    #[test]
    fn others_are_late_if_many_calls_are_or_some_or_one_for_long() {
        let [many, some, one] =
            [vec![4000; 61], vec![4000; 6], vec![1_500_000]].map(|late| [late, usual(540)].concat());
        assert!(late(&under(many.clone(), usual(600))).unwrap().starts_with("nine in ten calls"));
        assert!(late(&under(some, usual(600))).unwrap().starts_with("99 in 100 calls"));
        assert!(late(&under(one.clone(), usual(600))).unwrap().starts_with("at three in four moments"));
        // Who is not attacked is late as well.
        assert_eq!([late(&under(many.clone(), many)), late(&under(one.clone(), one))], [None, None]);
    }

    #[test]
    fn others_are_not_late_for_a_few_calls_that_are_soon_over() {
        assert_eq!(late(&under([vec![20_000; 4], usual(600)].concat(), usual(600))), None);
        assert_eq!(late(&under(vec![2200; 600], usual(600))), None);
    }
}
