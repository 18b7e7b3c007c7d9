//! A run that goes wrong, with fewer and fewer deeds in it.

use std::time::{Duration, Instant};

use super::run::{Failure, Plan, once};
use crate::world::Violation;

/// How long may be spent on leaving deeds out.
const PATIENCE: Duration = Duration::from_secs(120);

/// The fewest deeds found, in the time there is, that break the same invariant: halves are left out first, then less.
#[must_use]
pub fn fewest(plan: &Plan, violation: Violation) -> Failure {
    let begun = Instant::now();
    let mut best = Plan { only: Some(plan.deeds()), ..plan.clone() };
    let mut size = best.deeds().len().div_ceil(2);
    while size > 0 && begun.elapsed() < PATIENCE {
        let mut at = 0;
        while at < best.deeds().len() && begun.elapsed() < PATIENCE {
            let mut deeds = best.deeds();
            deeds.drain(at..(at + size).min(deeds.len()));
            let fewer = Plan { only: Some(deeds), ..best.clone() };
            if is_as_wrong(&fewer, &violation) {
                best = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    match once(&best, true) {
        Err((violation, story)) => Failure { violation, plan: best, story },
        Ok(_) => Failure { violation, plan: plan.clone(), story: vec!["it does not happen again".into()] },
    }
}

fn is_as_wrong(plan: &Plan, violation: &Violation) -> bool {
    once(plan, false).is_err_and(|(found, _)| found.invariant == violation.invariant)
}
