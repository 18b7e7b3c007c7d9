//! A password is proved on one host before it is given to others, and one that is refused is given to none: accounts get
//! locked.

use offshoot_bootstrap::{ConnectErrorKind, Plan, Secret};

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

    /// One has ended, well or with a reason. Whether a host that could not be reached would have taken the password is not
    /// known; the next is asked.
    pub(crate) fn ended(&mut self, key: ProofKey, failure: Option<&ConnectErrorKind>) {
        match failure {
            None => self.change(key, State::Proving, State::Proved),
            Some(ConnectErrorKind::PasswordWrong) => {
                self.change(key, State::Proving, State::Refused);
                self.change(key, State::Proved, State::Refused);
            }
            Some(_) => self.change(key, State::Proving, State::Unproved),
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
        // It was not asked for the password.
        proofs.ended(one, Some(&ConnectErrorKind::Unreachable));
        assert_eq!(proofs.leave(one), Leave::Given);
        proofs.begun(one);
        proofs.ended(one, None);
        proofs.begun(one);
        assert_eq!(proofs.leave(one), Leave::Given);
        proofs.ended(one, Some(&ConnectErrorKind::PasswordWrong));
        assert_eq!((proofs.leave(one), proofs.leave(other)), (Leave::Never, Leave::Given));
    }
}
