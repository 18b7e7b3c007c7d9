//! How many connects go on at once by one way from one context, whoever has begun them: an sshd or a bastion takes so many
//! and no more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc::Sender},
};

use offshoot_bootstrap::{ConnectErrorKind, Plan};
use offshoot_core::wire::ContextId;

use crate::nursery::lock;

/// How many refusals of one connect are taken for want of room: a host that refuses it more often may do so for good, and
/// says nothing of the others.
const TELLING: u32 = 2;

/// The gateways that a context knows, by who connects and the word for the way.
#[derive(Debug, Default)]
pub(crate) struct Gateways(Mutex<BTreeMap<(ContextId, String), Arc<Gateway>>>);

impl Gateways {
    /// The one by which the plans of `maker` go.
    pub(crate) fn of(&self, maker: ContextId, plan: &Plan) -> Arc<Gateway> {
        let way = (maker, plan.method.to_string());
        Arc::clone(lock(&self.0).entry(way).or_default())
    }

    /// Who would connect is gone.
    pub(crate) fn forget(&self, maker: ContextId) {
        lock(&self.0).retain(|(known, _), _| *known != maker);
    }
}

/// One gateway. What it has taken and refused is remembered for the next who goes that way.
#[derive(Debug, Default)]
pub(crate) struct Gateway(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// How many may go on at once since the last refusal; `None`: it has never refused one.
    window: Option<usize>,
    /// Who is told when there may be room.
    waiting: Vec<Sender<Knock>>,
}

/// Something for a list of connects to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knock {
    /// That connect may have ended.
    Ended(usize),
    /// There may be room.
    Room,
}

/// A connect on its way through a gateway; there is room for another when it is dropped.
#[derive(Debug)]
pub(crate) struct Passage(Arc<Gateway>);

impl Gateway {
    /// Lets one through if there is room; else `knock` is told when there may be.
    pub(crate) fn enter(self: &Arc<Self>, knock: &Sender<Knock>) -> Option<Passage> {
        let mut state = lock(&self.0);
        if state.window.is_some_and(|window| state.running >= window) {
            state.waiting.push(knock.clone());
            return None;
        }
        state.running = state.running.saturating_add(1);
        Some(Passage(Arc::clone(self)))
    }
}

impl Passage {
    /// It has come to its end, after so many refusals: half as many go on at once after one that was not taken, unless that
    /// was so a few times, one more after each that was.
    pub(crate) fn ended(self, failure: Option<&ConnectErrorKind>, refused: u32) {
        let mut state = lock(&self.0.0);
        if failure == Some(&ConnectErrorKind::Busy) {
            if refused < TELLING {
                let window = state.window.unwrap_or(state.running).min(state.running);
                state.window = Some((window / 2).max(1));
            }
        } else if let Some(window) = &mut state.window {
            *window = window.saturating_add(1);
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.running = state.running.saturating_sub(1);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for knock in waiting {
            // It fails once nobody listens any more.
            let _ = knock.send(Knock::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn fewer_go_on_after_a_refusal_and_more_again_after_each_that_was_taken() {
        let gateway = Arc::new(Gateway::default());
        let (knock, knocked) = mpsc::channel();
        let mut inside: Vec<_> = (0..9).map(|_| gateway.enter(&knock).unwrap()).collect();
        let end = |passage: Option<Passage>, failure| passage.unwrap().ended(failure, 0);
        end(inside.pop(), Some(&ConnectErrorKind::Busy));
        // 8 are inside, and 4 may be.
        for _ in 0..4 {
            assert!(gateway.enter(&knock).is_none());
            drop(inside.pop());
        }
        assert!(gateway.enter(&knock).is_none());
        assert!(matches!(knocked.try_recv(), Ok(Knock::Room)));
        end(inside.pop(), None);
        let two = [gateway.enter(&knock), gateway.enter(&knock), gateway.enter(&knock)];
        assert_eq!(two.map(|passage| passage.is_some()), [true, true, false]);
    }

    #[test]
    fn a_connect_that_is_refused_again_and_again_is_no_sign_for_the_others() {
        let gateway = Arc::new(Gateway::default());
        let (knock, _knocked) = mpsc::channel();
        let mut inside: Vec<_> = (0..8).map(|_| gateway.enter(&knock).unwrap()).collect();
        for refused in TELLING..20 {
            let again = gateway.enter(&knock).unwrap();
            again.ended(Some(&ConnectErrorKind::Busy), refused);
        }
        inside.pop().unwrap().ended(Some(&ConnectErrorKind::Busy), TELLING - 1);
        assert!(gateway.enter(&knock).is_none());
    }

    #[test]
    fn who_waits_is_told_by_whoever_leaves_whichever_list_he_is_of() {
        let gateway = Arc::new(Gateway::default());
        let (one, _heard) = mpsc::channel();
        let (other, told) = mpsc::channel();
        let first = gateway.enter(&one).unwrap();
        let second = gateway.enter(&one).unwrap();
        second.ended(Some(&ConnectErrorKind::Busy), 0);
        assert!(gateway.enter(&other).is_none());
        assert!(told.try_recv().is_err());
        drop(first);
        assert!(matches!(told.try_recv(), Ok(Knock::Room)));
        assert!(gateway.enter(&other).is_some());
    }
}
