//! Who is asked what nobody has answered beforehand.

use std::fmt;

use offshoot_wire::Secret;

use crate::Text;

/// A question that comes up on the way to a place, for a [`Prompter`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The place that is to be reached: the [`Plan::place`](crate::Plan::place).
    pub place: Text,
    /// The word for the way there, such as `ssh`.
    pub method: Text,
    /// For which account it is asked, as `user@host`, where the question says so. Of a jump host it is another than that
    /// of the place.
    pub account: Option<Text>,
    /// Whether the process that was started for this place asks, rather than one that it has started, such as the client
    /// of a jump host.
    pub is_of_place: bool,
    /// The question, safe to print.
    pub text: Text,
    /// Whether the answer may be seen when it is typed.
    pub echoes: bool,
    /// How often the same has been asked in this connect, 1 for the first time.
    pub attempt: u32,
}

/// Answers questions of programs that lead to a place, by asking a person mostly.
///
/// Any `Fn(&Query) -> Option<Secret>` is one. It is called on the thread that makes the connect, which waits for it;
/// the time of the connect goes on.
pub trait Prompter: Send + Sync {
    /// The answer, without a line end. `None`: there is none, and the connect fails if it cannot do without.
    fn answer(&self, query: &Query) -> Option<Secret>;
}

impl<F: Fn(&Query) -> Option<Secret> + Send + Sync> Prompter for F {
    fn answer(&self, query: &Query) -> Option<Secret> {
        self(query)
    }
}

impl fmt::Debug for dyn Prompter + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompter")
    }
}
