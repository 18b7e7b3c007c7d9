//! One program that is all of its tree.

use offshoot_bootstrap::CHILD_ARG;
use offshoot_core::{Functions, internal::Boot};

use crate::Hop;

/// Runs `main`, or if this program was started as a child by [`Payload::this_program`](crate::Payload::this_program)
/// serves `functions` instead and never enters `main`. Call it first, before anything is read or written.
///
/// Where it is forgotten, a child refuses to be a second root: its [`Router::new`](crate::Router::new) fails and says so.
///
/// In `main` the functions are not served: a root that shall be called has a table of its own.
///
/// ```no_run
/// use offshoot_parent::prelude::*;
///
/// const GREET: Function<String, String> = Function::new("greet");
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let functions = Functions::new().serve(GREET, |call, who| format!("hello {who}, from {}", call.here()));
///     offshoot_parent::run(functions, || {
///         let router = Router::new()?;
///         let child = router.connect(Local::new(Payload::this_program()))?;
///         println!("{}", child.call(GREET, "tree".into())?);
///         Ok(())
///     })
/// }
/// ```
pub fn run<T>(functions: Functions, main: impl FnOnce() -> T) -> T {
    if is_started_as_child() { Hop::new().functions(functions).run() } else { main() }
}

/// Whether this process was started as a child of its own program, and nobody has taken that over: as a second root it would
/// make the next one, and so on without end.
pub(crate) fn is_forgotten() -> bool {
    is_started_as_child() && !Boot::was_taken()
}

fn is_started_as_child() -> bool {
    std::env::args_os().nth(1).is_some_and(|arg| arg == CHILD_ARG)
}
