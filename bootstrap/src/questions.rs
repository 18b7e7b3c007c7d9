//! What an ssh client asks, told apart by its own words, and which answer is for which question.

use offshoot_wire::Secret;
use serde::{Deserialize, Serialize};

use crate::QueryKind;

/// A password for the questions of an ssh client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Login {
    /// Whose it is.
    pub account: Account,
    /// The password. It is given once.
    pub password: Secret,
}

/// Whose password it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Account {
    /// The one that the started client itself logs in to, of this user if he is named.
    Place(Option<String>),
    /// `user@host`, as the client of a jump host calls it.
    Jump(String),
}

/// What has become of one of the passwords of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Told {
    /// It has gone out and was asked for again, or whoever it was for has not let us in.
    Refused,
    /// It has gone out, and the way has led nowhere before it was known whether it was enough.
    Unclear,
    /// It was not asked for, or what was answered behind it may have been wrong: nothing is known of it.
    Untold,
    /// It was asked for, has gone out and was enough.
    Proved,
}

impl Login {
    /// The password of the place, or of a jump host on the way to it.
    #[must_use]
    pub const fn new(account: Account, password: Secret) -> Self {
        Self { account, password }
    }

    /// Whether it is for this account, asked by the client that was started or by another.
    pub(crate) fn is_for(&self, account: &str, is_of_place: bool) -> bool {
        match &self.account {
            Account::Place(None) => is_of_place,
            Account::Place(Some(user)) => {
                is_of_place && account.rsplit_once('@').is_some_and(|(asked, _)| asked == user)
            }
            Account::Jump(jump) => !is_of_place && account == jump,
        }
    }
}

/// How a client asks about a host once more, that was told neither yes nor no.
const NOT_UNDERSTOOD: &str = "Please type 'yes'";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question<'a> {
    /// The password of an account.
    Password { account: &'a str },
    /// What opens a key. Without it the client goes on with other keys.
    Passphrase,
    /// Whether a host is who it says.
    HostKey,
    /// Whether the client may do something. Without it the client goes on and does not.
    Consent,
    /// A new password of an account, or the one that there is to be changed: it was enough.
    Change { account: &'a str },
    /// Something else, of an account if it is the server that asks.
    Other { account: Option<&'a str> },
}

impl<'a> Question<'a> {
    /// The beginning of a question is the client's own; what a server asks stands behind the account in brackets.
    pub(crate) fn of(text: &'a str) -> Self {
        if let Some(account) =
            text.strip_suffix("'s password: ").filter(|account| !account.contains(['\n', '(']))
        {
            return Self::Password { account };
        }
        if let Some((account, asked)) = text.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
            return match () {
                () if asks_password(asked) || names_password(asked, account) => Self::Password { account },
                () if changes_password(asked) => Self::Change { account },
                () => Self::Other { account: Some(account) },
            };
        }
        match text {
            _ if text.starts_with("Enter passphrase for ") => Self::Passphrase,
            _ if text.contains("(yes/no") || text.starts_with(NOT_UNDERSTOOD) => Self::HostKey,
            _ => Self::Other { account: None },
        }
    }

    /// The same for a prompter.
    pub(crate) const fn kind(self) -> QueryKind {
        match self {
            Self::Password { .. } => QueryKind::Password,
            Self::Passphrase => QueryKind::Passphrase,
            Self::HostKey => QueryKind::HostKey,
            Self::Consent => QueryKind::Consent,
            Self::Change { .. } | Self::Other { .. } => QueryKind::Other,
        }
    }

    /// Whether it is asked again only because the answer would not do: what is asked of a key each client on the way may ask.
    pub(crate) const fn comes_again_as_refused(self) -> bool {
        !matches!(self, Self::Passphrase | Self::Consent | Self::Other { account: None })
    }

    pub(crate) const fn account(self) -> Option<&'a str> {
        match self {
            Self::Password { account } | Self::Change { account } => Some(account),
            Self::Other { account } => account,
            Self::Passphrase | Self::HostKey | Self::Consent => None,
        }
    }
}

/// Whether a server asks for the password that there is, rather than for a new one, or for something that is typed once.
fn asks_password(text: &str) -> bool {
    let others = ["new", "current", "old", "again", "retype", "expired"];
    // What is said above it may be a page of law.
    let is_typed_once = has_word(last_line(text), &["time"]);
    ends_in_password(text) && !has_word(text, &others) && !is_typed_once
}

/// Whether it asks for the password of the very user of that account, in the words of OpenPAM. The host calls itself what it
/// likes there.
fn names_password(text: &str, account: &str) -> bool {
    let named = text.trim().strip_prefix("Password for ").and_then(|rest| rest.strip_suffix(':'));
    let named = named.filter(|named| !named.contains(char::is_whitespace));
    let (asked, known) = (named.and_then(user), user(account));
    asked.is_some() && asked == known
}

fn user(account: &str) -> Option<&str> {
    account.rsplit_once('@').map(|(user, _)| user)
}

/// Whether a new password is asked for, or what there is in its place until now. What is said above that counts for nothing: it
/// may be said to whoever has mistyped his as well.
pub(crate) fn changes_password(text: &str) -> bool {
    let line = last_line(text);
    let is_of_a_token = has_word(line, &["token", "code", "passcode", "pin"]);
    ends_in_password(line) && has_word(line, &["new", "current", "old"]) && !is_of_a_token
}

fn last_line(text: &str) -> &str {
    text.trim().lines().next_back().unwrap_or_default()
}

fn ends_in_password(text: &str) -> bool {
    text.trim().to_lowercase().ends_with("password:")
}

/// Whether one of them stands there as a word, and is no part of an account.
fn has_word(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    let spoken = text.split_whitespace().filter(|word| !word.contains('@'));
    let mut spoken = spoken.flat_map(|word| word.split(|letter: char| !letter.is_alphanumeric()));
    spoken.any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_apart() {
        let password = |account| Question::Password { account };
        for (text, question) in [
            ("me@web's password: ", password("me@web")),
            ("(me@web) Password: ", password("me@web")),
            ("(me@web) me@web's password: ", password("me@web")),
            ("(arnold@web) arnold@web's password: ", password("arnold@web")),
            ("(me@new) me@new's password: ", password("me@new")),
            ("(me@newton) Password for newton: old password: ", Question::Change { account: "me@newton" }),
            ("(me@web) Must be changed.\nCurrent password: ", Question::Change { account: "me@web" }),
            // What is said above a question for the password says nothing of it.
            ("(me@web) New rules hold here.\nPassword: ", Question::Other { account: Some("me@web") }),
            ("(me@web) Each time you log in you accept our terms.\nPassword: ", password("me@web")),
            ("(me@web) New token password: ", Question::Other { account: Some("me@web") }),
            ("(me@web) Renewed password: ", password("me@web")),
            ("(me@web) Password (again): ", Question::Other { account: Some("me@web") }),
            ("(me@web) One time password: ", Question::Other { account: Some("me@web") }),
            ("(root@10.0.0.1) Password for root@freebsd:", password("root@10.0.0.1")),
            ("(me@corp@web) Password for me@corp@freebsd:", password("me@corp@web")),
            ("(me@web) Password for root@freebsd:", Question::Other { account: Some("me@web") }),
            ("(me@web) Password for me@a b@c:", Question::Other { account: Some("me@web") }),
            ("(me@web) New password for me@freebsd:", Question::Other { account: Some("me@web") }),
            ("(me@web) New password: ", Question::Change { account: "me@web" }),
            ("(me@web) (current) UNIX password: ", Question::Change { account: "me@web" }),
            ("(me@web) One-time password: ", Question::Other { account: Some("me@web") }),
            ("(me@web) Verification code: ", Question::Other { account: Some("me@web") }),
            ("(me@jump) root@web's password: ", password("me@jump")),
            ("(me@jump) hm) root@web's password: ", password("me@jump")),
            ("Enter passphrase for key '/etc/keys/id': ", Question::Passphrase),
            ("The authenticity of host 'web' ...\n(yes/no/[fingerprint])? ", Question::HostKey),
            ("Please type 'yes', 'no' or the fingerprint: ", Question::HostKey),
            ("Enter PIN for ED25519-SK key: ", Question::Other { account: None }),
            ("Banner\nroot@web's password: ", Question::Other { account: None }),
        ] {
            assert_eq!(Question::of(text), question, "{text}");
        }
    }

    #[test]
    fn a_password_is_for_its_account_and_its_asker_alone() {
        let place = |user: Option<&str>| Login::new(Account::Place(user.map(Into::into)), "x".into());
        let jump = Login::new(Account::Jump("me@jump".into()), "x".into());
        assert!(place(None).is_for("me@web", true) && !place(None).is_for("me@web", false));
        assert!(place(Some("me")).is_for("me@web", true) && !place(Some("root")).is_for("me@web", true));
        assert!(
            jump.is_for("me@jump", false) && !jump.is_for("me@jump", true) && !jump.is_for("me@web", false)
        );
    }
}
