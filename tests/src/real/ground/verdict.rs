//! What all attacks of a program together did to others: of so many calls the latest ones in a hundred can be judged, which
//! in one attack are two or three, and anybody's.

use std::sync::{Mutex, PoisonError};

use super::pace::{Calls, all_but, is_late};

/// So many calls of each attack count, so that a long one counts no more than a short one.
const EACH: usize = 300;
/// Of fewer attacks together nothing is said.
const ENOUGH: usize = 10;

static ALL: Mutex<Calls> = Mutex::new(Calls { quiet: Vec::new(), attacked: Vec::new(), aside: Vec::new() });

/// Those of one more.
pub(super) fn add(calls: &Calls) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let some = |calls: &[u32]| -> Vec<u32> {
        calls.iter().copied().step_by(calls.len().div_ceil(EACH).max(1)).collect()
    };
    all.quiet.extend(some(&calls.quiet));
    all.attacked.extend(some(&calls.attacked));
    all.aside.extend(some(&calls.aside));
}

/// For a summary: how late others were under all attacks together. 99 in 100 calls take at most three times what they take
/// in the quiet, or in the tree beside in the same seconds, and two milliseconds: an attack takes processor time, as does
/// whatever else runs, and where there is too little of that everybody is late.
///
/// # Errors
/// The same, where they were later.
pub fn verdict() -> Result<String, String> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let [quiet, attacked, aside] = all_but(1, &all);
    let said = format!(
        "under all attacks 99 in 100 calls of others took at most {attacked} us, in the quiet {quiet} us, in a tree beside {aside} us"
    );
    let is_judged = all.attacked.len() >= ENOUGH * EACH * 9 / 10;
    if is_judged && is_late(quiet, attacked, aside) { Err(format!("TOO LATE: {said}")) } else { Ok(said) }
}
