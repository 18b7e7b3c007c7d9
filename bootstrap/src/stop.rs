//! Where a way by ssh clients has ended, from what they have said: which password was refused is known by that alone.

use crate::phrases::NO_GREETING;

/// What stands behind the account that was not let in, and before the ways in that there are.
const REFUSED: &str = ": Permission denied (";
/// The ways in by which somebody is asked for a password.
const BY_PASSWORD: [&str; 2] = ["password", "keyboard-interactive"];
/// What the client of a jump host says that has let it in, and reaches no further.
const NO_FURTHER: &str = "stdio forwarding failed";
/// What a client says that has waited for a greeting as long as it may.
const WAITED: &str = "Connection timed out during banner exchange";
/// What a client says that does not believe a host.
const NOT_BELIEVED: &str = "Host key verification failed";

/// Where a way has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop<'a> {
    /// At the place: all jump hosts have let it through.
    AtPlace,
    /// At a jump host, which has not let somebody in.
    AtJump(Refusal<'a>),
    /// Behind a jump host, which has let it through.
    BehindJump,
    /// Nobody says where, and nobody that he was not let in: who is on the way may wait for what is behind him.
    Silent,
    /// Nobody says where.
    Unknown,
}

/// What a client says that is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal<'a> {
    /// `user@host`, the host by its address in the configuration: a client that asks calls it by its alias there, if it has one.
    pub(crate) account: &'a str,
    /// Whether a password could have let it in.
    pub(crate) takes_passwords: bool,
}

impl<'a> Stop<'a> {
    /// Whose client is not let in says so; if that was on the way, the client that was started then gets no greeting.
    pub(crate) fn of(said: &'a str) -> Self {
        let lines = || said.split(['\n', '\r']).map(str::trim);
        let begins = |words: &[&str]| lines().any(|line| words.iter().any(|words| line.starts_with(words)));
        let has_waited = begins(&[WAITED]);
        let is_greeted = !has_waited && !begins(&NO_GREETING);
        match lines().rev().find_map(refused) {
            Some(_) if is_greeted => Self::AtPlace,
            Some(refusal) if !refusal.account.is_empty() => Self::AtJump(refusal),
            None if is_greeted && begins(&[NOT_BELIEVED]) => Self::AtPlace,
            None if begins(&[NO_FURTHER]) => Self::BehindJump,
            None if has_waited => Self::Silent,
            _ => Self::Unknown,
        }
    }

    /// The same of a way that has not ended in its time: who has not ended has not said all.
    pub(crate) fn late(said: &str) -> Self {
        if said.split(['\n', '\r']).any(|line| refused(line.trim()).is_some()) {
            Self::Unknown
        } else {
            Self::Silent
        }
    }
}

/// Who is not let in, if a client says that in this line: old ones do not name the account.
fn refused(line: &str) -> Option<Refusal<'_>> {
    let (account, ways) = match line.strip_prefix(REFUSED.trim_start_matches(": ")) {
        Some(ways) => ("", ways),
        None => line.split_once(REFUSED)?,
    };
    let takes_passwords = ways.split([',', ')']).any(|way| BY_PASSWORD.contains(&way));
    (!account.contains(char::is_whitespace)).then_some(Refusal { account, takes_passwords })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_has_ended_is_told_by_who_is_not_let_in_and_who_gets_no_greeting() {
        let silent = "kex_exchange_identification: Connection closed by remote host\r\n";
        let at_jump = |takes_passwords| Stop::AtJump(Refusal { account: "me@jump", takes_passwords });
        for (said, stop) in [
            ("me@web: Permission denied (publickey).\r\n", Stop::AtPlace),
            ("Permission denied (publickey).\r\n", Stop::AtPlace),
            ("Welcome\r\nHost key verification failed.\r\n", Stop::AtPlace),
            (&format!("me@jump: Permission denied (publickey,password).\r\n{silent}"), at_jump(true)),
            (&format!("me@jump: Permission denied (keyboard-interactive).\r\n{silent}"), at_jump(true)),
            (&format!("me@jump: Permission denied (publickey).\r\n{silent}"), at_jump(false)),
            (&format!("stdio forwarding failed\r\n{silent}"), Stop::BehindJump),
            (&format!("Permission denied (publickey).\r\n{silent}"), Stop::Unknown),
            (&format!("Host key verification failed.\r\n{silent}"), Stop::Unknown),
            ("Connection timed out during banner exchange\r\n", Stop::Silent),
            (
                "me@jump: Permission denied (password).\r\nConnection timed out during banner exchange\r\n",
                at_jump(true),
            ),
            ("it says me@web: Permission denied (x)\n", Stop::Unknown),
            (silent, Stop::Unknown),
            ("", Stop::Unknown),
        ] {
            assert_eq!(Stop::of(said), stop, "{said}");
        }
        for (said, stop) in [
            ("Welcome\r\n", Stop::Silent),
            ("Welcome\r\nme@jump: Permission denied (password).\r\n", Stop::Unknown),
        ] {
            assert_eq!(Stop::late(said), stop, "{said}");
        }
    }
}
