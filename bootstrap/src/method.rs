//! Ways to reach a place, and the plan that each comes down to.

use std::{
    fmt::{Debug, Display},
    sync::Arc,
    time::Duration,
};

use offshoot_wire::{MAX_NAME, clean_name};
use serde::{Deserialize, Serialize};

use crate::{Account, ConnectError, ConnectErrorKind, Payload, Phase, Secret, Text, Transport};

/// How long a connect may take where nobody said otherwise: a slow machine starts a process in a second, and a
/// person who waits gives up after half a minute.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A way to reach a place and start a program there.
///
/// Open for others to implement: all that is asked for is a [`Plan`], which is data, so that any context of a tree
/// can carry it out. `Display` says what it reaches, as `local:worker` does: it is what lists of failures show.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a way to reach a place",
    label = "not a `Method`",
    note = "for a child on this machine write `Local::new(payload)`"
)]
pub trait Method: Display + Debug + Send + Sync + 'static {
    /// What must be done.
    fn plan(&self) -> Plan;

    /// What will run and what may be asked, for people, without connecting; see [`Plan::explain`].
    fn explain(&self) -> String {
        self.plan().explain()
    }
}

impl<M: Method + ?Sized> Method for Box<M> {
    fn plan(&self) -> Plan {
        (**self).plan()
    }
}

impl<M: Method + ?Sized> Method for Arc<M> {
    fn plan(&self) -> Plan {
        (**self).plan()
    }
}

/// What must be done to have a child: a [`Method`] as data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// What is reached, in the user's words: a host, or the name of a local child. Errors begin with it.
    pub place: Text,
    /// The word for the way there, such as `local`.
    pub method: Text,
    /// The child's part of its name: 1 to 64 bytes; letters, digits and any of `-_@:+=`.
    pub name: String,
    /// What becomes the child.
    pub payload: Payload,
    /// The process that leads to the place, if that is not here.
    pub transport: Option<Transport>,
    /// How long all of the connect may take.
    pub timeout: Duration,
    /// Whether what comes by this link carries the authority of the context that made it, instead of the child's.
    pub stamped: bool,
}

impl Plan {
    /// A plan to start `payload` as a process of the context that carries it out.
    pub fn new(
        place: impl Into<Text>,
        method: impl Into<Text>,
        name: impl Into<String>,
        payload: Payload,
    ) -> Self {
        let (place, method, name) = (place.into(), method.into(), name.into());
        Self { place, method, name, payload, transport: None, timeout: DEFAULT_TIMEOUT, stamped: false }
    }

    /// The passwords in it: whatever is told of it must hold none of them.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.passwords().map(|(secret, _)| secret)
    }

    /// The same, each with the account that a [`Login`](crate::Login) is for: who asks a question by words that were agreed on
    /// asks for one account alone.
    pub fn passwords(&self) -> impl Iterator<Item = (&Secret, Option<&Account>)> {
        let transport = self.transport.iter();
        transport.flat_map(|transport| {
            let asked = transport.question.iter().filter_map(|question| question.answer.as_ref());
            let logins = transport.logins.iter().flatten();
            let logins = logins.map(|login| (&login.password, Some(&login.account)));
            asked.map(|answer| (answer, None)).chain(logins)
        })
    }

    /// Checks what a type cannot: the names. [`spawn`](crate::spawn) does so too; to ask beforehand saves an id.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::BadName`] or [`ConnectErrorKind::BadPlace`], with the reason.
    pub fn check(&self) -> Result<(), ConnectError> {
        if let Some(flaw) = self.transport.as_ref().and_then(|transport| transport.flaw.as_ref()) {
            return Err(ConnectError::new(self, Phase::Allocate, flaw.clone()));
        }
        // What a parent would have to change in it would not be what was asked for.
        if !self.name.is_empty() && clean_name(&self.name) == self.name {
            return Ok(());
        }
        let why = match self.name.len() {
            0 => "is empty".into(),
            length if length > MAX_NAME => format!("is longer than {MAX_NAME} bytes"),
            _ => "may have letters, digits and any of `-_@:+=` in it, no more".into(),
        };
        let kind = ConnectErrorKind::BadName { name: self.name.as_str().into(), why: Text::from(why) };
        Err(ConnectError::new(self, Phase::Allocate, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str) -> Result<(), String> {
        Plan::new("here", "local", name, Payload::this_program()).check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_name_is_refused_with_the_reason() {
        for (name, text) in [
            ("", "the name `` is empty; give one with `.name(..)`"),
            (
                "a.b",
                "the name `a.b` may have letters, digits and any of `-_@:+=` in it, no more; give one with",
            ),
            ("../x", "the name `../x` may have letters"),
            ("a\nb", "the name `a\\nb` may have letters"),
            (&"x".repeat(65), "is longer than 64 bytes"),
        ] {
            let error = checked(name).unwrap_err();
            assert!(error.starts_with("here: local, getting an id: ") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_name_in_any_script_is_taken() {
        assert_eq!((checked("web-1"), checked("größe"), checked(&"x".repeat(64))), (Ok(()), Ok(()), Ok(())));
    }

    #[test]
    fn a_name_taken_from_a_file_passes_the_check() {
        for file in ["", "leaf", "my tool.v2", "日本.bin", &"x.".repeat(99)] {
            assert_eq!(checked(&clean_name(file)), Ok(()), "{file}");
        }
    }
}
