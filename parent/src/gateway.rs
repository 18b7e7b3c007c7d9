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
    /// The lists that are told when there may be room, each by its place.
    waiting: BTreeMap<u64, Sender<Knock>>,
    /// The place of the next list.
    next: u64,
}

/// Something for a list of connects to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Knock {
    /// That connect may have ended.
    Ended(usize),
    /// There may be room.
    Room,
}

/// The place of a list of connects at a gateway. The list waits there once at most, and no more when it is dropped.
#[derive(Debug)]
pub(crate) struct Door {
    gateway: Arc<Gateway>,
    place: u64,
    knock: Sender<Knock>,
}

/// A connect on its way through a gateway; there is room for another when it is dropped.
#[derive(Debug)]
pub(crate) struct Passage(Arc<Gateway>);

impl Gateway {
    /// A place for a list that is told by `knock`.
    pub(crate) fn door(self: Arc<Self>, knock: Sender<Knock>) -> Door {
        let mut state = lock(&self.0);
        let place = state.next;
        state.next = place.wrapping_add(1);
        drop(state);
        Door { gateway: self, place, knock }
    }
}

impl Door {
    /// Lets one through if there is room; else the list is told, once, when there may be.
    pub(crate) fn enter(&self) -> Option<Passage> {
        let mut state = lock(&self.gateway.0);
        if state.window.is_some_and(|window| state.running >= window) {
            state.waiting.entry(self.place).or_insert_with(|| self.knock.clone());
            return None;
        }
        state.running = state.running.saturating_add(1);
        Some(Passage(Arc::clone(&self.gateway)))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        lock(&self.gateway.0).waiting.remove(&self.place);
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
        for knock in waiting.into_values() {
            // It fails if nobody listens any more.
            let _ = knock.send(Knock::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    /// A list of connects that go by a gateway.
    fn list(gateway: &Arc<Gateway>) -> (Door, Receiver<Knock>) {
        let (knock, knocked) = mpsc::channel();
        (Arc::clone(gateway).door(knock), knocked)
    }

    /// A gateway through which one has come, that has refused another: no more has room.
    fn full() -> (Arc<Gateway>, Passage) {
        let gateway = Arc::default();
        let (door, _knocked) = list(&gateway);
        let inside = door.enter().unwrap();
        door.enter().unwrap().ended(Some(&ConnectErrorKind::Busy), 0);
        (gateway, inside)
    }

    /// How often a list was told.
    fn told(knocked: &Receiver<Knock>) -> usize {
        knocked.try_iter().filter(|knock| matches!(knock, Knock::Room)).count()
    }

    #[test]
    fn fewer_go_on_after_a_refusal_and_more_again_after_each_that_was_taken() {
        let (door, knocked) = list(&Arc::default());
        let mut inside: Vec<_> = (0..9).map(|_| door.enter().unwrap()).collect();
        let end = |passage: Option<Passage>, failure| passage.unwrap().ended(failure, 0);
        end(inside.pop(), Some(&ConnectErrorKind::Busy));
        // 8 are inside, and 4 may be.
        for _ in 0..4 {
            assert!(door.enter().is_none());
            drop(inside.pop());
        }
        assert!(door.enter().is_none());
        assert_eq!(told(&knocked), 4);
        end(inside.pop(), None);
        let two = [door.enter(), door.enter(), door.enter()];
        assert_eq!(two.map(|passage| passage.is_some()), [true, true, false]);
    }

    #[test]
    fn a_connect_that_is_refused_again_and_again_is_no_sign_for_the_others() {
        let (door, _knocked) = list(&Arc::default());
        let mut inside: Vec<_> = (0..8).map(|_| door.enter().unwrap()).collect();
        for refused in TELLING..20 {
            let again = door.enter().unwrap();
            again.ended(Some(&ConnectErrorKind::Busy), refused);
        }
        inside.pop().unwrap().ended(Some(&ConnectErrorKind::Busy), TELLING - 1);
        assert!(door.enter().is_none());
    }

    #[test]
    fn who_waits_is_told_by_whoever_leaves_whichever_list_he_is_of() {
        let (gateway, inside) = full();
        let lists = [list(&gateway), list(&gateway)];
        assert!(lists.iter().all(|(door, _)| door.enter().is_none()));
        assert_eq!(lists.each_ref().map(|(_, knocked)| told(knocked)), [0, 0]);
        drop(inside);
        assert_eq!(lists.each_ref().map(|(_, knocked)| told(knocked)), [1, 1]);
        let inside = lists[0].0.enter();
        assert!(inside.is_some() && lists[1].0.enter().is_none());
        drop(inside);
        assert_eq!(lists.each_ref().map(|(_, knocked)| told(knocked)), [0, 1]);
    }

    #[test]
    fn a_list_waits_once_however_often_it_looks_and_no_more_when_it_is_gone() {
        let (gateway, inside) = full();
        let waiting = || lock(&gateway.0).waiting.len();
        let ((door, knocked), (other, _)) = (list(&gateway), list(&gateway));
        for _ in 0..3 {
            assert!(door.enter().is_none() && other.enter().is_none());
        }
        assert_eq!(waiting(), 2);
        drop(other);
        assert_eq!(waiting(), 1);
        drop(inside);
        assert_eq!((told(&knocked), waiting()), (1, 0));
    }
}
