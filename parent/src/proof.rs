//! A password is proved on one host before it is given to others, and one that is refused is given to none: accounts get
//! locked. Nor is one behind which two have failed without a word on it. A host that has not asked for it proves nothing, nor
//! does one that has asked for it as that of another account.

use offshoot_bootstrap::{Account, Plan, Secret, Told};

/// How many connects may fail behind a password without a word on it, before it is given to no other: it may have been
/// refused each time, and an account gets locked by that as well.
const UNCLEAR: u32 = 2;

/// The passwords of a list of connects.
#[derive(Debug, Default)]
pub(crate) struct Proofs(Vec<Proof>);

#[derive(Debug)]
struct Proof {
    secret: Secret,
    /// Whose it is, if that is said.
    account: Option<Account>,
    state: State,
    /// How many connects have failed behind it without a word on it.
    unclear: u32,
}

impl Proof {
    fn ended(&mut self, told: Told) {
        self.state = match (self.state, told) {
            (_, Told::Refused) => State::Refused,
            (State::Proving, Told::Proved) => State::Proved,
            (State::Proving, Told::Unclear) => {
                self.unclear = self.unclear.saturating_add(1);
                if self.unclear < UNCLEAR { State::Unproved } else { State::Unclear }
            }
            // Nothing is known, nor of what a later release may tell: that proves nothing.
            (State::Proving, _) => State::Unproved,
            (state, _) => state,
        };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unproved,
    /// One host is being asked.
    Proving,
    Proved,
    /// Too many have failed behind it without a word on it.
    Unclear,
    Refused,
}

/// The passwords of one connect, by their places.
pub(crate) type ProofKey = Vec<usize>;

/// Whether a connect may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Given,
    /// Once another has proved a password of it.
    Later,
    /// Another was refused with one.
    Refused,
    /// So many others have failed behind one.
    Unclear {
        failed: u32,
    },
}

impl Proofs {
    /// Where the passwords of a plan are, among those of others.
    pub(crate) fn key(&mut self, plan: &Plan) -> ProofKey {
        plan.passwords().map(|(secret, account)| self.place(secret, account)).collect()
    }

    fn place(&mut self, secret: &Secret, account: Option<&Account>) -> usize {
        let is_it = |proof: &Proof| proof.secret == *secret && proof.account.as_ref() == account;
        self.0.iter().position(is_it).unwrap_or_else(|| {
            let (secret, account) = (secret.clone(), account.cloned());
            self.0.push(Proof { secret, account, state: State::Unproved, unclear: 0 });
            self.0.len() - 1
        })
    }

    pub(crate) fn leave(&self, key: &ProofKey) -> Leave {
        let is_any = |state| self.of(key).any(|proof| proof.state == state);
        match () {
            () if is_any(State::Refused) => Leave::Refused,
            () if is_any(State::Unclear) => Leave::Unclear { failed: UNCLEAR },
            () if is_any(State::Proving) => Leave::Later,
            () => Leave::Given,
        }
    }

    /// One has been begun.
    pub(crate) fn begun(&mut self, key: &ProofKey) {
        self.change(key, State::Unproved, State::Proving);
    }

    /// One has ended, and that is told of each of its passwords. Whether a host that could not be reached, or that a key has let
    /// us in to, would have taken the password is not known; the next is asked.
    pub(crate) fn ended(&mut self, key: &ProofKey, told: &[Told]) {
        // Whoever makes it may tell of fewer.
        let told = told.iter().copied().chain(std::iter::repeat(Told::Untold));
        for (at, told) in key.iter().zip(told) {
            self.0.get_mut(*at).into_iter().for_each(|proof| proof.ended(told));
            if told == Told::Refused {
                self.refuse(*at);
            }
        }
    }

    /// Whoever has mistyped it for one account has for the others.
    fn refuse(&mut self, at: usize) {
        let Some(secret) = self.0.get(at).map(|proof| proof.secret.clone()) else { return };
        for proof in self.0.iter_mut().filter(|proof| proof.secret == secret) {
            proof.state = State::Refused;
        }
    }

    fn of<'a>(&'a self, key: &'a ProofKey) -> impl Iterator<Item = &'a Proof> {
        key.iter().filter_map(|at| self.0.get(*at))
    }

    fn of_mut<'a>(&'a mut self, key: &'a ProofKey) -> impl Iterator<Item = &'a mut Proof> {
        self.0.iter_mut().enumerate().filter(|(at, _)| key.contains(at)).map(|(_, proof)| proof)
    }

    fn change(&mut self, key: &ProofKey, from: State, to: State) {
        for proof in self.of_mut(key).filter(|proof| proof.state == from) {
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
    fn a_password_for_two_accounts_is_proved_for_each_alone_and_refused_for_both() {
        for (told, leave) in [
            ([Told::Untold, Told::Refused], Leave::Refused),
            ([Told::Refused, Told::Proved], Leave::Refused),
            // The place has let us in by a key, or has failed for another reason.
            ([Told::Untold, Told::Proved], Leave::Later),
            ([Told::Unclear, Told::Proved], Leave::Later),
            ([Told::Proved, Told::Proved], Leave::Given),
        ] {
            let mut proofs = Proofs::default();
            let key = proofs.key(&Ssh::new("web").password("one").jump_password("me@hop", "one").plan());
            let place = self::key(&mut proofs, "one");
            let jump = proofs.key(&Ssh::new("web").jump_password("me@hop", "one").plan());
            let other = proofs.key(&Ssh::new("web").user("root").password("one").plan());
            proofs.begun(&key);
            proofs.ended(&key, &told);
            proofs.begun(&key);
            assert_eq!(proofs.leave(&key), leave, "{told:?}");
            assert_eq!(proofs.leave(&place), leave, "{told:?}");
            let [jump, other] = [jump, other].map(|key| proofs.leave(&key));
            let of_others = if leave == Leave::Refused { leave } else { Leave::Given };
            assert_eq!((jump, other), (of_others, of_others), "{told:?}");
        }
    }

    #[test]
    fn the_others_wait_for_the_first_and_go_or_stay_with_it() {
        let mut proofs = Proofs::default();
        let (one, other, none) = (key(&mut proofs, "one"), key(&mut proofs, "other"), ProofKey::new());
        assert_eq!(
            (key(&mut proofs, "one"), proofs.key(&Ssh::new("web").plan())),
            (one.clone(), none.clone())
        );
        proofs.begun(&one);
        assert_eq!(
            (proofs.leave(&one), proofs.leave(&other), proofs.leave(&none)),
            (Leave::Later, Leave::Given, Leave::Given)
        );
        // It was not asked for the password, whether or not it is up.
        proofs.ended(&one, &[Told::Untold]);
        assert_eq!(proofs.leave(&one), Leave::Given);
        proofs.begun(&one);
        assert_eq!(proofs.leave(&one), Leave::Later);
        proofs.ended(&one, &[Told::Proved]);
        proofs.begun(&one);
        assert_eq!(proofs.leave(&one), Leave::Given);
        for told in [&[][..], &[Told::Untold], &[Told::Unclear], &[Told::Unclear]] {
            proofs.ended(&one, told);
            assert_eq!(proofs.leave(&one), Leave::Given);
        }
        proofs.ended(&one, &[Told::Refused]);
        assert_eq!((proofs.leave(&one), proofs.leave(&other)), (Leave::Refused, Leave::Given));
    }

    #[test]
    fn a_password_is_the_same_beside_another_and_its_own_fate_alone_counts() {
        let mut proofs = Proofs::default();
        let both = proofs.key(&Ssh::new("web").password("one").jump_password("me@hop", "two").plan());
        let one = key(&mut proofs, "one");
        let two = proofs.key(&Ssh::new("web").jump_password("me@hop", "two").plan());
        assert_eq!(both, [one.clone(), two.clone()].concat());
        proofs.begun(&one);
        assert_eq!((proofs.leave(&both), proofs.leave(&two)), (Leave::Later, Leave::Given));
        proofs.ended(&one, &[Told::Untold]);
        proofs.begun(&both);
        // The jump host lets us through, the place does not let us in.
        proofs.ended(&both, &[Told::Refused, Told::Proved]);
        assert_eq!(
            [&one, &two, &both].map(|key| proofs.leave(key)),
            [Leave::Refused, Leave::Given, Leave::Refused]
        );
    }

    #[test]
    fn a_password_behind_which_connects_fail_for_other_reasons_goes_to_two_and_no_more() {
        let mut proofs = Proofs::default();
        let one = key(&mut proofs, "one");
        for expected in [Leave::Given, Leave::Unclear { failed: 2 }] {
            proofs.begun(&one);
            proofs.ended(&one, &[Told::Unclear]);
            assert_eq!(proofs.leave(&one), expected);
        }
        // One that has been begun before says so all the same.
        proofs.ended(&one, &[Told::Refused]);
        assert_eq!(proofs.leave(&one), Leave::Refused);
    }
}
