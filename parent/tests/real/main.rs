//! Trees of real processes. The program is its own payload, so it has a harness of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod connect;
mod end;
mod grow;
mod harness;
mod liar;
mod loss;

use std::{env, error::Error, process::ExitCode};

use offshoot_parent::{Limits, prelude::*, table::TableLimits};

/// The tests of a module, by name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::harness::Test] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;

/// Makes a child by the context that is called.
pub(crate) const GROW: Function<String, Context> = Function::new("grow");
/// Adds two numbers.
pub(crate) const ADD: Function<(i64, i64), i64> = Function::new("add");
/// Never returns; says before that it has begun.
pub(crate) const HANG: Function<Sender<u32>, ()> = Function::new("hang");
/// Calls ADD in another context.
pub(crate) const ADD_THERE: Function<(Context, i64), i64> = Function::new("add_there");
/// Calls HANG in another context, and ADD while that runs; tells why that failed.
pub(crate) const ADD_BESIDE: Function<Context, String> = Function::new("add_beside");
/// Tries to make a child of another context; tells why that failed.
pub(crate) const GROW_THERE: Function<Context, String> = Function::new("grow_there");

fn functions() -> Functions {
    Functions::new()
        .serve(ADD, |_call, (a, b)| a + b)
        .serve(GROW, |call, name| call.here().connect(this_program(&name)))
        .serve(HANG, |_call, begun| -> Outcome<()> {
            begun.send(std::process::id())?;
            loop {
                std::thread::park();
            }
        })
        .serve(ADD_THERE, |_call, (whom, n)| whom.call_async(ADD, (n, n)))
        .serve(ADD_BESIDE, |call, whom| -> Outcome<String> {
            let (begun, started) = call.channel();
            let _hangs = whom.call_async(HANG, begun);
            started.recv()?;
            let sum = whom.with_timeout(harness::PATIENCE / 2).call(ADD, (1, 1));
            Ok(sum.map_or_else(|error| error.to_string(), |sum| sum.to_string()))
        })
        .serve(GROW_THERE, |_call, whom| match whom.connect(this_program("stolen")) {
            Ok(child) => format!("{child} was made"),
            Err(error) => error.to_string(),
        })
}

/// Bounds of one call in flight.
fn narrow() -> Limits {
    let mut limits = Limits::default();
    limits.calls_in_flight = 1;
    limits
}

pub(crate) fn this_program(name: &str) -> Local {
    Local::new(Payload::this_program()).name(name)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if env::var_os(connect::FORGETFUL).is_some() {
        return connect::forget_to_run();
    }
    let mut words = env::args().skip(1);
    match words.next().as_deref() {
        // What a leaf is to the tests: this program again, by a script that names this word; so for the others.
        Some("leaf") => offshoot_core::Child::new().functions(functions()).run(),
        Some("narrow leaf") => offshoot_core::Child::new().functions(functions()).limits(narrow()).run(),
        Some("narrow hop") => {
            let mut routes = TableLimits::default();
            routes.contexts = 2;
            Hop::new().functions(functions()).limits(narrow()).route_limits(routes).run()
        }
        Some("too narrow") => {
            let mut limits = narrow();
            limits.downlink = 0;
            Hop::new().limits(limits).run()
        }
        Some("liar") => liar::lie(words.map(|id| id.parse().unwrap())),
        Some("root") => end::be_a_root(),
        _ => {
            return offshoot_parent::run(functions(), || {
                let tests = [grow::TESTS, connect::TESTS, liar::TESTS, loss::TESTS, end::TESTS].concat();
                Ok(harness::run(&tests))
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}
