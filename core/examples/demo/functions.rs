//! The functions of the demo: one table, compiled into the program and into both of its payloads.

use std::time::{Duration, Instant};

use offshoot_core::{Call, Context, Function, Functions, Outcome, Policy, Receiver};

/// Adds two numbers.
pub(crate) const ADD: Function<(i64, i64), i64> = Function::new("add");
/// Counts from 0 to a number, one item at a time.
pub(crate) const COUNT: Function<u64, Receiver<u64>> = Function::new("count");
/// Says who answers. Ancestors may ask, and whom one of them granted it.
pub(crate) const NAME: Function<(), String> = Function::new("name");
/// Asks another context for its name.
pub(crate) const ASK: Function<Context, String> = Function::new("ask");
/// Takes so many milliseconds, unless it is cancelled.
pub(crate) const WORK: Function<u64, ()> = Function::new("work");

/// What every context of the demo serves.
pub(crate) fn functions() -> Functions {
    Functions::new()
        .serve(ADD, |_call, (a, b)| a + b)
        .serve(COUNT, count)
        .serve_to(Policy::Parents, NAME, |call: &Call, ()| {
            format!("{} (context {}, pid {})", call.here(), call.here().id(), std::process::id())
        })
        .serve(ASK, |_call, whom| whom.call_async(NAME, ()))
        .serve(WORK, work)
}

fn count(call: &Call, until: u64) -> Outcome<Receiver<u64>> {
    let (sender, receiver) = call.channel();
    // The thread ends with the stream: `send` fails as soon as nobody receives.
    std::thread::Builder::new().name("count".into()).spawn(move || {
        for number in 0..until {
            if sender.send(number).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

fn work(call: &Call, ms: u64) -> Outcome<()> {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        call.check()?;
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}
