//! Where a way by ssh clients has ended, from what they have said: which password was refused is known by that alone.

use crate::phrases::NO_GREETING;

/// What stands behind the account that was not let in.
const REFUSED: &str = ": Permission denied (";
/// What the client of a jump host says that has let it in, and reaches no further.
const NO_FURTHER: &str = "stdio forwarding failed";
/// What a client says that does not believe a host.
const NOT_BELIEVED: &str = "Host key verification failed";

/// Where a way has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop<'a> {
    /// At the place: all jump hosts have let it through.
    AtPlace,
    /// At a jump host, which has not let that account in.
    AtJump(&'a str),
    /// Behind a jump host, which has let it through.
    BehindJump,
    /// Nobody says where.
    Unknown,
}

impl<'a> Stop<'a> {
    /// Whose client is not let in says so; if that was on the way, the client that was started then gets no greeting.
    pub(crate) fn of(said: &'a str) -> Self {
        let lines = || said.split(['\n', '\r']).map(str::trim);
        let begins = |words: &[&str]| lines().any(|line| words.iter().any(|words| line.starts_with(words)));
        let is_greeted = !begins(&NO_GREETING);
        match lines().rev().find_map(refused) {
            Some(_) if is_greeted => Self::AtPlace,
            Some(account) if !account.is_empty() => Self::AtJump(account),
            None if is_greeted && begins(&[NOT_BELIEVED]) => Self::AtPlace,
            None if begins(&[NO_FURTHER]) => Self::BehindJump,
            _ => Self::Unknown,
        }
    }
}

/// The account that is not let in, if a client says that in this line: old ones do not name it.
fn refused(line: &str) -> Option<&str> {
    if line.starts_with(REFUSED.trim_start_matches(": ")) {
        return Some("");
    }
    let (account, _) = line.split_once(REFUSED)?;
    (!account.contains(char::is_whitespace)).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_has_ended_is_told_by_who_is_not_let_in_and_who_gets_no_greeting() {
        let silent = "kex_exchange_identification: Connection closed by remote host\r\n";
        for (said, stop) in [
            ("me@web: Permission denied (publickey).\r\n", Stop::AtPlace),
            ("Permission denied (publickey).\r\n", Stop::AtPlace),
            ("Welcome\r\nHost key verification failed.\r\n", Stop::AtPlace),
            (
                &format!("me@jump: Permission denied (publickey,password).\r\n{silent}"),
                Stop::AtJump("me@jump"),
            ),
            (&format!("stdio forwarding failed\r\n{silent}"), Stop::BehindJump),
            (&format!("Permission denied (publickey).\r\n{silent}"), Stop::Unknown),
            (&format!("Host key verification failed.\r\n{silent}"), Stop::Unknown),
            ("it says me@web: Permission denied (x)\n", Stop::Unknown),
            (silent, Stop::Unknown),
            ("", Stop::Unknown),
        ] {
            assert_eq!(Stop::of(said), stop, "{said}");
        }
    }
}
