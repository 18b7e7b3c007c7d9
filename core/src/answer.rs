//! What a handler may return, and how it becomes the body of a reply.

use std::{fmt, fmt::Display, sync::Arc};

use offshoot_wire::{
    End, Failed, ReplyHead,
    codec::{self, EncodeError},
};

use crate::{
    Message, Pending,
    channel::carry::Draft,
    dispatch::{Caller, Relay},
    here::Running,
    plain::front,
};

/// The longest text of an error that travels, in bytes.
const TEXT_MAX: usize = 16 * 1024;

/// The error of a handler: the text of whatever error it was made from.
///
/// It is made by `?` from everything that is `Display`, with its causes where the type shows them by `{:#}`. Like
/// the error of `anyhow` it is neither `Display` nor `Error` itself, which is what makes that possible.
pub struct Failure(String);

/// As its text: `main` shows it so.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(cut(&format!("{error:#}")))
    }
}

/// What a handler returns that uses `?`: write `-> Outcome<_>` behind the arguments of its closure.
///
/// ```
/// use offshoot_core::{Function, Functions, Outcome};
///
/// const PARSE: Function<String, u16> = Function::new("parse");
/// let functions = Functions::new().serve(PARSE, |_call, text| -> Outcome<_> { Ok(text.trim().parse::<u16>()?) });
/// # assert_eq!(functions.len(), 1);
/// ```
pub type Outcome<R> = Result<R, Failure>;

/// What the handler of a function with the result `R` may return.
///
/// That is `R` itself, a `Result<R, E>` whose error is `Display`, an [`Outcome<R>`], or a [`Pending<R>`]: the call is
/// answered when that one ends, and holds no worker until then.
#[diagnostic::on_unimplemented(
    message = "a handler of a function with the result `{R}` cannot return `{Self}`",
    note = "return `{R}`, a `Result` of it whose error is `Display`, or a `Pending` of it; handlers are not async"
)]
#[expect(private_bounds, reason = "sealed: what can be returned is listed here")]
pub trait IntoReturn<R>: IntoReply<R> {}

impl<R, T: IntoReply<R>> IntoReturn<R> for T {}

/// The hidden half of [`IntoReturn`].
#[diagnostic::on_unimplemented(
    message = "a handler of a function with the result `{R}` cannot return `{Self}`",
    note = "return `{R}`, a `Result` of it whose error is `Display`, or a `Pending` of it; handlers are not async"
)]
pub(crate) trait IntoReply<R> {
    fn into_reply(self, node: &Arc<Running>) -> Reply;
}

/// What a call is answered with.
pub(crate) enum Reply {
    /// A value.
    Value(Draft),
    /// Why there is none.
    Failed(Failed, String),
    /// What another call of ours will be answered with: this passes it on. A program whose handlers return no `Pending`
    /// so has none of the code of that.
    Later(Box<dyn FnOnce(Caller)>),
}

/// The head of a reply with a value.
pub(crate) fn value_head(ends: Vec<End>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    codec::encode_into(&ReplyHead::Value(ends), out)
}

impl<R: Message> IntoReply<R> for R {
    fn into_reply(self, node: &Arc<Running>) -> Reply {
        match Draft::new(node, &self, &value_head) {
            Ok(draft) => Reply::Value(draft),
            Err(message) => Reply::Failed(Failed::Result, message),
        }
    }
}

impl<R: Message, E: Display> IntoReply<R> for Result<R, E> {
    fn into_reply(self, node: &Arc<Running>) -> Reply {
        self.map_err(Failure::from).into_reply(node)
    }
}

impl<R: Message> IntoReply<R> for Result<R, Failure> {
    fn into_reply(self, node: &Arc<Running>) -> Reply {
        match self {
            Ok(value) => value.into_reply(node),
            Err(Failure(text)) => Reply::Failed(Failed::Error, text),
        }
    }
}

impl<R: Message> IntoReply<R> for Pending<R> {
    fn into_reply(self, _: &Arc<Running>) -> Reply {
        let open = self.into_open();
        Reply::Later(Box::new(move |caller| Relay::answer(open, caller)))
    }
}

/// The text of an error, cut at 16 KiB.
pub(crate) fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    format!("{}{CUT}", front(text, TEXT_MAX.saturating_sub(CUT.len())))
}

const CUT: &str = "… (cut)";

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value"),
            Self::Failed(how, text) => f.debug_tuple("Failed").field(how).field(text).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_16_kib_between_characters() {
        let short = "ä".repeat(TEXT_MAX / 2);
        assert_eq!(cut(&short), short);
        let cut = cut(&"ä".repeat(TEXT_MAX));
        assert!(cut.len() <= TEXT_MAX && cut.len() > TEXT_MAX - 16, "{}", cut.len());
        assert!(cut.ends_with("ä… (cut)"), "{}", &cut[cut.len() - 20..]);
    }
}
