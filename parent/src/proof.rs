//! A password is proved on one host before it is given to others, and one that is refused is given to none: accounts get
//! locked. A host that has not asked for it proves nothing.

use offshoot_bootstrap::{Plan, Secret};

/// The passwords of a list of connects.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Vec<Proof>);

#[derive(Debug)]
struct Proof {
    secrets: Vec<Secret>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unproved,
    /// One host is being asked.
    Proving,
    Proved,
    Refused,
}

/// The passwords of one connect, by their place; those with none have none.
pub(crate) type ProofKey = Option<usize>;

/// Whether a connect may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Given,
    /// Once another has proved its password.
    Later,
    /// Another was refused with it.
    Never,
}

/// What a connect that has ended tells of its passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// They were asked for, and have let us in.
    Right,
    Wrong,
    /// Not all of them were asked for, or something else has gone wrong.
    Nothing,
}

impl Proofs {
    /// Where the passwords of a plan are, among those of others that have the same.
    pub(crate) fn key(&mut self, plan: &Plan) -> ProofKey {
        let secrets: Vec<Secret> = plan.secrets().cloned().collect();
        if secrets.is_empty() {
            return None;
        }
        let known = self.0.iter().position(|proof| proof.secrets == secrets);
        known.or_else(|| {
            self.0.push(Proof { secrets, state: State::Unproved });
            self.0.len().checked_sub(1)
        })
    }

    pub(crate) fn leave(&self, key: ProofKey) -> Leave {
        match self.state(key) {
            None | Some(State::Unproved | State::Proved) => Leave::Given,
            Some(State::Proving) => Leave::Later,
            Some(State::Refused) => Leave::Never,
        }
    }

    /// One has been begun.
    pub(crate) fn begun(&mut self, key: ProofKey) {
        self.change(key, State::Unproved, State::Proving);
    }

    /// One has ended. Whether a host that could not be reached, or that a key has let us in to, would have taken the password
    /// is not known; the next is asked.
    pub(crate) fn ended(&mut self, key: ProofKey, told: Told) {
        match told {
            Told::Right => self.change(key, State::Proving, State::Proved),
            Told::Wrong => {
                self.change(key, State::Proving, State::Refused);
                self.change(key, State::Proved, State::Refused);
            }
            Told::Nothing => self.change(key, State::Proving, State::Unproved),
        }
    }

    fn state(&self, key: ProofKey) -> Option<State> {
        key.and_then(|at| self.0.get(at)).map(|proof| proof.state)
    }

    fn change(&mut self, key: ProofKey, from: State, to: State) {
        if let Some(proof) = key.and_then(|at| self.0.get_mut(at)).filter(|proof| proof.state == from) {
            proof.state = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use offshoot_bootstrap::{Method as _, Ssh};

    use super::*;

    fn key(proofs: &mut Proofs, password: &str) -> ProofKey {
        proofs.key(&Ssh::new("web").password(password).plan())
    }

    #[test]
    fn the_others_wait_for_the_first_and_go_or_stay_with_it() {
        let mut proofs = Proofs::default();
        let (one, other) = (key(&mut proofs, "one"), key(&mut proofs, "other"));
        assert_eq!((key(&mut proofs, "one"), proofs.key(&Ssh::new("web").plan())), (one, None));
        proofs.begun(one);
        assert_eq!(
            (proofs.leave(one), proofs.leave(other), proofs.leave(None)),
            (Leave::Later, Leave::Given, Leave::Given)
        );
        // It was not asked for the password, whether or not it is up.
        proofs.ended(one, Told::Nothing);
        assert_eq!(proofs.leave(one), Leave::Given);
        proofs.begun(one);
        assert_eq!(proofs.leave(one), Leave::Later);
        proofs.ended(one, Told::Right);
        proofs.begun(one);
        assert_eq!(proofs.leave(one), Leave::Given);
        proofs.ended(one, Told::Nothing);
        assert_eq!(proofs.leave(one), Leave::Given);
        proofs.ended(one, Told::Wrong);
        assert_eq!((proofs.leave(one), proofs.leave(other)), (Leave::Never, Leave::Given));
    }
}
