//! One program that is all of its tree.

use offshoot_bootstrap::CHILD_ARG;
use offshoot_core::Functions;

use crate::Hop;

/// Runs `main`, or if this program was started as a child by [`Payload::this_program`](crate::Payload::this_program)
/// serves `functions` instead and never enters `main`. Call it first, before anything is read or written.
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
    let is_child = std::env::args_os().nth(1).is_some_and(|arg| arg == CHILD_ARG);
    if is_child { Hop::new().functions(functions).run() } else { main() }
}
