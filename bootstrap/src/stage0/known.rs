//! What far sides said of themselves, so that the next connect to the same place need not wait for it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::answer::Host;

/// How many places are remembered: a fleet.
const AT_MOST: usize = 4096;

static KNOWN: Mutex<VecDeque<(Vec<String>, Host)>> = Mutex::new(VecDeque::new());

/// What the far side of this command said last.
pub(crate) fn recall(leader: &[String]) -> Option<Host> {
    known().iter().find(|(known, _)| known == leader).map(|(_, host)| host.clone())
}

pub(crate) fn remember(leader: &[String], host: &Host) {
    let mut known = known();
    known.retain(|(known, _)| known != leader);
    known.push_back((leader.to_vec(), host.clone()));
    if known.len() > AT_MOST {
        known.pop_front();
    }
}

pub(crate) fn forget(leader: &[String]) {
    known().retain(|(known, _)| known != leader);
}

/// What a panic leaves here is whole.
fn known() -> MutexGuard<'static, VecDeque<(Vec<String>, Host)>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
